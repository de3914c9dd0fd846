//! The ramdisk of the story, built by `billet ramdisk build` and kept in the cache for as long as its agent stays the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::{image, process};

fn directory(billet: &Path) -> Result<PathBuf> {
    let agent = billet.with_file_name("billet-agent");
    let bytes = std::fs::read(&agent).map_err(Error::io("reading", &agent))?;
    let key: String = Sha256::digest(bytes).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Ok(image::cache_dir()?.join(format!("ramdisk-{key}")))
}

/// The ramdisk's directory, if it is in the cache.
pub(super) fn find(billet: &Path) -> Result<Option<PathBuf>> {
    let dir = directory(billet)?;
    Ok(dir.join("initramfs").exists().then_some(dir))
}

/// Builds the ramdisk, or finds it in the cache, and returns its directory. Blocking; the kernel package is downloaded.
pub(super) fn build(billet: &Path) -> Result<PathBuf> {
    let dir = directory(billet)?;
    let cache = image::cache_dir()?;
    let _lock = image::lock(&cache)?;
    if dir.join("initramfs").exists() {
        return Ok(dir);
    }
    // The initramfs is written last and moved to its name when it is whole.
    let mut build = Command::new(billet);
    process::output(build.args(["ramdisk", "build", "--modules", "lab", "--output"]).arg(&dir))?;
    for entry in std::fs::read_dir(&cache).into_iter().flatten().flatten() {
        let is_older = entry.file_name().to_str().is_some_and(|name| name.starts_with("ramdisk-"))
            && entry.path() != dir;
        if is_older {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    Ok(dir)
}

//! User images to put on the rack's machines, built from the host's Debian packages without a mount, and cached.
//!
//! `tiny`: kernel, busybox, dropbear and a small reader of the config drive, 64 MiB, on `ssh` in seconds. `debian`: Debian with cloud-init
//! and OpenSSH. Both boot by BIOS and by UEFI. `tiny-partition` and `debian-partition` are the same systems as bare file systems, with
//! kernel and ramdisk beside them.

mod debian;
mod layout;
mod packages;
mod partition;
mod tiny;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::process;

pub use partition::BootFiles;

/// Which image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Kernel, busybox and dropbear.
    Tiny,
    /// Debian with cloud-init and OpenSSH.
    Debian,
    /// The tiny system as a partition image, with a boot loader for UEFI.
    TinyPartition,
    /// Debian as a partition image, without a boot loader.
    DebianPartition,
}

/// How the image file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The disk's bytes.
    Raw,
    /// qcow2 with zlib clusters.
    Qcow2,
}

impl Kind {
    /// Its name on the command line and in file names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Debian => "debian",
            Self::TinyPartition => "tiny-partition",
            Self::DebianPartition => "debian-partition",
        }
    }

    /// Is it a bare file system, with [`BootFiles`] beside it?
    #[must_use]
    pub fn is_partition(self) -> bool {
        matches!(self, Self::TinyPartition | Self::DebianPartition)
    }

    /// Does it take Debian's time and memory to boot?
    #[must_use]
    pub fn is_debian(self) -> bool {
        matches!(self, Self::Debian | Self::DebianPartition)
    }

    /// The user that gets the config drive's key and may become root: the same in both images.
    #[must_use]
    pub fn user(self) -> &'static str {
        "debian"
    }

    /// What the image is made of, as text; another recipe or package version makes another image.
    fn recipe(self) -> Result<String> {
        match self {
            Self::Tiny => tiny::recipe(),
            Self::Debian => debian::recipe(),
            Self::TinyPartition => partition::tiny_recipe(),
            Self::DebianPartition => debian::recipe().map(|recipe| partition::debian_recipe(&recipe)),
        }
    }
}

/// The cache directory: `$BILLET_LAB_CACHE`, else `$XDG_CACHE_HOME/billet-lab`, else `~/.cache/billet-lab`; made if need be.
///
/// # Errors
/// [`Error::Invalid`] when no variable says where; [`Error::Io`] when it can't be made.
pub fn cache_dir() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let dir = variable("BILLET_LAB_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|dir| dir.join("billet-lab")))
        .or_else(|| variable("HOME").map(|dir| dir.join(".cache/billet-lab")))
        .ok_or_else(|| Error::Invalid("no place for cached images: set BILLET_LAB_CACHE or HOME".into()))?;
    std::fs::create_dir_all(&dir).map_err(Error::io("creating", &dir))?;
    Ok(dir)
}

/// The image in raw format, if today's recipe and packages have been built already.
///
/// # Errors
/// As [`build`].
pub fn find(kind: Kind) -> Result<Option<PathBuf>> {
    let (_, raw) = place(kind, &cache_dir()?)?;
    Ok(raw.exists().then_some(raw))
}

/// The recipe's key and the image's place.
fn place(kind: Kind, cache: &Path) -> Result<(String, PathBuf)> {
    let recipe = kind.recipe()?;
    let key: String =
        Sha256::digest(recipe.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let raw = cache.join(format!("{}-{key}.raw", kind.name()));
    Ok((key, raw))
}

/// The image's path in the cache, building it first if it is not there. Blocking; `progress` is told what is being done.
///
/// Must run where the host's package mirror can be reached, that is outside of a rack's namespaces.
///
/// # Errors
/// [`Error::Missing`] for a tool that is not installed; [`Error::Command`] when one fails; [`Error::Io`].
pub fn build(kind: Kind, format: Format, progress: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let cache = cache_dir()?;
    let _lock = lock(&cache)?;
    let raw = build_raw(kind, &cache, progress)?;
    match format {
        Format::Raw => Ok(raw),
        Format::Qcow2 => {
            let qcow2 = raw.with_extension("qcow2");
            if !qcow2.exists() {
                progress("converting to qcow2");
                let part = raw.with_extension("qcow2.part");
                process::output(
                    Command::new("qemu-img")
                        .args(["convert", "-c", "-f", "raw", "-O", "qcow2"])
                        .arg(&raw)
                        .arg(&part),
                )?;
                std::fs::rename(&part, &qcow2).map_err(Error::io("moving the image to", &qcow2))?;
            }
            Ok(qcow2)
        }
    }
}

/// The image in raw format, for the holder of the cache's lock.
fn build_raw(kind: Kind, cache: &Path, progress: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let (key, raw) = place(kind, cache)?;
    if raw.exists() {
        return Ok(raw);
    }
    let whole = match kind {
        Kind::DebianPartition => Some(build_raw(Kind::Debian, cache, progress)?),
        _ => None,
    };
    forget_unfinished(cache);
    let work =
        tempfile::Builder::new().prefix("build-").tempdir_in(cache).map_err(Error::io("creating", cache))?;
    let made = work.path().join("image.raw");
    match (kind, &whole) {
        (Kind::Tiny, _) => tiny::build(work.path(), &made, progress)?,
        (Kind::TinyPartition, _) => partition::build_tiny(work.path(), &made, progress)?,
        (Kind::DebianPartition, Some(disk)) => partition::cut(disk, &made, progress)?,
        (Kind::Debian | Kind::DebianPartition, _) => debian::build(work.path(), &made, progress)?,
    }
    forget_others(cache, kind, &key);
    if kind.is_partition() {
        let (from, to) = (BootFiles::beside(&made), BootFiles::beside(&raw));
        for (from, to) in [(from.kernel, to.kernel), (from.ramdisk, to.ramdisk)] {
            std::fs::rename(&from, &to).map_err(Error::io("moving a boot file to", &to))?;
        }
    }
    std::fs::rename(&made, &raw).map_err(Error::io("moving the image to", &raw))?;
    Ok(raw)
}

/// Does this process hold the cache's lock?
static IS_BUILDING: AtomicBool = AtomicBool::new(false);

/// The cache's lock, held while this value lives.
pub(crate) struct CacheLock(#[expect(dead_code, reason = "held for its effect")] Flock<std::fs::File>);

impl Drop for CacheLock {
    fn drop(&mut self) {
        IS_BUILDING.store(false, Ordering::SeqCst);
    }
}

/// Locks the cache. One build at a time: a second one waits here and then finds the first one's result.
pub(crate) fn lock(cache: &Path) -> Result<CacheLock> {
    let path = cache.join("lock");
    let file = std::fs::File::create(&path).map_err(Error::io("creating", &path))?;
    match Flock::lock(file, FlockArg::LockExclusive) {
        Ok(held) => {
            IS_BUILDING.store(true, Ordering::SeqCst);
            Ok(CacheLock(held))
        }
        Err((_, error)) => Err(Error::Io { what: "locking", path, source: error.into() }),
    }
}

/// Removes what builds that were killed have left in the cache, unless one is going on.
///
/// The build of this very process counts as killed: it is about to be.
pub(crate) fn sweep() {
    let Ok(cache) = cache_dir() else { return };
    if IS_BUILDING.load(Ordering::SeqCst) {
        forget_unfinished(&cache);
    } else if let Ok(lock) = std::fs::File::create(cache.join("lock"))
        && let Ok(_lock) = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
    {
        forget_unfinished(&cache);
    }
}

/// As [`sweep`], for the holder of the cache's lock.
fn forget_unfinished(cache: &Path) {
    for entry in std::fs::read_dir(cache).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_build = name.to_str().is_some_and(|name| name.starts_with("build-"));
        // The client's environment is marked when it is whole.
        let is_client = name.to_str().is_some_and(|name| name.starts_with("client-"));
        if is_build || (is_client && !entry.path().join("ready").exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Removes images of this kind made by older recipes.
fn forget_others(cache: &Path, kind: Kind, key: &str) {
    let ours = format!("{}-", kind.name());
    for entry in std::fs::read_dir(cache).into_iter().flatten().flatten() {
        let name = entry.file_name();
        // `tiny-0123456789ab.raw`, not `tiny-partition-…`.
        let other = name.to_str().and_then(|name| name.strip_prefix(&ours)?.split('.').next());
        if other.is_some_and(|other| other != key && other.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Writes `text` to `path`, making the directories above it.
fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(Error::io("creating", parent))?;
    }
    std::fs::write(path, text).map_err(Error::io("writing", path))
}

/// As [`write`], executable.
fn write_program(path: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .map_err(Error::io("making executable", path))
}

//! An unpacked kernel package: image, release, modules.

use crate::modinfo::normal_name;
use crate::{Compression, Error, file_error};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A kernel with its modules.
#[derive(Debug)]
pub(crate) struct KernelTree {
    /// Where `boot` and `lib` are.
    pub root: PathBuf,
    /// `6.1.0-56-cloud-amd64`.
    pub release: String,
    /// The bootable image.
    pub image: PathBuf,
    /// Modules by name: paths under `root`.
    pub modules: BTreeMap<String, String>,
    /// Names of what is built in.
    pub builtin: BTreeSet<String>,
}

impl KernelTree {
    /// Looks at a tree. Of several kernels the one with the highest version is taken.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        let problem = |problem: &str| Error::Kernel {
            path: root.to_owned(),
            problem: problem.to_owned(),
            remedy: "give a Debian kernel package (linux-image-*), its .deb file, or a tree it was unpacked into",
        };
        let boot = root.join("boot");
        let mut releases: Vec<String> = std::fs::read_dir(&boot)
            .map_err(|_| problem("it has no boot directory"))?
            .flatten()
            .filter_map(|entry| {
                entry.file_name().to_string_lossy().strip_prefix("vmlinuz-").map(str::to_owned)
            })
            .collect();
        releases.sort_by_key(|release| version_key(release));
        let release = releases.pop().ok_or_else(|| problem("it has no boot/vmlinuz-*"))?;
        // Merged-usr systems and later packages have modules under /usr/lib.
        let libraries = ["lib/modules", "usr/lib/modules"];
        let base = libraries
            .iter()
            .map(|library| format!("{library}/{release}"))
            .find(|base| root.join(base).is_dir());
        let base = base.ok_or_else(|| problem(&format!("it has no lib/modules/{release}")))?;
        let mut modules = BTreeMap::new();
        collect(root, &format!("{base}/kernel"), &mut modules)?;
        let builtin = std::fs::read_to_string(root.join(&base).join("modules.builtin")).unwrap_or_default();
        let image = boot.join(format!("vmlinuz-{release}"));
        let builtin = builtin.lines().filter_map(module_name).collect();
        Ok(Self { root: root.to_owned(), image, release, modules, builtin })
    }

    /// zstd where this kernel unpacks it, else gzip. Without a configuration file nothing is packed: that always boots.
    pub(crate) fn best_compression(&self) -> Compression {
        let path = self.root.join("boot").join(format!("config-{}", self.release));
        let config = std::fs::read_to_string(path).unwrap_or_default();
        let has = |option: &str| config.lines().any(|line| line == option);
        if has("CONFIG_RD_ZSTD=y") {
            Compression::Zstd
        } else if has("CONFIG_RD_GZIP=y") {
            Compression::Gzip
        } else {
            Compression::None
        }
    }
}

/// Numbers compare as numbers: 6.1.0-9 is before 6.1.0-56.
fn version_key(release: &str) -> Vec<(u64, String)> {
    release.split(['.', '-']).map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
}

fn module_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    Some(normal_name(file.split_once(".ko")?.0))
}

fn collect(root: &Path, relative: &str, modules: &mut BTreeMap<String, String>) -> Result<(), Error> {
    let directory = root.join(relative);
    for entry in std::fs::read_dir(&directory).map_err(file_error("reading", &directory))?.flatten() {
        let path = format!("{relative}/{}", entry.file_name().to_string_lossy());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(root, &path, modules)?,
            Ok(kind) if kind.is_file() => {
                if let Some(name) = module_name(&path) {
                    modules.insert(name, path);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

//! The first programs that firmware loads.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use wire::dhcp::Arch;

use crate::NetbootError;

/// A boot program larger than this is a mistake, in octets.
const MAX_PROGRAM_BYTES: u64 = 16 << 20;

/// Where the boot programs are and which firmware gets which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramNames {
    /// The directory that they are in.
    pub directory: PathBuf,
    /// For PC BIOS.
    pub bios: String,
    /// For 64-bit PC UEFI.
    pub x64: String,
    /// For 64-bit ARM UEFI, where there are such machines; Debian 12 has no iPXE for them.
    pub arm64: Option<String>,
}

impl Default for ProgramNames {
    /// As Debian's package `ipxe` has them.
    fn default() -> Self {
        Self {
            directory: "/usr/lib/ipxe".into(),
            bios: "undionly.kpxe".into(),
            x64: "snponly.efi".into(),
            arm64: None,
        }
    }
}

/// The boot programs, read into memory: a fixed set of names, and no path is ever made from what a client sends. Debian's
/// take some 300 kB together.
#[derive(Debug, Clone)]
pub struct Programs {
    names: ProgramNames,
    files: BTreeMap<String, Bytes>,
}

impl Programs {
    /// Reads the programs.
    ///
    /// # Errors
    /// [`NetbootError::Program`] for the first that is missing, not a plain file, empty or larger than 16 MiB.
    pub fn load(names: ProgramNames) -> Result<Self, NetbootError> {
        let mut files = BTreeMap::new();
        for name in [Some(&names.bios), Some(&names.x64), names.arm64.as_ref()].into_iter().flatten() {
            let path = names.directory.join(name);
            let bytes = read(name, &path).map_err(|source| NetbootError::Program { path, source })?;
            files.insert(name.clone(), bytes);
        }
        Ok(Self { names, files })
    }

    /// The name of the program for firmware of this architecture.
    #[must_use]
    pub fn name_for(&self, arch: Arch) -> Option<&str> {
        match arch {
            Arch::Bios => Some(&self.names.bios),
            Arch::X64 | Arch::X64Http => Some(&self.names.x64),
            Arch::Arm64 | Arch::Arm64Http => self.names.arm64.as_deref(),
            Arch::Ia32 | Arch::Ia32Http | Arch::Other(_) => None,
        }
    }

    /// The program of this name. Leading slashes, which some firmware adds, do not count.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<(&str, Bytes)> {
        self.files
            .get_key_value(name.trim_start_matches('/'))
            .map(|(name, bytes)| (name.as_str(), bytes.clone()))
    }
}

fn read(name: &str, path: &Path) -> io::Result<Bytes> {
    if name.is_empty()
        || name.len() > 100
        || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the name is not a plain file name"));
    }
    let about = std::fs::metadata(path)?;
    if !about.is_file() || about.len() == 0 || about.len() > MAX_PROGRAM_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a file of 1 byte to 16 MiB"));
    }
    std::fs::read(path).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_names_path_and_package() {
        let dir = tempfile::tempdir().unwrap();
        let names = ProgramNames { directory: dir.path().into(), ..ProgramNames::default() };
        std::fs::write(dir.path().join("undionly.kpxe"), b"x").unwrap();
        let error = Programs::load(names.clone()).unwrap_err().to_string();
        assert!(error.contains("snponly.efi") && error.contains("apt install ipxe"), "{error}");
        std::fs::write(dir.path().join("snponly.efi"), b"").unwrap();
        assert!(Programs::load(names.clone()).is_err(), "an empty file is no program");
        std::fs::write(dir.path().join("snponly.efi"), b"y").unwrap();
        let programs = Programs::load(names).unwrap();
        assert_eq!(programs.get("/snponly.efi").unwrap().1, "y");
        assert!(programs.get("../snponly.efi").is_none() && programs.get("").is_none());
        assert_eq!(programs.name_for(Arch::X64Http), Some("snponly.efi"));
        assert_eq!(programs.name_for(Arch::Arm64), None);
    }

    #[test]
    fn a_name_with_a_path_in_it_is_refused() {
        let names = ProgramNames { bios: "../ipxe/undionly.kpxe".into(), ..ProgramNames::default() };
        assert!(Programs::load(names).unwrap_err().to_string().contains("plain file name"));
    }
}

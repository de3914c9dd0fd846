//! The files of a boot loader in an image's ext4 file system: found, bounded, and completed by what points GRUB at the root.

use crate::fault::Fault;
use ext4_view::{Ext4, Ext4Read};
use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;
use uuid::Uuid;

/// More than any distribution's.
const MOST_FILES: usize = 256;
const MOST_BYTES: u64 = 128 << 20;
const LONGEST_FILE: u64 = 64 << 20;
const LONGEST_CONFIG: u64 = 1 << 20;
const DEEPEST: usize = 4;

#[cfg(target_arch = "aarch64")]
const ARCH: (&str, &str, &str) = ("aa64", "AA64", "arm64-efi-signed");
#[cfg(not(target_arch = "aarch64"))]
const ARCH: (&str, &str, &str) = ("x64", "X64", "x86_64-efi-signed");

/// Where distributions keep GRUB's configuration, which their own tools made.
const CONFIGS: [&str; 2] = ["/boot/grub2/grub.cfg", "/boot/grub/grub.cfg"];
/// Directories that signed GRUBs look into.
const GRUB_DIRS: [&str; 3] = ["EFI/BOOT", "EFI/debian", "EFI/ubuntu"];

/// A file for the EFI system partition: its path there, its content.
pub(super) type BootFile = (String, Vec<u8>);

/// The image's file system, read without mounting it.
pub(super) struct ImageFiles(Ext4);

struct Part {
    file: File,
    start: u64,
    length: u64,
}

impl Ext4Read for Part {
    fn read(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        match at.checked_add(buffer.len() as u64) {
            Some(end) if end <= self.length => Ok(self.file.read_exact_at(buffer, self.start + at)?),
            _ => Err("it points out of its partition".into()),
        }
    }
}

fn unreadable(error: impl std::fmt::Display) -> Fault {
    Fault::invalid_image(format!("the image's file system cannot be read: {error}"))
}

impl ImageFiles {
    pub(super) fn open(file: File, start: u64, length: u64) -> Result<Self, Fault> {
        Ext4::load(Box::new(Part { file, start, length })).map(Self).map_err(unreadable)
    }

    /// All files that the EFI system partition is to have. Fails where the image brings no boot loader, or one that would not find
    /// its way to the root file system.
    pub(super) fn boot_files(&self, root: Uuid) -> Result<Vec<BootFile>, Fault> {
        let mut files = Vec::new();
        if self.is_directory("/boot/efi/EFI") {
            self.collect("/boot/efi/EFI", "EFI", 0, &mut files)?;
        }
        let has_loader = |files: &[BootFile]| files.iter().any(|(path, _)| is_program(path));
        let is_signed = !has_loader(&files);
        if is_signed {
            files = self.signed()?;
        }
        if !has_loader(&files) {
            return Err(Fault::invalid_image(
                "the image brings no boot loader for UEFI (looked for programs in /boot/efi/EFI, and for the signed shim and GRUB of \
                 Debian's packages); boot the node over the network (kernel and ramdisk in instance_info), or use a whole-disk image",
            ));
        }
        self.configure(root, is_signed, &mut files)?;
        Ok(files)
    }

    fn is_directory(&self, path: &str) -> bool {
        self.0.metadata(path).is_ok_and(|found| found.is_dir())
    }

    fn file_length(&self, path: &str) -> Option<u64> {
        self.0
            .metadata(path)
            .ok()
            .filter(|found| found.file_type().is_regular_file())
            .map(|found| found.len())
    }

    fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Fault> {
        match self.file_length(path) {
            None => Ok(None),
            Some(length) if length > limit => Err(Fault::invalid_image(format!(
                "{} of the image has {length} bytes, more than a boot loader's file has",
                shown(path)
            ))),
            Some(_) => self.0.read(path).map(Some).map_err(unreadable),
        }
    }

    fn collect(&self, from: &str, to: &str, depth: usize, files: &mut Vec<BootFile>) -> Result<(), Fault> {
        if depth > DEEPEST {
            return Err(too_much());
        }
        for entry in self.0.read_dir(from).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let Ok(name) = name.as_str() else { continue };
            // What FAT can't name has no business there; links can't be on FAT at all.
            let is_plain = !name.starts_with('.')
                && name.len() <= 120
                && name.chars().all(|c| !c.is_control() && !"\"*/:<>?\\|".contains(c));
            let Ok(kind) = entry.file_type() else { continue };
            if !is_plain {
                continue;
            }
            let (from, to) = (format!("{from}/{name}"), format!("{to}/{name}"));
            if kind.is_dir() {
                self.collect(&from, &to, depth + 1, files)?;
            } else if kind.is_regular_file()
                && let Some(content) = self.read(&from, LONGEST_FILE)?
            {
                files.push((to, content));
                let total: u64 = files.iter().map(|(_, content)| content.len() as u64).sum();
                if files.len() > MOST_FILES || total > MOST_BYTES {
                    return Err(too_much());
                }
            }
        }
        Ok(())
    }

    /// Debian's and Ubuntu's packages keep the signed programs in `/usr/lib`, where `grub-install` would copy them from.
    fn signed(&self) -> Result<Vec<BootFile>, Fault> {
        let (lower, upper, directory) = ARCH;
        let grub = self.read(&format!("/usr/lib/grub/{directory}/grub{lower}.efi.signed"), LONGEST_FILE)?;
        let Some(grub) = grub else { return Ok(Vec::new()) };
        let removable = format!("EFI/BOOT/BOOT{upper}.EFI");
        let mut files = Vec::new();
        match self.read(&format!("/usr/lib/shim/shim{lower}.efi.signed"), LONGEST_FILE)? {
            Some(shim) => {
                files.push((removable, shim));
                files.push((format!("EFI/BOOT/grub{lower}.efi"), grub));
            }
            None => files.push((removable, grub)),
        }
        let mok = format!("mm{lower}.efi");
        if let Some(manager) = self.read(&format!("/usr/lib/shim/{mok}.signed"), LONGEST_FILE)? {
            files.push((format!("EFI/BOOT/{mok}"), manager));
        }
        Ok(files)
    }

    /// Where GRUB finds no configuration beside it, it gets one that goes on to the image's own, and that one must boot this root.
    fn configure(&self, root: Uuid, is_signed: bool, files: &mut Vec<BootFile>) -> Result<(), Fault> {
        let is_grub = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
            name.starts_with("grub") && is_program(path)
        };
        let directory_of =
            |path: &str| path.rsplit_once('/').map_or("", |(directory, _)| directory).to_owned();
        let mut directories: Vec<String> =
            files.iter().filter(|(path, _)| is_grub(path)).map(|(path, _)| directory_of(path)).collect();
        if is_signed {
            directories.extend(GRUB_DIRS.map(str::to_owned));
        }
        directories.sort();
        directories.dedup();
        let has = |path: &str| files.iter().any(|(known, _)| known.eq_ignore_ascii_case(path));
        let wanting: Vec<String> =
            directories.into_iter().map(|d| format!("{d}/grub.cfg")).filter(|path| !has(path)).collect();
        if wanting.is_empty() {
            return Ok(());
        }
        let config = self.own_config(root)?;
        let directory = directory_of(config);
        let text = format!(
            "search --no-floppy --fs-uuid --set=root {root}\nset prefix=($root){directory}\nconfigfile ($root){config}\n"
        );
        files.extend(wanting.into_iter().map(|path| (path, text.clone().into_bytes())));
        Ok(())
    }

    fn own_config(&self, root: Uuid) -> Result<&'static str, Fault> {
        for path in CONFIGS {
            let Some(content) = self.read(path, LONGEST_CONFIG)? else { continue };
            let text = String::from_utf8_lossy(&content);
            // `blscfg` reads the kernels' own entries, which name the root by themselves.
            let is_fit = [&format!("root=UUID={root}"), "root=LABEL=", "blscfg"]
                .iter()
                .any(|word| text.contains(*word));
            if is_fit {
                return Ok(path);
            }
        }
        Err(Fault::invalid_image(format!(
            "the image brings GRUB, but no {} that boots root=UUID={root}; boot the node over the network (kernel and ramdisk in \
             instance_info), or use a whole-disk image",
            CONFIGS.join(" or ")
        )))
    }
}

fn is_program(path: &str) -> bool {
    path.len() > 4
        && path.is_char_boundary(path.len() - 4)
        && path[path.len() - 4..].eq_ignore_ascii_case(".efi")
}

fn too_much() -> Fault {
    Fault::invalid_image(format!(
        "the image's /boot/efi holds more than {MOST_FILES} files, {} MiB or {DEEPEST} folders deep",
        MOST_BYTES >> 20
    ))
}

fn shown(path: &str) -> String {
    path.chars().take(200).collect()
}

//! The firmware's boot entry for the disk that was written.
//!
//! Looks for a boot loader in the disk's EFI system partition and makes a `Boot####` variable for it, first in `BootOrder`;
//! all other entries, those for booting over the network above all, stay. Sources: UEFI 2.10, 3.1.3 (load options),
//! 10.3.5 (media device paths); Linux `Documentation/filesystems/efivarfs.rst`.

mod fat;
mod variables;

use crate::fault::Fault;
use crate::say;
use disk::Target;
use disk::partition::{PartitionTable, PartitionType, TableKind, read_table};
use fat::{Entry, FileSystem};
use std::path::Path;

pub use variables::BootVariables;

/// Entries that this agent made begin with it, so that it can replace its own.
const LABEL: &str = "Billet";

#[cfg(target_arch = "aarch64")]
const LOADERS: [&str; 3] = ["BOOTAA64.EFI", "SHIMAA64.EFI", "GRUBAA64.EFI"];
#[cfg(not(target_arch = "aarch64"))]
const LOADERS: [&str; 3] = ["BOOTX64.EFI", "SHIMX64.EFI", "GRUBX64.EFI"];

/// Makes the boot entry for what is on `target`, in the variables under `directory`. Returns the loader's path. Fails when
/// the disk has no EFI system partition or no loader in it, or when the firmware takes no variable.
pub fn set_boot_entry(target: &dyn Target, directory: &Path) -> Result<String, Fault> {
    let table = read_table(target)?.ok_or_else(|| Fault::no_device("the disk has no partition table"))?;
    let partition = table.efi_system_partition().ok_or_else(|| {
        Fault::no_device("the disk has no EFI system partition; is the image made for UEFI? (or boot the node in BIOS mode)")
    })?;
    let loader = find_loader(target, partition.start, partition.length)?;
    let path = device_path(target, &table, &loader)?;
    let description = format!("{LABEL} {}", loader.label);
    let variables = BootVariables::new(directory);
    let name = variables.put_first(&description, &path, |old| old.starts_with(&format!("{LABEL} "))).map_err(|error| {
        Fault::execution(format!(
            "the firmware did not take the boot entry for {}: {error}; is its variable store full or read-only?",
            loader.path
        ))
    })?;
    say!("boot entry {name}: {} on partition {}", loader.path, partition.number);
    Ok(loader.path)
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Loader {
    path: String,
    label: String,
}

/// A distribution's own loader by its `BOOT*.CSV` (as shim's fallback would take it), else the removable-media path, else
/// a distribution's shim or GRUB.
fn find_loader(target: &dyn Target, start: u64, length: u64) -> Result<Loader, Fault> {
    let broken =
        |why: String| Fault::invalid_image(format!("the EFI system partition cannot be read: {why}"));
    let files = FileSystem::open(target, start, length).map_err(broken)?;
    let find =
        |entries: &[Entry], name: &str| entries.iter().find(|e| e.name.eq_ignore_ascii_case(name)).cloned();
    let root = files.root().map_err(broken)?;
    let efi = match find(&root, "EFI").filter(|entry| entry.is_directory) {
        Some(entry) => files.directory(&entry).map_err(broken)?,
        None => Vec::new(),
    };
    let (mut removable, mut vendors, mut by_csv) = (None, Vec::new(), None);
    for folder in efi.iter().filter(|entry| entry.is_directory && !entry.name.starts_with('.')) {
        let entries = files.directory(folder).map_err(broken)?;
        let path = |file: &Entry| format!("\\EFI\\{}\\{}", folder.name, file.name);
        if folder.name.eq_ignore_ascii_case("BOOT") {
            removable = find(&entries, LOADERS[0]).map(|file| path(&file));
            continue;
        }
        let csv = entries.iter().find(|entry| {
            let name = entry.name.to_ascii_uppercase();
            name.starts_with("BOOT") && name.ends_with(".CSV") && entry.size < 4096
        });
        if let Some(csv) = csv {
            let bytes = files.read(csv, 4096).map_err(broken)?;
            if let Some((file, label)) =
                parse_csv(&bytes).and_then(|(name, label)| Some((find(&entries, &name)?, label)))
            {
                by_csv.get_or_insert(Loader { path: path(&file), label });
            }
        }
        for name in &LOADERS[1..] {
            if let Some(file) = find(&entries, name) {
                vendors.push(Loader { path: path(&file), label: folder.name.clone() });
            }
        }
    }
    by_csv
        .or(removable.map(|path| Loader { path, label: "disk".to_owned() }))
        .or(vendors.into_iter().next())
        .ok_or_else(|| {
            Fault::no_device(format!(
                "the EFI system partition has no boot loader (looked for \\EFI\\BOOT\\{} and the distributions' own)",
                LOADERS[0]
            ))
        })
}

/// `shimx64.efi,debian,,comment` in UTF-16 with byte order mark.
fn parse_csv(bytes: &[u8]) -> Option<(String, String)> {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
    let text = String::from_utf16_lossy(&units);
    let mut fields = text.trim_start_matches('\u{feff}').lines().next()?.split(',');
    let (file, label) = (fields.next()?.trim(), fields.next()?.trim());
    let is_plain = |text: &str| !text.is_empty() && text.len() < 64 && !text.contains(['\\', '/']);
    (is_plain(file) && is_plain(label)).then(|| (file.to_owned(), label.to_owned()))
}

/// Hard drive node, file path node, end node.
fn device_path(target: &dyn Target, table: &PartitionTable, loader: &Loader) -> Result<Vec<u8>, Fault> {
    let partition =
        table.efi_system_partition().ok_or_else(|| Fault::no_device("no EFI system partition"))?;
    let sector = u64::from(target.sector_size());
    let mut path = vec![4, 1, 42, 0];
    path.extend(partition.number.to_le_bytes());
    path.extend((partition.start / sector).to_le_bytes());
    path.extend((partition.length / sector).to_le_bytes());
    match (table.kind, partition.partition_type) {
        (TableKind::Gpt, PartitionType::Gpt(_)) => {
            let unique = uuid::Uuid::try_parse(&partition.uuid)
                .map_err(|_| Fault::invalid_image("the EFI system partition has no GUID"))?;
            path.extend(unique.to_bytes_le());
            path.extend([2, 2]);
        }
        _ => {
            let mut signature = [0u8; 16];
            signature[..4].copy_from_slice(&table.disk_signature.to_le_bytes());
            path.extend(signature);
            path.extend([1, 1]);
        }
    }
    let name: Vec<u8> = loader.path.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    path.extend([4, 4]);
    path.extend((name.len() as u16 + 4).to_le_bytes());
    path.extend(name);
    path.extend([0x7f, 0xff, 4, 0]);
    Ok(path)
}

#[cfg(test)]
mod tests;

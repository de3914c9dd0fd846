//! Making an EFI system partition: FAT32 with all its files at once.
//!
//! Own code, since it is written once from a list and never changed: every file lies in one piece, and no allocator, cache or
//! clock is needed. Source: Microsoft's FAT specification 1.03 (the UEFI specification 2.10, 13.3, refers to it).

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::target::Target;

const RESERVED: u64 = 32;
const COPIES: u64 = 2;
const CLUSTER: u64 = 4096;
/// Fewer clusters are FAT16 by definition.
const LEAST_CLUSTERS: u64 = 65525;
const END_OF_CHAIN: u32 = 0x0fff_ffff;
const ROOT: u32 = 2;
const ENTRY: usize = 32;
/// 1 January 2024, in FAT's terms: files get no time of their own.
const DATE: u16 = (2024 - 1980) << 9 | 1 << 5 | 1;

/// A file's path, with `/` between names, and its content.
pub type FatFile<'a> = (String, &'a [u8]);

/// Makes all of `target` a FAT32 file system with these files. `serial` is what `blkid` shows as its UUID. Errors: [`Error::Disk`];
/// [`Error::PartitionTable`] if the partition has no size for it or the files don't fit.
pub fn make_fat(target: &dyn Target, label: &str, serial: u32, files: &[FatFile<'_>]) -> Result<()> {
    let geometry = Geometry::of(target)?;
    let mut tree = Directory::default();
    for (path, content) in files {
        tree.add(path, content);
    }
    let mut writer = Writer { target, geometry, table: vec![0x0fff_fff8, END_OF_CHAIN] };
    // The boot sector goes last: without it there is no file system.
    writer.zero(0, geometry.data_start())?;
    let first = writer.allocate(tree.length(true))?;
    debug_assert_eq!(first, ROOT);
    writer.directory(&tree, first, None, Some(label))?;
    writer.finish(label, serial)
}

#[derive(Clone, Copy)]
struct Geometry {
    sector: u64,
    sectors: u64,
    fat_sectors: u64,
    clusters: u64,
}

impl Geometry {
    fn of(target: &dyn Target) -> Result<Self> {
        let sector = u64::from(target.sector_size());
        let sectors = target.size() / sector;
        let data = sectors.saturating_sub(RESERVED);
        let fat_sectors = ((data * sector / CLUSTER + 2) * 4).div_ceil(sector);
        let clusters = data.saturating_sub(COPIES * fat_sectors) * sector / CLUSTER;
        if clusters < LEAST_CLUSTERS || u32::try_from(sectors).is_err() {
            return Err(Error::PartitionTable {
                problem: format!("the EFI system partition has {} MiB", target.size() >> 20),
                remedy: "it must have between 300 MiB and 2 TiB",
            });
        }
        Ok(Self { sector, sectors, fat_sectors, clusters })
    }

    fn data_start(self) -> u64 {
        (RESERVED + COPIES * self.fat_sectors) * self.sector
    }

    fn place(self, cluster: u32) -> u64 {
        self.data_start() + u64::from(cluster - 2) * CLUSTER
    }
}

#[derive(Default)]
struct Directory<'a> {
    directories: BTreeMap<String, Directory<'a>>,
    files: BTreeMap<String, &'a [u8]>,
}

impl<'a> Directory<'a> {
    fn add(&mut self, path: &str, content: &'a [u8]) {
        match path.split_once('/') {
            Some(("", rest)) => self.add(rest, content),
            Some((name, rest)) => self.directories.entry(name.to_owned()).or_default().add(rest, content),
            None => drop(self.files.insert(path.to_owned(), content)),
        }
    }

    /// Bytes that its entries take; the root has a label, the others have `.` and `..`.
    fn length(&self, is_root: bool) -> u64 {
        let names = self.directories.keys().chain(self.files.keys());
        let entries: usize = names.map(|name| 1 + name.encode_utf16().count().div_ceil(13)).sum();
        ((entries + if is_root { 1 } else { 2 }) * ENTRY) as u64
    }
}

struct Writer<'a> {
    target: &'a dyn Target,
    geometry: Geometry,
    /// The file allocation table as far as it is used.
    table: Vec<u32>,
}

impl Writer<'_> {
    /// Takes clusters in one piece. Returns the first; 0 for an empty file.
    fn allocate(&mut self, length: u64) -> Result<u32> {
        let count = length.div_ceil(CLUSTER);
        if self.table.len() as u64 + count > self.geometry.clusters + 2 {
            return Err(Error::PartitionTable {
                problem: "the image's boot files don't fit into the EFI system partition".into(),
                remedy: "remove some from /boot/efi of the image",
            });
        }
        if count == 0 {
            return Ok(0);
        }
        let first = self.table.len() as u32;
        self.table.extend((1..count as u32).map(|index| first + index));
        self.table.push(END_OF_CHAIN);
        Ok(first)
    }

    fn directory(
        &mut self,
        directory: &Directory<'_>,
        own: u32,
        parent: Option<u32>,
        label: Option<&str>,
    ) -> Result<()> {
        let mut bytes = Vec::new();
        if let Some(label) = label {
            bytes.extend(entry(&padded(label, 11), 0x08, 0, 0));
        }
        if let Some(parent) = parent {
            // The root is cluster 0 to its children.
            let above = if parent == ROOT { 0 } else { parent };
            bytes.extend(entry(&padded(".", 11), 0x10, own, 0));
            bytes.extend(entry(&padded("..", 11), 0x10, above, 0));
        }
        let mut index = 0;
        for (name, child) in &directory.directories {
            index += 1;
            let first = self.allocate(child.length(false))?;
            self.directory(child, first, Some(own), None)?;
            bytes.extend(entries(name, index, 0x10, first, 0));
        }
        for (name, content) in &directory.files {
            index += 1;
            let first = self.allocate(content.len() as u64)?;
            self.content(first, content)?;
            bytes.extend(entries(name, index, 0x20, first, content.len() as u32));
        }
        self.content(own, &bytes)
    }

    /// Writes into clusters in one piece, the last one filled up with zeros.
    fn content(&self, first: u32, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % CLUSTER as usize);
        let at = self.geometry.place(first);
        self.write(at, whole)?;
        if rest.is_empty() {
            return Ok(());
        }
        let mut last = rest.to_vec();
        last.resize(CLUSTER as usize, 0);
        self.write(at + whole.len() as u64, &last)
    }

    fn finish(&self, label: &str, serial: u32) -> Result<()> {
        let g = self.geometry;
        let table: Vec<u8> = self.table.iter().flat_map(|value| value.to_le_bytes()).collect();
        for copy in 0..COPIES {
            self.write((RESERVED + copy * g.fat_sectors) * g.sector, &table)?;
        }
        let (boot, info) = (self.boot_sector(label, serial), self.info_sector());
        for start in [6, 0] {
            self.write((start + 1) * g.sector, &info)?;
            self.write(start * g.sector, &boot)?;
        }
        Ok(())
    }

    fn boot_sector(&self, label: &str, serial: u32) -> Vec<u8> {
        let g = self.geometry;
        let mut b = vec![0; g.sector as usize];
        let mut put = |at: usize, bytes: &[u8]| b[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &[0xeb, 0x58, 0x90]);
        put(3, b"BILLET  ");
        put(11, &(g.sector as u16).to_le_bytes());
        put(13, &[(CLUSTER / g.sector) as u8]);
        put(14, &(RESERVED as u16).to_le_bytes());
        put(16, &[COPIES as u8]);
        put(21, &[0xf8]);
        put(24, &63_u16.to_le_bytes());
        put(26, &255_u16.to_le_bytes());
        put(32, &(g.sectors as u32).to_le_bytes());
        put(36, &(g.fat_sectors as u32).to_le_bytes());
        put(44, &ROOT.to_le_bytes());
        put(48, &1_u16.to_le_bytes());
        put(50, &6_u16.to_le_bytes());
        put(64, &[0x80, 0, 0x29]);
        put(67, &serial.to_le_bytes());
        put(71, &padded(label, 11));
        put(82, b"FAT32   ");
        put(510, &[0x55, 0xaa]);
        b
    }

    fn info_sector(&self) -> Vec<u8> {
        let used = self.table.len() as u32;
        let mut b = vec![0; self.geometry.sector as usize];
        let mut put = |at: usize, value: u32| b[at..at + 4].copy_from_slice(&value.to_le_bytes());
        put(0, 0x4161_5252);
        put(484, 0x6141_7272);
        put(488, self.geometry.clusters as u32 + 2 - used);
        put(492, used);
        put(508, 0xaa55_0000);
        b
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<()> {
        self.target
            .write_at(at, bytes)
            .map_err(|e| Error::disk(format!("writing the EFI system partition at byte {at}"), e))
    }

    fn zero(&self, at: u64, length: u64) -> Result<()> {
        self.target.zero(at, length).map_err(|e| Error::disk("emptying the EFI system partition", e))
    }
}

fn padded(text: &str, length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = text.bytes().take(length).collect();
    bytes.resize(length, b' ');
    bytes
}

fn entry(name: &[u8], attributes: u8, cluster: u32, size: u32) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    bytes[..11].copy_from_slice(name);
    bytes[11] = attributes;
    for at in [16, 18, 24] {
        bytes[at..at + 2].copy_from_slice(&DATE.to_le_bytes());
    }
    bytes[20..22].copy_from_slice(&((cluster >> 16) as u16).to_le_bytes());
    bytes[26..28].copy_from_slice(&(cluster as u16).to_le_bytes());
    bytes[28..].copy_from_slice(&size.to_le_bytes());
    bytes
}

/// The long name's entries, then the short one. Every name gets both: so its case is kept, and nothing depends on its form.
fn entries(name: &str, index: usize, attributes: u8, cluster: u32, size: u32) -> Vec<u8> {
    let short = short_name(name, index);
    let sum = short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
    let mut units: Vec<u16> = name.encode_utf16().collect();
    let parts = units.len().div_ceil(13);
    if units.len() < parts * 13 {
        units.push(0);
        units.resize(parts * 13, 0xffff);
    }
    let mut bytes = Vec::new();
    for (part, units) in units.chunks(13).enumerate().rev() {
        let mut long = [0; ENTRY];
        long[0] = (part as u8 + 1) | if part + 1 == parts { 0x40 } else { 0 };
        (long[11], long[13]) = (0x0f, sum);
        let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain([28, 30]);
        for (unit, at) in units.iter().zip(places) {
            long[at..at + 2].copy_from_slice(&unit.to_le_bytes());
        }
        bytes.extend(long);
    }
    bytes.extend(entry(&short, attributes, cluster, size));
    bytes
}

/// `GRUBX6~1EFI`: unique in its directory by its index.
fn short_name(name: &str, index: usize) -> Vec<u8> {
    let plain = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
    };
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let tail = format!("~{index}");
    let mut short = padded(&plain(stem), 8 - tail.len());
    short.retain(|byte| *byte != b' ');
    short.extend(tail.bytes());
    short.resize(8, b' ');
    short.extend(padded(&plain(extension), 3));
    short
}

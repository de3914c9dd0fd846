//! Reading directories and small files of a FAT file system, so that no kernel module and no mount is needed for it.
//!
//! The image's maker wrote it: everything is bounded, nothing is trusted. Source: Microsoft's FAT specification 1.03.

use disk::Target;

const LONGEST_DIRECTORY: u64 = 1 << 20;
const ENTRY: usize = 32;

/// A file system inside a partition.
pub(super) struct FileSystem<'a> {
    target: &'a dyn Target,
    start: u64,
    length: u64,
    cluster_bytes: u64,
    fat_start: u64,
    root_start: u64,
    root_bytes: u64,
    root_cluster: u32,
    data_start: u64,
    clusters: u32,
    width: Width,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    Twelve,
    Sixteen,
    ThirtyTwo,
}

/// A file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    pub is_directory: bool,
    pub size: u32,
    cluster: u32,
}

impl<'a> FileSystem<'a> {
    pub(super) fn open(target: &'a dyn Target, start: u64, length: u64) -> Result<Self, String> {
        let mut boot = [0u8; 512];
        target.read_at(start, &mut boot).map_err(|error| error.to_string())?;
        let word = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
        let long = |at: usize| u32::from_le_bytes([boot[at], boot[at + 1], boot[at + 2], boot[at + 3]]);
        let (sector, per_cluster) = (word(11), u64::from(boot[13]));
        let is_sane = matches!(sector, 512 | 1024 | 2048 | 4096) && per_cluster.is_power_of_two();
        if boot[510..] != [0x55, 0xaa] || !is_sane {
            return Err("it holds no FAT file system".to_owned());
        }
        let (reserved, copies, root_entries) = (word(14), u64::from(boot[16]), word(17));
        let sectors = if word(19) == 0 { u64::from(long(32)) } else { word(19) };
        let fat_sectors = if word(22) == 0 { u64::from(long(36)) } else { word(22) };
        let root_bytes = (root_entries * ENTRY as u64).next_multiple_of(sector);
        let root_start = (reserved + copies * fat_sectors) * sector;
        let data_start = root_start + root_bytes;
        let clusters = (sectors * sector).saturating_sub(data_start) / (sector * per_cluster);
        let clusters = u32::try_from(clusters).map_err(|_| "it has too many clusters".to_owned())?;
        let width = match clusters {
            0..4085 => Width::Twelve,
            4085..65525 => Width::Sixteen,
            _ => Width::ThirtyTwo,
        };
        Ok(Self {
            target,
            start,
            length,
            cluster_bytes: sector * per_cluster,
            fat_start: reserved * sector,
            root_start,
            root_bytes,
            root_cluster: long(44),
            data_start,
            clusters,
            width,
        })
    }

    pub(super) fn root(&self) -> Result<Vec<Entry>, String> {
        if self.width == Width::ThirtyTwo {
            return Ok(entries(&self.chain(self.root_cluster, LONGEST_DIRECTORY)?));
        }
        let mut bytes = vec![0; self.root_bytes.min(LONGEST_DIRECTORY) as usize];
        self.read_at(self.root_start, &mut bytes)?;
        Ok(entries(&bytes))
    }

    pub(super) fn directory(&self, entry: &Entry) -> Result<Vec<Entry>, String> {
        Ok(entries(&self.chain(entry.cluster, LONGEST_DIRECTORY)?))
    }

    /// A file's content, at most `limit` bytes.
    pub(super) fn read(&self, entry: &Entry, limit: u64) -> Result<Vec<u8>, String> {
        let length = u64::from(entry.size).min(limit);
        let mut bytes = if length == 0 { Vec::new() } else { self.chain(entry.cluster, length)? };
        bytes.truncate(length as usize);
        Ok(bytes)
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> Result<(), String> {
        if at.checked_add(buffer.len() as u64).is_none_or(|end| end > self.length) {
            return Err("it points out of its partition".to_owned());
        }
        self.target.read_at(self.start + at, buffer).map_err(|error| error.to_string())
    }

    /// The clusters of a chain one after the other, until its end or `limit` bytes.
    fn chain(&self, first: u32, limit: u64) -> Result<Vec<u8>, String> {
        let (mut bytes, mut cluster) = (Vec::new(), first);
        while (2..self.clusters.saturating_add(2)).contains(&cluster) && (bytes.len() as u64) < limit {
            let from = bytes.len();
            bytes.resize(from + self.cluster_bytes as usize, 0);
            let at = self.data_start + u64::from(cluster - 2) * self.cluster_bytes;
            self.read_at(at, &mut bytes[from..])?;
            cluster = self.next(cluster)?;
        }
        Ok(bytes)
    }

    fn next(&self, cluster: u32) -> Result<u32, String> {
        let cluster = u64::from(cluster);
        let mut bytes = [0u8; 4];
        let value = match self.width {
            Width::Twelve => {
                self.read_at(self.fat_start + cluster + cluster / 2, &mut bytes[..2])?;
                let pair = u32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
                let value = if cluster % 2 == 0 { pair & 0xfff } else { pair >> 4 };
                if value >= 0xff7 { u32::MAX } else { value }
            }
            Width::Sixteen => {
                self.read_at(self.fat_start + cluster * 2, &mut bytes[..2])?;
                let value = u32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
                if value >= 0xfff7 { u32::MAX } else { value }
            }
            Width::ThirtyTwo => {
                self.read_at(self.fat_start + cluster * 4, &mut bytes)?;
                let value = u32::from_le_bytes(bytes) & 0x0fff_ffff;
                if value >= 0x0fff_fff7 { u32::MAX } else { value }
            }
        };
        Ok(value)
    }
}

/// Entries of a directory; long names where there are.
fn entries(bytes: &[u8]) -> Vec<Entry> {
    let (mut found, mut long) = (Vec::new(), Vec::<(u8, [u16; 13])>::new());
    for raw in bytes.chunks_exact(ENTRY) {
        let attributes = raw[11];
        match raw[0] {
            0 => break,
            0xe5 => long.clear(),
            sequence if attributes == 0x0f => {
                let mut units = [0u16; 13];
                let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain([28, 30]);
                for (unit, at) in units.iter_mut().zip(places) {
                    *unit = u16::from_le_bytes([raw[at], raw[at + 1]]);
                }
                if long.len() < 20 {
                    long.push((sequence & 0x1f, units));
                }
            }
            // A volume label.
            _ if attributes & 0x08 != 0 => long.clear(),
            _ => {
                long.sort_by_key(|(sequence, _)| *sequence);
                let units = long.drain(..).flat_map(|(_, units)| units).take_while(|unit| *unit != 0);
                let long_name = String::from_utf16_lossy(&units.collect::<Vec<_>>());
                let word = |at: usize| u32::from(u16::from_le_bytes([raw[at], raw[at + 1]]));
                found.push(Entry {
                    name: if long_name.is_empty() { short_name(raw) } else { long_name },
                    is_directory: attributes & 0x10 != 0,
                    size: word(28) | word(30) << 16,
                    cluster: word(26) | word(20) << 16,
                });
            }
        }
    }
    found
}

fn short_name(raw: &[u8]) -> String {
    let part = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    match (part(&raw[..8]), part(&raw[8..11])) {
        (name, extension) if extension.is_empty() => name,
        (name, extension) => format!("{name}.{extension}"),
    }
}

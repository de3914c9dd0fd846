//! The GUID partition table: two headers, two copies of the entries.
//!
//! Bytes that aren't understood are carried along. Counts and sizes are bounded before anything is allocated by them; a
//! matching CRC proves nothing about who wrote it.

use uuid::Uuid;

use super::{Partition, PartitionType, read, write};
use crate::error::{Error, Result};
use crate::target::Target;

const SIGNATURE: &[u8; 8] = b"EFI PART";
const MIN_HEADER: usize = 92;
/// Sixteen times what everybody writes.
const MAX_ENTRIES_LENGTH: usize = 256 << 10;

const REMAKE: &str = "check the image with `sgdisk -v`; it may be damaged or made for another sector size";

/// A table that was checked: one header's fields, and the entries.
pub(super) struct Gpt {
    sector: u64,
    header: Vec<u8>,
    entries: Vec<u8>,
    entry_size: usize,
    /// Where the other copy's header was before this one is written anew.
    old_backup: u64,
}

fn u32_at(data: &[u8], at: usize) -> u32 {
    data[at..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b))
}

fn u64_at(data: &[u8], at: usize) -> u64 {
    data[at..].first_chunk().map_or(0, |b| u64::from_le_bytes(*b))
}

fn uuid_at(data: &[u8], at: usize) -> Uuid {
    data[at..].first_chunk().map_or(Uuid::nil(), |b| Uuid::from_bytes_le(*b))
}

fn put(data: &mut [u8], at: usize, bytes: &[u8]) {
    data[at..at + bytes.len()].copy_from_slice(bytes);
}

/// What everybody writes, and the specification's least: 16 KiB.
const NEW_ENTRIES: u32 = 128;
const NEW_ENTRY_SIZE: u32 = 128;

impl Gpt {
    /// An empty table for a disk; nothing is written yet. Errors: [`Error::PartitionTable`] if there is no room for it.
    pub(super) fn create(target: &dyn Target) -> Result<Self> {
        let sector = u64::from(target.sector_size());
        let total = NEW_ENTRIES * NEW_ENTRY_SIZE;
        let first_usable = 2 + u64::from(total).div_ceil(sector);
        if target.size() / sector < 2 * first_usable {
            return Err(Error::PartitionTable {
                problem: "the disk is too small for a GPT".into(),
                remedy: "choose a larger disk by root device hints",
            });
        }
        let mut header = vec![0; MIN_HEADER];
        put(&mut header, 0, SIGNATURE);
        put(&mut header, 8, &0x0001_0000_u32.to_le_bytes());
        put(&mut header, 12, &(MIN_HEADER as u32).to_le_bytes());
        put(&mut header, 24, &1_u64.to_le_bytes());
        put(&mut header, 40, &first_usable.to_le_bytes());
        put(&mut header, 56, &Uuid::new_v4().to_bytes_le());
        put(&mut header, 72, &2_u64.to_le_bytes());
        put(&mut header, 80, &NEW_ENTRIES.to_le_bytes());
        put(&mut header, 84, &NEW_ENTRY_SIZE.to_le_bytes());
        let entries = vec![0; total as usize];
        let mut gpt = Self { sector, header, entries, entry_size: NEW_ENTRY_SIZE as usize, old_backup: 0 };
        gpt.fit_to(target)?;
        Ok(gpt)
    }

    /// Reads the primary table, or the backup at the disk's end if that is damaged.
    pub(super) fn read(target: &dyn Target) -> Result<Self> {
        let sector = u64::from(target.sector_size());
        let last = (target.size() / sector).saturating_sub(1);
        let primary = Self::read_at(target, sector, 1);
        let problem = match primary {
            Ok(gpt) => return Ok(gpt),
            Err(Error::PartitionTable { problem, .. }) => problem,
            Err(other) => return Err(other),
        };
        match Self::read_at(target, sector, last) {
            Ok(gpt) => Ok(gpt.into_primary(last)),
            Err(Error::PartitionTable { .. }) => {
                for other in [512_u64, 4096].into_iter().filter(|s| *s != sector) {
                    if Self::read_at(target, other, 1).is_ok() {
                        return Err(Error::PartitionTable {
                            problem: format!(
                                "it was made for sectors of {other} bytes, the disk's have {sector}"
                            ),
                            remedy: "use an image made for this sector size, or set the disk's logical sector size",
                        });
                    }
                }
                Err(Error::PartitionTable { problem, remedy: REMAKE })
            }
            Err(other) => Err(other),
        }
    }

    fn read_at(target: &dyn Target, sector: u64, lba: u64) -> Result<Self> {
        let bad = |problem: String| Error::PartitionTable { problem, remedy: REMAKE };
        let sectors = target.size() / sector;
        if lba >= sectors {
            return Err(bad("the disk is too small for a GPT".into()));
        }
        let mut header = read(target, lba * sector, sector as usize, "GPT header")?;
        if !header.starts_with(SIGNATURE) {
            return Err(bad(format!("there is no GPT header at sector {lba} though the MBR announces one")));
        }
        let length = u32_at(&header, 12) as usize;
        if !(MIN_HEADER..=header.len()).contains(&length) {
            return Err(bad(format!("the GPT header at sector {lba} has a length of {length}")));
        }
        header.truncate(length);
        if header_crc(&header) != u32_at(&header, 16) {
            return Err(bad(format!("the GPT header at sector {lba} has a wrong CRC")));
        }
        if u64_at(&header, 24) != lba {
            return Err(bad(format!("the GPT header at sector {lba} says it is at {}", u64_at(&header, 24))));
        }
        let (entries_lba, count, entry_size) =
            (u64_at(&header, 72), u32_at(&header, 80), u32_at(&header, 84));
        let total = u64::from(count) * u64::from(entry_size);
        if entry_size < 128
            || !entry_size.is_power_of_two()
            || total == 0
            || total > MAX_ENTRIES_LENGTH as u64
        {
            return Err(bad(format!("the GPT has {count} entries of {entry_size} bytes")));
        }
        let end = entries_lba.checked_add(total.div_ceil(sector));
        if entries_lba < 2 || end.is_none_or(|e| e > sectors) {
            return Err(bad(format!("the GPT's entries at sector {entries_lba} are out of the disk")));
        }
        let entries = read(target, entries_lba * sector, total as usize, "GPT entries")?;
        if crc32fast::hash(&entries) != u32_at(&header, 88) {
            return Err(bad(format!("the GPT's entries at sector {entries_lba} have a wrong CRC")));
        }
        let old_backup = u64_at(&header, 32);
        let gpt = Self { sector, header, entries, entry_size: entry_size as usize, old_backup };
        gpt.check_ranges(sectors)?;
        Ok(gpt)
    }

    fn check_ranges(&self, sectors: u64) -> Result<()> {
        for (number, first, last) in self.ranges() {
            if first < 2 || last < first || last >= sectors {
                return Err(Error::PartitionTable {
                    problem: format!(
                        "partition {number} (sectors {first} to {last}) is not within the disk's {sectors} sectors"
                    ),
                    remedy: REMAKE,
                });
            }
        }
        Ok(())
    }

    /// Makes the backup's header a primary one, to repair a damaged primary from.
    fn into_primary(mut self, backup: u64) -> Self {
        put(&mut self.header, 24, &1_u64.to_le_bytes());
        put(&mut self.header, 72, &2_u64.to_le_bytes());
        self.old_backup = backup;
        self
    }

    fn used(&self) -> impl Iterator<Item = (u32, &[u8])> {
        (1..).zip(self.entries.chunks_exact(self.entry_size)).filter(|(_, e)| e[..16] != [0; 16])
    }

    fn ranges(&self) -> impl Iterator<Item = (u32, u64, u64)> {
        self.used().map(|(number, e)| (number, u64_at(e, 32), u64_at(e, 40)))
    }

    pub(super) fn disk_uuid(&self) -> Uuid {
        uuid_at(&self.header, 56)
    }

    pub(super) fn partitions(&self) -> Vec<Partition> {
        self.used().map(|(number, e)| self.describe(number, e)).collect()
    }

    fn describe(&self, number: u32, entry: &[u8]) -> Partition {
        let (first, last) = (u64_at(entry, 32), u64_at(entry, 40));
        let units: Vec<u16> = entry[56..128]
            .chunks_exact(2)
            .map(|c| u16::from_le_bytes([c[0], c[1]]))
            .take_while(|u| *u != 0)
            .collect();
        Partition {
            number,
            start: first * self.sector,
            length: (last - first + 1) * self.sector,
            partition_type: PartitionType::Gpt(uuid_at(entry, 0)),
            name: String::from_utf16_lossy(&units),
            uuid: uuid_at(entry, 16).to_string(),
        }
    }

    /// First byte and end of where partitions may lie.
    pub(super) fn usable(&self) -> (u64, u64) {
        (
            u64_at(&self.header, 40).saturating_mul(self.sector),
            u64_at(&self.header, 48).saturating_add(1).saturating_mul(self.sector),
        )
    }

    fn entries_sectors(&self) -> u64 {
        (self.entries.len() as u64).div_ceil(self.sector)
    }

    /// Sets the header to the disk's true size: backup in the last sector, its entries right before it.
    pub(super) fn fit_to(&mut self, target: &dyn Target) -> Result<()> {
        let last = target.size() / self.sector - 1;
        let last_usable = last.saturating_sub(self.entries_sectors() + 1);
        if let Some((number, _, end)) = self.ranges().find(|(_, _, end)| *end > last_usable) {
            return Err(Error::PartitionTable {
                problem: format!(
                    "partition {number} ends at sector {end}, the backup table needs all after {last_usable}"
                ),
                remedy: "use a larger disk or a smaller image",
            });
        }
        let entries = u64_at(&self.header, 72);
        let entries_end = entries + self.entries_sectors();
        if let Some((number, _, _)) = self.ranges().find(|(_, s, e)| *s < entries_end && entries <= *e) {
            return Err(Error::PartitionTable {
                problem: format!("partition {number} lies over the table itself (sectors {entries} on)"),
                remedy: REMAKE,
            });
        }
        put(&mut self.header, 32, &last.to_le_bytes());
        put(&mut self.header, 48, &last_usable.to_le_bytes());
        Ok(())
    }

    /// Adds an entry. `start` and `length` in bytes, whole sectors, free.
    pub(super) fn add(&mut self, start: u64, length: u64, kind: Uuid, name: &str) -> Result<Partition> {
        let size = self.entry_size;
        let Some(slot) = self.entries.chunks_exact(size).position(|e| e[..16] == [0; 16]) else {
            return Err(Error::PartitionTable {
                problem: "all entries of its GPT are used, none is left for the config drive".into(),
                remedy: "use an image with a free entry",
            });
        };
        let first = start / self.sector;
        let entry = &mut self.entries[slot * size..(slot + 1) * size];
        entry.fill(0);
        put(entry, 0, &kind.to_bytes_le());
        put(entry, 16, &Uuid::new_v4().to_bytes_le());
        put(entry, 32, &first.to_le_bytes());
        put(entry, 40, &(first + length / self.sector - 1).to_le_bytes());
        for (i, unit) in name.encode_utf16().take(36).enumerate() {
            put(entry, 56 + 2 * i, &unit.to_le_bytes());
        }
        let entry = &self.entries[slot * size..(slot + 1) * size];
        Ok(self.describe(slot as u32 + 1, entry))
    }

    /// Writes both copies, the backup first, so that there is a good one at every instant.
    pub(super) fn write(&mut self, target: &dyn Target) -> Result<()> {
        let entries_crc = crc32fast::hash(&self.entries);
        put(&mut self.header, 88, &entries_crc.to_le_bytes());
        let backup_lba = u64_at(&self.header, 32);
        let backup_entries = backup_lba - self.entries_sectors();
        let mut backup = self.header.clone();
        put(&mut backup, 24, &backup_lba.to_le_bytes());
        put(&mut backup, 32, &1_u64.to_le_bytes());
        put(&mut backup, 72, &backup_entries.to_le_bytes());
        self.write_copy(target, &mut backup)?;
        super::sync(target)?;
        let mut primary = self.header.clone();
        self.write_copy(target, &mut primary)?;
        self.header = primary;
        self.wipe_old_backup(target, backup_lba)
    }

    fn write_copy(&self, target: &dyn Target, header: &mut [u8]) -> Result<()> {
        let crc = header_crc(header);
        put(header, 16, &crc.to_le_bytes());
        write(target, u64_at(header, 72) * self.sector, &self.entries, "GPT entries")?;
        let mut sector = header.to_vec();
        sector.resize(self.sector as usize, 0);
        write(target, u64_at(header, 24) * self.sector, &sector, "GPT header")
    }

    /// Clears the header at the end of the image, now in the middle of the disk, where it would only mislead repair tools.
    fn wipe_old_backup(&mut self, target: &dyn Target, new: u64) -> Result<()> {
        let old = std::mem::replace(&mut self.old_backup, new);
        let is_in_use = self.ranges().any(|(_, first, last)| (first..=last).contains(&old));
        if old <= 1 || old >= new || is_in_use {
            return Ok(());
        }
        let sector = read(target, old * self.sector, self.sector as usize, "old backup GPT header")?;
        if sector.starts_with(SIGNATURE) {
            write(target, old * self.sector, &vec![0; sector.len()], "old backup GPT header")?;
        }
        Ok(())
    }
}

/// CRC of a header, with its own field taken as zero.
fn header_crc(header: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..16]);
    hasher.update(&[0; 4]);
    hasher.update(&header[20..]);
    hasher.finalize()
}

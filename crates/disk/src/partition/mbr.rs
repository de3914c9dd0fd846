//! The master boot record: four entries, and the protective one that stands before a GPT.

use super::{Partition, PartitionType, read, write};
use crate::error::{Error, Result};
use crate::target::Target;

const PROTECTIVE: u8 = 0xee;
/// "Beyond what cylinders, heads and sectors can say."
const CHS_NONE: [u8; 3] = [0xfe, 0xff, 0xff];

/// Sector 0, kept as it is but for the entries that are changed.
pub(super) struct Mbr {
    sector: [u8; 512],
    sector_size: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    status: u8,
    kind: u8,
    start: u32,
    sectors: u32,
}

impl Mbr {
    /// An empty table with a random disk signature and no boot code.
    pub(super) fn create(target: &dyn Target) -> Self {
        let mut sector = [0; 512];
        sector[440..444].copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[..4]);
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        Self { sector, sector_size: u64::from(target.sector_size()) }
    }

    /// The one that stands before a GPT and covers the whole disk.
    pub(super) fn protective(target: &dyn Target) -> Self {
        let mut mbr = Self::create(target);
        let sectors = target.size() / mbr.sector_size - 1;
        let sectors = u32::try_from(sectors).unwrap_or(u32::MAX);
        mbr.set(0, Entry { status: 0, kind: PROTECTIVE, start: 1, sectors });
        mbr
    }

    /// Reads sector 0. `None` if it is no partition table: no signature, or a file system's boot sector.
    pub(super) fn read(target: &dyn Target) -> Result<Option<Self>> {
        if target.size() < 2 * u64::from(target.sector_size()) {
            return Ok(None);
        }
        let bytes = read(target, 0, 512, "master boot record")?;
        let mut sector = [0; 512];
        sector.copy_from_slice(&bytes);
        let mbr = Self { sector, sector_size: u64::from(target.sector_size()) };
        // Where a boot sector has code or nothing, the status bytes give it away, as in Linux's msdos.c.
        let is_table = sector[510..] == [0x55, 0xaa]
            && mbr.entries().all(|(_, e)| e.status & 0x7f == 0)
            && mbr.entries().any(|(_, e)| e.kind != 0)
            && &sector[54..57] != b"FAT"
            && &sector[82..85] != b"FAT"
            && &sector[3..7] != b"NTFS";
        Ok(is_table.then_some(mbr))
    }

    pub(super) fn write(&self, target: &dyn Target) -> Result<()> {
        write(target, 0, &self.sector, "master boot record")
    }

    fn entries(&self) -> impl Iterator<Item = (usize, Entry)> {
        self.sector[446..510].chunks_exact(16).enumerate().map(|(slot, e)| {
            let word = |at: usize| u32::from_le_bytes([e[at], e[at + 1], e[at + 2], e[at + 3]]);
            (slot, Entry { status: e[0], kind: e[4], start: word(8), sectors: word(12) })
        })
    }

    fn set(&mut self, slot: usize, entry: Entry) {
        let bytes = &mut self.sector[446 + 16 * slot..446 + 16 * (slot + 1)];
        bytes[0] = entry.status;
        bytes[1..4].copy_from_slice(&CHS_NONE);
        bytes[4] = entry.kind;
        bytes[5..8].copy_from_slice(&CHS_NONE);
        bytes[8..12].copy_from_slice(&entry.start.to_le_bytes());
        bytes[12..16].copy_from_slice(&entry.sectors.to_le_bytes());
    }

    pub(super) fn has_protective_entry(&self) -> bool {
        self.entries().any(|(_, e)| e.kind == PROTECTIVE)
    }

    /// Lets a purely protective MBR cover the whole disk. A hybrid one is somebody's deliberate work and stays. Returns whether
    /// anything changed.
    pub(super) fn widen_protective(&mut self, disk_sectors: u64) -> bool {
        let used: Vec<_> = self.entries().filter(|(_, e)| e.kind != 0).collect();
        let sectors = u32::try_from(disk_sectors - 1).unwrap_or(u32::MAX);
        match used[..] {
            [(slot, entry)] if entry.start == 1 && entry.sectors != sectors => {
                let bytes = 446 + 16 * slot + 12;
                self.sector[bytes..bytes + 4].copy_from_slice(&sectors.to_le_bytes());
                true
            }
            _ => false,
        }
    }

    pub(super) fn signature(&self) -> u32 {
        u32::from_le_bytes([self.sector[440], self.sector[441], self.sector[442], self.sector[443]])
    }

    /// Primary partitions (an extended one as a whole).
    pub(super) fn partitions(&self) -> Vec<Partition> {
        self.entries()
            .filter(|(_, e)| e.kind != 0 && e.sectors != 0)
            .map(|(slot, e)| self.describe(slot, e))
            .collect()
    }

    fn describe(&self, slot: usize, entry: Entry) -> Partition {
        Partition {
            number: slot as u32 + 1,
            start: u64::from(entry.start) * self.sector_size,
            length: u64::from(entry.sectors) * self.sector_size,
            partition_type: PartitionType::Mbr(entry.kind),
            name: String::new(),
            uuid: format!("{:08x}-{:02x}", self.signature(), slot + 1),
        }
    }

    /// After the boot loader's gap, up to what 32 bits of sectors can say.
    pub(super) fn usable(&self, disk_size: u64) -> (u64, u64) {
        (super::ALIGNMENT, disk_size.min(u64::from(u32::MAX) * self.sector_size))
    }

    /// Takes a free primary entry. `start` and `length` in bytes, aligned.
    pub(super) fn add(&mut self, start: u64, length: u64, kind: u8) -> Result<Partition> {
        let free = self.entries().find(|(_, e)| e.kind == 0);
        let sectors = |bytes: u64| u32::try_from(bytes / self.sector_size).ok();
        let (Some((slot, _)), Some(start), Some(sectors)) = (free, sectors(start), sectors(length)) else {
            return Err(Error::PartitionTable {
                problem: "all four primary entries of its MBR are used, none is left for the config drive"
                    .into(),
                remedy: "use an image with a GPT or a free primary entry",
            });
        };
        let entry = Entry { status: 0, kind, start, sectors };
        self.set(slot, entry);
        Ok(self.describe(slot, entry))
    }
}

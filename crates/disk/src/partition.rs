//! Partition tables: read both kinds, finish them after an image was written, add the config drive's partition.
//!
//! Own code, since `gptman` allocates by the entry count of a header whose CRC anybody can compute, and keeps neither
//! entries' unknown bytes nor a hybrid MBR; what is needed here is a few hundred lines.
//! Sources: UEFI specification 2.10, section 5 (GPT, protective MBR); Linux `block/partitions/{efi,msdos}.c` for what
//! a kernel takes for which kind.

mod gpt;
mod layout;
mod mbr;

use uuid::Uuid;

use crate::config_drive::{LABEL, MAX_ISO_LENGTH};
use crate::error::{Error, Result};
use crate::target::Target;
use gpt::Gpt;
pub use layout::{BIOS_BOOT, EFI_SYSTEM_BYTES, LINUX_SWAP, Layout, LayoutRequest, Place, Role};
use mbr::Mbr;

/// Partitions begin and end on this many bytes.
const ALIGNMENT: u64 = 1 << 20;

/// GPT type of an EFI system partition.
pub const EFI_SYSTEM: Uuid = Uuid::from_u128(0xC12A7328_F81F_11D2_BA4B_00A0C93EC93B);
/// GPT type of Linux file system data.
pub const LINUX_DATA: Uuid = Uuid::from_u128(0x0FC63DAF_8483_4772_8E79_3D69D8477DE4);
/// GPT type of a PowerPC PReP boot partition.
pub const PREP_BOOT: Uuid = Uuid::from_u128(0x9E1A2D38_C612_4316_AA26_8B49521E5A8B);

/// A partition's type, in its table's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionType {
    /// GPT's type GUID.
    Gpt(Uuid),
    /// MBR's type byte.
    Mbr(u8),
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number as Linux has it: 1 for `vda1`.
    pub number: u32,
    /// First byte on the disk.
    pub start: u64,
    /// Length in bytes.
    pub length: u64,
    /// Its type.
    pub partition_type: PartitionType,
    /// Its name in the table; empty in an MBR, which has none.
    pub name: String,
    /// PARTUUID as Linux and udev write it: a GUID, or `<disk signature>-<number>` in an MBR.
    pub uuid: String,
}

/// Which table a disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// GUID partition table, possibly with a hybrid MBR beside it.
    Gpt,
    /// DOS partition table.
    Mbr,
}

/// A partition table as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionTable {
    /// Which one.
    pub kind: TableKind,
    /// The disk's GUID, in a GPT.
    pub disk_uuid: Option<Uuid>,
    /// The disk signature in the MBR, as IPA's "disk identifier" (`0x%08x`).
    pub disk_signature: u32,
    /// Used entries, by number. In an MBR the primary ones only.
    pub partitions: Vec<Partition>,
}

impl PartitionTable {
    /// The EFI system partition, if there is one: what the firmware's boot entry has to point at.
    pub fn efi_system_partition(&self) -> Option<&Partition> {
        self.find(PartitionType::Gpt(EFI_SYSTEM), PartitionType::Mbr(0xef))
    }

    /// The PReP boot partition, if there is one.
    pub fn prep_boot_partition(&self) -> Option<&Partition> {
        self.find(PartitionType::Gpt(PREP_BOOT), PartitionType::Mbr(0x41))
    }

    fn find(&self, gpt: PartitionType, mbr: PartitionType) -> Option<&Partition> {
        self.partitions.iter().find(|p| p.partition_type == gpt || p.partition_type == mbr)
    }
}

enum Table {
    Gpt(Mbr, Gpt),
    Mbr(Mbr),
}

impl Table {
    /// Reads the table that Linux would use. `None`: there is none.
    fn read(target: &dyn Target) -> Result<Option<Self>> {
        let Some(mbr) = Mbr::read(target)? else { return Ok(None) };
        if !mbr.has_protective_entry() {
            return Ok(Some(Self::Mbr(mbr)));
        }
        let gpt = Gpt::read(target)?;
        Ok(Some(Self::Gpt(mbr, gpt)))
    }

    fn describe(&self) -> PartitionTable {
        match self {
            Self::Gpt(mbr, gpt) => PartitionTable {
                kind: TableKind::Gpt,
                disk_uuid: Some(gpt.disk_uuid()),
                disk_signature: mbr.signature(),
                partitions: gpt.partitions(),
            },
            Self::Mbr(mbr) => PartitionTable {
                kind: TableKind::Mbr,
                disk_uuid: None,
                disk_signature: mbr.signature(),
                partitions: mbr.partitions(),
            },
        }
    }

    /// First and last byte offsets (the latter exclusive) where a partition may lie.
    fn usable(&self, target: &dyn Target) -> (u64, u64) {
        match self {
            Self::Gpt(_, gpt) => gpt.usable(),
            Self::Mbr(mbr) => mbr.usable(target.size()),
        }
    }
}

/// Reads a disk's partition table. `Ok(None)`: the disk has none. Errors: [`Error::Disk`];
/// [`Error::PartitionTable`] if both copies of a GPT are damaged or made for another sector size.
pub fn read_table(target: &dyn Target) -> Result<Option<PartitionTable>> {
    Ok(Table::read(target)?.map(|t| t.describe()))
}

/// Moves a GPT's backup to the end of the disk, where firmware and tools look for it, and widens what the table takes for the
/// disk, after an image smaller than the disk was written. Entries stay as they are, as does a hybrid MBR. Returns
/// whether there is a GPT. Errors: as [`read_table`]'s; [`Error::PartitionTable`] if a partition lies where
/// the backup must go.
pub fn move_backup_to_end(target: &dyn Target) -> Result<bool> {
    match Table::read(target)? {
        Some(Table::Gpt(mut mbr, mut gpt)) => {
            gpt.fit_to(target)?;
            gpt.write(target)?;
            if mbr.widen_protective(target.size() / u64::from(target.sector_size())) {
                mbr.write(target)?;
            }
            sync(target)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// The partition of a config drive, by its name or by its file system's label. Errors: as [`read_table`]'s.
pub fn config_drive_partition(target: &dyn Target) -> Result<Option<Partition>> {
    match read_table(target)? {
        Some(table) => find_labelled(target, &table),
        None => Ok(None),
    }
}

/// Puts a config drive on the disk: into the partition named or labelled `config-2` if the image brought one, else into a new
/// one at the end of the disk (1 MiB aligned; GPT: named `config-2`; MBR: a free primary entry). Moves the backup GPT
/// first. Returns the partition. Errors: as [`move_backup_to_end`]'s; [`Error::PartitionTable`] if the disk has no
/// table, no free entry or no room; [`Error::ConfigDrive`] if `iso` is larger than 64 MiB.
pub fn write_config_drive(target: &dyn Target, iso: &[u8]) -> Result<Partition> {
    if iso.len() > MAX_ISO_LENGTH {
        return Err(Error::ConfigDrive {
            problem: format!("{} bytes are more than the {MAX_ISO_LENGTH} that fit its partition", iso.len()),
            remedy: "make user data smaller, or let it fetch the rest",
        });
    }
    move_backup_to_end(target)?;
    let Some(mut table) = Table::read(target)? else {
        return Err(Error::PartitionTable {
            problem: "the disk has none, so there is no place for a config drive".into(),
            remedy: "use a whole-disk image with a partition table, or deploy without a config drive",
        });
    };
    if let Some(existing) = find_labelled(target, &table.describe())? {
        if existing.length < iso.len() as u64 {
            return Err(Error::PartitionTable {
                problem: format!(
                    "its partition {} named {LABEL} has {} bytes, the config drive {}",
                    existing.number,
                    existing.length,
                    iso.len()
                ),
                remedy: "enlarge that partition in the image, or remove it",
            });
        }
        write_iso(target, &existing, iso)?;
        return Ok(existing);
    }
    let length = (iso.len() as u64).next_multiple_of(ALIGNMENT).max(ALIGNMENT);
    let used: Vec<_> = table.describe().partitions.iter().map(|p| (p.start, p.start + p.length)).collect();
    let Some(start) = last_gap(&used, table.usable(target), length) else {
        return Err(Error::PartitionTable {
            problem: format!("it leaves no {length} bytes free for the config drive"),
            remedy: "use a smaller image or a larger disk, or give the image a partition named config-2",
        });
    };
    // The contents first: a partition must not be seen before what is in it.
    let whole = Partition {
        number: 0,
        start,
        length,
        partition_type: PartitionType::Mbr(0),
        name: String::new(),
        uuid: String::new(),
    };
    write_iso(target, &whole, iso)?;
    zero_rest(target, &whole, iso.len() as u64)?;
    let partition = match &mut table {
        Table::Gpt(_, gpt) => {
            let partition = gpt.add(start, length, LINUX_DATA, LABEL)?;
            gpt.write(target)?;
            partition
        }
        Table::Mbr(mbr) => {
            let partition = mbr.add(start, length, 0x83)?;
            mbr.write(target)?;
            partition
        }
    };
    sync(target)?;
    Ok(partition)
}

fn write_iso(target: &dyn Target, partition: &Partition, iso: &[u8]) -> Result<()> {
    target
        .write_at(partition.start, iso)
        .map_err(|e| Error::disk(format!("writing the config drive at byte {}", partition.start), e))?;
    sync(target)
}

fn zero_rest(target: &dyn Target, partition: &Partition, from: u64) -> Result<()> {
    target.zero(partition.start + from, partition.length - from).map_err(|e| {
        Error::disk(format!("zeroing the config drive's partition at byte {}", partition.start), e)
    })
}

fn sync(target: &dyn Target) -> Result<()> {
    target.sync().map_err(|e| Error::disk("flushing the disk's cache", e))
}

/// The partition meant for a config drive: by its name in a GPT, or by its file system's label (ISO 9660, FAT).
fn find_labelled(target: &dyn Target, table: &PartitionTable) -> Result<Option<Partition>> {
    for partition in &table.partitions {
        if partition.name.eq_ignore_ascii_case(LABEL) || has_label(target, partition)? {
            return Ok(Some(partition.clone()));
        }
    }
    Ok(None)
}

fn has_label(target: &dyn Target, partition: &Partition) -> Result<bool> {
    let mut head = vec![0; 0x8800];
    if partition.length < head.len() as u64 {
        return Ok(false);
    }
    target
        .read_at(partition.start, &mut head)
        .map_err(|e| Error::disk(format!("reading partition {}", partition.number), e))?;
    let label_at = |at: usize, length: usize| {
        let text = String::from_utf8_lossy(&head[at..at + length]);
        text.trim_end_matches([' ', '\0']).eq_ignore_ascii_case(LABEL)
    };
    let is_iso = &head[0x8001..0x8006] == b"CD001" && label_at(0x8028, 32);
    let is_fat = head[510..512] == [0x55, 0xaa]
        && (&head[54..57] == b"FAT" && label_at(43, 11) || &head[82..87] == b"FAT32" && label_at(71, 11));
    Ok(is_iso || is_fat)
}

/// Start of the last free stretch of `length` bytes, aligned. Used ranges may overlap each other in a broken table.
fn last_gap(used: &[(u64, u64)], (first, end): (u64, u64), length: u64) -> Option<u64> {
    let is_free =
        |start: u64| start >= first && used.iter().all(|(s, e)| start + length <= *s || *e <= start);
    used.iter()
        .map(|(start, _)| *start)
        .chain([end])
        .filter(|gap_end| *gap_end <= end)
        .filter_map(|gap_end| (gap_end - gap_end % ALIGNMENT).checked_sub(length))
        .filter(|start| is_free(*start))
        .max()
}

/// Bytes at `offset`, or an error that says what was being read.
fn read(target: &dyn Target, offset: u64, length: usize, what: &str) -> Result<Vec<u8>> {
    let mut data = vec![0; length];
    target
        .read_at(offset, &mut data)
        .map_err(|e| Error::disk(format!("reading the {what} at byte {offset}"), e))?;
    Ok(data)
}

fn write(target: &dyn Target, offset: u64, data: &[u8], what: &str) -> Result<()> {
    target.write_at(offset, data).map_err(|e| Error::disk(format!("writing the {what} at byte {offset}"), e))
}

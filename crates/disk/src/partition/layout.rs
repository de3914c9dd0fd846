//! The partitions of a machine whose image is a partition's: what is asked for, where it goes, and writing that down.
//!
//! The order is ironic-python-agent's (`disk_utils.make_partitions`): what firmware needs, ephemeral, swap, root last, so that the
//! image may grow it over what is free behind. The config drive is at the disk's very end, out of root's way.

use uuid::Uuid;

use super::gpt::Gpt;
use super::mbr::Mbr;
use super::{ALIGNMENT, EFI_SYSTEM, LINUX_DATA, PartitionTable, TableKind, read_table, sync};
use crate::error::{Error, Result};
use crate::target::Target;

/// GPT type of the partition that GRUB's core image is put into on machines that boot by BIOS.
pub const BIOS_BOOT: Uuid = Uuid::from_u128(0x21686148_6449_6E6F_744E_656564454649);
/// GPT type of a swap area.
pub const LINUX_SWAP: Uuid = Uuid::from_u128(0x0657FD6D_A4AB_43C4_84E5_0933C84B4F4F);

/// Size of the EFI system partition: ironic-python-agent's; FAT32 with sectors of 4096 bytes needs more than 256 MiB.
pub const EFI_SYSTEM_BYTES: u64 = 550 << 20;
const BIOS_BOOT_BYTES: u64 = 1 << 20;

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// GRUB's core image.
    BiosBoot,
    /// The EFI system partition.
    EfiSystem,
    /// Data that outlives a rebuild.
    Ephemeral,
    /// Swap.
    Swap,
    /// The image's file system.
    Root,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::BiosBoot => "bios",
            Self::EfiSystem => "efi-part",
            Self::Ephemeral => "ephemeral0",
            Self::Swap => "swap1",
            Self::Root => "root",
        }
    }

    fn gpt_type(self) -> Uuid {
        match self {
            Self::BiosBoot => BIOS_BOOT,
            Self::EfiSystem => EFI_SYSTEM,
            Self::Swap => LINUX_SWAP,
            Self::Ephemeral | Self::Root => LINUX_DATA,
        }
    }

    fn mbr_type(self) -> u8 {
        match self {
            Self::EfiSystem => 0xef,
            Self::Swap => 0x82,
            Self::BiosBoot | Self::Ephemeral | Self::Root => 0x83,
        }
    }
}

/// What is asked for. Sizes in MiB; none where 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayoutRequest {
    /// Which table.
    pub kind: TableKind,
    /// Whether the machine boots by UEFI.
    pub is_uefi: bool,
    /// Whether a boot loader on the disk is to start it.
    pub boots_from_disk: bool,
    /// Root partition.
    pub root_mib: u64,
    /// Swap.
    pub swap_mib: u64,
    /// Ephemeral partition.
    pub ephemeral_mib: u64,
    /// Length of the config drive, in bytes, for which room is left at the end.
    pub config_drive_bytes: u64,
}

/// A partition and its place, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number as Linux has it.
    pub number: u32,
    /// What it is for.
    pub role: Role,
    /// First byte.
    pub start: u64,
    /// Length.
    pub length: u64,
}

/// Where everything goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    kind: TableKind,
    places: Vec<Place>,
}

impl Layout {
    /// Plans the partitions of a disk. Touches nothing. Errors: [`Error::PartitionTable`] if the disk is too small, or if an MBR can't
    /// describe what was asked for.
    pub fn plan(target: &dyn Target, request: &LayoutRequest) -> Result<Self> {
        let mib = |mib: u64| mib.saturating_mul(1 << 20);
        let firmware = match (request.boots_from_disk, request.is_uefi, request.kind) {
            (true, true, _) => (Role::EfiSystem, EFI_SYSTEM_BYTES),
            (true, false, TableKind::Gpt) => (Role::BiosBoot, BIOS_BOOT_BYTES),
            _ => (Role::BiosBoot, 0),
        };
        let wanted = [
            firmware,
            (Role::Ephemeral, mib(request.ephemeral_mib)),
            (Role::Swap, mib(request.swap_mib)),
            (Role::Root, mib(request.root_mib)),
        ];
        let mut places = Vec::new();
        let mut start = ALIGNMENT;
        for (role, length) in wanted.into_iter().filter(|(_, length)| *length > 0) {
            places.push(Place { number: places.len() as u32 + 1, role, start, length });
            start = start.saturating_add(length);
        }
        let layout = Self { kind: request.kind, places };
        layout.check(target, request, start)?;
        Ok(layout)
    }

    fn check(&self, target: &dyn Target, request: &LayoutRequest, end: u64) -> Result<()> {
        if request.root_mib == 0 {
            return Err(Error::PartitionTable {
                problem: "no root partition was asked for".into(),
                remedy: "set root_gb in instance_info",
            });
        }
        let drive = match request.config_drive_bytes {
            0 => 0,
            length => length.next_multiple_of(ALIGNMENT),
        };
        // The last MiB is the backup table's.
        let needed = end.saturating_add(drive).saturating_add(ALIGNMENT);
        if needed > target.size() {
            return Err(Error::PartitionTable {
                problem: format!(
                    "the disk has {} MiB, but root ({} MiB), swap ({} MiB), ephemeral ({} MiB) and what boot and config drive \
                     take need {} MiB",
                    target.size() >> 20,
                    request.root_mib,
                    request.swap_mib,
                    request.ephemeral_mib,
                    needed.div_ceil(1 << 20),
                ),
                remedy: "ask for less (root_gb, swap_mb, ephemeral_gb), or choose a larger disk by root device hints",
            });
        }
        let sectors = needed / u64::from(target.sector_size());
        if self.kind == TableKind::Mbr && sectors > u64::from(u32::MAX) {
            return Err(Error::PartitionTable {
                problem: "an MBR can't describe what lies behind 2^32 sectors".into(),
                remedy: "set the capability disk_label:gpt",
            });
        }
        Ok(())
    }

    /// The partitions, by number.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The partition for that, if there is one.
    pub fn get(&self, role: Role) -> Option<&Place> {
        self.places.iter().find(|place| place.role == role)
    }

    /// Writes a fresh table with these partitions and nothing else. Errors: [`Error::Disk`], [`Error::PartitionTable`].
    pub fn write(&self, target: &dyn Target) -> Result<()> {
        match self.kind {
            TableKind::Gpt => {
                let mut gpt = Gpt::create(target)?;
                for place in &self.places {
                    gpt.add(place.start, place.length, place.role.gpt_type(), place.role.name())?;
                }
                gpt.write(target)?;
                Mbr::protective(target).write(target)?;
            }
            TableKind::Mbr => {
                let mut mbr = Mbr::create(target);
                for place in &self.places {
                    mbr.add(place.start, place.length, place.role.mbr_type())?;
                }
                mbr.write(target)?;
            }
        }
        sync(target)
    }

    /// Is the disk partitioned like this already? What else is on it may be there. Errors: [`Error::PartitionTable`] that names the
    /// first difference; [`Error::Disk`].
    pub fn check_unchanged(&self, target: &dyn Target) -> Result<()> {
        let table = read_table(target)?;
        match self.difference(table.as_ref()) {
            None => Ok(()),
            Some(problem) => Err(Error::PartitionTable {
                problem: format!("the ephemeral partition can't be preserved: {problem}"),
                remedy: "rebuild with the sizes of the first deployment, or without preserve_ephemeral",
            }),
        }
    }

    fn difference(&self, table: Option<&PartitionTable>) -> Option<String> {
        let Some(table) = table else { return Some("the disk has no partition table".into()) };
        if self.get(Role::Ephemeral).is_none() {
            return Some("none is asked for (ephemeral_gb is 0)".into());
        }
        if table.kind != self.kind {
            return Some("the disk has the other kind of partition table".into());
        }
        self.places.iter().find_map(|place| {
            let found = table.partitions.iter().find(|partition| partition.number == place.number);
            match found {
                Some(found) if (found.start, found.length) == (place.start, place.length) => None,
                Some(found) => Some(format!(
                    "partition {} ({}) is {} MiB at {} MiB, and was to be {} MiB at {} MiB",
                    place.number,
                    place.role.name(),
                    found.length >> 20,
                    found.start >> 20,
                    place.length >> 20,
                    place.start >> 20,
                )),
                None => Some(format!("the disk has no partition {} ({})", place.number, place.role.name())),
            }
        })
    }
}

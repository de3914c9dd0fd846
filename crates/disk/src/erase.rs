//! Making a disk look empty.
//!
//! What ironic-python-agent's `erase_devices_metadata` does with `wipefs`, `sgdisk -Z` and `dd`: partition tables, boot code,
//! and the signatures of file systems, RAID and LVM, on the disk and on each of its partitions, so that nothing of the
//! last tenant's layout is assembled, mounted or booted. It does not erase data.

use crate::error::{Error, Result};
use crate::partition::read_table;
use crate::target::Target;

/// Bytes that are zeroed at both ends of the disk and of every partition. It covers MBR and both GPTs (33 sectors, of 4096 bytes
/// too), ext/XFS/Btrfs (64 KiB)/ISO/LUKS/LVM/bcache headers, md superblocks 1.1 and 1.2 (start), 0.90 and 1.0 (last 128 KiB),
/// DDF and IMSM RAID (last sectors), and ZFS's labels (512 KiB at each end).
pub const ERASED_EDGE: u64 = 1 << 20;

/// Btrfs keeps copies of its superblock here too.
const BTRFS_COPIES: [u64; 2] = [64 << 20, 256 << 30];
const BTRFS_LENGTH: u64 = 4096;

/// Erases a disk's metadata and waits until that is on stable storage. Partitions are erased by the table that is found; a table
/// that can't be read is just wiped. Errors: [`Error::Disk`] if the disk can't be read or written.
pub fn erase_metadata(target: &dyn Target) -> Result<()> {
    let size = target.size();
    // Partitions first: when this is interrupted their places must still be known.
    let partitions = match read_table(target) {
        Ok(table) => table.map_or(Vec::new(), |t| t.partitions),
        Err(Error::PartitionTable { .. }) => Vec::new(),
        Err(other) => return Err(other),
    };
    for partition in partitions {
        let start = partition.start.min(size);
        let end = partition.start.saturating_add(partition.length).min(size);
        erase_edges(target, start, end)?;
    }
    target.sync().map_err(|e| Error::disk("flushing the disk's cache", e))?;
    erase_edges(target, 0, size)?;
    target.sync().map_err(|e| Error::disk("flushing the disk's cache", e))
}

fn erase_edges(target: &dyn Target, start: u64, end: u64) -> Result<()> {
    let edge = ERASED_EDGE.min(end - start);
    zero(target, start, edge)?;
    zero(target, end - edge, edge)?;
    for copy in BTRFS_COPIES {
        if let Some(at) = start.checked_add(copy).filter(|at| at + BTRFS_LENGTH <= end) {
            zero(target, at, BTRFS_LENGTH)?;
        }
    }
    Ok(())
}

/// Written, not punched: a discard is a wish, and this has to hold.
fn zero(target: &dyn Target, offset: u64, length: u64) -> Result<()> {
    target
        .write_at(offset, &vec![0; length as usize])
        .map_err(|e| Error::disk(format!("erasing {length} bytes of metadata at byte {offset}"), e))
}

//! Which file system is there, told by its superblock.
//!
//! Sources: Linux `fs/ext4/ext4.h` (`struct ext4_super_block`), `fs/xfs/libxfs/xfs_format.h` (`struct xfs_dsb`),
//! `include/uapi/linux/btrfs_tree.h` (`struct btrfs_super_block`).

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::target::Target;

/// File systems that a root partition may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystemKind {
    /// ext2, ext3 or ext4: one superblock for all three.
    Ext,
    /// XFS.
    Xfs,
    /// Btrfs.
    Btrfs,
}

impl FileSystemKind {
    /// The name that the kernel mounts it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }
}

/// A file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSystem {
    /// Which one.
    pub kind: FileSystemKind,
    /// Its UUID: what `root=UUID=` of a kernel's command line and `blkid` name it by.
    pub uuid: Uuid,
    /// Bytes that it takes by its own account.
    pub size_bytes: u64,
}

/// Where Btrfs has its superblock.
const BTRFS_AT: usize = 0x10000;
/// What is read of a partition's start: Btrfs's superblock is the deepest.
const HEAD: usize = BTRFS_AT + 4096;

/// Tells the file system at the start of `target`. `Ok(None)`: none of those that are known. Errors: [`Error::Disk`].
pub fn file_system(target: &dyn Target) -> Result<Option<FileSystem>> {
    let mut head = vec![0; HEAD];
    let length = target.size().min(HEAD as u64) as usize;
    target
        .read_at(0, &mut head[..length])
        .map_err(|e| Error::disk("reading the file system's superblock", e))?;
    Ok(ext(&head[1024..2048]).or_else(|| xfs(&head)).or_else(|| btrfs(&head[BTRFS_AT..])))
}

fn bytes<const N: usize>(data: &[u8], at: usize) -> [u8; N] {
    data[at..].first_chunk().copied().unwrap_or([0; N])
}

fn uuid(data: &[u8], at: usize) -> Option<Uuid> {
    Some(Uuid::from_bytes(bytes(data, at))).filter(|uuid| !uuid.is_nil())
}

fn ext(block: &[u8]) -> Option<FileSystem> {
    const IS_64BIT: u32 = 0x80;
    let block_size = 1024_u64.checked_shl(u32::from_le_bytes(bytes(block, 0x18)))?;
    if u16::from_le_bytes(bytes(block, 0x38)) != 0xef53 || block_size > 64 << 10 {
        return None;
    }
    let high = match u32::from_le_bytes(bytes(block, 0x60)) & IS_64BIT {
        0 => 0,
        _ => u64::from(u32::from_le_bytes(bytes(block, 0x150))),
    };
    let blocks = u64::from(u32::from_le_bytes(bytes(block, 4))) | high << 32;
    let size_bytes = blocks.checked_mul(block_size)?;
    Some(FileSystem { kind: FileSystemKind::Ext, uuid: uuid(block, 0x68)?, size_bytes })
}

fn xfs(head: &[u8]) -> Option<FileSystem> {
    if !head.starts_with(b"XFSB") {
        return None;
    }
    let block_size = u64::from(u32::from_be_bytes(bytes(head, 4)));
    let size_bytes = u64::from_be_bytes(bytes(head, 8)).checked_mul(block_size)?;
    Some(FileSystem { kind: FileSystemKind::Xfs, uuid: uuid(head, 32)?, size_bytes })
}

fn btrfs(block: &[u8]) -> Option<FileSystem> {
    if &block[0x40..0x48] != b"_BHRfS_M" {
        return None;
    }
    let size_bytes = u64::from_le_bytes(bytes(block, 0x70));
    Some(FileSystem { kind: FileSystemKind::Btrfs, uuid: uuid(block, 0x20)?, size_bytes })
}

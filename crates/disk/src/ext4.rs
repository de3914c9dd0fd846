//! Making an empty ext4 file system, for ephemeral partitions: the ramdisk has no `mkfs.ext4`.
//!
//! The plainest ext4 that there is: 4 KiB blocks, a journal, extents, sparse superblocks; no flexible groups, no checksums, nothing
//! lazy. `e2fsck -f` is its judge in the tests. Source: Linux `Documentation/filesystems/ext4`, `fs/ext4/ext4.h`,
//! `include/linux/jbd2.h`.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::target::Target;

const BLOCK: u64 = 4096;
/// As many as one block of bitmap describes.
const GROUP: u64 = 8 * BLOCK;
const INODE: u64 = 256;
/// One inode for 32 KiB.
const INODES_PER_GROUP: u64 = 4096;
const TABLE_BLOCKS: u64 = INODES_PER_GROUP * INODE / BLOCK;
const DESCRIPTOR: u64 = 32;
/// The first that is not reserved; it becomes `lost+found`.
const FIRST_INODE: u64 = 11;
const ROOT_INODE: u64 = 2;
const JOURNAL_INODE: u64 = 8;
const LOST_FOUND_BLOCKS: u64 = 4;

/// What may be asked for as `ephemeral_format`.
pub const EPHEMERAL_FORMATS: [&str; 1] = ["ext4"];

/// Can a file system of that name be made? The empty one is the default. Errors: [`Error::PartitionTable`].
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || EPHEMERAL_FORMATS.contains(&name) {
        return Ok(());
    }
    let name: String = name.chars().take(40).collect();
    Err(Error::PartitionTable {
        problem: format!("this ramdisk can't make a {name:?} file system for the ephemeral partition"),
        remedy: "set ephemeral_format to ext4, or ephemeral_gb to 0",
    })
}

/// Makes all of `target` an ext4 file system. Returns its UUID. Errors: [`Error::Disk`]; [`Error::PartitionTable`] if it is smaller than
/// 64 MiB or larger than 16 TiB.
pub fn make_ext4(target: &dyn Target, label: &str) -> Result<Uuid> {
    let maker = Maker::of(target, label)?;
    maker.make()?;
    Ok(maker.uuid)
}

struct Maker<'a> {
    target: &'a dyn Target,
    label: &'a str,
    uuid: Uuid,
    now: u32,
    blocks: u64,
    groups: u64,
    journal_blocks: u64,
}

/// Bytes that are filled in by offset, little endian.
struct Bytes(Vec<u8>);

impl Bytes {
    fn zeros(length: u64) -> Self {
        Self(vec![0; length as usize])
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn put16(&mut self, at: usize, value: u64) {
        self.put(at, &(value as u16).to_le_bytes());
    }

    fn put32(&mut self, at: usize, value: u64) {
        self.put(at, &(value as u32).to_le_bytes());
    }

    fn set_bits(&mut self, from: u64, to: u64) {
        for bit in from..to {
            self.0[(bit / 8) as usize] |= 1 << (bit % 8);
        }
    }
}

impl<'a> Maker<'a> {
    fn of(target: &'a dyn Target, label: &'a str) -> Result<Self> {
        let mut blocks = target.size() / BLOCK;
        if !(16384..=u64::from(u32::MAX)).contains(&blocks) {
            return Err(Error::PartitionTable {
                problem: format!("the ephemeral partition has {} MiB", target.size() >> 20),
                remedy: "ext4 is made for 64 MiB to 16 TiB; change ephemeral_gb",
            });
        }
        // A last group that would hold next to nothing beside its own tables is left out.
        let overhead = TABLE_BLOCKS + 2 + 1 + (blocks.div_ceil(GROUP) * DESCRIPTOR).div_ceil(BLOCK);
        if !blocks.is_multiple_of(GROUP) && blocks % GROUP < overhead + 64 {
            blocks -= blocks % GROUP;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        Ok(Self {
            target,
            label,
            uuid: Uuid::new_v4(),
            now: u32::try_from(now).unwrap_or(u32::MAX),
            blocks,
            groups: blocks.div_ceil(GROUP),
            journal_blocks: (blocks / 64).clamp(1024, 16384),
        })
    }

    fn descriptor_blocks(&self) -> u64 {
        (self.groups * DESCRIPTOR).div_ceil(BLOCK)
    }

    /// Groups 0, 1 and the powers of 3, 5 and 7 have copies of superblock and descriptors.
    fn has_super(group: u64) -> bool {
        let is_power = |base: u64| {
            let mut power = base;
            while power < group {
                power *= base;
            }
            power == group
        };
        group <= 1 || is_power(3) || is_power(5) || is_power(7)
    }

    fn bitmap(&self, group: u64) -> u64 {
        let copies = if Self::has_super(group) { 1 + self.descriptor_blocks() } else { 0 };
        group * GROUP + copies
    }

    /// The first block behind a group's own tables.
    fn data(&self, group: u64) -> u64 {
        self.bitmap(group) + 2 + TABLE_BLOCKS
    }

    /// Blocks of a group; the last one may have fewer.
    fn length(&self, group: u64) -> u64 {
        GROUP.min(self.blocks - group * GROUP)
    }

    /// Root directory, `lost+found`, journal: in the first group, in this order.
    fn root_block(&self) -> u64 {
        self.data(0)
    }

    fn lost_found_block(&self) -> u64 {
        self.root_block() + 1
    }

    fn journal_block(&self) -> u64 {
        self.lost_found_block() + LOST_FOUND_BLOCKS
    }

    fn used(&self, group: u64) -> u64 {
        let tables = self.data(group) - group * GROUP;
        if group == 0 { tables + 1 + LOST_FOUND_BLOCKS + self.journal_blocks } else { tables }
    }

    fn make(&self) -> Result<()> {
        // Neither an old superblock nor one that is not true yet.
        self.zero(0, 1)?;
        let descriptors = self.descriptors();
        for group in 0..self.groups {
            if group > 0 && Self::has_super(group) {
                self.write(group * GROUP, &self.superblock(group))?;
            }
            if Self::has_super(group) {
                self.write(group * GROUP + 1, &descriptors)?;
            }
            let mut blocks = Bytes::zeros(BLOCK);
            blocks.set_bits(0, self.used(group));
            blocks.set_bits(self.length(group), GROUP);
            let mut inodes = Bytes::zeros(BLOCK);
            inodes.set_bits(0, if group == 0 { FIRST_INODE } else { 0 });
            inodes.set_bits(INODES_PER_GROUP, GROUP);
            self.write(self.bitmap(group), &[blocks.0, inodes.0].concat())?;
            self.zero(self.bitmap(group) + 2, TABLE_BLOCKS)?;
        }
        self.directories()?;
        self.journal()?;
        self.target.sync().map_err(|e| Error::disk("flushing the disk's cache", e))?;
        let mut first = Bytes::zeros(BLOCK);
        first.put(1024, &self.superblock(0));
        self.write(0, &first.0)
    }

    fn superblock(&self, group: u64) -> Vec<u8> {
        let free: u64 = (0..self.groups).map(|group| self.length(group) - self.used(group)).sum();
        let inodes = self.groups * INODES_PER_GROUP;
        let mut b = Bytes::zeros(1024);
        for (at, value) in [
            (0x00, inodes),
            (0x04, self.blocks),
            (0x0c, free),
            (0x10, inodes - FIRST_INODE),
            // 1024 << 2, twice: block and cluster.
            (0x18, 2),
            (0x1c, 2),
            (0x20, GROUP),
            (0x24, GROUP),
            (0x28, INODES_PER_GROUP),
            (0x30, u64::from(self.now)),
            (0x40, u64::from(self.now)),
            // Revision 1: inode size and features count.
            (0x4c, 1),
            (0x54, FIRST_INODE),
            // has_journal, ext_attr, dir_index.
            (0x5c, 0x2c),
            // filetype, extents.
            (0x60, 0x42),
            // sparse_super, large_file, dir_nlink, extra_isize.
            (0x64, 0x63),
            (0xe0, JOURNAL_INODE),
            // user_xattr, acl.
            (0x100, 0x0c),
            (0x108, u64::from(self.now)),
            // Directory hashes take characters as signed.
            (0x160, 1),
        ] {
            b.put32(at, value);
        }
        for (at, value) in [
            // No count of mounts forces a check.
            (0x36, 0xffff),
            (0x38, 0xef53),
            // Clean; on errors go on.
            (0x3a, 1),
            (0x3c, 1),
            (0x58, INODE),
            (0x5a, group),
            (0x15c, 32),
            (0x15e, 32),
        ] {
            b.put16(at, value);
        }
        b.put(0x68, self.uuid.as_bytes());
        b.put(0x78, &self.label.as_bytes()[..self.label.len().min(16)]);
        b.put(0xec, Uuid::from_u128(self.uuid.as_u128().rotate_left(64)).as_bytes());
        // Hashed by half of MD4.
        b.put(0xfc, &[1]);
        b.0
    }

    fn descriptors(&self) -> Vec<u8> {
        let mut b = Bytes::zeros(self.descriptor_blocks() * BLOCK);
        for group in 0..self.groups {
            let at = (group * DESCRIPTOR) as usize;
            b.put32(at, self.bitmap(group));
            b.put32(at + 4, self.bitmap(group) + 1);
            b.put32(at + 8, self.bitmap(group) + 2);
            b.put16(at + 12, self.length(group) - self.used(group));
            b.put16(at + 14, INODES_PER_GROUP - if group == 0 { FIRST_INODE } else { 0 });
            b.put16(at + 16, if group == 0 { 2 } else { 0 });
        }
        b.0
    }

    fn directories(&self) -> Result<()> {
        self.inode(ROOT_INODE, 0x41ed, 3, self.root_block(), 1)?;
        self.inode(FIRST_INODE, 0x41c0, 2, self.lost_found_block(), LOST_FOUND_BLOCKS)?;
        let root = directory(&[(ROOT_INODE, "."), (ROOT_INODE, ".."), (FIRST_INODE, "lost+found")]);
        let mut lost_found = directory(&[(FIRST_INODE, "."), (ROOT_INODE, "..")]);
        for _ in 1..LOST_FOUND_BLOCKS {
            lost_found.extend(directory(&[(0, "")]));
        }
        self.write(self.root_block(), &[root, lost_found].concat())
    }

    fn journal(&self) -> Result<()> {
        self.inode(JOURNAL_INODE, 0x8180, 1, self.journal_block(), self.journal_blocks)?;
        // Blocks of an older journal must never be taken for this one's.
        self.zero(self.journal_block(), self.journal_blocks)?;
        let mut b = Bytes::zeros(BLOCK);
        let fields = [(0, 0xc03b_3998), (4, 4), (12, BLOCK as u32), (16, self.journal_blocks as u32)];
        for (at, value) in fields.into_iter().chain([(20, 1), (24, 1), (64, 1)]) {
            b.put(at, &u32::to_be_bytes(value));
        }
        b.put(48, self.uuid.as_bytes());
        self.write(self.journal_block(), &b.0)
    }

    /// Writes an inode whose content is `count` blocks in one piece.
    fn inode(&self, number: u64, mode: u64, links: u64, first: u64, count: u64) -> Result<()> {
        let mut b = Bytes::zeros(INODE);
        b.put16(0x00, mode);
        b.put32(0x04, count * BLOCK);
        for at in [0x08, 0x0c, 0x10, 0x90] {
            b.put32(at, u64::from(self.now));
        }
        b.put16(0x1a, links);
        b.put32(0x1c, count * (BLOCK / 512));
        // Its blocks are named by extents.
        b.put32(0x20, 0x8_0000);
        b.put16(0x28, 0xf30a);
        b.put16(0x2a, 1);
        b.put16(0x2c, 4);
        b.put16(0x38, count);
        b.put32(0x3c, first);
        b.put16(0x80, 32);
        let at = (self.bitmap(0) + 2) * BLOCK + (number - 1) * INODE;
        self.write_at(at, &b.0)
    }

    fn write(&self, block: u64, bytes: &[u8]) -> Result<()> {
        self.write_at(block * BLOCK, bytes)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        self.target
            .write_at(at, bytes)
            .map_err(|e| Error::disk(format!("writing the ephemeral file system at byte {at}"), e))
    }

    fn zero(&self, block: u64, count: u64) -> Result<()> {
        self.target
            .zero(block * BLOCK, count * BLOCK)
            .map_err(|e| Error::disk("making room for the ephemeral file system", e))
    }
}

/// One block of a directory; the last entry takes what is left.
fn directory(entries: &[(u64, &str)]) -> Vec<u8> {
    let mut b = Bytes::zeros(BLOCK);
    let mut at = 0;
    for (index, (inode, name)) in entries.iter().enumerate() {
        let is_last = index + 1 == entries.len();
        let length = if is_last { BLOCK as usize - at } else { (8 + name.len()).next_multiple_of(4) };
        b.put32(at, *inode);
        b.put16(at + 4, length as u64);
        b.put(at + 6, &[name.len() as u8, if *inode == 0 { 0 } else { 2 }]);
        b.put(at + 8, name.as_bytes());
        at += length;
    }
    b.0
}

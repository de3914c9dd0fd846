//! The header: what is refused is refused here, before anything else of the image is read.

use crate::error::{Error, Result};
use crate::format::CONVERT;

/// Bytes of the file's start that are enough for the header, its extensions and a backing file's name.
pub(crate) const HEAD_LENGTH: usize = 4096;

const FLATTEN: &str = "flatten it with `qemu-img convert -O qcow2` on the machine that has all its files";
const REPAIR: &str =
    "repair it with `qemu-img check -r all` or make it anew with `qemu-img convert -O qcow2`";

const FEATURE_DIRTY: u64 = 1 << 0;
const FEATURE_CORRUPT: u64 = 1 << 1;
const FEATURE_DATA_FILE: u64 = 1 << 2;
const FEATURE_COMPRESSION: u64 = 1 << 3;
const FEATURE_EXTENDED_L2: u64 = 1 << 4;
const FEATURES_KNOWN: u64 =
    FEATURE_DIRTY | FEATURE_CORRUPT | FEATURE_DATA_FILE | FEATURE_COMPRESSION | FEATURE_EXTENDED_L2;

const EXTENSION_END: u32 = 0;
const EXTENSION_DATA_FILE: u32 = 0x4441_5441;
const EXTENSION_ENCRYPTION: u32 = 0x0537_be77;

/// QEMU's own limit for the L1 table (`QCOW_MAX_L1_SIZE`).
const MAX_L1_BYTES: u64 = 32 << 20;
/// QEMU's own limit for the refcount table (`QCOW_MAX_REFTABLE_SIZE`).
const MAX_REFCOUNT_TABLE_BYTES: u64 = 8 << 20;
/// Host offsets are kept in 47 bits (`map.rs`).
const MAX_FILE_SIZE: u64 = 1 << 47;

/// How clusters are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Deflate,
    Zstd,
}

/// What of a checked header the reader needs. Tables lie within the file and are aligned.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub virtual_size: u64,
    pub cluster_bits: u32,
    pub compression: Compression,
    pub has_extended_l2: bool,
    /// Version 2 has no zero flag in its L2 entries.
    pub has_zero_flag: bool,
    pub l1_offset: u64,
    /// L1 entries that the virtual size needs; the file may hold more.
    pub l1_entries: u64,
    pub refcount_table: (u64, u64),
    pub file_size: u64,
}

fn be32(data: &[u8], at: usize) -> u32 {
    data.get(at..).and_then(|d| d.first_chunk()).map_or(0, |b| u32::from_be_bytes(*b))
}

fn be64(data: &[u8], at: usize) -> u64 {
    data.get(at..).and_then(|d| d.first_chunk()).map_or(0, |b| u64::from_be_bytes(*b))
}

impl Header {
    /// Reads the header from the file's first bytes (up to [`HEAD_LENGTH`]). Errors: [`Error::Image`] for everything that
    /// can't be, or must not be, written to a disk.
    pub(crate) fn parse(head: &[u8], file_size: u64) -> Result<Self> {
        if head.len() < 72 || !head.starts_with(b"QFI\xfb") {
            return Err(Error::image("its qcow2 header is incomplete", CONVERT));
        }
        if file_size > MAX_FILE_SIZE {
            return Err(Error::image(format!("a qcow2 file of {file_size} bytes is too large"), CONVERT));
        }
        let version = be32(head, 4);
        if !matches!(version, 2 | 3) {
            return Err(Error::image(format!("qcow2 version {version} is unknown"), CONVERT));
        }
        refuse_backing_file(head)?;
        let cluster_bits = be32(head, 20);
        if !(9..=21).contains(&cluster_bits) {
            return Err(Error::image(
                format!("qcow2 cluster size 2^{cluster_bits} is out of range"),
                CONVERT,
            ));
        }
        let head = &head[..head.len().min(HEAD_LENGTH).min(1 << cluster_bits)];
        if be32(head, 32) != 0 {
            return Err(Error::image("it is an encrypted qcow2", "decrypt it with `qemu-img convert`"));
        }
        let features = Features::parse(head, version, cluster_bits)?;
        let virtual_size = be64(head, 24);
        if virtual_size == 0 || virtual_size > i64::MAX as u64 {
            return Err(Error::image(
                format!("its virtual size of {virtual_size} bytes makes no disk"),
                CONVERT,
            ));
        }
        let mut header = Self {
            virtual_size,
            cluster_bits,
            compression: features.compression,
            has_extended_l2: features.has_extended_l2,
            has_zero_flag: version >= 3,
            l1_offset: be64(head, 40),
            l1_entries: 0,
            refcount_table: (0, 0),
            file_size,
        };
        header.place_tables(head)?;
        Ok(header)
    }

    fn place_tables(&mut self, head: &[u8]) -> Result<()> {
        let per_l2 = (self.cluster_size() / self.l2_entry_size()) << self.cluster_bits;
        self.l1_entries = self.virtual_size.div_ceil(per_l2);
        let l1_present = u64::from(be32(head, 36));
        if l1_present < self.l1_entries || self.l1_entries * 8 > MAX_L1_BYTES {
            return Err(Error::image(
                format!(
                    "its L1 table has {l1_present} entries, a virtual size of {} bytes needs {} (at most {} are read)",
                    self.virtual_size,
                    self.l1_entries,
                    MAX_L1_BYTES / 8
                ),
                CONVERT,
            ));
        }
        self.check_table("L1 table", self.l1_offset, self.l1_entries * 8)?;
        let refcount_offset = be64(head, 48);
        let refcount_bytes = u64::from(be32(head, 56)) << self.cluster_bits;
        if refcount_bytes > MAX_REFCOUNT_TABLE_BYTES {
            return Err(Error::image(
                format!("its refcount table of {refcount_bytes} bytes is too large"),
                REPAIR,
            ));
        }
        self.check_table("refcount table", refcount_offset, refcount_bytes)?;
        self.refcount_table = (refcount_offset, refcount_bytes);
        Ok(())
    }

    /// Size of a cluster in bytes.
    pub(crate) fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Size of an L2 entry in bytes.
    pub(crate) fn l2_entry_size(&self) -> u64 {
        if self.has_extended_l2 { 16 } else { 8 }
    }

    /// Size of the smallest stretch that is allocated by itself: a subcluster with extended L2, else a cluster.
    pub(crate) fn unit_size(&self) -> u64 {
        if self.has_extended_l2 { self.cluster_size() / 32 } else { self.cluster_size() }
    }

    /// Checks that a table or cluster begins on a cluster, after the header, and lies within the file.
    pub(crate) fn check_table(&self, name: &str, offset: u64, length: u64) -> Result<()> {
        if !offset.is_multiple_of(self.cluster_size()) {
            return Err(Error::image(format!("its {name} at {offset} is not aligned to a cluster"), REPAIR));
        }
        if offset == 0 {
            return Err(Error::image(format!("its {name} lies over its own header"), REPAIR));
        }
        match offset.checked_add(length) {
            Some(end) if end <= self.file_size => Ok(()),
            _ => Err(Error::image(
                format!(
                    "its {name} ({length} bytes at {offset}) is out of the file's {} bytes: truncated or damaged",
                    self.file_size
                ),
                "upload it again; if `qemu-img check` complains too, make it anew",
            )),
        }
    }
}

/// A backing file names a file on the machine that opens the image: on a shared machine that is an attack (CVE-2024-32498).
fn refuse_backing_file(head: &[u8]) -> Result<()> {
    let offset = be64(head, 8);
    if offset == 0 {
        return Ok(());
    }
    let length = be32(head, 16).min(1023) as usize;
    let name = usize::try_from(offset).ok().and_then(|o| head.get(o..o.checked_add(length)?));
    let name = name.map_or("unreadable".into(), String::from_utf8_lossy);
    Err(Error::image(format!("it refers to a backing file ({:?})", name.into_owned()), FLATTEN))
}

struct Features {
    compression: Compression,
    has_extended_l2: bool,
}

impl Features {
    fn parse(head: &[u8], version: u32, cluster_bits: u32) -> Result<Self> {
        if version == 2 {
            refuse_extensions(head, 72)?;
            return Ok(Self { compression: Compression::Deflate, has_extended_l2: false });
        }
        let incompatible = be64(head, 72);
        if incompatible & FEATURE_CORRUPT != 0 {
            return Err(Error::image("it is marked corrupt by QEMU", REPAIR));
        }
        if incompatible & FEATURE_DATA_FILE != 0 {
            return Err(Error::image("its data is in an external data file", FLATTEN));
        }
        if incompatible & !FEATURES_KNOWN != 0 {
            return Err(Error::image(
                format!("it needs unknown qcow2 features ({:#x})", incompatible & !FEATURES_KNOWN),
                CONVERT,
            ));
        }
        // The dirty bit (lazy refcounts) says only that refcounts may be stale; nothing here reads them.
        let refcount_order = be32(head, 96);
        if refcount_order > 6 {
            return Err(Error::image(
                format!("its refcount width 2^{refcount_order} is out of range"),
                REPAIR,
            ));
        }
        let header_length = be32(head, 100) as usize;
        if header_length < 104 || !header_length.is_multiple_of(8) || header_length > head.len() {
            return Err(Error::image(
                format!("its header length of {header_length} is out of range"),
                REPAIR,
            ));
        }
        let kind = if header_length > 104 { head[104] } else { 0 };
        let compression = match (incompatible & FEATURE_COMPRESSION != 0, kind) {
            (false, 0) => Compression::Deflate,
            (true, 1) => Compression::Zstd,
            _ => return Err(Error::image(format!("its compression type {kind} is unknown"), CONVERT)),
        };
        let has_extended_l2 = incompatible & FEATURE_EXTENDED_L2 != 0;
        if has_extended_l2 && cluster_bits < 14 {
            return Err(Error::image("it has subclusters of less than 512 bytes", CONVERT));
        }
        refuse_extensions(head, header_length)?;
        Ok(Self { compression, has_extended_l2 })
    }
}

/// Walks the header extensions for those that say that the data is elsewhere or encrypted, whatever the feature bits say.
fn refuse_extensions(head: &[u8], mut at: usize) -> Result<()> {
    while at + 8 <= head.len() {
        let (kind, length) = (be32(head, at), be32(head, at + 4) as usize);
        match kind {
            EXTENSION_END => return Ok(()),
            EXTENSION_DATA_FILE => return Err(Error::image("it names an external data file", FLATTEN)),
            EXTENSION_ENCRYPTION => {
                return Err(Error::image(
                    "it has an encryption header",
                    "decrypt it with `qemu-img convert`",
                ));
            }
            _ => {}
        }
        at = match length.checked_next_multiple_of(8).and_then(|l| at.checked_add(8)?.checked_add(l)) {
            Some(next) => next,
            None => break,
        };
    }
    Ok(())
}

//! Where everything in a qcow2 file goes, sorted by where it lies in the file.
//!
//! All L1 and L2 entries that the virtual size needs are read once, checked, and kept as runs of twelve bytes. What was
//! read is kept too, as a digest a table, and compared when the same bytes pass by in the one sequential pass: a server that
//! shows one map and sends another gets nowhere, and the image's checksum covers the map that was used.
//!
//! Memory: [`MAX_EXTENTS`] × 12 + [`MAX_TABLES`] × 32 bytes, 22 MiB at most. That is enough for 96 GiB of compressed
//! clusters of the usual 64 KiB, and for any image that `qemu-img convert` wrote uncompressed; what is more
//! fragmented is refused with a hint, never truncated.

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::qcow2::header::{HEAD_LENGTH, Header};
use crate::source::ImageSource;

/// Most runs that are kept.
pub(crate) const MAX_EXTENTS: usize = 3 << 19;
/// Most tables (header, slices of L1, L2) that are kept: 64 TiB of virtual size at 64 KiB a cluster.
const MAX_TABLES: usize = 1 << 17;

const DEFRAGMENT: &str =
    "make it compact with `qemu-img convert -O qcow2` (with larger clusters: `-o cluster_size=2M`)";
const DAMAGED: &str = "check it with `qemu-img check`, make it anew with `qemu-img convert -O qcow2`";

const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
const L1_RESERVED: u64 = 0x7f00_0000_0000_01ff;
const L2_COMPRESSED: u64 = 1 << 62;
const L2_RESERVED: u64 = 0x3f00_0000_0000_01fe;
const L2_ZERO: u64 = 1;

/// A run of units that lie one after the other both in the file and on the disk, or one compressed cluster.
///
/// Packed by hand, as there may be a million and a half of them: host offset in 47 bits and the kind in one, a count in 16
/// (units, or sectors of compressed data), the guest's place in 32 (units).
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    host_low: u32,
    host_high: u16,
    count: u16,
    guest_unit: u32,
}

const COMPRESSED_FLAG: u16 = 1 << 15;

impl Extent {
    fn new(host: u64, is_compressed: bool, count: u16, guest_unit: u32) -> Self {
        let flag = if is_compressed { COMPRESSED_FLAG } else { 0 };
        Self { host_low: host as u32, host_high: (host >> 32) as u16 | flag, count, guest_unit }
    }

    pub(crate) fn host(self) -> u64 {
        u64::from(self.host_high & !COMPRESSED_FLAG) << 32 | u64::from(self.host_low)
    }

    pub(crate) fn is_compressed(self) -> bool {
        self.host_high & COMPRESSED_FLAG != 0
    }
}

/// Something the map was built from, with what it was.
struct Table {
    start: u64,
    length: u32,
    /// `None` for what was only placed, not read.
    digest: Option<[u8; 16]>,
}

/// A stretch of the file and where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub host: u64,
    pub host_length: u64,
    pub guest: u64,
    pub guest_length: u64,
    pub is_compressed: bool,
}

/// The whole map.
pub(crate) struct Map {
    pub header: Header,
    extents: Vec<Extent>,
    tables: Vec<Table>,
}

impl Map {
    /// Reads the tables of a qcow2 image whose first bytes are `head`. Errors: [`Error::Image`] if they lie,
    /// [`Error::Source`] if they can't be read, [`Error::TooLarge`] if the image doesn't fit `disk_size`.
    pub(crate) fn read(source: &mut dyn ImageSource, head: &[u8], disk_size: Option<u64>) -> Result<Self> {
        let Some(file_size) = source.size() else {
            return Err(Error::image(
                "it is a qcow2 of unknown length",
                "serve it with a Content-Length and range requests, or as raw",
            ));
        };
        let header = Header::parse(head, file_size)?;
        let head = &head[..head.len().min(HEAD_LENGTH).min(header.cluster_size() as usize)];
        if let Some(disk_bytes) = disk_size.filter(|d| *d < header.virtual_size) {
            return Err(Error::TooLarge { image_bytes: header.virtual_size, disk_bytes });
        }
        if header.virtual_size.div_ceil(header.unit_size()) > u64::from(u32::MAX) {
            return Err(Error::image(
                format!("{} bytes in units of {} are too many", header.virtual_size, header.unit_size()),
                DEFRAGMENT,
            ));
        }
        let mut map = Self { header, extents: Vec::new(), tables: Vec::new() };
        map.push_table(0, head)?;
        map.read_l1(source)?;
        map.check_order()?;
        Ok(map)
    }

    fn read_l1(&mut self, source: &mut dyn ImageSource) -> Result<()> {
        let mut slice = vec![0; 64 << 10];
        let mut l2 = vec![0; self.header.cluster_size() as usize];
        let total = self.header.l1_entries * 8;
        let mut at = 0;
        while at < total {
            let bytes = &mut slice[..(total - at).min(64 << 10) as usize];
            let offset = self.header.l1_offset + at;
            source.read_at(offset, bytes).map_err(|source| Error::Source { offset, source })?;
            self.push_table(offset, bytes)?;
            for (i, entry) in bytes.chunks_exact(8).enumerate() {
                let entry = u64::from_be_bytes(entry.try_into().unwrap_or_default());
                self.read_l2(source, at / 8 + i as u64, entry, &mut l2)?;
            }
            at += bytes.len() as u64;
        }
        Ok(())
    }

    fn read_l2(&mut self, source: &mut dyn ImageSource, index: u64, entry: u64, l2: &mut [u8]) -> Result<()> {
        if entry & L1_RESERVED != 0 {
            return Err(Error::image(
                format!("its L1 entry {index} has reserved bits set ({entry:#x})"),
                DAMAGED,
            ));
        }
        let offset = entry & OFFSET_MASK;
        if offset == 0 {
            return Ok(());
        }
        self.header.check_table(&format!("L2 table {index}"), offset, l2.len() as u64)?;
        source.read_at(offset, l2).map_err(|source| Error::Source { offset, source })?;
        self.push_table(offset, l2)?;
        let entry_size = self.header.l2_entry_size() as usize;
        let first = index * (l2.len() / entry_size) as u64;
        for (i, entry) in l2.chunks_exact(entry_size).enumerate() {
            let guest = (first + i as u64) << self.header.cluster_bits;
            if guest >= self.header.virtual_size {
                break;
            }
            let word = |at: usize| entry[at..].first_chunk().map_or(0, |b| u64::from_be_bytes(*b));
            let bitmap = self.header.has_extended_l2.then(|| word(8));
            self.push_entry(guest, word(0), bitmap)?;
        }
        Ok(())
    }

    fn push_entry(&mut self, guest: u64, entry: u64, bitmap: Option<u64>) -> Result<()> {
        if entry & L2_COMPRESSED != 0 {
            return self.push_compressed(guest, entry);
        }
        let has_zero_flag = self.header.has_zero_flag && bitmap.is_none();
        let reserved = if has_zero_flag { L2_RESERVED } else { L2_RESERVED | L2_ZERO };
        if entry & reserved != 0 {
            return Err(Error::image(
                format!("its L2 entry for guest offset {guest} has reserved bits set ({entry:#x})"),
                DAMAGED,
            ));
        }
        let host = entry & OFFSET_MASK;
        let (allocated, zero) = match bitmap {
            Some(b) => (b as u32, (b >> 32) as u32),
            None => (if host == 0 { 0 } else { 1 }, (entry & L2_ZERO) as u32),
        };
        if bitmap.is_some() && allocated & zero != 0 || host == 0 && allocated != 0 {
            return Err(Error::image(
                format!("its L2 entry for guest offset {guest} contradicts itself (subclusters {bitmap:x?})"),
                DAMAGED,
            ));
        }
        let data = allocated & !zero;
        if data == 0 {
            return Ok(());
        }
        if !host.is_multiple_of(self.header.cluster_size()) {
            return Err(Error::image(
                format!("its cluster for guest offset {guest} at {host} is not aligned to a cluster"),
                DAMAGED,
            ));
        }
        let unit = self.header.unit_size();
        for i in (0..32).filter(|i| data & (1 << i) != 0) {
            let guest = guest + i * unit;
            if guest < self.header.virtual_size {
                self.push_unit(host + i * unit, guest)?;
            }
        }
        Ok(())
    }

    fn push_unit(&mut self, host: u64, guest: u64) -> Result<()> {
        let unit = self.header.unit_size();
        let length = unit.min(self.header.virtual_size - guest);
        if host + length > self.header.file_size {
            return Err(self.out_of_file("cluster", guest, host));
        }
        if let Some(last) = self.extents.last_mut()
            && !last.is_compressed()
            && last.count < u16::MAX
            && last.host() + u64::from(last.count) * unit == host
            && (u64::from(last.guest_unit) + u64::from(last.count)) * unit == guest
        {
            last.count += 1;
            return Ok(());
        }
        self.push_extent(Extent::new(host, false, 1, (guest / unit) as u32))
    }

    fn push_compressed(&mut self, guest: u64, entry: u64) -> Result<()> {
        let offset_bits = 62 - (self.header.cluster_bits - 8);
        let host = entry & ((1 << offset_bits) - 1);
        let sectors = ((entry & (L2_COMPRESSED - 1)) >> offset_bits) + 1;
        if host < self.header.cluster_size() || host >= self.header.file_size {
            return Err(self.out_of_file("compressed cluster", guest, host));
        }
        // The length is in sectors and the file need not end on one; anything beyond that is a lie.
        let end = (host & !511) + sectors * 512;
        if end > self.header.file_size.next_multiple_of(512) {
            return Err(self.out_of_file("compressed cluster", guest, host));
        }
        self.push_extent(Extent::new(host, true, sectors as u16, (guest / self.header.unit_size()) as u32))
    }

    fn out_of_file(&self, what: &str, guest: u64, host: u64) -> Error {
        let size = self.header.file_size;
        Error::image(
            format!(
                "its {what} for guest offset {guest} at {host} is out of the file's {size} bytes: truncated or damaged"
            ),
            "upload it again; if `qemu-img check` complains too, make it anew",
        )
    }

    fn push_extent(&mut self, extent: Extent) -> Result<()> {
        if self.extents.len() == self.extents.capacity() {
            if self.extents.len() >= MAX_EXTENTS {
                return Err(Error::image(
                    format!("it is too fragmented: its map has more than {MAX_EXTENTS} pieces"),
                    DEFRAGMENT,
                ));
            }
            // In steps, not by doubling: the budget is memory that a ramdisk has.
            self.extents.reserve_exact((1 << 16).min(MAX_EXTENTS - self.extents.len()));
        }
        self.extents.push(extent);
        Ok(())
    }

    fn push_table(&mut self, start: u64, bytes: &[u8]) -> Result<()> {
        if self.tables.len() >= MAX_TABLES {
            return Err(Error::image(format!("its map has more than {MAX_TABLES} tables"), DEFRAGMENT));
        }
        self.tables.push(Table {
            start,
            length: bytes.len() as u32,
            digest: Some(digest_of(Sha256::new_with_prefix(bytes))),
        });
        Ok(())
    }

    /// Sorts by host offset and refuses whatever lies over something else: a file that says two things about one byte is
    /// damaged or made to confuse.
    fn check_order(&mut self) -> Result<()> {
        let (start, length) = self.header.refcount_table;
        self.tables.push(Table { start, length: length as u32, digest: None });
        self.tables.sort_unstable_by_key(|t| t.start);
        self.sort_by_host();
        let mut end = 0_u64;
        let mut tables = self.tables.iter().peekable();
        let mut extents = self.extents.iter().map(|e| self.stretch(*e)).peekable();
        let mut last_compressed = None;
        loop {
            let is_table = match (tables.peek(), extents.peek()) {
                (None, None) => return Ok(()),
                (Some(t), Some(e)) => t.start <= e.host,
                (t, _) => t.is_some(),
            };
            let (start, length, is_compressed) = if is_table {
                let Some(t) = tables.next() else { return Ok(()) };
                (t.start, u64::from(t.length), false)
            } else {
                let Some(e) = extents.next() else { return Ok(()) };
                (e.host, e.host_length, e.is_compressed)
            };
            // Compressed clusters are packed by the byte but measured by the sector: neighbours share one, no more.
            let first_free = match last_compressed {
                Some(last) if is_compressed => end.saturating_sub(511).max(last + 1),
                _ => end,
            };
            if start < first_free {
                return Err(Error::image(
                    format!("two of its tables or clusters lie over each other at byte {start}"),
                    DAMAGED,
                ));
            }
            end = start + length;
            if is_compressed {
                end = end.next_multiple_of(512);
            }
            last_compressed = is_compressed.then_some(start);
        }
    }

    pub(crate) fn sort_by_host(&mut self) {
        self.extents.sort_unstable_by_key(|e| e.host());
    }

    pub(crate) fn sort_by_guest(&mut self) {
        self.extents.sort_unstable_by_key(|e| e.guest_unit);
    }

    /// The `index`th extent in bytes, cut at the ends of the disk and of the file.
    pub(crate) fn get(&self, index: usize) -> Option<Stretch> {
        self.extents.get(index).map(|e| self.stretch(*e))
    }

    fn stretch(&self, extent: Extent) -> Stretch {
        let guest = u64::from(extent.guest_unit) * self.header.unit_size();
        let host = extent.host();
        let left = self.header.virtual_size - guest;
        if extent.is_compressed() {
            let end = ((host & !511) + u64::from(extent.count) * 512).min(self.header.file_size);
            let guest_length = self.header.cluster_size().min(left);
            return Stretch { host, host_length: end - host, guest, guest_length, is_compressed: true };
        }
        let length = (u64::from(extent.count) * self.header.unit_size()).min(left);
        Stretch { host, host_length: length, guest, guest_length: length, is_compressed: false }
    }

    /// A witness that compares the tables with the bytes that pass by.
    pub(crate) fn witness(&self) -> Witness<'_> {
        Witness { tables: &self.tables, index: 0, hash: Sha256::new() }
    }
}

fn digest_of(hash: Sha256) -> [u8; 16] {
    let full = hash.finalize();
    full.first_chunk().copied().unwrap_or_default()
}

/// Sees the file go by and says whether it is the one the map was read from.
pub(crate) struct Witness<'a> {
    tables: &'a [Table],
    index: usize,
    hash: Sha256,
}

impl Witness<'_> {
    /// Takes the next bytes of the file, which begin at `offset`. Errors: [`Error::Changed`].
    pub(crate) fn see(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        let end = offset + data.len() as u64;
        while let Some(table) = self.tables.get(self.index) {
            let table_end = table.start + u64::from(table.length);
            let (from, to) = (table.start.max(offset), table_end.min(end));
            if let Some(expected) = table.digest
                && from < to
            {
                self.hash.update(&data[(from - offset) as usize..(to - offset) as usize]);
                if to == table_end && digest_of(std::mem::take(&mut self.hash)) != expected {
                    return Err(Error::Changed { offset: table.start });
                }
            }
            if table_end > end {
                return Ok(());
            }
            self.index += 1;
        }
        Ok(())
    }
}

//! Nothing boots before its checksum matched.
//!
//! Firmware boots from a disk's first sectors (MBR, GPT, a boot record, El Torito) or, when these are damaged, by the backup
//! GPT in its last ones. So both edges are wiped and synced before the first byte of an image is written; what the image has
//! for them is kept in memory, and written last of all. After an error, and after a power cut at any instant, the
//! disk is one that no firmware takes for bootable.

use std::sync::Mutex;

use crate::error::{Error, Result};
use crate::target::Target;

/// Bytes at each end that are withheld: room for a GPT with 4096-byte sectors, GRUB's core image and El Torito.
const EDGE: u64 = 1 << 20;

/// A target with closed edges.
pub(super) struct Gate<'a> {
    target: &'a dyn Target,
    /// At most two, in ascending order, not overlapping.
    edges: Vec<Edge>,
}

struct Edge {
    start: u64,
    /// What the image has here.
    withheld: Mutex<Vec<u8>>,
    length: u64,
}

impl Edge {
    fn end(&self) -> u64 {
        self.start + self.length
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.withheld.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<'a> Gate<'a> {
    /// Wipes both edges of the disk, and waits until that is on stable storage.
    pub(super) fn close(target: &'a dyn Target) -> Result<Self> {
        let size = target.size();
        let head = EDGE.min(size);
        let tail = size.saturating_sub(EDGE).max(head);
        let edges = [(0, head), (tail, size)]
            .into_iter()
            .filter(|(start, end)| start < end)
            .map(|(start, end)| Edge {
                start,
                length: end - start,
                withheld: Mutex::new(vec![0; (end - start) as usize]),
            })
            .collect();
        let gate = Self { target, edges };
        gate.wipe()?;
        Ok(gate)
    }

    fn wipe(&self) -> Result<()> {
        for edge in &self.edges {
            // Written, not punched: this has to hold on disks whose zeroing commands are a wish.
            self.write_through(edge.start, &vec![0; edge.length as usize])?;
        }
        self.sync()
    }

    /// Wipes again, as opening may have begun. The error that led here matters more than one from this.
    pub(super) fn leave_closed(&self) {
        let _ = self.wipe();
    }

    /// Writes what was withheld. With `verify` it is read back from the device and compared.
    pub(super) fn open(&self, verify: bool) -> Result<()> {
        // The tail first: a backup GPT without a primary is the lesser half.
        for edge in self.edges.iter().rev() {
            self.write_through(edge.start, &edge.lock())?;
        }
        self.sync()?;
        if !verify {
            return Ok(());
        }
        self.drop_cache()?;
        for edge in &self.edges {
            let mut found = vec![0; edge.length as usize];
            self.target.read_at(edge.start, &mut found).map_err(|e| failed("reading", edge.start, e))?;
            if found != *edge.lock() {
                return Err(Error::ReadBack { from: edge.start, to: edge.end() });
            }
        }
        Ok(())
    }

    /// Writes image data: through to the disk, or into memory at the edges.
    pub(super) fn write_at(&self, mut offset: u64, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            let (edge, length) = self.part_at(offset, data.len() as u64);
            let (part, rest) = data.split_at(length as usize);
            match edge {
                Some(edge) => {
                    let at = (offset - edge.start) as usize;
                    edge.lock()[at..at + part.len()].copy_from_slice(part);
                }
                None => self.write_through(offset, part)?,
            }
            offset += length;
            data = rest;
        }
        Ok(())
    }

    /// Makes a range of the image zeros.
    pub(super) fn zero(&self, mut offset: u64, mut left: u64) -> Result<()> {
        while left > 0 {
            let (edge, length) = self.part_at(offset, left);
            match edge {
                Some(edge) => {
                    let at = (offset - edge.start) as usize;
                    edge.lock()[at..at + length as usize].fill(0);
                }
                None => self.target.zero(offset, length).map_err(|e| failed("zeroing", offset, e))?,
            }
            offset += length;
            left -= length;
        }
        Ok(())
    }

    /// Reads what the disk will hold once the gate is open.
    pub(super) fn read_at(&self, mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
        while !buf.is_empty() {
            let (edge, length) = self.part_at(offset, buf.len() as u64);
            let (part, rest) = buf.split_at_mut(length as usize);
            match edge {
                Some(edge) => {
                    let at = (offset - edge.start) as usize;
                    part.copy_from_slice(&edge.lock()[at..at + length as usize]);
                }
                None => self.target.read_at(offset, part).map_err(|e| failed("reading back", offset, e))?,
            }
            offset += length;
            buf = rest;
        }
        Ok(())
    }

    pub(super) fn size(&self) -> u64 {
        self.target.size()
    }

    /// Lets the device begin with what was written to a range.
    pub(super) fn start_sync(&self, offset: u64, length: u64) {
        self.target.start_sync(offset, length);
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.target.sync().map_err(|e| Error::disk("flushing the disk's cache", e))
    }

    pub(super) fn drop_cache(&self) -> Result<()> {
        self.target.drop_cache().map_err(|e| Error::disk("dropping the page cache before reading back", e))
    }

    fn write_through(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.target.write_at(offset, data).map_err(|e| failed("writing", offset, e))
    }

    /// The edge at `offset`, if one is there, and how much of `length` is in it or before the next one.
    fn part_at(&self, offset: u64, length: u64) -> (Option<&Edge>, u64) {
        for edge in &self.edges {
            if offset < edge.start {
                return (None, length.min(edge.start - offset));
            }
            if offset < edge.end() {
                return (Some(edge), length.min(edge.end() - offset));
            }
        }
        (None, length)
    }
}

fn failed(what: &str, offset: u64, error: std::io::Error) -> Error {
    Error::disk(format!("{what} the disk at byte {offset}"), error)
}

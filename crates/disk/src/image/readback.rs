//! Comparing the disk with what was written to it, without keeping what was written.
//!
//! An image passes by in the order of its file and is read back in the order of the disk, so one running hash can't serve.
//! Instead every block (64 KiB, or the image's smaller unit) is hashed together with its place, and the hashes are summed
//! up: sums don't care for order. There is a sum for every region of the disk, so that a difference can be located.
//! XXH3 is enough here: the adversary is a worn-out disk, not a person; against persons there is the image's checksum.

use std::sync::atomic::{AtomicU64, Ordering};

use twox_hash::XxHash3_64;

use super::gate::Gate;
use super::pipeline::{Layout, is_zero};
use super::{Phase, Progress};
use crate::error::{Error, Result};

/// Largest block that is hashed at once.
const BLOCK: u64 = 64 << 10;
const MIN_REGION: u64 = 64 << 20;
/// Most regions: half a MiB of sums.
const MAX_REGIONS: u64 = 1 << 16;
const READ: u64 = 1 << 20;

/// Sums of what was written.
pub(super) struct WrittenSums {
    block: u64,
    region: u64,
    sums: Vec<AtomicU64>,
}

impl WrittenSums {
    pub(super) fn new(layout: &Layout, disk_size: u64) -> Self {
        let block = match layout {
            Layout::Flat => BLOCK,
            Layout::Mapped(map) => map.header.unit_size().min(BLOCK),
        };
        let region = disk_size.div_ceil(MAX_REGIONS).next_power_of_two().max(MIN_REGION);
        let sums = (0..disk_size.div_ceil(region)).map(|_| AtomicU64::new(0)).collect();
        Self { block, region, sums }
    }

    /// Adds what is written at `offset`: whole blocks, save for the image's last one.
    pub(super) fn add(&self, offset: u64, data: &[u8]) {
        for (at, hash) in self.hashes(offset, data) {
            if let Some(sum) = self.sums.get((at / self.region) as usize) {
                sum.fetch_add(hash, Ordering::Relaxed);
            }
        }
    }

    fn hashes<'d>(&self, offset: u64, data: &'d [u8]) -> impl Iterator<Item = (u64, u64)> + use<'d> {
        let block = self.block;
        (offset..)
            .step_by(block as usize)
            .zip(data.chunks(block as usize))
            .map(|(at, bytes)| (at, XxHash3_64::oneshot_with_seed(at, bytes)))
    }

    /// Reads the first `length` bytes of the disk back and compares. Errors: [`Error::ReadBack`], [`Error::Disk`].
    pub(super) fn verify(
        &self,
        gate: &Gate<'_>,
        layout: &mut Layout,
        length: u64,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        gate.drop_cache()?;
        let mut runs = Runs::new(layout, length);
        let mut buf = vec![0; READ as usize];
        let mut sum = 0_u64;
        let mut at = 0;
        while at < length {
            let part = &mut buf[..READ.min(length - at) as usize];
            gate.read_at(at, part)?;
            let end = at + part.len() as u64;
            runs.split(at, end, |from, to, is_data| {
                let bytes = &part[(from - at) as usize..(to - at) as usize];
                if is_data {
                    sum = self.hashes(from, bytes).fold(sum, |sum, (_, hash)| sum.wrapping_add(hash));
                    Ok(())
                } else if is_zero(bytes) {
                    Ok(())
                } else {
                    Err(Error::ReadBack { from, to })
                }
            })?;
            at = end;
            if at == length || at.is_multiple_of(self.region) {
                let region = (at - 1) / self.region;
                let expected = self.sums.get(region as usize).map(|s| s.load(Ordering::Relaxed));
                if expected != Some(sum) {
                    return Err(Error::ReadBack { from: region * self.region, to: at });
                }
                sum = 0;
            }
            progress(Progress { phase: Phase::Verifying, done: at, total: Some(length) });
        }
        Ok(())
    }
}

/// Which parts of the disk were written and which are holes, in the disk's order.
struct Runs<'a> {
    layout: &'a Layout,
    length: u64,
    index: usize,
}

impl<'a> Runs<'a> {
    fn new(layout: &'a mut Layout, length: u64) -> Self {
        if let Layout::Mapped(map) = layout {
            map.sort_by_guest();
        }
        Self { layout, length, index: 0 }
    }

    fn current(&self) -> Option<(u64, u64)> {
        match self.layout {
            Layout::Flat => (self.index == 0).then_some((0, self.length)),
            Layout::Mapped(map) => map.get(self.index).map(|s| (s.guest, s.guest + s.guest_length)),
        }
    }

    /// Calls `each(from, to, is_data)` for the parts of a range that follows the last one.
    fn split(
        &mut self,
        mut at: u64,
        end: u64,
        mut each: impl FnMut(u64, u64, bool) -> Result<()>,
    ) -> Result<()> {
        while at < end {
            let (start, stop) = self.current().unwrap_or((u64::MAX, u64::MAX));
            let (to, is_data) = if at < start { (start.min(end), false) } else { (stop.min(end), true) };
            each(at, to, is_data)?;
            at = to;
            if at == stop {
                self.index += 1;
            }
        }
        Ok(())
    }
}

//! Where an image goes: a block device or a regular file, by positional reads and writes.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::fs::{Advice, FallocateFlags, OFlags, fadvise, fallocate, ioctl_blksszget};
use rustix::io::Errno;

/// A disk, seen by offset. Shared between threads: all methods take `&self`.
pub trait Target: Sync {
    /// Size in bytes; nothing is written beyond it.
    fn size(&self) -> u64;

    /// Logical sector size in bytes, 512 or 4096: the unit of partition tables.
    fn sector_size(&self) -> u32;

    /// Fills `buf` from `offset`. Errors: what the device says, `UnexpectedEof` past the end.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Writes all of `data` at `offset`. Errors: what the device says, `InvalidInput` past the end.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Makes `length` bytes from `offset` read as zeros, without moving them through memory where the device can.
    fn zero(&self, offset: u64, length: u64) -> io::Result<()>;

    /// Lets the device begin with what was written to a range, so that [`Target::sync`] has less to wait for. Only a hint.
    fn start_sync(&self, offset: u64, length: u64);

    /// Returns when everything written is on stable storage.
    fn sync(&self) -> io::Result<()>;

    /// Forgets cached contents, so that the next read comes from the device. Call after [`Target::sync`].
    fn drop_cache(&self) -> io::Result<()>;
}

/// A block device or a regular file of fixed size.
#[derive(Debug)]
pub struct Disk {
    file: File,
    size: u64,
    sector_size: u32,
    zeroing: AtomicU8,
}

/// Lets the kernel begin to write a range of a file back to the disk, so that a later `fsync` has less to wait for. Only a hint.
pub fn start_writing_back(file: &File, offset: u64, length: u64) {
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else { return };
    // SAFETY: the file is open for as long as it is borrowed, and the call touches no memory of ours. It is only a hint
    // (sync_file_range(2)), so what it returns doesn't matter: `fsync` is what counts.
    unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Ways to zero a range, best first. The index into this list only grows: a device that refused a way once is not asked
/// again.
const ZEROING: [FallocateFlags; 2] = [
    FallocateFlags::PUNCH_HOLE.union(FallocateFlags::KEEP_SIZE),
    FallocateFlags::ZERO_RANGE.union(FallocateFlags::KEEP_SIZE),
];

/// Zeroing goes in slices: a device without an own command for it takes seconds a gibibyte, in the kernel, where
/// nothing can interrupt it.
const ZERO_SLICE: u64 = 256 << 20;

static ZEROS: [u8; 256 << 10] = [0; 256 << 10];

impl Disk {
    /// Opens a disk for reading and writing. A block device is opened exclusively, so that one which is mounted or part
    /// of an array is refused (`EBUSY`) instead of overwritten under its user.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let is_block = std::fs::metadata(path)?.file_type().is_block_device();
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        if is_block {
            options.custom_flags(OFlags::EXCL.bits() as i32);
        }
        Self::new(options.open(path)?)
    }

    /// Creates (or empties) a regular file of `size` bytes that reads as zeros.
    pub fn create(path: impl AsRef<Path>, size: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        file.set_len(size)?;
        Self::new(file)
    }

    /// Takes a file that is open for reading and writing. Errors: what asking for its size gives.
    pub fn new(mut file: File) -> io::Result<Self> {
        let size = file.seek(SeekFrom::End(0))?;
        let sector_size =
            if file.metadata()?.file_type().is_block_device() { ioctl_blksszget(file.as_fd())? } else { 512 };
        Ok(Self { file, size, sector_size, zeroing: AtomicU8::new(0) })
    }

    /// Says that the disk has sectors of `bytes`: for regular files that stand for disks with 4096-byte sectors.
    pub fn with_sector_size(mut self, bytes: u32) -> Self {
        self.sector_size = bytes;
        self
    }

    fn check_range(&self, offset: u64, length: u64) -> io::Result<()> {
        match offset.checked_add(length) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{length} bytes at {offset} are past the end of a disk of {} bytes", self.size),
            )),
        }
    }

    fn write_zeros(&self, mut offset: u64, mut length: u64) -> io::Result<()> {
        while length > 0 {
            let step = length.min(ZEROS.len() as u64);
            self.file.write_all_at(&ZEROS[..step as usize], offset)?;
            offset += step;
            length -= step;
        }
        Ok(())
    }

    /// Zeroes whole sectors by the device's or file system's own means. `Ok(false)`: there is none.
    fn zero_by_command(&self, offset: u64, length: u64) -> io::Result<bool> {
        loop {
            let way = self.zeroing.load(Ordering::Relaxed);
            let Some(&flags) = ZEROING.get(usize::from(way)) else { return Ok(false) };
            match fallocate(&self.file, flags, offset, length) {
                Ok(()) => return Ok(true),
                Err(Errno::INTR) => {}
                // Some drivers say EINVAL, EIO or EREMOTEIO for a command that the device turned out not to have; what is
                // truly broken shows when the zeros are written.
                Err(_) => {
                    let _ = self.zeroing.compare_exchange(way, way + 1, Ordering::Relaxed, Ordering::Relaxed);
                }
            }
        }
    }
}

impl Target for Disk {
    fn size(&self) -> u64 {
        self.size
    }

    fn sector_size(&self) -> u32 {
        self.sector_size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check_range(offset, data.len() as u64)?;
        self.file.write_all_at(data, offset)
    }

    fn zero(&self, offset: u64, length: u64) -> io::Result<()> {
        self.check_range(offset, length)?;
        let end = offset + length;
        let sector = u64::from(self.sector_size);
        let inner_start = offset.next_multiple_of(sector).min(end);
        let inner_end = (end - end % sector).max(inner_start);
        self.write_zeros(offset, inner_start - offset)?;
        let mut at = inner_start;
        while at < inner_end {
            let step = (inner_end - at).min(ZERO_SLICE);
            if !self.zero_by_command(at, step)? {
                self.write_zeros(at, step)?;
            }
            at += step;
        }
        self.write_zeros(inner_end, end - inner_end)
    }

    fn start_sync(&self, offset: u64, length: u64) {
        start_writing_back(&self.file, offset, length);
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn drop_cache(&self) -> io::Result<()> {
        fadvise(&self.file, 0, None, Advice::DontNeed)?;
        Ok(())
    }
}

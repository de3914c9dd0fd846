//! A part of a disk, seen as a disk of its own: a partition before the kernel knows of it.

use std::io;

use crate::target::Target;

/// The bytes from `start` on, `length` of them. What is asked for beyond them is refused.
pub struct Window<'a> {
    target: &'a dyn Target,
    start: u64,
    length: u64,
}

impl<'a> Window<'a> {
    /// A window on `target`, which is cut where that ends.
    pub fn new(target: &'a dyn Target, start: u64, length: u64) -> Self {
        let length = length.min(target.size().saturating_sub(start));
        Self { target, start, length }
    }

    fn place(&self, offset: u64, length: u64, kind: io::ErrorKind) -> io::Result<u64> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => Ok(self.start + offset),
            _ => Err(io::Error::new(
                kind,
                format!(
                    "{length} bytes at {offset} are past the end of a partition of {} bytes",
                    self.length
                ),
            )),
        }
    }
}

impl Target for Window<'_> {
    fn size(&self) -> u64 {
        self.length
    }

    fn sector_size(&self) -> u32 {
        self.target.sector_size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let at = self.place(offset, buf.len() as u64, io::ErrorKind::UnexpectedEof)?;
        self.target.read_at(at, buf)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let at = self.place(offset, data.len() as u64, io::ErrorKind::InvalidInput)?;
        self.target.write_at(at, data)
    }

    fn zero(&self, offset: u64, length: u64) -> io::Result<()> {
        let at = self.place(offset, length, io::ErrorKind::InvalidInput)?;
        self.target.zero(at, length)
    }

    fn start_sync(&self, offset: u64, length: u64) {
        if let Ok(at) = self.place(offset, length, io::ErrorKind::InvalidInput) {
            self.target.start_sync(at, length);
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.target.sync()
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.target.drop_cache()
    }
}

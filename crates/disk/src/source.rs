//! Where an image comes from.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// An image file somewhere: random access for its metadata and one sequential pass over all of it.
///
/// The implementation over HTTP (range requests, resuming after a lost connection) lives in the agent; whatever it
/// returns is checked here, so it need not be trusted to return the same bytes twice.
pub trait ImageSource {
    /// The file's length in bytes, if it is known before it was read. qcow2 images can't be written without it.
    fn size(&self) -> Option<u64>;

    /// Fills `buf` with the bytes at `offset`. Asked for at most 2 MiB at a time, and only for qcow2's metadata. Errors:
    /// whatever reading gives; [`io::ErrorKind::Unsupported`] says that the server has no range requests.
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Opens the one pass from the first byte to the last.
    fn stream(&mut self) -> io::Result<Box<dyn Read + '_>>;
}

/// An image in a local file.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    size: u64,
}

impl FileSource {
    /// Opens `path` for reading. Errors: what the kernel says.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::new(File::open(path)?)
    }

    /// Takes an open file; its current length is the image's.
    pub fn new(mut file: File) -> io::Result<Self> {
        let size = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, size })
    }
}

impl ImageSource for FileSource {
    fn size(&self) -> Option<u64> {
        Some(self.size)
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn stream(&mut self) -> io::Result<Box<dyn Read + '_>> {
        self.file.seek(SeekFrom::Start(0))?;
        Ok(Box::new(&self.file))
    }
}

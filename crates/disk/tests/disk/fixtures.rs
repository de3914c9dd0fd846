//! Disks, images and tools that the tests share.

use std::io::{self, Read};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use disk::{Algorithm, Checksum, Error, Hasher, ImageSource, Report, Target, WriteOptions, write_image};

pub const MIB: usize = 1 << 20;

/// What a disk holds before an image is written: an older system's bytes.
pub const OLD: u8 = 0xa5;

/// Runs a tool and returns what it printed; panics with its complaints if it fails.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|e| {
            panic!(
                "{program}: {e}; needs Debian's qemu-utils, gdisk, fdisk, genisoimage, util-linux, dosfstools"
            )
        });
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}

pub fn path_of(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Bytes without order, always the same.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A disk's worth of bytes as images have them: a boot sector, text, noise, zeros, in uneven stretches, up to the last byte.
pub fn guest_bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut at = 0;
    let mut turn = 0;
    while at < length {
        let stretch = (3000 + turn * 77_777 % 400_000).min(length - at);
        match turn % 4 {
            0 => bytes[at..at + stretch].copy_from_slice(&noise(stretch, turn as u64 + 1)),
            2 => {
                bytes[at..at + stretch].iter_mut().enumerate().for_each(|(i, b)| *b = b"lorem ipsum "[i % 12])
            }
            _ => {}
        }
        at += stretch;
        turn += 1;
    }
    bytes[510..512].copy_from_slice(b"\x55\xaa");
    bytes[length - 512..].copy_from_slice(&noise(512, 99));
    bytes
}

pub fn sha256(bytes: &[u8]) -> Checksum {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(bytes);
    hasher.finish()
}

/// A disk in memory that can break.
pub struct MemoryDisk {
    pub bytes: Mutex<Vec<u8>>,
    pub sector_size: u32,
    /// Writes that touch this byte fail.
    pub bad_at: Option<u64>,
    /// Writes to this byte are acknowledged and forgotten.
    pub forgets_at: Option<u64>,
    /// Every call of [`Target::sync`] adds the state of the disk's two edges: are they all zeros?
    pub edges_at_sync: Mutex<Vec<bool>>,
}

impl MemoryDisk {
    pub fn new(size: usize) -> Self {
        Self::of(vec![OLD; size])
    }

    pub fn of(bytes: Vec<u8>) -> Self {
        Self {
            bytes: Mutex::new(bytes),
            sector_size: 512,
            bad_at: None,
            forgets_at: None,
            edges_at_sync: Mutex::default(),
        }
    }

    pub fn contents(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    pub fn are_edges_zero(&self) -> bool {
        let bytes = self.bytes.lock().unwrap();
        let edge = MIB.min(bytes.len());
        bytes[..edge].iter().all(|b| *b == 0) && bytes[bytes.len() - edge..].iter().all(|b| *b == 0)
    }
}

impl Target for MemoryDisk {
    fn size(&self) -> u64 {
        self.bytes.lock().unwrap().len() as u64
    }

    fn sector_size(&self) -> u32 {
        self.sector_size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let bytes = self.bytes.lock().unwrap();
        let offset = usize::try_from(offset).unwrap();
        buf.copy_from_slice(bytes.get(offset..offset + buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let range = offset..offset + data.len() as u64;
        if self.bad_at.is_some_and(|b| range.contains(&b)) {
            return Err(io::Error::other("medium error"));
        }
        let mut bytes = self.bytes.lock().unwrap();
        let kept = self.forgets_at.filter(|b| range.contains(b)).map(|b| (b as usize, bytes[b as usize]));
        let offset = offset as usize;
        bytes.get_mut(offset..offset + data.len()).ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(data);
        if let Some((at, old)) = kept {
            bytes[at] = old;
        }
        Ok(())
    }

    fn zero(&self, offset: u64, length: u64) -> io::Result<()> {
        self.write_at(offset, &vec![0; length as usize])
    }

    fn start_sync(&self, _offset: u64, _length: u64) {}

    fn sync(&self) -> io::Result<()> {
        let are_zero = self.are_edges_zero();
        self.edges_at_sync.lock().unwrap().push(are_zero);
        Ok(())
    }

    fn drop_cache(&self) -> io::Result<()> {
        Ok(())
    }
}

/// An image in memory, served by someone who may not be honest.
#[derive(Clone, Default)]
pub struct MemorySource {
    /// What random access shows.
    pub shown: Vec<u8>,
    /// What the stream delivers.
    pub streamed: Vec<u8>,
    pub announced: Option<u64>,
    /// The stream breaks here.
    pub breaks_at: Option<usize>,
    pub has_ranges: bool,
}

impl MemorySource {
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            shown: bytes.to_vec(),
            streamed: bytes.to_vec(),
            announced: Some(bytes.len() as u64),
            breaks_at: None,
            has_ranges: true,
        }
    }
}

impl ImageSource for MemorySource {
    fn size(&self) -> Option<u64> {
        self.announced
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if !self.has_ranges {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = offset.checked_add(buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(self.shown.get(offset..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn stream(&mut self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(Trickle { left: &self.streamed, breaks_at: self.breaks_at, turn: 0 }))
    }
}

/// Reads come in uneven sizes, as from a network.
struct Trickle<'a> {
    left: &'a [u8],
    breaks_at: Option<usize>,
    turn: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        let mut length = buf.len().min(self.left.len()).min(1 + self.turn * 7919 % 300_000);
        if let Some(left) = &mut self.breaks_at {
            if *left == 0 {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            length = length.min(*left);
            *left -= length;
        }
        let (now, rest) = self.left.split_at(length);
        buf[..length].copy_from_slice(now);
        self.left = rest;
        Ok(length)
    }
}

/// Writes with nothing to watch the progress.
pub fn write(
    source: &mut dyn ImageSource,
    target: &dyn Target,
    options: &WriteOptions,
) -> Result<Report, Error> {
    write_image(source, target, options, &mut |_| {})
}

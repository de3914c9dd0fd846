//! The initramfs' format: cpio "newc" (Linux `Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! Sorted, all times zero, inodes counted: the same content gives the same bytes.

use crate::Compression;
use flate2::write::GzEncoder;
use std::collections::BTreeMap;
use std::io::Write;

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const CHARACTER: u32 = 0o020_000;

/// Files, folders and devices by path.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    mode: u32,
    device: (u32, u32),
    content: Vec<u8>,
}

impl Archive {
    /// A folder, and those it is in.
    pub(crate) fn directory(&mut self, path: &str) {
        for (at, _) in path.match_indices('/').chain([(path.len(), "")]) {
            let entry = Entry { mode: DIRECTORY | 0o755, device: (0, 0), content: Vec::new() };
            self.entries.entry(path[..at].to_owned()).or_insert(entry);
        }
    }

    /// A file, and the folders it is in.
    pub(crate) fn file(&mut self, path: &str, mode: u32, content: Vec<u8>) {
        self.add(path, Entry { mode: REGULAR | mode, device: (0, 0), content });
    }

    /// A character device, which writing an archive takes no privilege for.
    pub(crate) fn device(&mut self, path: &str, major: u32, minor: u32) {
        self.add(path, Entry { mode: CHARACTER | 0o600, device: (major, minor), content: Vec::new() });
    }

    fn add(&mut self, path: &str, entry: Entry) {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.directory(folder);
        }
        self.entries.insert(path.to_owned(), entry);
    }

    /// The archive's bytes.
    pub(crate) fn finish(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // A folder's path is a prefix of what is in it, so that it sorts before.
        for (inode, (path, entry)) in (1u32..).zip(&self.entries) {
            write_entry(&mut out, inode, path, entry);
        }
        let trailer = Entry { mode: 0, device: (0, 0), content: Vec::new() };
        write_entry(&mut out, 0, "TRAILER!!!", &trailer);
        out.resize(out.len().next_multiple_of(512), 0);
        out
    }
}

fn write_entry(out: &mut Vec<u8>, inode: u32, path: &str, entry: &Entry) {
    let links = if entry.mode & DIRECTORY == DIRECTORY { 2 } else { 1 };
    let (size, name_size) = (entry.content.len() as u32, path.len() as u32 + 1);
    // Inode, mode, user, group, links, time, size, device ×2, special device ×2, name's length, checksum.
    let fields =
        [inode, entry.mode, 0, 0, links, 0, size, 0, 0, entry.device.0, entry.device.1, name_size, 0];
    out.extend(b"070701");
    for field in fields {
        out.extend(format!("{field:08X}").bytes());
    }
    out.extend(path.bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(&entry.content);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Packs an archive. Memory is the only thing that could fail here, and that aborts.
pub(crate) fn compress(bytes: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::Auto | Compression::None => bytes.to_vec(),
        Compression::Gzip => {
            let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::best());
            // Writing to a Vec cannot fail.
            gzip.write_all(bytes).and_then(|()| gzip.finish()).unwrap_or_default()
        }
        Compression::Zstd => {
            let mut packed = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
            match zstd_safe::compress(&mut packed, bytes, 19) {
                Ok(_) => packed,
                // An initramfs that is not packed boots as well.
                Err(_) => bytes.to_vec(),
            }
        }
    }
}

//! Writing an image to a disk while it is downloaded, and looking at one without writing it.

mod gate;
mod pipeline;
mod readback;

use std::time::{Duration, Instant};

use gate::Gate;
use pipeline::{Layout, Pipeline};
use readback::WrittenSums;

use crate::checksum::Checksum;
use crate::error::{Error, Result};
use crate::format::{Content, Format, SNIFF_LENGTH, admit, detect};
use crate::qcow2::map::Map;
use crate::source::ImageSource;
use crate::target::Target;

/// What [`write_image`] is asked for.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// The format that the image is declared to have (Glance's `disk_format`). `None`: by content alone.
    pub format: Option<Format>,
    /// Formats that may be written (Ironic's `permitted_image_formats`). Raw permits gpt too.
    pub permitted: Vec<Format>,
    /// The checksum of the image file, not of what it expands to. `None`: nothing vouches for the image.
    pub checksum: Option<Checksum>,
    /// Whether to read the disk back afterwards and compare.
    pub verify: bool,
    /// Says that the target reads as zeros everywhere (a fresh file), so that holes need no writing. Never for a disk.
    pub is_target_zeroed: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            format: None,
            permitted: Format::ALL.to_vec(),
            checksum: None,
            verify: false,
            is_target_zeroed: false,
        }
    }
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reading, hashing and writing the image. Bytes of the image file.
    Writing,
    /// Waiting for the disk to have it all.
    Syncing,
    /// Reading the disk back. Bytes of the disk.
    Verifying,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Bytes done in this phase.
    pub done: u64,
    /// Bytes to do in this phase, if known.
    pub total: Option<u64>,
}

/// What was done.
#[derive(Debug, Clone)]
pub struct Report {
    /// The image's format by its content.
    pub format: Format,
    /// Length of the image file, in bytes.
    pub image_bytes: u64,
    /// Bytes of the disk that the image stands for; the rest of the disk was left alone, save for its last MiB.
    pub virtual_bytes: u64,
    /// Bytes that went through memory to the disk.
    pub written_bytes: u64,
    /// Bytes that were made zero without moving them.
    pub zeroed_bytes: u64,
    /// Checksum of the image file, if one was asked for; it matched.
    pub checksum: Option<Checksum>,
    /// Whether the disk was read back and compared.
    pub is_verified: bool,
    /// Time until the last byte was handed to the disk.
    pub write_time: Duration,
    /// Time for the disk to have it all.
    pub sync_time: Duration,
    /// Time for reading back.
    pub verify_time: Duration,
}

/// What an image is, by its content and metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageInfo {
    /// Format by content.
    pub format: Format,
    /// Bytes of a disk that it stands for, if known before reading it all.
    pub virtual_bytes: Option<u64>,
    /// Length of the image file, if known.
    pub image_bytes: Option<u64>,
}

/// Looks at an image's content and, for qcow2, all its metadata, without writing it anywhere. Errors: as
/// [`write_image`]'s for images that would be refused.
pub fn inspect_image(
    source: &mut dyn ImageSource,
    declared: Option<Format>,
    permitted: &[Format],
) -> Result<ImageInfo> {
    let head = read_head(source)?;
    let format = admit(detect(&head), declared, permitted)?;
    let image_bytes = source.size();
    let virtual_bytes = match format {
        Format::Qcow2 => Some(Map::read(source, &head, None)?.header.virtual_size),
        _ => image_bytes,
    };
    Ok(ImageInfo { format, virtual_bytes, image_bytes })
}

/// Writes an image to a disk in one pass over the image file.
///
/// Afterwards the disk's first `virtual_bytes` are exactly the image's content, holes included, and on stable storage.
/// Until the checksum has matched (and, with `verify`, the disk has been read back) the first and the last MiB of the disk
/// are zeros, so that after any error, or a power cut, there is nothing that firmware would boot.
///
/// `progress` is called on the calling thread after every few MiB. Threads are used within the call only.
/// Errors: see [`Error`]; every one leaves the disk unbootable once writing had begun; errors about the image's format,
/// metadata or size come before the disk is touched.
pub fn write_image(
    source: &mut dyn ImageSource,
    target: &dyn Target,
    options: &WriteOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report> {
    let is_declared_flat = !matches!(options.format, None | Some(Format::Qcow2));
    let layout = match read_head(source) {
        Ok(head) => match admit(detect(&head), options.format, &options.permitted)? {
            Format::Qcow2 => Layout::Mapped(Map::read(source, &head, Some(target.size()))?),
            _ => flat_layout(source, target)?,
        },
        // A server without range requests can still stream what needs no map; its first bytes are looked at then.
        Err(Error::Source { source: e, .. })
            if is_declared_flat && e.kind() == std::io::ErrorKind::Unsupported =>
        {
            flat_layout(source, target)?
        }
        Err(e) => return Err(e),
    };
    Write { target, options, progress }.run(source, layout)
}

fn flat_layout(source: &dyn ImageSource, target: &dyn Target) -> Result<Layout> {
    match source.size() {
        Some(image_bytes) if image_bytes > target.size() => {
            Err(Error::TooLarge { image_bytes, disk_bytes: target.size() })
        }
        _ => Ok(Layout::Flat),
    }
}

fn read_head(source: &mut dyn ImageSource) -> Result<Vec<u8>> {
    let length = source.size().map_or(SNIFF_LENGTH as u64, |s| s.min(SNIFF_LENGTH as u64));
    let mut head = vec![0; length as usize];
    source.read_at(0, &mut head).map_err(|source| Error::Source { offset: 0, source })?;
    Ok(head)
}

/// One write, from the wiped edges to the opened gate.
struct Write<'a> {
    target: &'a dyn Target,
    options: &'a WriteOptions,
    progress: &'a mut dyn FnMut(Progress),
}

impl Write<'_> {
    fn run(mut self, source: &mut dyn ImageSource, mut layout: Layout) -> Result<Report> {
        let gate = Gate::close(self.target)?;
        let result = self.write(source, &mut layout, &gate);
        if result.is_err() {
            gate.leave_closed();
        }
        result
    }

    fn write(
        &mut self,
        source: &mut dyn ImageSource,
        layout: &mut Layout,
        gate: &Gate<'_>,
    ) -> Result<Report> {
        let started = Instant::now();
        let sums = self.options.verify.then(|| WrittenSums::new(layout, self.target.size()));
        let mut pipeline =
            Pipeline { gate, sums: sums.as_ref(), options: self.options, progress: self.progress };
        let written = pipeline.run(source, layout)?;
        let write_time = started.elapsed();
        if let (Some(expected), Some(actual)) = (&self.options.checksum, &written.checksum)
            && expected != actual
        {
            return Err(Error::Checksum {
                algorithm: expected.algorithm(),
                expected: expected.clone(),
                actual: actual.clone(),
                bytes: written.image_bytes,
            });
        }
        (self.progress)(Progress { phase: Phase::Syncing, done: 0, total: None });
        let synced = Instant::now();
        gate.sync()?;
        let mut sync_time = synced.elapsed();
        let verified = Instant::now();
        if let Some(sums) = &sums {
            sums.verify(gate, layout, written.virtual_bytes, self.progress)?;
        }
        let verify_time = verified.elapsed();
        let opened = Instant::now();
        gate.open(self.options.verify)?;
        sync_time += opened.elapsed();
        Ok(Report {
            format: written.format,
            image_bytes: written.image_bytes,
            virtual_bytes: written.virtual_bytes,
            written_bytes: written.written_bytes,
            zeroed_bytes: written.zeroed_bytes,
            checksum: written.checksum,
            is_verified: sums.is_some(),
            write_time,
            sync_time,
            verify_time,
        })
    }
}

/// Looks at the first bytes of a flat image as they pass by. These are the bytes that are hashed and written, so this is
/// the look that counts.
fn admit_flat(head: &[u8], options: &WriteOptions) -> Result<Format> {
    let content = detect(&head[..head.len().min(SNIFF_LENGTH)]);
    let format = admit(content, options.format, &options.permitted)?;
    if content == Content::Known(Format::Qcow2) {
        return Err(Error::Changed { offset: 0 });
    }
    Ok(format)
}

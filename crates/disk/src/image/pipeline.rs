//! The one pass: read, hash and write at the same time, in bounded memory.
//!
//! ```text
//!  calling thread: source ─► chunk ─┬─► hasher thread (in order)
//!                  plans its pieces └─► writer threads: copy or inflate ─► gate ─► disk
//! ```
//! Chunks come from a pool of [`CHUNKS`] and go back to it when the last thread lets go of them, so that the slowest stage
//! paces the reader and no channel needs a bound of its own. Hashing and writing overlap; with two cores both are busy.
//!
//! Memory: pool 8 MiB; a writer's output at most 2 MiB (4 writers); compressed clusters over a chunk's edge at most 4 MiB a
//! chunk; the map (`qcow2/map.rs`) at most 22 MiB.

use std::borrow::Cow;
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::gate::Gate;
use super::readback::WrittenSums;
use super::{Phase, Progress, WriteOptions, admit_flat};
use crate::checksum::{Checksum, Hasher};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::qcow2::cluster::Inflater;
use crate::qcow2::map::{Map, Stretch, Witness};
use crate::source::ImageSource;

/// A multiple of all block and cluster sizes, large enough that system calls don't count.
const CHUNK: usize = 2 << 20;
const CHUNKS: usize = 4;
/// Zeros shorter than this are written: a command to the device costs more.
const ZERO_RUN: usize = 64 << 10;
/// Inflated clusters that follow each other on the disk are written together up to this size.
const GATHER: usize = 1 << 20;
/// Runs of at least this size go to the device at once, while the next ones are hashed; smaller ones aren't worth the call.
const EARLY_SYNC: usize = 512 << 10;
const MAX_WRITERS: usize = 4;

/// How the image's bytes are placed on the disk.
pub(super) enum Layout {
    /// As they come.
    Flat,
    /// By a map.
    Mapped(Map),
}

/// What came of the pass.
pub(super) struct Written {
    pub format: Format,
    pub image_bytes: u64,
    pub virtual_bytes: u64,
    pub written_bytes: u64,
    pub zeroed_bytes: u64,
    pub checksum: Option<Checksum>,
}

pub(super) struct Pipeline<'a> {
    pub gate: &'a Gate<'a>,
    pub sums: Option<&'a WrittenSums>,
    pub options: &'a WriteOptions,
    pub progress: &'a mut dyn FnMut(Progress),
}

/// A stretch of the image file in a pooled buffer.
struct Chunk {
    data: Vec<u8>,
    pool: SyncSender<Vec<u8>>,
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // Nobody takes it after the pass; then it is just freed.
        let _ = self.pool.try_send(std::mem::take(&mut self.data));
    }
}

/// Something to do with bytes of a chunk.
struct Job {
    chunk: Arc<Chunk>,
    pieces: Vec<Piece>,
}

struct Piece {
    bytes: Bytes,
    /// Place in the image file, for errors.
    host: u64,
    guest: u64,
    guest_length: u64,
    is_compressed: bool,
}

enum Bytes {
    InChunk(Range<usize>),
    /// Began in an earlier chunk.
    Carried(Vec<u8>),
}

impl Pipeline<'_> {
    pub(super) fn run(&mut self, source: &mut dyn ImageSource, layout: &mut Layout) -> Result<Written> {
        let sink = Sink {
            gate: self.gate,
            sums: self.sums,
            is_target_zeroed: self.options.is_target_zeroed,
            has_failed: AtomicBool::new(false),
            written: AtomicU64::new(0),
            zeroed: AtomicU64::new(0),
        };
        if let Layout::Mapped(map) = layout {
            sink.zero_holes(map)?;
        }
        let mut plan = match layout {
            Layout::Flat => Plan::Flat { format: None },
            Layout::Mapped(map) => {
                Plan::Mapped { map, witness: map.witness(), index: 0, carry: Carry::default() }
            }
        };
        let writers = thread::available_parallelism().map_or(2, |n| n.get().clamp(2, MAX_WRITERS));
        let (image_bytes, checksum) = thread::scope(|scope| {
            let (to_hasher, from_reader) = sync_channel::<Arc<Chunk>>(CHUNKS);
            let hasher = self.options.checksum.as_ref().map(|c| {
                let mut hasher = Hasher::new(c.algorithm());
                scope.spawn(move || {
                    for chunk in from_reader {
                        hasher.update(&chunk.data);
                    }
                    hasher.finish()
                })
            });
            let to_hasher = hasher.is_some().then_some(to_hasher);
            let (to_writers, jobs) = sync_channel::<Job>(CHUNKS);
            let jobs = Arc::new(Mutex::new(jobs));
            let writers: Vec<_> = (0..writers)
                .map(|_| {
                    let (jobs, sink, gathered) = (Arc::clone(&jobs), &sink, plan.map().map(Gathered::new));
                    scope.spawn(move || sink.work(&jobs, gathered))
                })
                .collect();
            drop(jobs);
            let pipes = Pipes { to_hasher, to_writers, has_failed: &sink.has_failed };
            let outcome = self.read(source, &mut plan, &pipes);
            drop(pipes);
            let mut result = Ok(());
            for writer in writers {
                result = result.and(writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            let checksum = hasher.map(|h| h.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            // A writer's error is why the reader stopped.
            result?;
            Ok((outcome?, checksum))
        })?;
        let (format, virtual_bytes) = match plan {
            Plan::Flat { format, .. } => (format.unwrap_or(Format::Raw), image_bytes),
            Plan::Mapped { map, .. } => (Format::Qcow2, map.header.virtual_size),
        };
        Ok(Written {
            format,
            image_bytes,
            virtual_bytes,
            written_bytes: sink.written.into_inner(),
            zeroed_bytes: sink.zeroed.into_inner(),
            checksum,
        })
    }

    /// Reads the image to its end. Returns its length.
    fn read(&mut self, source: &mut dyn ImageSource, plan: &mut Plan<'_>, pipes: &Pipes<'_>) -> Result<u64> {
        let size = source.size();
        let disk_bytes = self.gate.size();
        let (pool, free) = sync_channel(CHUNKS);
        let mut fresh = CHUNKS;
        let mut stream = source.stream().map_err(|source| Error::Source { offset: 0, source })?;
        let mut offset = 0;
        loop {
            let mut data = take_buffer(&free, &mut fresh);
            let at_end = fill(&mut stream, &mut data, offset)?;
            let end = offset + data.len() as u64;
            if size.is_some_and(|size| end > size) {
                return Err(Error::Changed { offset: size.unwrap_or(end) });
            }
            if let (Plan::Flat { .. }, true) = (&plan, end > disk_bytes) {
                return Err(Error::TooLarge { image_bytes: end, disk_bytes });
            }
            if !data.is_empty() {
                let chunk = Arc::new(Chunk { data, pool: pool.clone() });
                let jobs = plan.jobs(offset, &chunk, self.options)?;
                if pipes.send(chunk, jobs).is_none() {
                    // A writer is gone; the error is its to tell.
                    return Ok(offset);
                }
            }
            offset = end;
            (self.progress)(Progress { phase: Phase::Writing, done: offset, total: size });
            if at_end {
                break;
            }
        }
        match size {
            Some(expected) if offset < expected => Err(Error::Truncated { ended_at: offset, expected }),
            _ if offset == 0 => Err(Error::image("it is empty", "upload it again")),
            _ => Ok(offset),
        }
    }
}

/// Where the reader sends what it has read.
struct Pipes<'a> {
    to_hasher: Option<SyncSender<Arc<Chunk>>>,
    to_writers: SyncSender<Job>,
    has_failed: &'a AtomicBool,
}

impl Pipes<'_> {
    /// `None` if there is nobody left to work on it.
    fn send(&self, chunk: Arc<Chunk>, jobs: Vec<Job>) -> Option<()> {
        if self.has_failed.load(Ordering::Relaxed) {
            return None;
        }
        if let Some(to_hasher) = &self.to_hasher {
            to_hasher.send(chunk).ok()?;
        }
        jobs.into_iter().try_for_each(|job| self.to_writers.send(job).ok())
    }
}

fn take_buffer(free: &Receiver<Vec<u8>>, fresh: &mut usize) -> Vec<u8> {
    if *fresh > 0 {
        *fresh -= 1;
        return Vec::with_capacity(CHUNK);
    }
    // The pool's sender lives as long as its receiver, and every chunk sends its buffer back when it is dropped.
    free.recv().unwrap_or_default()
}

/// Fills a buffer from the stream. Returns whether the stream has ended.
fn fill(stream: &mut dyn Read, data: &mut Vec<u8>, offset: u64) -> Result<bool> {
    data.resize(CHUNK, 0);
    let mut filled = 0;
    while filled < CHUNK {
        match stream.read(&mut data[filled..]) {
            Ok(0) => {
                data.truncate(filled);
                return Ok(true);
            }
            Ok(n) => filled += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::Source { offset: offset + filled as u64, source }),
        }
    }
    Ok(false)
}

/// Says what is to be done with each chunk.
enum Plan<'m> {
    Flat { format: Option<Format> },
    Mapped { map: &'m Map, witness: Witness<'m>, index: usize, carry: Carry },
}

/// The beginning of a compressed cluster that goes on in the next chunk.
#[derive(Default)]
struct Carry {
    start: u64,
    data: Vec<u8>,
}

impl Carry {
    /// Bytes from `start`, which may be in here, up to `end` in the chunk at `offset`.
    fn join<'c>(&self, start: u64, end: u64, offset: u64, chunk: &'c [u8]) -> Cow<'c, [u8]> {
        if start >= offset {
            return Cow::Borrowed(&chunk[(start - offset) as usize..(end - offset) as usize]);
        }
        let mut joined = self.data[(start - self.start) as usize..].to_vec();
        joined.extend_from_slice(&chunk[..(end - offset) as usize]);
        Cow::Owned(joined)
    }
}

impl<'m> Plan<'m> {
    fn map(&self) -> Option<&'m Map> {
        match self {
            Self::Flat { .. } => None,
            Self::Mapped { map, .. } => Some(map),
        }
    }

    fn jobs(&mut self, offset: u64, chunk: &Arc<Chunk>, options: &WriteOptions) -> Result<Vec<Job>> {
        match self {
            Self::Flat { format } => {
                if offset == 0 {
                    *format = Some(admit_flat(&chunk.data, options)?);
                }
                let piece = Piece {
                    bytes: Bytes::InChunk(0..chunk.data.len()),
                    host: offset,
                    guest: offset,
                    guest_length: chunk.data.len() as u64,
                    is_compressed: false,
                };
                Ok(vec![Job { chunk: Arc::clone(chunk), pieces: vec![piece] }])
            }
            Self::Mapped { map, witness, index, carry } => {
                witness.see(offset, &chunk.data)?;
                Ok(mapped_jobs(map, index, carry, offset, chunk))
            }
        }
    }
}

/// Cuts a chunk into the pieces that the map has for it, and these into jobs that are worth a thread's while.
fn mapped_jobs(map: &Map, index: &mut usize, carry: &mut Carry, offset: u64, chunk: &Arc<Chunk>) -> Vec<Job> {
    let data = &chunk.data;
    let end = offset + data.len() as u64;
    let mut jobs = Vec::new();
    let mut pieces = Vec::new();
    let mut gathered = 0;
    let mut open = None;
    while let Some(stretch) = map.get(*index).filter(|s| s.host < end) {
        let stretch_end = stretch.host + stretch.host_length;
        if stretch.is_compressed && stretch_end > end {
            open = Some(stretch.host);
            break;
        }
        let piece = if stretch.is_compressed {
            let bytes = match carry.join(stretch.host, stretch_end, offset, data) {
                Cow::Owned(joined) => Bytes::Carried(joined),
                Cow::Borrowed(_) => {
                    Bytes::InChunk((stretch.host - offset) as usize..(stretch_end - offset) as usize)
                }
            };
            Piece::new(bytes, &stretch, stretch.guest, stretch.guest_length)
        } else {
            let (from, to) = (stretch.host.max(offset), stretch_end.min(end));
            let range = (from - offset) as usize..(to - offset) as usize;
            Piece::new(Bytes::InChunk(range), &stretch, stretch.guest + (from - stretch.host), to - from)
        };
        gathered += piece.guest_length;
        pieces.push(piece);
        if gathered >= GATHER as u64 {
            jobs.push(Job { chunk: Arc::clone(chunk), pieces: std::mem::take(&mut pieces) });
            gathered = 0;
        }
        if stretch_end > end {
            break;
        }
        *index += 1;
    }
    if !pieces.is_empty() {
        jobs.push(Job { chunk: Arc::clone(chunk), pieces });
    }
    *carry = match open {
        Some(start) => Carry { start, data: carry.join(start, end, offset, data).into_owned() },
        None => Carry::default(),
    };
    jobs
}

impl Piece {
    fn new(bytes: Bytes, stretch: &Stretch, guest: u64, guest_length: u64) -> Self {
        Self { bytes, host: stretch.host, guest, guest_length, is_compressed: stretch.is_compressed }
    }
}

/// The end of the pipe, shared by the writers.
struct Sink<'a> {
    gate: &'a Gate<'a>,
    sums: Option<&'a WrittenSums>,
    is_target_zeroed: bool,
    /// A writer gave up: reading on is of no use.
    has_failed: AtomicBool,
    written: AtomicU64,
    zeroed: AtomicU64,
}

/// A writer's own memory: its decompressor, and inflated clusters that wait to be written together.
struct Gathered {
    inflater: Inflater,
    cluster_size: usize,
    guest: u64,
    filled: usize,
    data: Vec<u8>,
}

impl Gathered {
    fn new(map: &Map) -> Self {
        let cluster_size = map.header.cluster_size() as usize;
        let inflater = Inflater::new(map.header.compression);
        Self { inflater, cluster_size, guest: 0, filled: 0, data: vec![0; GATHER.max(cluster_size)] }
    }

    fn has_room_at(&self, guest: u64) -> bool {
        self.guest + self.filled as u64 == guest && self.filled + self.cluster_size <= self.data.len()
    }
}

impl Sink<'_> {
    /// A writer's life: takes jobs until there are none.
    fn work(&self, jobs: &Mutex<Receiver<Job>>, mut gathered: Option<Gathered>) -> Result<()> {
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else { return Ok(()) };
            let result = self.do_job(&job, gathered.as_mut());
            if result.is_err() {
                self.has_failed.store(true, Ordering::Relaxed);
                return result;
            }
        }
    }

    fn do_job(&self, job: &Job, mut gathered: Option<&mut Gathered>) -> Result<()> {
        for piece in &job.pieces {
            let bytes = match &piece.bytes {
                Bytes::InChunk(range) => &job.chunk.data[range.clone()],
                Bytes::Carried(data) => data,
            };
            match gathered.as_deref_mut() {
                Some(gathered) if piece.is_compressed => self.inflate(piece, bytes, gathered)?,
                _ => self.write(piece.guest, bytes)?,
            }
        }
        gathered.map_or(Ok(()), |gathered| self.flush(gathered))
    }

    fn inflate(&self, piece: &Piece, bytes: &[u8], gathered: &mut Gathered) -> Result<()> {
        if !gathered.has_room_at(piece.guest) {
            self.flush(gathered)?;
            gathered.guest = piece.guest;
        }
        let out = &mut gathered.data[gathered.filled..gathered.filled + gathered.cluster_size];
        gathered.inflater.inflate(piece.host, bytes, out)?;
        gathered.filled += piece.guest_length as usize;
        Ok(())
    }

    fn flush(&self, gathered: &mut Gathered) -> Result<()> {
        let filled = std::mem::take(&mut gathered.filled);
        self.write(gathered.guest, &gathered.data[..filled])
    }

    /// Writes data, leaving out the zeros in it where that is worth it.
    fn write(&self, guest: u64, data: &[u8]) -> Result<()> {
        if let Some(sums) = self.sums {
            sums.add(guest, data);
        }
        let mut rest = data;
        let mut at = guest;
        while !rest.is_empty() {
            let (length, is_hole) = zero_run(at, rest);
            let (run, after) = rest.split_at(length);
            if is_hole {
                self.zero(at, length as u64)?;
            } else {
                self.gate.write_at(at, run)?;
                if length >= EARLY_SYNC {
                    self.gate.start_sync(at, length as u64);
                }
                self.written.fetch_add(length as u64, Ordering::Relaxed);
            }
            at += length as u64;
            rest = after;
        }
        Ok(())
    }

    fn zero(&self, guest: u64, length: u64) -> Result<()> {
        self.zeroed.fetch_add(length, Ordering::Relaxed);
        if self.is_target_zeroed { Ok(()) } else { self.gate.zero(guest, length) }
    }

    /// Zeroes what the image has no data for. The disk may hold an older system's.
    fn zero_holes(&self, map: &mut Map) -> Result<()> {
        map.sort_by_guest();
        let mut at = 0;
        let mut index = 0;
        while let Some(stretch) = map.get(index) {
            if stretch.guest > at {
                self.zero(at, stretch.guest - at)?;
            }
            at = stretch.guest + stretch.guest_length;
            index += 1;
        }
        let size = map.header.virtual_size;
        if at < size {
            self.zero(at, size - at)?;
        }
        map.sort_by_host();
        Ok(())
    }
}

/// How many of the first bytes of `data`, which go to `at`, are alike: blocks of zeros, or blocks that are not.
fn zero_run(at: u64, data: &[u8]) -> (usize, bool) {
    let mut length = 0;
    let mut is_hole = None;
    while length < data.len() {
        let to_boundary = ZERO_RUN - ((at + length as u64) % ZERO_RUN as u64) as usize;
        let block = &data[length..data.len().min(length + to_boundary)];
        let is_this_zero = block.len() == ZERO_RUN && is_zero(block);
        if *is_hole.get_or_insert(is_this_zero) != is_this_zero {
            break;
        }
        length += block.len();
    }
    (length, is_hole.unwrap_or(false))
}

/// Whether all bytes are zero. Comparing the slice with itself, one byte on, is `memcmp`: vectorised in every build, and done
/// at the first byte that isn't.
pub(super) fn is_zero(data: &[u8]) -> bool {
    match data {
        [] => true,
        [first, rest @ ..] => *first == 0 && rest == &data[..rest.len()],
    }
}

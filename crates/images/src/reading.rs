//! Bytes on their way out.

use bytes::Bytes;
use futures_util::Stream;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes that are read at once.
const PIECE: u64 = 256 << 10;

/// A stretch of stored bytes as a stream of pieces. Ends with an error where fewer bytes are there than were promised.
pub struct Reading {
    length: u64,
    source: Source,
}

enum Source {
    File(FileReading),
    #[cfg(feature = "s3")]
    Object(Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>),
}

impl Reading {
    pub(crate) fn file(file: File, offset: u64, length: u64) -> Self {
        // Hint only: the kernel reads further ahead.
        let _ = rustix::fs::fadvise(
            &file,
            offset,
            std::num::NonZeroU64::new(length),
            rustix::fs::Advice::Sequential,
        );
        let source = FileReading { file: Arc::new(file), at: offset, end: offset + length, work: None };
        Self { length, source: Source::File(source) }
    }

    #[cfg(feature = "s3")]
    pub(crate) fn object(
        length: u64,
        stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Self {
        Self { length, source: Source::Object(Box::pin(stream)) }
    }

    /// Bytes in all.
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl Stream for Reading {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.source {
            Source::File(file) => file.poll_next(context),
            #[cfg(feature = "s3")]
            Source::Object(stream) => stream.as_mut().poll_next(context),
        }
    }
}

/// Reads a piece ahead of what is asked for.
struct FileReading {
    file: Arc<File>,
    at: u64,
    end: u64,
    work: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileReading {
    fn read_ahead(&mut self) {
        if self.at >= self.end {
            return;
        }
        let (file, at) = (Arc::clone(&self.file), self.at);
        let length = PIECE.min(self.end - at);
        self.at += length;
        self.work = Some(spawn_blocking(move || {
            let mut piece = vec![0; length as usize];
            file.read_exact_at(&mut piece, at)?;
            Ok(piece.into())
        }));
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.work.is_none() {
            self.read_ahead();
        }
        let Some(work) = &mut self.work else { return Poll::Ready(None) };
        let outcome = match Pin::new(work).poll(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(outcome)) => outcome,
            Poll::Ready(Err(error)) => Err(io::Error::other(error)),
        };
        self.work = None;
        if outcome.is_ok() {
            self.read_ahead();
        } else {
            self.at = self.end;
        }
        Poll::Ready(Some(outcome))
    }
}

//! Bytes on their way in.

use crate::directory::NewFile;
use crate::error::{Result, StorageError};
use crate::hashing::Hashing;
#[cfg(feature = "s3")]
use crate::s3::NewObject;
use bytes::Bytes;
use disk::Algorithm;
use std::sync::Arc;

/// Bytes that are hashed and written at once: enough that handing them to a thread costs nothing beside the work.
const BATCH: usize = 2 << 20;
/// Pieces in a batch, however small they are: they are counted by what they hold, and each costs some memory of its own.
const BATCH_PIECES: usize = 4096;

/// What an upload came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Bytes.
    pub size: u64,
    /// The digests that were asked for, in hexadecimal.
    pub digests: Vec<(Algorithm, String)>,
}

impl Stored {
    /// One of the digests.
    pub fn digest(&self, algorithm: Algorithm) -> Option<&str> {
        self.digests.iter().find(|(its, _)| *its == algorithm).map(|(_, digest)| digest.as_str())
    }
}

/// An upload under way. Dropped before [`Upload::finish`], it leaves nothing behind.
pub struct Upload {
    sink: Sink,
    hashings: Vec<Hashing>,
    batch: Vec<Bytes>,
    batch_bytes: usize,
    size: u64,
    limit: u64,
}

/// Where the bytes go.
pub(crate) enum Sink {
    File(NewFile),
    #[cfg(feature = "s3")]
    Object(NewObject),
}

impl Upload {
    pub(crate) fn new(sink: Sink, algorithms: &[Algorithm], limit: u64) -> Self {
        Self {
            sink,
            hashings: algorithms.iter().map(|algorithm| Hashing::new(*algorithm)).collect(),
            batch: Vec::new(),
            batch_bytes: 0,
            size: 0,
            limit,
        }
    }

    /// Bytes that came so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next bytes; returns when there is room for more. After an error the upload is of no use any more.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size > self.limit {
            return Err(StorageError::TooLarge { limit: self.limit });
        }
        self.batch_bytes += bytes.len();
        self.batch.push(bytes);
        if self.batch_bytes >= BATCH || self.batch.len() >= BATCH_PIECES {
            self.pass_on().await?;
        }
        Ok(())
    }

    /// Gives the bytes their name, once all of them are on stable storage.
    pub async fn finish(mut self) -> Result<Stored> {
        self.pass_on().await?;
        let mut digests = Vec::with_capacity(self.hashings.len());
        for hashing in self.hashings {
            digests.push(hashing.finish().await?);
        }
        match self.sink {
            Sink::File(file) => file.finish().await?,
            #[cfg(feature = "s3")]
            Sink::Object(object) => object.finish().await?,
        }
        Ok(Stored { size: self.size, digests })
    }

    async fn pass_on(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch: Arc<[Bytes]> = std::mem::take(&mut self.batch).into();
        self.batch_bytes = 0;
        for hashing in &mut self.hashings {
            hashing.update(Arc::clone(&batch)).await?;
        }
        match &mut self.sink {
            Sink::File(file) => file.write(batch).await,
            #[cfg(feature = "s3")]
            Sink::Object(object) => object.write(batch).await,
        }
    }
}

//! Bytes on their way in.

use crate::batch::{Batch, Pool};
use crate::directory::NewFile;
use crate::error::{Result, StorageError};
use crate::line::Line;
#[cfg(feature = "s3")]
use crate::s3::NewObject;
use bytes::Bytes;
use disk::{Algorithm, Hasher};
use std::sync::Arc;

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
    hashings: Vec<(Algorithm, Line<Hasher>)>,
    pool: Arc<Pool>,
    batch: Option<Batch>,
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
    /// `pool` is the one that the sink's line has.
    pub(crate) fn new(sink: Sink, pool: Arc<Pool>, algorithms: &[Algorithm], limit: u64) -> Self {
        let hashing =
            |algorithm: &Algorithm| (*algorithm, Line::new(Hasher::new(*algorithm), Arc::clone(&pool)));
        let hashings = algorithms.iter().map(hashing).collect();
        Self { sink, hashings, pool, batch: None, size: 0, limit }
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
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let mut batch = match self.batch.take() {
                Some(batch) => batch,
                None => match self.pool.batch().await {
                    Some(batch) => batch,
                    None => return Err(self.failure().await),
                },
            };
            rest = batch.fill(rest);
            if batch.is_full() {
                self.pass_on(batch).await?;
            } else {
                self.batch = Some(batch);
            }
        }
        Ok(())
    }

    /// Gives the bytes their name, once all of them are on stable storage.
    pub async fn finish(mut self) -> Result<Stored> {
        if let Some(batch) = self.batch.take() {
            self.pass_on(batch).await?;
        }
        // Before the digests, which may take longer.
        if let Sink::File(file) = &mut self.sink {
            file.sync().await?;
        }
        let mut digests = Vec::with_capacity(self.hashings.len());
        for (algorithm, mut line) in self.hashings {
            let hasher = line.finish("computing a digest").await?;
            digests.push((algorithm, hasher.finish().to_string()));
        }
        match self.sink {
            Sink::File(file) => file.finish().await?,
            #[cfg(feature = "s3")]
            Sink::Object(object) => object.finish().await?,
        }
        Ok(Stored { size: self.size, digests })
    }

    async fn pass_on(&mut self, batch: Batch) -> Result<()> {
        let batch = Arc::new(batch);
        for (_, line) in &mut self.hashings {
            line.push(Arc::clone(&batch));
        }
        match &mut self.sink {
            Sink::File(file) => {
                file.write(batch);
                Ok(())
            }
            #[cfg(feature = "s3")]
            Sink::Object(object) => object.write(&batch).await,
        }
    }

    /// Why there are no batches any more.
    async fn failure(&mut self) -> StorageError {
        let lost = || StorageError::lost("taking an upload in");
        match &mut self.sink {
            Sink::File(file) => file.sync().await.err().unwrap_or_else(lost),
            #[cfg(feature = "s3")]
            Sink::Object(_) => lost(),
        }
    }
}

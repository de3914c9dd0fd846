//! Digests of bytes that pass by, each on a thread of its own.

use crate::error::{Result, StorageError};
use bytes::Bytes;
use disk::{Algorithm, Hasher};
use std::sync::Arc;
use tokio::task::{JoinHandle, spawn_blocking};

const ATTEMPT: &str = "computing a digest";

/// One digest that is being computed. At most one batch is in the works, so that memory stays bounded.
pub(crate) struct Hashing {
    algorithm: Algorithm,
    work: Option<JoinHandle<Hasher>>,
}

impl Hashing {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, work: None }
    }

    /// Takes the next batch once the one before is through.
    pub(crate) async fn update(&mut self, batch: Arc<[Bytes]>) -> Result<()> {
        let mut hasher = self.state().await?;
        self.work = Some(spawn_blocking(move || {
            batch.iter().for_each(|bytes| hasher.update(bytes));
            hasher
        }));
        Ok(())
    }

    /// The digest in hexadecimal.
    pub(crate) async fn finish(mut self) -> Result<(Algorithm, String)> {
        Ok((self.algorithm, self.state().await?.finish().to_string()))
    }

    async fn state(&mut self) -> Result<Hasher> {
        match self.work.take() {
            Some(work) => work.await.map_err(|_| StorageError::lost(ATTEMPT)),
            None => Ok(Hasher::new(self.algorithm)),
        }
    }
}

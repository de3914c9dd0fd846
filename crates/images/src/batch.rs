//! The memory of an upload: batches of bytes, of which there are only so many.
//!
//! Bytes are copied out of the pieces in which they come. That is cheaper than to keep the pieces: whoever reads from the network has
//! its buffer back at once and reads into warm memory again, where it would ask the kernel for fresh pages otherwise; and an upload's
//! memory is bounded by what is counted here, however small its pieces are.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that are hashed and written at once: enough that handing them to a thread costs nothing beside the work.
pub(crate) const BATCH: usize = 1 << 20;
/// Batches of one upload that are filled, hashed and written at a time.
const BATCHES: usize = 6;

/// Where batches come from and go back to.
pub(crate) struct Pool {
    room: Arc<Semaphore>,
    free: Mutex<Vec<Vec<u8>>>,
}

impl Pool {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { room: Arc::new(Semaphore::new(BATCHES)), free: Mutex::new(Vec::new()) })
    }

    /// An empty batch, as soon as there is one. None once the pool is closed.
    pub(crate) async fn batch(self: &Arc<Self>) -> Option<Batch> {
        let room = Arc::clone(&self.room).acquire_owned().await.ok()?;
        let used = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = used.unwrap_or_else(|| Vec::with_capacity(BATCH));
        Some(Batch { bytes, pool: Arc::clone(self), _room: room })
    }

    /// Nobody gets a batch any more: what is done with them has failed.
    pub(crate) fn close(&self) {
        self.room.close();
    }
}

/// Bytes that came one after another.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    pool: Arc<Pool>,
    _room: OwnedSemaphorePermit,
}

impl Batch {
    /// Takes what it has room for, and returns the rest.
    pub(crate) fn fill<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (now, later) = bytes.split_at(bytes.len().min(BATCH - self.bytes.len()));
        self.bytes.extend_from_slice(now);
        later
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() == BATCH
    }
}

impl Deref for Batch {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

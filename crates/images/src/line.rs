//! Work on the batches of an upload, in their order: each line on a thread of its own, so that digests and writing go on at the same time.
//!
//! A thread is held only while batches are waiting; a slow sender costs none.

use crate::batch::{Batch, Pool};
use crate::error::{Result, StorageError};
use disk::Hasher;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::{JoinHandle, spawn_blocking};

/// What is done with each batch.
pub(crate) trait Work: Send + 'static {
    /// Takes the next bytes. False where it makes no sense to go on.
    fn take(&mut self, bytes: &[u8]) -> bool;
}

impl Work for Hasher {
    fn take(&mut self, bytes: &[u8]) -> bool {
        self.update(bytes);
        true
    }
}

/// Batches that wait for a work. They are bounded by the pool that they come from.
pub(crate) struct Line<W> {
    state: Arc<Mutex<State<W>>>,
    pool: Arc<Pool>,
    runs: Option<JoinHandle<()>>,
}

struct State<W> {
    waiting: VecDeque<Arc<Batch>>,
    /// The work, while no thread has it.
    idle: Option<W>,
}

impl<W: Work> Line<W> {
    pub(crate) fn new(work: W, pool: Arc<Pool>) -> Self {
        let state = State { waiting: VecDeque::new(), idle: Some(work) };
        Self { state: Arc::new(Mutex::new(state)), pool, runs: None }
    }

    /// Queues a batch.
    pub(crate) fn push(&mut self, batch: Arc<Batch>) {
        let mut state = lock(&self.state);
        state.waiting.push_back(batch);
        let Some(mut work) = state.idle.take() else { return };
        drop(state);
        let state = Arc::clone(&self.state);
        let closing = CloseUnlessDone { pool: Arc::clone(&self.pool), is_done: false };
        self.runs = Some(spawn_blocking(move || {
            loop {
                let mut now = lock(&state);
                let Some(batch) = now.waiting.pop_front() else {
                    now.idle = Some(work);
                    break;
                };
                drop(now);
                if !work.take(&batch) {
                    lock(&state).idle = Some(work);
                    return;
                }
            }
            closing.disarm();
        }));
    }

    /// The work, once all batches are through, or as it was when it failed.
    pub(crate) async fn finish(&mut self, attempt: &str) -> Result<W> {
        if let Some(run) = self.runs.take() {
            run.await.map_err(|_| StorageError::lost(attempt))?;
        }
        lock(&self.state).idle.take().ok_or_else(|| StorageError::lost(attempt))
    }
}

fn lock<W>(state: &Mutex<State<W>>) -> MutexGuard<'_, State<W>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whoever fills batches must not wait for a work that ended early.
struct CloseUnlessDone {
    pool: Arc<Pool>,
    is_done: bool,
}

impl CloseUnlessDone {
    fn disarm(mut self) {
        self.is_done = true;
    }
}

impl Drop for CloseUnlessDone {
    fn drop(&mut self) {
        if !self.is_done {
            self.pool.close();
        }
    }
}

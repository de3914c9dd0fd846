//! Holding a node for a call that by contract is synchronous.

use crate::Conductor;
use crate::request::RequestError;
use std::future::Future;
use std::time::Duration;
use store::StoreError;
use uuid::Uuid;

/// A node that is held for a moment is tried again so often before the client gets 409
/// (`[conductor] node_locked_retry_attempts` × `_interval`).
pub const LOCK_TRIES: u32 = 12;
/// Time between those tries.
pub const LOCK_PAUSE: Duration = Duration::from_millis(250);

impl Conductor {
    /// Does something while it holds the node.
    pub(crate) async fn holding<T>(
        &self,
        node: Uuid,
        work: impl Future<Output = T>,
    ) -> Result<T, RequestError> {
        let held = patiently(|| async { Ok(self.claim(node).await?) }).await?;
        let out = held.keep(work).await?;
        held.release().await?;
        Ok(out)
    }
}

/// Tries again for a moment while somebody else holds the node; at the end the caller gets what the last try said.
pub async fn patiently<T, F>(attempt: impl Fn() -> F) -> Result<T, RequestError>
where
    F: Future<Output = Result<T, RequestError>>,
{
    let mut tries = 1;
    loop {
        match attempt().await {
            Err(RequestError::Store(StoreError::Locked { .. })) if tries < LOCK_TRIES => {
                tries += 1;
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            other => return other,
        }
    }
}

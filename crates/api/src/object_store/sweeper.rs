//! Removes what has expired, and bytes that no object names.

use super::bodies;
use crate::ApiState;
use crate::cloud::CloudError;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Between two rounds. What has expired is not shown from that second on; only its bytes stay until then.
const PAUSE: Duration = Duration::from_secs(60);
/// Objects that one transaction removes.
const BATCH: i64 = 200;

/// Looks after what a dead process left: call it before requests are taken, when no body can be on its way.
pub async fn recover(state: &ApiState) -> Result<(), store::StoreError> {
    state.store.doom_object_bodies().await
}

/// Sweeps at once and then again and again, until dropped.
pub async fn run(state: Arc<ApiState>) {
    loop {
        if let Err(error) = round(&state, Timestamp::now()).await {
            tracing::warn!(%error, "expired objects could not be removed yet");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// One round: objects that have expired at `now`, then all bytes that no object names.
pub async fn round(state: &ApiState, now: Timestamp) -> Result<(), CloudError> {
    while state.store.expire_objects(now, BATCH).await? > 0 {}
    bodies::sweep(state).await
}

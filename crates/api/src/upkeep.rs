//! What one process of the site does for all of them, again and again: it removes what has expired, and puts in order what processes
//! that died left half done. Who does it is the leader ([`conductor::Conductor::is_leader`]); each step bears to be done by two.

use crate::{ApiState, image, object_store};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use store::StoreError;
use tokio_util::sync::CancellationToken;

/// Between two rounds. What has expired is not shown from that second on; only its bytes stay until then.
const PAUSE: Duration = Duration::from_secs(60);
/// Old events that one transaction removes.
const EVENTS_AT_ONCE: u64 = 1000;

/// Runs until `stop`, whenever this process leads.
pub async fn run(state: Arc<ApiState>, stop: CancellationToken) {
    loop {
        state.conductor.until_leader(&stop).await;
        if stop.is_cancelled() {
            return;
        }
        stop.run_until_cancelled(round(&state)).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn round(state: &Arc<ApiState>) {
    if let Err(error) = image::resume(state).await {
        tracing::warn!(%error, "what became of images on their way could not be put in order yet");
    }
    if let Err(error) = object_store::recover(state).await {
        tracing::warn!(%error, "objects on their way could not be looked through yet");
    }
    if let Err(error) = object_store::round(state, Timestamp::now()).await {
        tracing::warn!(%error, "expired objects could not be removed yet");
    }
    if let Err(error) = forget_events(state, Timestamp::now()).await {
        tracing::warn!(%error, "old events could not be forgotten yet");
    }
}

/// Drops what the event log has kept for as long as it should, a batch at a time, so that nobody waits for it long.
async fn forget_events(state: &Arc<ApiState>, now: Timestamp) -> Result<(), StoreError> {
    let retention = state.conductor.settings().event_retention;
    let Ok(before) = now.checked_sub(retention) else { return Ok(()) };
    while !retention.is_zero() && state.store.forget_events(before, EVENTS_AT_ONCE).await? == EVENTS_AT_ONCE {
    }
    Ok(())
}

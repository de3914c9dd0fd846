//! Removes what has expired, and bytes that no object names.

use super::bodies;
use crate::ApiState;
use crate::cloud::CloudError;
use jiff::Timestamp;

/// Objects that one transaction removes.
const BATCH: i64 = 200;

/// Looks after what processes that died left: bodies that were on their way.
pub async fn recover(state: &ApiState) -> Result<(), store::StoreError> {
    state.store.doom_object_bodies().await
}

/// One round: objects that have expired at `now`, then all bytes that no object names.
pub async fn round(state: &ApiState, now: Timestamp) -> Result<(), CloudError> {
    while state.store.expire_objects(now, BATCH).await? > 0 {}
    bodies::sweep(state).await
}

//! `GET /v1/shards`: which shards nodes are in, and how many each has.

use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::Get;
use model::version as v;
use serde_json::{Value, json};

/// Rows of the route table.
pub const ROUTES: &[Route] = &[Route::new(Get, "/v1/shards", "baremetal:shards:get", handler!(list))
    .says("Counts the nodes of each shard.")
    .query(&[])
    .since(v::SHARD)];

/// `{"shards": [{name, count}]}`; nodes without a shard are counted as shard `None`, as in Ironic.
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let shards = call.state.store.shards().await?;
    let shown: Vec<Value> = shards
        .iter()
        .map(|(name, count)| json!({"name": name.as_deref().unwrap_or("None"), "count": count}))
        .collect();
    Reply::json(&json!({"shards": shown}))
}

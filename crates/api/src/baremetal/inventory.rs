//! `GET /v1/nodes/{node}/inventory`

use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::Get;
use model::version::INVENTORY;
use serde_json::json;

/// Rows of the route table.
pub const ROUTES: &[Route] =
    &[Route::new(Get, "/v1/nodes/{node}/inventory", "baremetal:node:inventory:get", handler!(show))
        .query(&[])
        .says("Shows what the last inspection of the node found.")
        .since(INVENTORY)];

/// What the last inspection found.
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node;
    let found = call.state.store.inventory(node.uuid).await?;
    Reply::json(&json!({"inventory": found.inventory, "plugin_data": found.plugin_data}))
}

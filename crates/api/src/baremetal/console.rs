//! `/v1/nodes/{node}/states/console`: no console interface is served yet, and the answers say so in Ironic's words.

use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::{Get, Put};
use axum::http::StatusCode;
use model::node::Node;
use serde_json::json;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes/{node}/states/console", "baremetal:node:get_console", handler!(show)),
    Route::new(Put, "/v1/nodes/{node}/states/console", "baremetal:node:set_console_state", handler!(set))
        .success(StatusCode::ACCEPTED),
];

/// `GET …/console`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let node = call.node().await?.node;
    if node.console_enabled {
        return Err(unsupported(&node));
    }
    Reply::json(&json!({"console_enabled": false, "console_info": null}))
}

/// `PUT …/console {enabled}`
pub async fn set(call: Call) -> Result<Reply, ApiError> {
    let args = call.arguments()?;
    args.only(&["enabled"])?;
    args.require("enabled")?;
    args.boolean("enabled")?;
    Err(unsupported(&call.node().await?.node))
}

fn unsupported(node: &Node) -> ApiError {
    ApiError::invalid(format!(
        "Driver {} does not support console (disabled or not implemented).",
        node.driver
    ))
}

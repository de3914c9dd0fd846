//! `/v1/nodes/{node}/states/console`

use super::schema::{FLAG, Property, property};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Verb::{Get, Put};
use crate::route::{Route, Takes};
use axum::http::StatusCode;
use model::errand::Deed;
use serde_json::json;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes/{node}/states/console", "baremetal:node:get_console", handler!(show))
        .says("Shows the node's console.")
        .query(&[]),
    Route::new(Put, "/v1/nodes/{node}/states/console", "baremetal:node:set_console_state", handler!(set))
        .says("Turns the node's console on or off.")
        .takes(Takes::Arguments(CONSOLE, &["enabled"]))
        .success(StatusCode::ACCEPTED),
];

const CONSOLE: &[Property] = &[property("enabled", FLAG)];

/// `GET …/console`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node;
    let info = if node.console_enabled { Some(call.state.conductor.console(node.uuid).await?) } else { None };
    Reply::json(&json!({"console_enabled": node.console_enabled, "console_info": info}))
}

/// `PUT …/console {enabled}`: started or stopped behind the answer.
pub async fn set(call: Call) -> Result<Reply, ApiError> {
    let args = call.arguments_of(CONSOLE)?;
    args.require("enabled")?;
    let enabled = args.boolean("enabled")?.unwrap_or(false);
    let node = call.node().await?.node;
    call.state.conductor.errand(node.uuid, Deed::Console(enabled), call.caller.user.clone()).await?;
    Ok(Reply::empty().at(call.url(&format!("nodes/{}/states/console", call.parameter("node")))))
}

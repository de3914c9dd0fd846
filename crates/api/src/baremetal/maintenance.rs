//! `PUT` and `DELETE /v1/nodes/{node}/maintenance`. They work at any time: maintenance is how an operator takes a node out of the
//! conductor's hands.

use super::schema::{Property, TEXT, property};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Verb::{Delete, Put};
use crate::route::{Route, Takes};
use axum::http::StatusCode;
use model::event::{EventKind, LogEvent};
use store::{Guard, StoreError};

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Put, "/v1/nodes/{node}/maintenance", "baremetal:node:set_maintenance", handler!(set))
        .says("Takes the node out of the conductor's hands.")
        .takes(Takes::Arguments(MAINTENANCE, &[]))
        .success(StatusCode::ACCEPTED),
    Route::new(Delete, "/v1/nodes/{node}/maintenance", "baremetal:node:clear_maintenance", handler!(clear))
        .says("Gives the node back to the conductor, and clears its fault.")
        .query(&[])
        .success(StatusCode::ACCEPTED),
];

const MAINTENANCE: &[Property] = &[property("reason", TEXT)];

/// `PUT …/maintenance`, with an optional `reason`.
pub async fn set(call: Call) -> Result<Reply, ApiError> {
    let args = call.arguments_of(MAINTENANCE)?;
    let reason = args.text("reason")?.map(str::to_owned);
    change(&call, true, reason).await
}

/// `DELETE …/maintenance` also clears the fault.
pub async fn clear(call: Call) -> Result<Reply, ApiError> {
    change(&call, false, None).await
}

async fn change(call: &Call, on: bool, reason: Option<String>) -> Result<Reply, ApiError> {
    let uuid = call.node().await?.node.uuid;
    let now = call.now();
    let who = call.caller.user.as_deref().unwrap_or("anonymous");
    call.state
        .store
        .edit_node(uuid, Guard::Any, now, |edit| -> Result<(), StoreError> {
            let name = if on { "maintenance set" } else { "maintenance cleared" };
            let detail = format!("{}, by {who}", reason.as_deref().unwrap_or("no reason given"));
            edit.events.push(LogEvent::new(Some(uuid), now, EventKind::Request, name, detail));
            edit.node.maintenance = on;
            edit.node.maintenance_reason = reason;
            if !on {
                edit.node.fault = None;
            }
            Ok(())
        })
        .await?;
    Ok(Reply::empty())
}

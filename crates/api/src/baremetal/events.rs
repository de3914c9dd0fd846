//! `GET /billet/v1/nodes/{node}/events`: a node's event log, oldest first; what `why` and timelines are told from.
//!
//! Billet's own routes are versioned by their path; microversions don't apply, and names are always taken.

use super::fields::time;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::limits::EVENTS;
use crate::route::Route;
use crate::route::Verb::Get;
use serde_json::{Value, json};

/// Rows of the route table.
pub const ROUTES: &[Route] =
    &[Route::new(Get, "/billet/v1/nodes/{node}/events", "billet:node:events", handler!(list))
        .says("Lists what happened to the node, oldest first.")
        .query(&["limit"])];

/// `{"events": [{at, duration_us, kind, name, ok, detail}]}`: the newest `limit`, oldest first; `request_id` is that of the request which
/// asked for the node's last work, as the lines of the log have it.
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let limit = match call.query.integer("limit")? {
        None => EVENTS,
        Some(limit) if limit <= 0 => return Err(ApiError::invalid("Limit must be positive")),
        Some(limit) => limit.min(EVENTS),
    };
    let node = call.node().await?.node;
    let events = call.state.store.events(node.uuid, limit).await?;
    let shown: Vec<Value> = events
        .iter()
        .map(|event| {
            json!({
                "at": time(event.at),
                "duration_us": event.duration_us,
                "kind": event.kind,
                "name": event.name,
                "ok": event.ok,
                "detail": event.detail,
            })
        })
        .collect();
    let request = node.origin.map(|origin| origin.request_id);
    Reply::json(&json!({"node_uuid": node.uuid, "request_id": request, "events": shown}))
}

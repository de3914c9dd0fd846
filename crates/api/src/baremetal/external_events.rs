//! `POST /v1/events`: what the network service tells. Nothing depends on it; a port's events are written into its node's log.

use super::query_schema::{self, Form};
use super::schema::{ARRAY, OBJECT, Property, STRING, TEXT, check, limited, property, refusal};
use crate::args::{normal_mac, object};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::limits::EXTERNAL_EVENTS;
use crate::route::Verb::Post;
use crate::route::{Route, Takes};
use crate::wording::repr;
use axum::http::StatusCode;
use model::event::{EventKind, LogEvent};
use model::version as v;
use serde_json::Value;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[Route::new(Post, "/v1/events", "baremetal:events:post", handler!(receive))
    .says("Takes events of the network service.")
    .query(&[])
    .takes(Takes::Object(PROPERTIES, &["events"]))
    .since(v::EVENTS)
    .success(StatusCode::NO_CONTENT)];

const PROPERTIES: &[Property] = &[limited("events", ARRAY, 1, EXTERNAL_EVENTS).items(&EVENT)];

const EVENTS: &[&str] = &["network.bind_port", "network.unbind_port", "network.delete_port"];

const EVENT: Property = property("", OBJECT).keys(
    &[
        property("event", STRING).one_of(EVENTS),
        property("port_id", STRING).format("uuid"),
        property("mac_address", STRING).format("mac-address"),
        property("status", STRING),
        property("device_id", TEXT).format("uuid"),
        property("binding:host_id", TEXT).format("uuid"),
        property("binding:vnic_type", TEXT),
    ],
    &["event", "port_id", "mac_address", "status"],
);

/// `POST /v1/events {events: […]}`
pub async fn receive(call: Call) -> Result<Reply, ApiError> {
    let body = object("", call.json()?)?;
    for event in body.get("events").and_then(Value::as_array).into_iter().flatten() {
        if let Some(name @ Value::String(text)) = event.get("event")
            && !EVENTS.contains(&text.as_str())
        {
            let known: Vec<_> = EVENTS.iter().map(|name| format!("'{name}'")).collect();
            return Err(refusal("", &format!("{} is not one of [{}]", repr(name), known.join(", "))));
        }
    }
    check("", &body, PROPERTIES, &["events"])?;
    let events = body["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    for event in events {
        for (key, form) in [
            ("port_id", Form::Uuid),
            ("device_id", Form::Uuid),
            ("binding:host_id", Form::Uuid),
            ("mac_address", Form::Mac),
        ] {
            let text = event.get(key).and_then(Value::as_str);
            if let Some(fault) = text.and_then(|text| query_schema::fault(text, form)) {
                return Err(refusal("", &fault));
            }
        }
    }
    for event in events {
        record(&call, event).await?;
    }
    Ok(Reply::empty())
}

/// Writes an event into the log of the node that has the port's MAC address; a stranger's is forgotten.
async fn record(call: &Call, event: &Value) -> Result<(), ApiError> {
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
    let addresses: Vec<String> = normal_mac(text("mac_address")).into_iter().collect();
    let Some(port) = call.state.store.port_by_addresses(&addresses).await? else { return Ok(()) };
    let status: String = text("status").chars().take(STATUS_CHARACTERS).collect();
    let detail = format!("VIF {} at {}: {status}", text("port_id"), port.address);
    let log = LogEvent::new(Some(port.node_uuid), call.now(), EventKind::Request, text("event"), detail);
    Ok(call.state.store.record(&[log]).await?)
}

/// Characters of an event's status that are kept.
const STATUS_CHARACTERS: usize = 80;

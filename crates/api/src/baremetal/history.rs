//! `/v1/nodes/{node}/history`: errors, and the beginnings and ends of long work.

use super::fields::{Chosen, Field, Page, time};
use crate::args::parse_uuid;
use crate::call::{Call, Link, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::Get;
use model::history::HistoryEntry;
use model::version::{BASE, HISTORY, HISTORY_PROJECT, HISTORY_STATES};
use serde_json::{Map, Value, json};
use store::Record;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes/{node}/history", "baremetal:node:history:get", handler!(list))
        .says("Lists the node's errors and what led to them.")
        .since(HISTORY)
        .query(&["detail", "marker", "limit", "sort_key", "sort_dir"]),
    Route::new(Get, "/v1/nodes/{node}/history/{event}", "baremetal:node:history:get", handler!(show))
        .says("Shows an entry of the node's history.")
        .since(HISTORY)
        .query(&[]),
];

/// Fields of an entry, and the microversion of each.
pub const FIELDS: &[Field] = &[
    ("uuid", BASE),
    ("created_at", BASE),
    ("severity", BASE),
    ("event_type", BASE),
    ("event", BASE),
    ("conductor", BASE),
    ("user", BASE),
    ("project", HISTORY_PROJECT),
    ("state", HISTORY_STATES),
    ("target_provision_state", HISTORY_STATES),
    ("duration_seconds", HISTORY_STATES),
];

/// What a list without `detail` shows.
const DEFAULT: &[&str] = &["uuid", "created_at", "severity", "event"];

/// Longest text that a list without `detail` shows whole, and what it is cut to.
const WHOLE: usize = 255;
const CUT: usize = 251;

/// `GET …/history`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let args = &call.query;
    let detail = args.boolean("detail")?.unwrap_or(false);
    let page = Page::read(&call, args, FIELDS, HistoryEntry::SORT_COLUMNS)?;
    let node = call.node().await?.node;
    if let Some(marker) = page.marker {
        call.state.store.get::<HistoryEntry>(&marker.to_string()).await?;
    }
    let query = page.query().and("node_uuid", node.uuid.to_string());
    let entries: Vec<HistoryEntry> = call.state.store.list(&query).await?;
    let rows: Vec<_> = entries.iter().map(|entry| shown(&call, entry, detail)).collect();
    let mut body = json!({"history": rows});
    let url = format!("nodes/{}/history", call.parameter("node"));
    let repeated: &[_] = if detail { &[("detail", true)] } else { &[] };
    let last = entries.last().map(|entry| entry.uuid);
    if let Some(next) = page.next(&call, &url, &Chosen::All, repeated, entries.len(), last) {
        body["next"] = next.into();
    }
    Reply::json(&body)
}

/// `GET …/history/{event}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node;
    let ident = call.parameter("event");
    let missing = || {
        let shown: String = ident.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
        ApiError::not_found(format!("{} {shown} could not be found.", HistoryEntry::WHAT))
    };
    let uuid = parse_uuid(ident).ok_or_else(missing)?;
    let entry: HistoryEntry = call.state.store.get(&uuid.to_string()).await?;
    // Another node's past is not told here, whoever may read this one's.
    if entry.node_uuid != node.uuid {
        return Err(missing());
    }
    Reply::json(&shown(&call, &entry, true))
}

fn shown(call: &Call, entry: &HistoryEntry, detail: bool) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, since) in FIELDS {
        if call.version.has(*since) && (detail || DEFAULT.contains(name)) {
            map.insert((*name).to_owned(), value(entry, name, detail));
        }
    }
    let [own, _]: [Link; 2] = call.links(&format!("nodes/{}/history/{}", entry.node_uuid, entry.uuid));
    map.insert("links".into(), json!([own]));
    map
}

fn value(entry: &HistoryEntry, name: &str, detail: bool) -> Value {
    match name {
        "uuid" => json!(entry.uuid),
        "created_at" => json!(time(entry.created_at)),
        "severity" => json!(entry.severity),
        "event_type" => json!(entry.event_type),
        "event" if !detail && entry.event.chars().count() > WHOLE => {
            json!(format!("{}...", entry.event.chars().take(CUT).collect::<String>()))
        }
        "event" => json!(entry.event),
        "conductor" => json!(entry.conductor),
        "user" => json!(entry.user),
        "project" => json!(entry.project),
        "state" => json!(entry.state),
        "target_provision_state" => json!(entry.target_provision_state),
        _ => json!(entry.duration_seconds),
    }
}

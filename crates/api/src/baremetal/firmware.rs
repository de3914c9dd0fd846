//! `/v1/nodes/{node}/firmware`: components with firmware of their own, and its versions.

use super::fields::{Chosen, Field, maybe_time, time};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::Get;
use crate::wording::repr_text;
use model::firmware::FirmwareComponent;
use model::version::{BASE, FIRMWARE, FIRMWARE_IDENTITY};
use serde_json::{Map, Value, json};

/// Rows of the route table.
pub const ROUTES: &[Route] =
    &[Route::new(Get, "/v1/nodes/{node}/firmware", "baremetal:node:firmware:get", handler!(list))
        .says("Lists the node's firmware components.")
        .since(FIRMWARE)
        .query(&["detail", "fields"])];

/// What `fields=` may name, in the order of Ironic's refusal.
pub const FIELDS: &[Field] = &[
    ("created_at", BASE),
    ("updated_at", BASE),
    ("component", BASE),
    ("initial_version", BASE),
    ("current_version", BASE),
    ("last_version_flashed", BASE),
    // Older clients are refused these by a text of its own, below.
    ("vendor", BASE),
    ("model", BASE),
    ("serial_number", BASE),
];

const VERSIONS: &[&str] = &["component", "initial_version", "current_version", "last_version_flashed"];
const IDENTITY: &[&str] = &["vendor", "model", "serial_number"];

fn unknown_field(name: &str) -> String {
    let known: Vec<_> = FIELDS.iter().map(|(name, _)| repr_text(name)).collect();
    format!("Schema error: {} is not one of [{}]", repr_text(name), known.join(", "))
}

/// `GET …/firmware`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let has_identity = call.version.has(FIRMWARE_IDENTITY);
    let default = if has_identity { [VERSIONS, IDENTITY].concat() } else { VERSIONS.to_vec() };
    let chosen = match Chosen::of_list(&call.query, call.version, FIELDS, &default, unknown_field)? {
        Chosen::All => Chosen::Some(default.iter().map(|name| (*name).to_owned()).collect()),
        chosen => chosen,
    };
    let mut newer: Vec<_> =
        IDENTITY.iter().filter(|name| !has_identity && chosen.has(name)).copied().collect();
    if !newer.is_empty() {
        newer.sort_unstable();
        return Err(ApiError::invalid(format!(
            "Fields {} are not allowed in this API version. They require at least API version {FIRMWARE_IDENTITY}.",
            newer.join(", ")
        )));
    }
    let node = call.node().await?.node;
    let components = call.state.store.firmware_components(node.uuid).await?;
    let rows: Vec<_> = components.iter().map(|component| shown(component, &chosen)).collect();
    Reply::json(&json!({"firmware": rows}))
}

fn shown(component: &FirmwareComponent, chosen: &Chosen) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("created_at".into(), time(component.created_at).into());
    map.insert("updated_at".into(), maybe_time(component.updated_at).into());
    let values = [
        ("component", json!(component.component)),
        ("initial_version", json!(component.initial_version)),
        ("current_version", json!(component.current_version)),
        ("last_version_flashed", json!(component.last_version_flashed)),
        ("vendor", json!(component.vendor)),
        ("model", json!(component.model)),
        ("serial_number", json!(component.serial_number)),
    ];
    let wanted = values.into_iter().filter(|(name, _)| chosen.has(name));
    map.extend(wanted.map(|(name, value)| (name.to_owned(), value)));
    map
}

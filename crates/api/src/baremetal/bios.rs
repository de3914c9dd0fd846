//! `/v1/nodes/{node}/bios`: the BIOS settings that were last read or set.

use super::fields::{Chosen, Field, maybe_time, time};
use super::query_schema::unknown_among;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::Get;
use model::bios::BiosSetting;
use model::version::{BASE, BIOS, BIOS_REGISTRY};
use serde_json::{Map, Value, json};
use store::StoreError;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes/{node}/bios", "baremetal:node:bios:get", handler!(list))
        .says("Lists the node's BIOS settings.")
        .since(BIOS)
        .query(&["detail", "fields"]),
    Route::new(Get, "/v1/nodes/{node}/bios/{setting}", "baremetal:node:bios:get", handler!(show))
        .says("Shows a BIOS setting.")
        .since(BIOS)
        .query(&[]),
];

/// What `fields=` may name, in the order of Ironic's refusal.
pub const FIELDS: &[Field] = &[
    ("allowable_values", BIOS_REGISTRY),
    ("attribute_type", BIOS_REGISTRY),
    ("created_at", BASE),
    ("lower_bound", BIOS_REGISTRY),
    ("links", BASE),
    ("max_length", BIOS_REGISTRY),
    ("min_length", BIOS_REGISTRY),
    ("name", BASE),
    ("node_uuid", BASE),
    ("read_only", BIOS_REGISTRY),
    ("reset_required", BIOS_REGISTRY),
    ("unique", BIOS_REGISTRY),
    ("updated_at", BASE),
    ("upper_bound", BIOS_REGISTRY),
    ("value", BASE),
];

const DEFAULT: &[&str] = &["name", "value"];

const DETAIL: &[&str] = &[
    "name",
    "value",
    "attribute_type",
    "allowable_values",
    "lower_bound",
    "max_length",
    "min_length",
    "read_only",
    "reset_required",
    "unique",
    "upper_bound",
];

fn unknown_field(name: &str) -> String {
    let known: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
    unknown_among(name, &known)
}

/// `GET …/bios`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    if !call.version.has(BIOS_REGISTRY)
        && let Some(name) = ["detail", "fields"].into_iter().find(|name| call.query.value(name).is_some())
    {
        return Err(ApiError::invalid(format!(
            "Schema error: Additional properties are not allowed ('{name}' was unexpected)"
        )));
    }
    let chosen = Chosen::of_list(&call.query, call.version, FIELDS, DEFAULT, unknown_field)?;
    let node = call.node().await?.node;
    let settings = call.state.store.bios_settings(node.uuid).await?;
    let ident = call.parameter("node");
    let rows: Vec<_> = settings.iter().map(|setting| shown(&call, ident, setting, &chosen)).collect();
    Reply::json(&json!({"bios": rows}))
}

/// `GET …/bios/{setting}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let name = call.parameter("setting");
    let node = call.node().await?.node;
    let setting = call.state.store.bios_setting(node.uuid, name).await.map_err(|error| match error {
        StoreError::NotFound { .. } => {
            let name: String = name.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
            ApiError::not_found(format!("Node {} doesn't have a BIOS setting '{name}'", node.uuid))
        }
        other => other.into(),
    })?;
    let names = if call.version.has(BIOS_REGISTRY) { DETAIL } else { DEFAULT };
    let chosen = Chosen::Some(names.iter().map(|name| (*name).to_owned()).collect());
    Reply::json(&json!({name: shown(&call, &node.uuid.to_string(), &setting, &chosen)}))
}

fn shown(call: &Call, ident: &str, setting: &BiosSetting, chosen: &Chosen) -> Map<String, Value> {
    let registry = &setting.registry;
    let mut map = Map::new();
    map.insert("created_at".into(), time(setting.created_at).into());
    map.insert("updated_at".into(), maybe_time(setting.updated_at).into());
    map.insert("links".into(), json!(call.links(&format!("nodes/{ident}/bios/{}", setting.name))));
    // All fields are those of `detail`; the node is told only to those who ask for it.
    let all = |name: &str| match chosen {
        Chosen::All => DETAIL.contains(&name),
        Chosen::Some(_) => chosen.has(name),
    };
    let values = [
        ("name", json!(setting.name)),
        ("value", json!(setting.value)),
        ("attribute_type", json!(registry.attribute_type)),
        ("allowable_values", json!(registry.allowable_values)),
        ("lower_bound", json!(registry.lower_bound)),
        ("max_length", json!(registry.max_length)),
        ("min_length", json!(registry.min_length)),
        ("read_only", json!(registry.read_only)),
        ("reset_required", json!(registry.reset_required)),
        ("unique", json!(registry.unique)),
        ("upper_bound", json!(registry.upper_bound)),
        ("node_uuid", json!(setting.node_uuid)),
    ];
    map.extend(
        values.into_iter().filter(|(name, _)| all(name)).map(|(name, value)| (name.to_owned(), value)),
    );
    map
}

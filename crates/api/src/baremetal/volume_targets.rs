//! `/v1/volume/targets`, and those of one node.

use super::fields::{Field, Masked, keep_masked};
use super::schema::{BAG, INTEGER, Property, STRING, TEXT, property};
use super::volume::{self, LIST, Volume};
use crate::error::ApiError;
use crate::handler;
use crate::route::Verb::{Delete, Get, Patch, Post};
use crate::route::{Route, Takes};
use crate::wording::display;
use axum::http::StatusCode;
use jiff::Timestamp;
use model::node::Object;
use model::version as v;
use model::volume::VolumeTarget;
use serde_json::{Map, Value, json};
use store::Store;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(
        Get,
        "/v1/nodes/{node}/volume/targets",
        "baremetal:volume:list",
        handler!(volume::list_of_node::<VolumeTarget>),
    )
    .says("Lists the node's volume targets.")
    .since(v::VOLUMES)
    .query(LIST),
    Route::new(Get, "/v1/volume/targets", "baremetal:volume:list", handler!(volume::list::<VolumeTarget>))
        .says("Lists volume targets.")
        .since(v::VOLUMES)
        .query(LIST),
    Route::new(
        Post,
        "/v1/volume/targets",
        "baremetal:volume:create",
        handler!(volume::create::<VolumeTarget>),
    )
    .says("Registers a volume target.")
    .since(v::VOLUMES)
    .query(&[])
    .takes(Takes::Object(VolumeTarget::PROPERTIES, VolumeTarget::REQUIRED))
    .own_check()
    .success(StatusCode::CREATED),
    Route::new(
        Get,
        "/v1/volume/targets/{target}",
        "baremetal:volume:get",
        handler!(volume::show::<VolumeTarget>),
    )
    .says("Shows a volume target.")
    .since(v::VOLUMES)
    .query(&["fields"]),
    Route::new(
        Patch,
        "/v1/volume/targets/{target}",
        "baremetal:volume:update",
        handler!(volume::patch::<VolumeTarget>),
    )
    .says("Changes a volume target.")
    .since(v::VOLUMES)
    .query(&[])
    .takes(Takes::Patch(VolumeTarget::PATCHABLE)),
    Route::new(
        Delete,
        "/v1/volume/targets/{target}",
        "baremetal:volume:delete",
        handler!(volume::delete::<VolumeTarget>),
    )
    .says("Removes a volume target.")
    .since(v::VOLUMES)
    .query(&[])
    .success(StatusCode::NO_CONTENT),
];

impl Volume for VolumeTarget {
    const NAME: &'static str = "target";
    const FIELDS: &'static [Field] = &[
        ("uuid", v::VOLUMES),
        ("created_at", v::VOLUMES),
        ("updated_at", v::VOLUMES),
        ("boot_index", v::VOLUMES),
        ("extra", v::VOLUMES),
        ("properties", v::VOLUMES),
        ("volume_id", v::VOLUMES),
        ("volume_type", v::VOLUMES),
        ("node_uuid", v::VOLUMES),
        ("links", v::VOLUMES),
    ];
    const DEFAULT: &'static [&'static str] = &["uuid", "node_uuid", "volume_type", "boot_index", "volume_id"];
    const PROPERTIES: &'static [Property] = &[
        property("boot_index", INTEGER),
        property("extra", BAG),
        property("node_uuid", STRING).format("uuid"),
        property("properties", BAG),
        property("volume_id", STRING),
        property("volume_type", STRING),
        property("uuid", TEXT).format("uuid"),
    ];
    const REQUIRED: &'static [&'static str] = &["boot_index", "node_uuid", "volume_id", "volume_type"];
    const PATCHABLE: &'static [&'static str] =
        &["boot_index", "extra", "node_uuid", "properties", "volume_id", "volume_type"];

    fn new(uuid: Uuid, node: Uuid, now: Timestamp) -> Self {
        Self {
            uuid,
            node_uuid: node,
            volume_type: String::new(),
            volume_id: String::new(),
            boot_index: 0,
            properties: Object::new(),
            extra: Object::new(),
            created_at: now,
            updated_at: None,
        }
    }

    fn node(&self) -> Uuid {
        self.node_uuid
    }

    fn times(&self) -> (Timestamp, Option<Timestamp>) {
        (self.created_at, self.updated_at)
    }

    fn attribute(&self, name: &str) -> Value {
        match name {
            "boot_index" => json!(self.boot_index),
            "properties" => json!(Masked(&self.properties)),
            "volume_id" => json!(self.volume_id),
            "volume_type" => json!(self.volume_type),
            _ => json!(self.extra),
        }
    }

    fn apply(&mut self, body: &Map<String, Value>) -> Result<(), ApiError> {
        for (key, value) in body {
            match key.as_str() {
                "boot_index" => self.boot_index = integer(key, value)?,
                "properties" => {
                    let mut properties = value.as_object().cloned().unwrap_or_default();
                    keep_masked(&mut properties, &self.properties);
                    self.properties = properties;
                }
                "volume_id" => value.as_str().unwrap_or_default().clone_into(&mut self.volume_id),
                "volume_type" => value.as_str().unwrap_or_default().clone_into(&mut self.volume_type),
                "extra" => self.extra = value.as_object().cloned().unwrap_or_default(),
                _ => {}
            }
        }
        Ok(())
    }

    fn link(&mut self, node: Uuid, now: Timestamp) {
        self.node_uuid = node;
        self.updated_at = Some(now);
    }

    fn taken(&self, field: &str) -> Option<String> {
        (field != "uuid").then(|| format!("with boot index '{}' for the same node", self.boot_index))
    }

    async fn load(store: &Store, uuid: Uuid) -> store::Result<Self> {
        store.volume_target_with_secrets(uuid).await
    }

    async fn save(&self, store: &Store, new: bool) -> store::Result<()> {
        if new { store.create_volume_target(self).await } else { store.update_volume_target(self).await }
    }
}

/// An integer that a column can hold; `1.0` is one too.
fn integer(name: &str, value: &Value) -> Result<i64, ApiError> {
    // Floats are exact up to here; what is larger and whole came as an integer or is out of range.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "within the range where floats are exact")]
    let whole = || {
        let float = value.as_f64()?;
        (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64)
    };
    value.as_i64().or_else(whole).ok_or_else(|| {
        ApiError::invalid(format!("Expected an integer of at most 64 bits for {name}: {}", display(value)))
    })
}

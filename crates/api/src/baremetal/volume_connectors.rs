//! `/v1/volume/connectors`, and those of one node.

use super::fields::Field;
use super::schema::{BAG, Property, STRING, TEXT, property};
use super::volume::{self, LIST, Volume};
use crate::error::ApiError;
use crate::handler;
use crate::route::Verb::{Delete, Get, Patch, Post};
use crate::route::{Route, Takes};
use axum::http::StatusCode;
use jiff::Timestamp;
use model::node::Object;
use model::version as v;
use model::volume::VolumeConnector;
use serde_json::{Map, Value, json};
use store::Store;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(
        Get,
        "/v1/nodes/{node}/volume/connectors",
        "baremetal:volume:list",
        handler!(volume::list_of_node::<VolumeConnector>),
    )
    .says("Lists the node's volume connectors.")
    .since(v::VOLUMES)
    .query(LIST),
    Route::new(
        Get,
        "/v1/volume/connectors",
        "baremetal:volume:list",
        handler!(volume::list::<VolumeConnector>),
    )
    .says("Lists volume connectors.")
    .since(v::VOLUMES)
    .query(LIST),
    Route::new(
        Post,
        "/v1/volume/connectors",
        "baremetal:volume:create",
        handler!(volume::create::<VolumeConnector>),
    )
    .says("Registers a volume connector.")
    .since(v::VOLUMES)
    .query(&[])
    .takes(Takes::Object(VolumeConnector::PROPERTIES, VolumeConnector::REQUIRED))
    .own_check()
    .success(StatusCode::CREATED),
    Route::new(
        Get,
        "/v1/volume/connectors/{connector}",
        "baremetal:volume:get",
        handler!(volume::show::<VolumeConnector>),
    )
    .says("Shows a volume connector.")
    .since(v::VOLUMES)
    .query(&["fields"]),
    Route::new(
        Patch,
        "/v1/volume/connectors/{connector}",
        "baremetal:volume:update",
        handler!(volume::patch::<VolumeConnector>),
    )
    .says("Changes a volume connector.")
    .since(v::VOLUMES)
    .query(&[])
    .takes(Takes::Patch(VolumeConnector::PATCHABLE)),
    Route::new(
        Delete,
        "/v1/volume/connectors/{connector}",
        "baremetal:volume:delete",
        handler!(volume::delete::<VolumeConnector>),
    )
    .says("Removes a volume connector.")
    .since(v::VOLUMES)
    .query(&[])
    .success(StatusCode::NO_CONTENT),
];

impl Volume for VolumeConnector {
    const NAME: &'static str = "connector";
    const FIELDS: &'static [Field] = &[
        ("uuid", v::VOLUMES),
        ("created_at", v::VOLUMES),
        ("updated_at", v::VOLUMES),
        ("connector_id", v::VOLUMES),
        ("extra", v::VOLUMES),
        ("type", v::VOLUMES),
        ("node_uuid", v::VOLUMES),
        ("links", v::VOLUMES),
    ];
    const DEFAULT: &'static [&'static str] = &["uuid", "node_uuid", "type", "connector_id"];
    const PROPERTIES: &'static [Property] = &[
        property("connector_id", STRING),
        property("extra", BAG),
        property("node_uuid", STRING).format("uuid"),
        property("type", STRING),
        property("uuid", TEXT).format("uuid"),
    ];
    const REQUIRED: &'static [&'static str] = &["connector_id", "node_uuid", "type"];
    const PATCHABLE: &'static [&'static str] = &["connector_id", "extra", "node_uuid", "type"];

    fn new(uuid: Uuid, node: Uuid, now: Timestamp) -> Self {
        Self {
            uuid,
            node_uuid: node,
            kind: String::new(),
            connector_id: String::new(),
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
            "connector_id" => json!(self.connector_id),
            "type" => json!(self.kind),
            _ => json!(self.extra),
        }
    }

    fn apply(&mut self, body: &Map<String, Value>) -> Result<(), ApiError> {
        for (key, value) in body {
            match key.as_str() {
                "connector_id" => value.as_str().unwrap_or_default().clone_into(&mut self.connector_id),
                "type" => value.as_str().unwrap_or_default().clone_into(&mut self.kind),
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
        (field != "uuid").then(|| format!("with type {} and connector ID {}", self.kind, self.connector_id))
    }

    async fn load(store: &Store, uuid: Uuid) -> store::Result<Self> {
        store.get(&uuid.to_string()).await
    }

    async fn save(&self, store: &Store, new: bool) -> store::Result<()> {
        if new { store.create(self).await } else { store.update(self).await }
    }
}

//! `/v1/volume`, and what connectors and targets have in common: routes, lists, and the rule that a node is off while they change.

use super::fields::{Chosen, Field, Page, maybe_time, time};
use super::node_link::{hold_both, linked_node};
use super::patch::{self, Kind};
use super::query_schema::{self, Form};
use super::records::{self, Listing, own_uuid};
use super::schema::{Property, check};
use crate::args::{object, parse_uuid, uuid};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::policy::Target;
use crate::route::Route;
use crate::route::Verb::Get;
use crate::wording::display;
use axum::http::StatusCode;
use jiff::Timestamp;
use model::node::{Node, PowerState};
use model::state::ProvisionState as S;
use model::version as v;
use serde_json::{Map, Value, json};
use std::future::Future;
use store::{Record, Store, StoreError};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/volume", "baremetal:volume:get", handler!(root))
        .says("Links to volume connectors and targets.")
        .since(v::VOLUMES)
        .query(&[]),
    Route::new(Get, "/v1/nodes/{node}/volume", "baremetal:volume:get", handler!(root_of_node))
        .says("Links to the node's volume connectors and targets.")
        .since(v::VOLUMES)
        .query(&[]),
];

/// What the query of a list may have.
pub const LIST: &[&str] = &["node", "marker", "limit", "sort_key", "sort_dir", "fields", "detail"];

/// `GET /v1/volume`
pub async fn root(call: Call) -> Result<Reply, ApiError> {
    links(&call, "volume/")
}

/// `GET /v1/nodes/{node}/volume`
pub async fn root_of_node(call: Call) -> Result<Reply, ApiError> {
    call.node().await?;
    links(&call, &format!("nodes/{}/volume/", call.parameter("node")))
}

fn links(call: &Call, base: &str) -> Result<Reply, ApiError> {
    Reply::json(&json!({
        "links": call.links(base),
        "connectors": call.links(&format!("{base}connectors")),
        "targets": call.links(&format!("{base}targets")),
    }))
}

/// A volume connector or a volume target.
pub trait Volume: Record + Clone + PartialEq {
    /// What schemas and paths call it: `connector`, `target`.
    const NAME: &'static str;
    /// Fields, and the microversion of each.
    const FIELDS: &'static [Field];
    /// Fields of a list without `detail`.
    const DEFAULT: &'static [&'static str];
    /// What a body may carry when it is created.
    const PROPERTIES: &'static [Property];
    /// What it must carry.
    const REQUIRED: &'static [&'static str];
    /// Attributes that a patch may change, in the order in which refusals list them.
    const PATCHABLE: &'static [&'static str];

    /// One with nothing in it.
    fn new(uuid: Uuid, node: Uuid, now: Timestamp) -> Self;
    /// Node that it belongs to.
    fn node(&self) -> Uuid;
    /// When it was registered, and when it last changed.
    fn times(&self) -> (Timestamp, Option<Timestamp>);
    /// An attribute that clients may write; secrets are masked.
    fn attribute(&self, name: &str) -> Value;
    /// Writes a checked document into it; `null` is the field's default. `uuid` and `node_uuid` are the caller's.
    fn apply(&mut self, body: &Map<String, Value>) -> Result<(), ApiError>;
    /// Puts it to a node, as of now.
    fn link(&mut self, node: Uuid, now: Timestamp);
    /// What takes the place of another one's, in the API's words; `None` where only the UUID does.
    fn taken(&self, field: &str) -> Option<String>;
    /// Reads it with its secrets.
    fn load(store: &Store, uuid: Uuid) -> impl Future<Output = store::Result<Self>> + Send;
    /// Stores it: as a new one, or over the stored one.
    fn save(&self, store: &Store, new: bool) -> impl Future<Output = store::Result<()>> + Send;
}

/// Its path below `/v1`.
fn path<V: Volume>(uuid: Uuid) -> String {
    format!("volume/{}s/{uuid}", V::NAME)
}

fn shown<V: Volume>(call: &Call, volume: &V, chosen: &Chosen) -> Map<String, Value> {
    let (created_at, updated_at) = volume.times();
    records::fields(call, V::FIELDS, chosen, &path::<V>(volume.uuid()), |name| match name {
        "uuid" => json!(volume.uuid()),
        "node_uuid" => json!(volume.node()),
        "created_at" => json!(time(created_at)),
        "updated_at" => json!(maybe_time(updated_at)),
        // What a target needs to be reached may be secret.
        "properties" if !call.may("baremetal:volume:view_target_properties", &Target::NONE) => json!({
            "redacted_contents": "** Value redacted: Requires permission baremetal:volume:view_target_properties access. \
                                  Permission denied. **",
        }),
        other => volume.attribute(other),
    })
}

fn unknown_field<V: Volume>(name: &str) -> String {
    query_schema::unknown_field(name, V::FIELDS)
}

/// The one that the path names.
async fn find<V: Volume>(call: &Call) -> Result<V, ApiError> {
    let ident = call.parameter(V::NAME);
    match parse_uuid(ident) {
        Some(uuid) => {
            let volume: V = call.state.store.get(&uuid.to_string()).await?;
            call.check_part(volume.node(), || format!("{} {ident} could not be found.", V::WHAT)).await?;
            Ok(volume)
        }
        None => Err(ApiError::invalid(format!(
            "Expected UUID for {}_uuid: {}",
            V::NAME,
            display(&Value::from(ident))
        ))),
    }
}

/// `GET /v1/volume/…`
pub async fn list<V: Volume>(call: Call) -> Result<Reply, ApiError> {
    page::<V>(&call, None).await
}

/// `GET /v1/nodes/{node}/volume/…`
pub async fn list_of_node<V: Volume>(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node.uuid;
    page::<V>(&call, Some(node)).await
}

/// `node` is the path's; it goes before the query's.
async fn page<V: Volume>(call: &Call, node: Option<Uuid>) -> Result<Reply, ApiError> {
    let args = &call.query;
    query_schema::check(args, &[("sort_dir", Form::Direction)])?;
    let detail = args.boolean("detail")?.unwrap_or(false);
    let chosen = match (Chosen::of_one(args, call.version, V::FIELDS, unknown_field::<V>)?, detail) {
        (Chosen::Some(_), true) => {
            return Err(ApiError::invalid("Can't fetch a subset of fields with 'detail' set"));
        }
        (Chosen::All, false) => Chosen::Some(V::DEFAULT.iter().map(|name| (*name).to_owned()).collect()),
        (chosen, _) => chosen,
    };
    let page = Page::read(call, args, V::FIELDS, V::SORT_COLUMNS)?;
    let node = match (node, args.uuid_or_name("node")?) {
        (None, Some(ident)) => Some(call.find_node(ident).await?.node.uuid),
        (node, _) => node,
    };
    let mut query = page.query().within(call.node_scope()?);
    if let Some(node) = node {
        query = query.and("node_uuid", node.to_string());
    }
    let collection = format!("{}s", V::NAME);
    let url = format!("volume/{collection}");
    let repeated: &[_] = if detail { &[("detail", true)] } else { &[] };
    let listing = Listing { collection: &collection, url: &url, chosen: &chosen, repeated };
    listing.answer(call, &page, &query, shown::<V>).await
}

/// `GET /v1/volume/…/{uuid}`
pub async fn show<V: Volume>(call: Call) -> Result<Reply, ApiError> {
    let volume: V = find(&call).await?;
    let chosen = Chosen::of_one(&call.query, call.version, V::FIELDS, unknown_field::<V>)?;
    Reply::json(&shown(&call, &volume, &chosen))
}

/// `POST /v1/volume/…`
pub async fn create<V: Volume>(call: Call) -> Result<Reply, ApiError> {
    let body = object(V::NAME, call.json()?)?;
    check(V::NAME, &body, V::PROPERTIES, V::REQUIRED)?;
    let node = uuid("node_uuid", body.get("node_uuid").unwrap_or(&Value::Null))?;
    let missing = |error: ApiError| match error.status {
        StatusCode::NOT_FOUND => {
            ApiError::invalid(format!("Invalid input for field/attribute node_uuid. Value: '{node}'. "))
        }
        _ => error,
    };
    call.parent_node(&node.to_string()).await.map_err(missing)?;
    let mut volume = V::new(own_uuid(&body)?, node, call.now());
    volume.apply(&body)?;
    save(&call, &volume, true).await.map_err(missing)?;
    let location = call.url(&path::<V>(volume.uuid()));
    Ok(Reply::json(&shown(&call, &volume, &Chosen::All))?.at(location))
}

/// Stores it, and says in the API's words what is taken.
async fn save<V: Volume>(call: &Call, volume: &V, new: bool) -> Result<(), ApiError> {
    volume.save(&call.state.store, new).await.map_err(|error| match &error {
        StoreError::Duplicate { field, .. } => match volume.taken(field) {
            Some(what) => ApiError::conflict(format!("A volume {} {what} already exists.", V::NAME)),
            None => error.into(),
        },
        _ => error.into(),
    })
}

/// `PATCH /v1/volume/…/{uuid}`
pub async fn patch<V: Volume>(call: Call) -> Result<Reply, ApiError> {
    let operations = patch::read(call.json()?, call.version)?;
    let before: V = find(&call).await?;
    patch::only(&operations, V::PATCHABLE)?;
    for operation in &operations {
        let Some(value) = operation.value.as_ref().filter(|_| operation.is_of("node_uuid")) else { continue };
        if operation.kind != Kind::Remove && value.as_str().and_then(parse_uuid).is_none() {
            return Err(ApiError::invalid(format!(
                "Expected a UUID for node_uuid, but received {}.",
                display(value)
            )));
        }
    }
    let node = linked_node(&call, &operations, before.node()).await?.uuid;
    let after = hold_both(&call, [before.node(), node], async {
        let before = V::load(&call.state.store, before.uuid()).await?;
        let attributes = V::PATCHABLE.iter().map(|name| match *name {
            "node_uuid" => ((*name).to_owned(), json!(before.node())),
            name => (name.to_owned(), before.attribute(name)),
        });
        let mut document: Map<String, Value> = attributes.collect();
        patch::apply(&mut document, &operations)?;
        document.insert("node_uuid".to_owned(), json!(node));
        check("patch", &document, V::PROPERTIES, V::REQUIRED)?;
        for name in V::PATCHABLE {
            document.entry(*name).or_insert(Value::Null);
        }
        let mut after = before.clone();
        after.apply(&document)?;
        let node = call.find_node(&node.to_string()).await?.node;
        if node.power_state != Some(PowerState::Off) {
            return Err(not_off::<V>(&node, "update"));
        }
        if after != before || node.uuid != before.node() {
            after.link(node.uuid, call.now());
            save(&call, &after, false).await?;
        }
        Ok(after)
    })
    .await?;
    Reply::json(&shown(&call, &after, &Chosen::All))
}

/// `DELETE /v1/volume/…/{uuid}`
pub async fn delete<V: Volume>(call: Call) -> Result<Reply, ApiError> {
    let volume: V = find(&call).await?;
    call.hold(volume.node(), async {
        let node = call.find_node(&volume.node().to_string()).await?.node;
        let unused = matches!(node.provision_state, S::Manageable | S::Enroll | S::AdoptFailed);
        if !unused && node.power_state != Some(PowerState::Off) {
            return Err(not_off::<V>(&node, "deletion"));
        }
        Ok(call.state.store.delete::<V>(volume.uuid()).await?)
    })
    .await?;
    Ok(Reply::empty())
}

/// A machine that runs may use its volumes: they change only while it is off.
fn not_off<V: Volume>(node: &Node, action: &str) -> ApiError {
    ApiError::invalid(format!(
        "The requested action \"volume {} {action}\" can not be performed on node \"{}\" while it is in state \"{}\".",
        V::NAME,
        node.uuid,
        node.power_state.map_or("None", PowerState::as_str)
    ))
}

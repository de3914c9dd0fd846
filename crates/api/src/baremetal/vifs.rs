//! `/v1/nodes/{node}/vifs`: which virtual interfaces are attached to the node's ports and port groups.

use super::schema::{Property, STRING, property};
use crate::args::{Args, object};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Verb::{Delete, Get, Post};
use crate::route::{Route, Takes};
use crate::wording::{display, repr};
use axum::http::StatusCode;
use model::node::{Node, Object};
use model::port::Port;
use model::portgroup::Portgroup;
use model::version as v;
pub use model::vif::attached;
use model::vif::{self, Place, Wanted};
use serde_json::{Value, json};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes/{node}/vifs", "baremetal:node:vif:list", handler!(list))
        .says("Lists the virtual interfaces that are attached to the node.")
        .since(v::VIFS)
        .query(&[]),
    Route::new(Post, "/v1/nodes/{node}/vifs", "baremetal:node:vif:attach", handler!(attach))
        .says("Attaches a virtual interface to the node.")
        .since(v::VIFS)
        .query(&[])
        .takes(Takes::Object(PROPERTIES, &["id"]))
        .success(StatusCode::NO_CONTENT),
    Route::new(Delete, "/v1/nodes/{node}/vifs/{vif}", "baremetal:node:vif:detach", handler!(detach))
        .says("Detaches a virtual interface from the node.")
        .since(v::VIFS)
        .query(&[])
        .success(StatusCode::NO_CONTENT),
];

/// What is read of a body; it may carry more.
const PROPERTIES: &[Property] = &[
    property("id", STRING),
    property("port_uuid", STRING).format("uuid").since(v::VIF_PORT),
    property("portgroup_uuid", STRING).format("uuid").since(v::VIF_PORT),
];

/// What a node has for VIFs.
struct Places {
    ports: Vec<Port>,
    groups: Vec<Portgroup>,
}

impl Places {
    async fn read(call: &Call, node: Uuid) -> Result<Self, ApiError> {
        let store = &call.state.store;
        Ok(Self { ports: store.ports_of_node(node).await?, groups: store.portgroups_of_node(node).await? })
    }

    /// Where a VIF is attached.
    fn of(&self, vif: &str) -> Option<Place> {
        vif::place_of(&self.ports, &self.groups, vif)
    }
}

/// `GET …/vifs`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let places = Places::read(&call, call.node().await?.node.uuid).await?;
    let infos = places
        .ports
        .iter()
        .map(|port| &port.internal_info)
        .chain(places.groups.iter().map(|group| &group.internal_info));
    let vifs: Vec<_> = infos.filter_map(attached).map(|id| json!({"id": id})).collect();
    Reply::json(&json!({"vifs": vifs}))
}

/// `POST …/vifs {id, port_uuid?, portgroup_uuid?}`
pub async fn attach(call: Call) -> Result<Reply, ApiError> {
    let body = object("vif", call.json()?)?;
    let refuse = |text: String| Err(ApiError::invalid(format!("Schema error for vif: {text}")));
    match body.get("id") {
        None => return refuse("'id' is a required property".to_owned()),
        Some(Value::String(_)) => {}
        Some(other) => return refuse(format!("{} is not of type 'string'", repr(other))),
    }
    let mut args = Args::default();
    args.extend(body);
    let vif = args.uuid_or_name("id")?.unwrap_or_default();
    let mut wanted = Wanted::default();
    if call.version.has(v::VIF_PORT) {
        wanted = Wanted { port: args.text("port_uuid")?, group: args.text("portgroup_uuid")? };
        if wanted.port.is_some() && wanted.group.is_some() {
            return Err(ApiError::invalid("Cannot specify both port_uuid and portgroup_uuid"));
        }
    }
    let node = call.node().await?.node;
    call.hold(node.uuid, attach_to_place(&call, &node, vif, wanted)).await?;
    Ok(Reply::empty())
}

/// Attaches a VIF to a node that is held.
async fn attach_to_place(call: &Call, node: &Node, vif: &str, wanted: Wanted<'_>) -> Result<(), ApiError> {
    let places = Places::read(call, node.uuid).await?;
    if let Some(place) = places.of(vif) {
        let (kind, uuid) = match place {
            Place::Port(index) => ("Port", places.ports[index].uuid),
            Place::Group(index) => ("Portgroup", places.groups[index].uuid),
        };
        return Err(ApiError::conflict(format!(
            "Unable to attach VIF because VIF {vif} is already attached to Ironic {kind} {uuid}"
        )));
    }
    let Some(place) = vif::choose(node, &places.ports, &places.groups, wanted) else {
        return Err(ApiError::invalid(format!(
            "Unable to attach VIF {vif}, not enough free physical ports."
        )));
    };
    write(call, places, place, |internal_info, _| vif::attach(internal_info, vif)).await
}

/// `DELETE …/vifs/{vif}`
pub async fn detach(call: Call) -> Result<Reply, ApiError> {
    let mut args = Args::default();
    args.extend(Object::from_iter([("vif_id".to_owned(), call.parameter("vif").into())]));
    let vif = args.uuid_or_name("vif_id")?.unwrap_or_default();
    let node = call.node().await?.node.uuid;
    call.hold(node, detach_from_place(&call, node, vif)).await?;
    Ok(Reply::empty())
}

/// Detaches a VIF from a node that is held.
async fn detach_from_place(call: &Call, node: Uuid, vif: &str) -> Result<(), ApiError> {
    let places = Places::read(call, node).await?;
    let Some(place) = places.of(vif) else {
        return Err(ApiError::invalid(format!(
            "Unable to detach VIF {} from node {node} because it is not attached to it.",
            display(&Value::from(vif))
        )));
    };
    write(call, places, place, vif::detach).await
}

/// Writes a place whose `internal_info` and `extra` were changed.
async fn write(
    call: &Call,
    mut places: Places,
    place: Place,
    change: impl FnOnce(&mut Object, &mut Object),
) -> Result<(), ApiError> {
    match place {
        Place::Port(index) => {
            let mut port = places.ports.swap_remove(index);
            change(&mut port.internal_info, &mut port.extra);
            port.updated_at = Some(call.now());
            Ok(call.state.store.update(&port).await?)
        }
        Place::Group(index) => {
            let mut group = places.groups.swap_remove(index);
            change(&mut group.internal_info, &mut group.extra);
            group.updated_at = Some(call.now());
            Ok(call.state.store.update(&group).await?)
        }
    }
}

//! `/v1/ports`: create, show, change, delete.

use super::fields::{Chosen, unknown_field};
use super::node_link::{hold_both, linked_node};
use super::patch::{self, Operation};
use super::port_document::{PATCHABLE, PROPERTIES, REQUIRED, apply, document};
use super::port_fields::{FIELDS, has_vtep, shown};
use super::port_rules::{
    binding_vif, check_connectivity, check_name, check_physical_network, check_standalone, is_inspecting,
    join,
};
use super::records::{self, Named, Whose, own_uuid};
use super::schema::check;
use crate::args::{object, parse_uuid, uuid};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Verb::{Delete, Get, Patch, Post};
use crate::route::{Route, Takes};
use crate::wording::{display, repr};
use axum::http::StatusCode;
use jiff::Timestamp;
use model::port::Port;
use model::portgroup::Portgroup;
use model::version as v;
use serde_json::Value;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Post, "/v1/ports", "baremetal:port:create", handler!(create))
        .says("Registers a port.")
        .query(&[])
        .takes(Takes::Object(PROPERTIES, REQUIRED))
        .own_check()
        .success(StatusCode::CREATED),
    Route::new(Get, "/v1/ports/{port}", "baremetal:port:get", handler!(show))
        .says("Shows a port.")
        .query(&["fields"]),
    Route::new(Patch, "/v1/ports/{port}", "baremetal:port:update", handler!(patch))
        .says("Changes a port.")
        .query(&[])
        .takes(Takes::Patch(PATCHABLE)),
    Route::new(Delete, "/v1/ports/{port}", "baremetal:port:delete", handler!(delete))
        .says("Removes a port.")
        .query(&[])
        .success(StatusCode::NO_CONTENT),
];

impl Named for Port {
    fn whose(&self) -> Whose<'_> {
        Whose::Node(self.node_uuid)
    }
}

/// The port that the path names: by UUID or name. As in Ironic, clients that don't see names may use them.
async fn find(call: &Call) -> Result<Port, ApiError> {
    records::find(call, "port", |ident| format!("Expected UUID or name for port_ident: {ident}")).await
}

/// `GET /v1/ports/{port}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let port = find(&call).await?;
    let chosen = Chosen::of_one(&call.query, call.version, FIELDS, unknown_field)?;
    Reply::json(&shown(&call, &port, &chosen))
}

/// `POST /v1/ports`
pub async fn create(call: Call) -> Result<Reply, ApiError> {
    let body = object("port", call.json()?)?;
    check("port", &body, PROPERTIES, REQUIRED)?;
    let ident = match (body.get("node_ident"), body.get("node_uuid")) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(format!(
                "Schema error for port: {} is valid under each of {{'required': ['node_uuid']}}, {{'required': ['node_ident']}}",
                repr(&Value::Object(body))
            )));
        }
        (Some(ident), None) => {
            if !call.version.has(v::PORT_NODE_IDENT) {
                return Err(ApiError::not_acceptable());
            }
            ident.as_str().unwrap_or_default().to_owned()
        }
        (None, Some(value)) => uuid("node_uuid", value)?.to_string(),
        (None, None) => {
            return Err(ApiError::invalid(format!(
                "Schema error for port: {} is not valid under any of the given schemas. Possible root cause: 'node_ident' is a \
                 required property",
                repr(&Value::Object(body))
            )));
        }
    };
    let node = call.parent_node(&ident).await.map_err(ApiError::in_body)?.node;
    refuse_newer(&call, body.keys().map(String::as_str))?;
    let mut port = Port::new(own_uuid(&body)?, node.uuid, String::new(), call.now());
    apply(&mut port, &body)?;
    let link = &port.local_link_connection;
    let is_known = |key: &str, known: bool| known || !link.contains_key(key);
    if !is_known("network_type", call.version.has(v::LINK_NETWORK_TYPE))
        || !is_known("vtep-logical-switch", has_vtep(call.version))
    {
        return Err(ApiError::not_acceptable());
    }
    if port.is_smartnic
        && !link.is_empty()
        && !["port_id", "hostname"].iter().all(|key| link.contains_key(*key))
    {
        return Err(ApiError::invalid(
            "Smart NIC port must have port_id and hostname in local_link_connection",
        ));
    }
    check_name(&port)?;
    check_physical_network(&port)?;
    let boots = body.get("pxe_enabled").is_some_and(|value| !value.is_null()) && port.pxe_enabled;
    match port.portgroup_uuid {
        Some(group) => call.hold(port.node_uuid, create_in(&call, &port, group, boots)).await?,
        None => call.state.store.create(&port).await?,
    }
    let location = call.url(&format!("ports/{}", port.uuid));
    Ok(Reply::json(&shown(&call, &port, &Chosen::All))?.at(location))
}

/// Stores a new port as a part of a group; its node is held. `boots`: booting through it was asked for.
async fn create_in(call: &Call, port: &Port, group: Uuid, boots: bool) -> Result<(), ApiError> {
    let mut group = group_for(call, group, port.node_uuid).await?;
    if boots && !group.standalone_ports_supported {
        return Err(ApiError::conflict(format!(
            "Port group {} doesn't support standalone ports. This port cannot be created as a member of that portgroup as the \
             port's 'pxe_enabled' field was set to True.",
            group.uuid
        )));
    }
    let others = call.state.store.ports_of_portgroup(group.uuid).await?;
    let taken = join(port, &group, &others)?;
    let changed = take_network(&mut group, taken, call.now());
    Ok(call.state.store.create_port(port, changed.then_some(&group)).await?)
}

/// The group that a port of a node names: it must be the same node's.
async fn group_for(call: &Call, group: Uuid, node: Uuid) -> Result<Portgroup, ApiError> {
    let group: Portgroup = match call.state.store.get(&group.to_string()).await {
        Ok(group) => group,
        Err(error) => return Err(ApiError::from(error).in_body()),
    };
    if group.node_uuid != node {
        return Err(ApiError::invalid("Port can not be added to a portgroup belonging to a different node."));
    }
    Ok(group)
}

/// Puts a group on the physical network of its first port; tells whether it changed.
fn take_network(group: &mut Portgroup, network: Option<String>, now: Timestamp) -> bool {
    if network.is_none() {
        return false;
    }
    group.physical_network = network;
    group.updated_at = Some(now);
    true
}

fn refuse_newer<'a>(call: &Call, mut keys: impl Iterator<Item = &'a str>) -> Result<(), ApiError> {
    let newer = |key: &str| FIELDS.iter().any(|(name, since)| *name == key && !call.version.has(*since));
    if keys.any(newer) { Err(ApiError::not_acceptable()) } else { Ok(()) }
}

/// `PATCH /v1/ports/{port}`
pub async fn patch(call: Call) -> Result<Reply, ApiError> {
    let operations = patch::read(call.json()?, call.version)?;
    patch::only(&operations, PATCHABLE)?;
    // As in Ironic, a patch is held against the microversion only for these.
    const CHECKED: &[&str] =
        &["pxe_enabled", "local_link_connection", "portgroup_uuid", "physical_network", "is_smartnic"];
    refuse_newer(&call, operations.iter().map(Operation::root).filter(|root| CHECKED.contains(root)))?;
    let sets_type = |operation: &Operation| operation.parts == ["local_link_connection", "network_type"];
    if operations.iter().any(sets_type) && !call.version.has(v::LINK_NETWORK_TYPE) {
        return Err(ApiError::not_acceptable());
    }
    let before = find(&call).await?;
    let node = linked_node(&call, &operations, before.node_uuid).await?;
    let nodes = [before.node_uuid, node.uuid];
    let after = hold_both(&call, nodes, change(&call, before.uuid, node.uuid, &operations)).await?;
    Reply::json(&shown(&call, &after, &Chosen::All))
}

/// Changes a port whose node, and the one that it goes to, are held.
async fn change(call: &Call, port: Uuid, node: Uuid, operations: &[Operation]) -> Result<Port, ApiError> {
    let before: Port = call.state.store.get(&port.to_string()).await?;
    let node = call.find_node(&node.to_string()).await?.node;
    let mut document = document(&before);
    patch::apply(&mut document, operations)?;
    if let Some(Value::String(group)) = document.get("portgroup_uuid")
        && parse_uuid(group).is_none()
    {
        return Err(ApiError::invalid(format!(
            "Portgroup {} could not be found.",
            display(&Value::from(group.as_str()))
        )));
    }
    document.insert("node_uuid".to_owned(), node.uuid.to_string().into());
    check("patch", &document, PROPERTIES, REQUIRED)?;
    for name in PATCHABLE {
        document.entry(*name).or_insert(Value::Null);
    }
    let mut after = before.clone();
    apply(&mut after, &document)?;
    after.node_uuid = node.uuid;
    if is_inspecting(&node, call.version) {
        return Err(ApiError::conflict(format!(
            "Cannot update port \"{}\" on \"{}\" while it is in state \"{}\".",
            before.uuid, node.uuid, node.provision_state
        )));
    }
    if before.name != after.name {
        check_name(&after)?;
    }
    let sets_network = operations.iter().any(|operation| operation.is_of("physical_network"));
    if sets_network {
        check_physical_network(&after)?;
        let stays = before.portgroup_uuid.is_some() && before.portgroup_uuid == after.portgroup_uuid;
        let changes = before.physical_network != after.physical_network;
        if stays && changes && call.version.has(v::PORTGROUP_PHYSICAL_NETWORK) {
            return Err(ApiError::invalid(
                "physical_network cannot be changed while the port belongs to a portgroup.",
            ));
        }
    }
    if after == before {
        return Ok(after);
    }
    check_connectivity(&before, &after, &node)?;
    after.updated_at = Some(call.now());
    let mut group = match after.portgroup_uuid {
        Some(group) => Some(group_for(call, group, node.uuid).await?),
        None => None,
    };
    let mut changed = false;
    if let Some(group) = &mut group {
        if before.portgroup_uuid != after.portgroup_uuid || before.physical_network != after.physical_network
        {
            let mut others = call.state.store.ports_of_portgroup(group.uuid).await?;
            others.retain(|other| other.uuid != after.uuid);
            let taken = join(&after, group, &others)?;
            changed = take_network(group, taken, call.now());
        }
        check_standalone(&before, &after, group, &node)?;
    }
    call.state.store.update_members(group.as_ref().filter(|_| changed), std::slice::from_ref(&after)).await?;
    Ok(after)
}

/// `DELETE /v1/ports/{port}`, by UUID only.
pub async fn delete(call: Call) -> Result<Reply, ApiError> {
    let ident = call.parameter("port");
    if parse_uuid(ident).is_none() {
        let shown: String = ident.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
        return Err(ApiError::new(StatusCode::BAD_REQUEST, format!("Expected UUID for port_uuid: {shown}")));
    }
    let port = find(&call).await?;
    call.hold(port.node_uuid, remove(&call, port.uuid)).await?;
    Ok(Reply::empty())
}

/// Forgets a port whose node is held; one that carries a VIF stays.
async fn remove(call: &Call, port: Uuid) -> Result<(), ApiError> {
    let port: Port = call.state.store.get(&port.to_string()).await?;
    let node = call.find_node(&port.node_uuid.to_string()).await?.node;
    if let Some(vif) = binding_vif(&port, &node) {
        return Err(ApiError::conflict(format!(
            "Cannot delete the port {} as it is bound to VIF {vif} for use.",
            port.uuid
        )));
    }
    Ok(call.state.store.delete::<Port>(port.uuid).await?)
}

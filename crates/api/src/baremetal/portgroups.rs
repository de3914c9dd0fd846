//! `/v1/portgroups`: create, show, change, delete.

use super::fields::Chosen;
use super::node_link::{hold_both, linked_node};
use super::patch::{self, Kind, Operation};
use super::port_rules::{CONNECTABLE, check_members_standalone, is_connectable, is_inspecting};
use super::portgroup_document::{
    FIELDS, PATCHABLE, PROPERTIES, REQUIRED, apply, document, set_default_mode, shown, unknown_field,
};
use super::records::{self, Named, Whose, own_uuid};
use super::schema::check;
use crate::args::{is_logical_name, object, parse_uuid, uuid};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Verb::{Delete, Get, Patch, Post};
use crate::route::{Route, Takes};
use crate::wording::display;
use axum::http::StatusCode;
use model::node::Node;
use model::port::Port;
use model::portgroup::Portgroup;
use model::state::ProvisionState as S;
use model::version as v;
use serde_json::Value;
use store::StoreError;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Post, "/v1/portgroups", "baremetal:portgroup:create", handler!(create))
        .says("Registers a port group.")
        .since(v::PORTGROUPS)
        .query(&[])
        .takes(Takes::Object(PROPERTIES, REQUIRED))
        .own_check()
        .success(StatusCode::CREATED),
    Route::new(Get, "/v1/portgroups/{portgroup}", "baremetal:portgroup:get", handler!(show))
        .says("Shows a port group.")
        .since(v::PORTGROUPS)
        .query(&["fields"]),
    Route::new(Patch, "/v1/portgroups/{portgroup}", "baremetal:portgroup:update", handler!(patch))
        .says("Changes a port group.")
        .since(v::PORTGROUPS)
        .query(&[])
        .takes(Takes::Patch(PATCHABLE)),
    Route::new(Delete, "/v1/portgroups/{portgroup}", "baremetal:portgroup:delete", handler!(delete))
        .says("Removes a port group.")
        .since(v::PORTGROUPS)
        .query(&[])
        .success(StatusCode::NO_CONTENT),
];

impl Named for Portgroup {
    fn whose(&self) -> Whose<'_> {
        Whose::Node(self.node_uuid)
    }
}

/// Refuses what can't name a port group.
fn neither(ident: &str) -> String {
    format!("Expected UUID or name for portgroup: {ident}")
}

/// A port group by UUID or name, if the call's rule lets the caller have it.
pub async fn find(call: &Call, ident: &str) -> Result<Portgroup, ApiError> {
    records::find_by(call, ident, neither).await
}

/// The port group that the path names.
pub async fn named(call: &Call) -> Result<Portgroup, ApiError> {
    records::find(call, "portgroup", neither).await
}

/// May a port group be called so? A UUID would hide the group behind another one.
fn is_name(name: &str) -> bool {
    name.is_empty() || (is_logical_name(name) && parse_uuid(name).is_none())
}

/// `GET /v1/portgroups/{portgroup}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let group = named(&call).await?;
    let chosen = Chosen::of_one(&call.query, call.version, FIELDS, unknown_field)?;
    Reply::json(&shown(&call, &group, &chosen))
}

/// `POST /v1/portgroups`
pub async fn create(call: Call) -> Result<Reply, ApiError> {
    let body = object("portgroup", call.json()?)?;
    check("portgroup", &body, PROPERTIES, REQUIRED)?;
    let node = uuid("node_uuid", body.get("node_uuid").unwrap_or(&Value::Null))?;
    let node = call.parent_node(&node.to_string()).await.map_err(ApiError::in_body)?.node.uuid;
    let mut group = Portgroup::new(own_uuid(&body)?, node, call.now());
    apply(&mut group, &body)?;
    let has_mode = group.mode.as_deref().is_some_and(|mode| !mode.is_empty());
    let sets_mode = body.contains_key("mode") && has_mode || !group.properties.is_empty();
    if sets_mode && !call.version.has(v::PORTGROUP_MODE) {
        return Err(ApiError::not_acceptable());
    }
    set_default_mode(&mut group);
    if let Some(name) = group.name.as_ref().filter(|name| !is_name(name)) {
        return Err(ApiError::invalid(format!(
            "Cannot create portgroup with invalid name '{}'",
            display(&Value::from(name.as_str()))
        )));
    }
    call.state.store.create(&group).await.map_err(|error| match error {
        // Deleted since it was looked up.
        StoreError::NotFound { .. } => ApiError::from(error).in_body(),
        other => other.into(),
    })?;
    let location = call.url(&format!("portgroups/{}", group.uuid));
    Ok(Reply::json(&shown(&call, &group, &Chosen::All))?.at(location))
}

/// `PATCH /v1/portgroups/{portgroup}`
pub async fn patch(call: Call) -> Result<Reply, ApiError> {
    let operations = patch::read(call.json()?, call.version)?;
    let before = named(&call).await?;
    let sets_mode = |operation: &Operation| matches!(operation.root(), "mode" | "properties");
    if !call.version.has(v::PORTGROUP_MODE) && operations.iter().any(sets_mode) {
        return Err(ApiError::not_acceptable());
    }
    patch::only(&operations, PATCHABLE)?;
    for operation in &operations {
        let Some(value) = operation.value.as_ref().filter(|_| operation.is_of("name")) else { continue };
        let fits = value.is_null() || value.as_str().is_some_and(is_name);
        if operation.kind != Kind::Remove && !fits {
            return Err(ApiError::invalid(format!(
                "Portgroup {}: Cannot change name to invalid name '{}'",
                call.parameter("portgroup"),
                display(value)
            )));
        }
    }
    let node = linked_node(&call, &operations, before.node_uuid).await?;
    let nodes = [before.node_uuid, node.uuid];
    let after = hold_both(&call, nodes, change(&call, before.uuid, node.uuid, &operations)).await?;
    Reply::json(&shown(&call, &after, &Chosen::All))
}

/// Changes a port group whose node, and the one that it goes to, are held.
async fn change(
    call: &Call,
    group: Uuid,
    node: Uuid,
    operations: &[Operation],
) -> Result<Portgroup, ApiError> {
    let before: Portgroup = call.state.store.get(&group.to_string()).await?;
    let node = call.find_node(&node.to_string()).await?.node;
    let mut document = document(&before);
    patch::apply(&mut document, operations)?;
    document.insert("node_uuid".to_owned(), node.uuid.to_string().into());
    if !document.contains_key("mode") {
        return Err(ApiError::invalid("'mode' is a mandatory attribute and can not be removed"));
    }
    check("patch", &document, PROPERTIES, REQUIRED)?;
    for name in PATCHABLE {
        document.entry(*name).or_insert(Value::Null);
    }
    let mut after = before.clone();
    apply(&mut after, &document)?;
    after.node_uuid = node.uuid;
    if is_inspecting(&node, call.version) {
        return Err(ApiError::conflict(format!(
            "Cannot update portgroup \"{}\" on node \"{}\" while it is in state \"{}\".",
            before.uuid,
            node.uuid,
            S::Inspecting
        )));
    }
    if after == before {
        return Ok(after);
    }
    let mut members = call.state.store.ports_of_portgroup(group).await?;
    check_change(&before, &after, &node, &members)?;
    after.updated_at = Some(call.now());
    // The ports of a group are on its physical network.
    members.retain(|port| {
        before.physical_network != after.physical_network && port.physical_network != after.physical_network
    });
    for port in &mut members {
        port.physical_network.clone_from(&after.physical_network);
        port.updated_at = after.updated_at;
    }
    call.state.store.update_members(Some(&after), &members).await?;
    Ok(after)
}

/// Rules over what was and what shall be. `node` is the one that the group will belong to.
fn check_change(
    before: &Portgroup,
    after: &Portgroup,
    node: &Node,
    members: &[Port],
) -> Result<(), ApiError> {
    if before.node_uuid != after.node_uuid {
        if !is_connectable(node) {
            return Err(ApiError::conflict(format!(
                "Portgroup {} can not be associated to node {} unless the node is in a {} state or in maintenance mode. \
                 Current state is '{}'.",
                before.uuid,
                node.uuid,
                CONNECTABLE.map(S::as_str).join(", "),
                node.provision_state
            )));
        }
        if !members.is_empty() {
            return Err(ApiError::invalid(format!(
                "Portgroup {} can not be associated with node {} because there are ports associated with this portgroup.",
                before.uuid, node.uuid
            )));
        }
    }
    if before.standalone_ports_supported && !after.standalone_ports_supported {
        check_members_standalone(after, node, members)?;
    }
    Ok(())
}

/// `DELETE /v1/portgroups/{portgroup}`: only while it has no ports.
pub async fn delete(call: Call) -> Result<Reply, ApiError> {
    let group = named(&call).await?;
    let deleted = async { Ok(call.state.store.delete::<Portgroup>(group.uuid).await?) };
    call.hold(group.node_uuid, deleted).await?;
    Ok(Reply::empty())
}

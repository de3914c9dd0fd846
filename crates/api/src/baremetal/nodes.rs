//! One node: show, delete, children.

use super::fields::{Chosen, unknown_node_field};
use super::node_fields::{Context, FIELDS, NodeView};
use super::node_rows::Whole;
use crate::args::parse_uuid;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::limits::{LOCK_PAUSE, LOCK_TRIES};
use crate::policy::Target;
use crate::route::Route;
use crate::route::Verb::{Delete, Get};
use axum::http::StatusCode;
use model::node::Node;
use model::state::ProvisionState;
use model::version as v;
use serde_json::json;
use store::{Cells, NodeQuery, StoreError};

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes/{node}", "baremetal:node:get", handler!(show))
        .says("Shows a node.")
        .query(&["fields"]),
    Route::new(Delete, "/v1/nodes/{node}", "baremetal:node:delete", handler!(delete))
        .says("Removes a node.")
        .query(&[])
        .own_check()
        .success(StatusCode::NO_CONTENT),
    Route::new(Get, "/v1/nodes/{node}/children", "baremetal:node:get", handler!(children))
        .says("Lists the nodes below this one.")
        .query(&[])
        .since(v::PARENT_NODE),
];

/// What a whole node usually takes, bytes.
const ROOM: usize = 4096;

/// `GET /v1/nodes/{node}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    if let Some(reply) = shown_before(&call).await? {
        return Ok(reply);
    }
    let row = call.node().await?;
    let chosen = Chosen::of_one(&call.query, call.version, FIELDS, unknown_node_field)?;
    Reply::json(&NodeView::of(&row, &Context::of(&call, &chosen)))
}

/// The whole node, to those who see every one; nothing where it is not there, or something else is asked for.
async fn shown_before(call: &Call) -> Result<Option<Reply>, ApiError> {
    let Some(uuid) = parse_uuid(call.parameter("node")) else { return Ok(None) };
    if call.query.value("fields").is_some() || !call.may("baremetal:node:get", &Target::NONE) {
        return Ok(None);
    }
    let context = Context::of(call, &Chosen::All);
    let Some(whole) = Whole::of(&context, &call.state.shown_nodes) else { return Ok(None) };
    let mut out = Vec::with_capacity(ROOM);
    let write = |row: &dyn Cells| whole.write(row, &mut out).map(drop);
    let is_there = call.state.store.visit_node(uuid, Whole::COLUMNS, write).await?;
    Ok(is_there.then(|| Reply { json: Some(out), ..Reply::default() }))
}

/// A whole node as the answer to a change; nobody holds it then.
pub fn whole(call: &Call, node: &Node) -> Result<Reply, ApiError> {
    let context = &Context::of(call, &Chosen::All);
    Reply::json(&NodeView { node, carried: None, reservation: None, context })
}

/// `DELETE /v1/nodes/{node}`
pub async fn delete(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node;
    let uuid = node.uuid;
    check_delete(&call, &node)?;
    let available = call.state.settings.allow_deleting_available_nodes;
    let mut tries = 1;
    loop {
        let deleted = call
            .state
            .store
            .delete_node(uuid, call.now(), |node| deletable(node, available).map_err(DeleteError::Refused));
        match deleted.await {
            Ok(()) => return Ok(Reply::empty()),
            Err(DeleteError::Store(StoreError::Locked { .. })) if tries < LOCK_TRIES => {
                tries += 1;
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Err(DeleteError::Store(error)) => return Err(error.into()),
            Err(DeleteError::Refused(error)) => return Err(error),
        }
    }
}

/// Operators delete any node; admins of a project those that it owns, unless the site forbids it.
fn check_delete(call: &Call, node: &Node) -> Result<(), ApiError> {
    let target = Target::node(node);
    let refused = call.check("baremetal:node:delete", &target);
    if refused.is_err() && call.state.settings.project_admin_can_manage_own_nodes {
        return call.check("baremetal:node:delete:self_owned_node", &target);
    }
    refused
}

enum DeleteError {
    Refused(ApiError),
    Store(StoreError),
}

impl From<StoreError> for DeleteError {
    fn from(error: StoreError) -> Self {
        DeleteError::Store(error)
    }
}

/// May the node go? In maintenance always, unless it is protected.
fn deletable(node: &Node, available: bool) -> Result<(), ApiError> {
    let uuid = node.uuid;
    if let Some(instance) = &node.instance_uuid
        && !node.maintenance
    {
        return Err(ApiError::conflict(format!("Node {uuid} is associated with instance {instance}.")));
    }
    if node.protected {
        return Err(ApiError::forbidden(format!(
            "Node {uuid} is protected and cannot be undeployed, rebuilt or deleted"
        )));
    }
    let mut allowed = vec![ProvisionState::Enroll, ProvisionState::Manageable, ProvisionState::AdoptFailed];
    if available {
        allowed.push(ProvisionState::Available);
    }
    if !node.maintenance && !allowed.contains(&node.provision_state) {
        let allowed: Vec<_> = allowed.iter().map(|state| format!("'{state}'")).collect();
        return Err(ApiError::conflict(format!(
            "Can not delete node \"{uuid}\" while it is in provision state \"{}\". Valid provision states to perform deletion \
             are: \"({})\", or set the node into maintenance mode",
            node.provision_state,
            allowed.join(", ")
        )));
    }
    Ok(())
}

/// `GET /v1/nodes/{node}/children`
pub async fn children(call: Call) -> Result<Reply, ApiError> {
    let uuid = call.node().await?.node.uuid;
    let mut query = NodeQuery {
        equal: vec![("parent_node", uuid.to_string())],
        project: call.confined_to("baremetal:node:list")?.map(str::to_owned),
        limit: call.state.settings.max_limit,
        ..NodeQuery::default()
    };
    let mut children = Vec::new();
    loop {
        let rows = call.state.store.nodes(&query).await?;
        let Some(last) = rows.last() else { break };
        query.marker = Some(last.node.uuid);
        children.extend(rows.iter().map(|row| row.node.uuid));
    }
    Reply::json(&json!({
        "children": children,
        "links": {"href": call.url(&format!("nodes?parent_node={uuid}")), "rel": "children"},
    }))
}

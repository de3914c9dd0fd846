//! `/v1/nodes/{node}/vifs`: which virtual interfaces are attached to the node's ports. Kept in
//! `port.internal_info.tenant_vif_port_id`, as Ironic's `flat` network keeps them.

use crate::args::{Args, object};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::{Delete, Get, Post};
use axum::http::StatusCode;
use model::port::Port;
use model::version as v;
use model::version::VIF_PORT;
use serde_json::{Value, json};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes/{node}/vifs", "baremetal:node:vif:list", handler!(list))
        .since(v::VIFS)
        .query(&[]),
    Route::new(Post, "/v1/nodes/{node}/vifs", "baremetal:node:vif:attach", handler!(attach))
        .since(v::VIFS)
        .query(&[])
        .success(StatusCode::NO_CONTENT),
    Route::new(Delete, "/v1/nodes/{node}/vifs/{vif}", "baremetal:node:vif:detach", handler!(detach))
        .since(v::VIFS)
        .query(&[])
        .success(StatusCode::NO_CONTENT),
];

const KEY: &str = "tenant_vif_port_id";

fn vif_of(port: &Port) -> Option<&str> {
    port.internal_info.get(KEY).and_then(Value::as_str)
}

async fn ports(call: &Call, node: Uuid) -> Result<Vec<Port>, ApiError> {
    Ok(call.state.store.ports_of_node(node).await?)
}

/// `GET …/vifs`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let uuid = call.node().await?.node.uuid;
    let ports = ports(&call, uuid).await?;
    let vifs: Vec<_> = ports.iter().filter_map(vif_of).map(|id| json!({"id": id})).collect();
    Reply::json(&json!({"vifs": vifs}))
}

/// `POST …/vifs {id, port_uuid?}`
pub async fn attach(call: Call) -> Result<Reply, ApiError> {
    let mut args = Args::default();
    args.extend(object("vif", call.json()?)?);
    if args.require("id").is_err() {
        return Err(ApiError::invalid("Schema error for vif: 'id' is a required property"));
    }
    let vif = args
        .uuid_or_name("id")?
        .ok_or_else(|| ApiError::invalid("Schema error for vif: None is not of type 'string'"))?;
    let mut wanted = None;
    if call.version.has(VIF_PORT) {
        if args.value("port_uuid").is_some() && args.value("portgroup_uuid").is_some() {
            return Err(ApiError::invalid("Cannot specify both port_uuid and portgroup_uuid"));
        }
        wanted = args.uuid("port_uuid")?;
        if let Some(group) = args.uuid("portgroup_uuid")? {
            return Err(ApiError::invalid(format!("Portgroup {group} could not be found.")));
        }
    }
    let uuid = call.node().await?.node.uuid;
    let claim = call.claim_node(uuid).await?;
    let outcome = attach_to_port(&call, uuid, vif, wanted).await;
    call.state.store.release(&claim).await?;
    outcome.map(|()| Reply::empty())
}

async fn attach_to_port(call: &Call, node: Uuid, vif: &str, wanted: Option<Uuid>) -> Result<(), ApiError> {
    let mut ports = ports(call, node).await?;
    if let Some(port) = ports.iter().find(|port| vif_of(port) == Some(vif)) {
        return Err(ApiError::conflict(format!(
            "Unable to attach VIF because VIF {vif} is already attached to Ironic Port {}",
            port.uuid
        )));
    }
    // Ports that the node boots through come first.
    ports.sort_by_key(|port| !port.pxe_enabled);
    let free = ports
        .into_iter()
        .find(|port| vif_of(port).is_none() && wanted.is_none_or(|wanted| wanted == port.uuid))
        .ok_or_else(|| {
            ApiError::invalid(format!("Unable to attach VIF {vif}, not enough free physical ports."))
        })?;
    write(call, free, Some(vif)).await
}

/// `DELETE …/vifs/{vif}`
pub async fn detach(call: Call) -> Result<Reply, ApiError> {
    let vif = call.parameter("vif");
    let uuid = call.node().await?.node.uuid;
    let claim = call.claim_node(uuid).await?;
    let outcome = detach_from_port(&call, uuid, vif).await;
    call.state.store.release(&claim).await?;
    outcome.map(|()| Reply::empty())
}

async fn detach_from_port(call: &Call, node: Uuid, vif: &str) -> Result<(), ApiError> {
    let port =
        ports(call, node).await?.into_iter().find(|port| vif_of(port) == Some(vif)).ok_or_else(|| {
            let vif: String = vif.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
            ApiError::invalid(format!(
                "Unable to detach VIF {vif} from node {node} because it is not attached to it."
            ))
        })?;
    write(call, port, None).await
}

async fn write(call: &Call, mut port: Port, vif: Option<&str>) -> Result<(), ApiError> {
    match vif {
        Some(vif) => {
            port.internal_info.insert(KEY.to_owned(), vif.into());
        }
        None => {
            port.internal_info.remove(KEY);
        }
    }
    port.updated_at = Some(call.now());
    Ok(call.state.store.update(&port).await?)
}

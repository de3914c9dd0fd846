//! `GET /v1/ports`, `/v1/ports/detail`, and the ports of one node.

use super::fields::{Chosen, Page, unknown_field};
use super::port_fields::{DEFAULT, FIELDS, shown};
use crate::args::{Args, parse_uuid};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::Get;
use model::port::Port;
use model::version as v;
use serde_json::json;
use store::Record;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes/{node}/ports", "baremetal:port:list", handler!(list_of_node)).query(LIST),
    Route::new(Get, "/v1/nodes/{node}/ports/detail", "baremetal:port:list", handler!(detail_of_node))
        .query(DETAIL),
    Route::new(Get, "/v1/ports", "baremetal:port:list", handler!(list)).query(LIST),
    Route::new(Get, "/v1/ports/detail", "baremetal:port:list", handler!(detail)).query(DETAIL),
];

/// What the query of a list may have.
const LIST: &[&str] = &[
    "node",
    "node_uuid",
    "address",
    "marker",
    "limit",
    "sort_key",
    "sort_dir",
    "portgroup",
    "shard",
    "description_contains",
    "conductor_groups",
    "fields",
    "detail",
];

/// The same of a list of whole ports: the above without the last two.
const DETAIL: &[&str] = LIST.split_at(LIST.len() - 2).0;

/// `GET /v1/ports`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let args = call.query.clone();
    let chosen = Chosen::of_list(&args, call.version, FIELDS, DEFAULT, unknown_field)?;
    let node = node_filter(&call, &args).await?;
    page(&call, &args, node, &chosen, "ports").await
}

/// `GET /v1/ports/detail`
pub async fn detail(call: Call) -> Result<Reply, ApiError> {
    let args = call.query.clone();
    let node = node_filter(&call, &args).await?;
    page(&call, &args, node, &Chosen::All, "ports/detail").await
}

/// `GET /v1/nodes/{node}/ports`
pub async fn list_of_node(call: Call) -> Result<Reply, ApiError> {
    let args = call.query.clone();
    let chosen = Chosen::of_list(&args, call.version, FIELDS, DEFAULT, unknown_field)?;
    let node = call.node().await?.node.uuid;
    page(&call, &args, Some(node), &chosen, "ports").await
}

/// `GET /v1/nodes/{node}/ports/detail`
pub async fn detail_of_node(call: Call) -> Result<Reply, ApiError> {
    let args = call.query.clone();
    let node = call.node().await?.node.uuid;
    page(&call, &args, Some(node), &Chosen::All, "ports/detail").await
}

/// The node that `node_uuid` or `node` asks for.
async fn node_filter(call: &Call, args: &Args) -> Result<Option<Uuid>, ApiError> {
    if let Some(uuid) = args.uuid("node_uuid")? {
        return Ok(Some(call.find_node(&uuid.to_string()).await?.node.uuid));
    }
    match args.uuid_or_name("node")? {
        None => Ok(None),
        Some(name) if parse_uuid(name).is_none() && !call.version.has(v::NODE_NAME) => {
            Err(ApiError::not_acceptable())
        }
        Some(ident) => Ok(Some(call.find_node(ident).await?.node.uuid)),
    }
}

async fn page(
    call: &Call,
    args: &Args,
    node: Option<Uuid>,
    chosen: &Chosen,
    url: &str,
) -> Result<Reply, ApiError> {
    let page = Page::read(call, args, FIELDS, Port::SORT_COLUMNS)?;
    let (portgroup, shard) = (args.uuid_or_name("portgroup")?, args.list("shard")?);
    if portgroup.is_some() && !call.version.has(v::PORTGROUP_LISTS) {
        return Err(ApiError::not_acceptable());
    }
    if shard.is_some() && !call.version.has(v::SHARD) {
        return Err(ApiError::needs(v::SHARD));
    }
    if usize::from(node.is_some()) + usize::from(portgroup.is_some()) + usize::from(shard.is_some()) > 1 {
        return Err(ApiError::forbidden("Operation not permitted."));
    }
    if let Some(group) = portgroup {
        return Err(ApiError::not_found(format!("Portgroup {group} could not be found.")));
    }
    let groups = args.list("conductor_groups")?;
    if groups.is_some() && !call.version.has(v::PORT_CONDUCTOR_GROUPS) {
        return Err(ApiError::needs(v::PORT_CONDUCTOR_GROUPS));
    }
    let address = args.mac("address")?;
    if groups.is_some() && (node.is_some() || address.is_some()) {
        return Err(ApiError::invalid(
            "Filtering by conductor_groups cannot be combined with node_ident, portgroup_ident, or node address filters.",
        ));
    }
    let description = args.text("description_contains")?;
    if shard.is_some() || groups.is_some() || description.is_some() {
        return Err(ApiError::invalid(
            "Filtering ports by shard, conductor_groups or description_contains is not served by this version of Billet; list \
             the ports of each node instead.",
        ));
    }
    if let Some(marker) = page.marker {
        call.state.store.get::<Port>(&marker.to_string()).await?;
    }
    let mut query = page.query();
    if let Some(node) = node {
        query = query.and("node_uuid", node.to_string());
    }
    if let Some(address) = address {
        query = query.and("address", address);
    }
    let ports: Vec<Port> = call.state.store.list(&query).await?;
    let detail = args.boolean("detail")?.map(|detail| ("detail", detail));
    let next =
        page.next(call, url, chosen, detail.as_slice(), ports.len(), ports.last().map(|port| port.uuid));
    let rows: Vec<_> = ports.iter().map(|port| shown(call, port, chosen)).collect();
    let mut body = json!({"ports": rows});
    if let Some(next) = next {
        body["next"] = next.into();
    }
    Reply::json(&body)
}

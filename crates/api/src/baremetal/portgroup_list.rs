//! `GET /v1/portgroups`, `/v1/portgroups/detail`, and the port groups of one node.

use super::fields::{Chosen, Page};
use super::portgroup_document::{DEFAULT, FIELDS, shown, unknown_field};
use super::query_schema::{self, Form};
use super::records::Listing;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::Get;
use model::portgroup::Portgroup;
use model::version as v;
use store::Record;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes/{node}/portgroups", "baremetal:portgroup:list", handler!(list_of_node))
        .says("Lists the node's port groups.")
        .since(v::PORTGROUP_LISTS)
        .query(LIST),
    Route::new(
        Get,
        "/v1/nodes/{node}/portgroups/detail",
        "baremetal:portgroup:list",
        handler!(detail_of_node),
    )
    .says("Lists the node's port groups with all their fields.")
    .since(v::PORTGROUP_LISTS)
    .query(DETAIL),
    Route::new(Get, "/v1/portgroups", "baremetal:portgroup:list", handler!(list))
        .says("Lists port groups.")
        .since(v::PORTGROUPS)
        .query(LIST),
    Route::new(Get, "/v1/portgroups/detail", "baremetal:portgroup:list", handler!(detail))
        .says("Lists port groups with all their fields.")
        .since(v::PORTGROUPS)
        .query(DETAIL),
];

/// What the query of a list may have.
const LIST: &[&str] = &[
    "node",
    "address",
    "marker",
    "limit",
    "sort_key",
    "sort_dir",
    "shard",
    "conductor_groups",
    "fields",
    "detail",
];

/// The same of a list of whole port groups: the above without the last two.
const DETAIL: &[&str] = LIST.split_at(LIST.len() - 2).0;

/// `GET /v1/portgroups`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    some(&call, None).await
}

/// `GET /v1/portgroups/detail`
pub async fn detail(call: Call) -> Result<Reply, ApiError> {
    page(&call, None, &Chosen::All, "portgroups/detail").await
}

/// `GET /v1/nodes/{node}/portgroups`
pub async fn list_of_node(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node.uuid;
    some(&call, Some(node)).await
}

/// `GET /v1/nodes/{node}/portgroups/detail`
pub async fn detail_of_node(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node.uuid;
    page(&call, Some(node), &Chosen::All, "portgroups/detail").await
}

async fn some(call: &Call, node: Option<Uuid>) -> Result<Reply, ApiError> {
    let chosen = Chosen::of_list(&call.query, call.version, FIELDS, DEFAULT, unknown_field)?;
    page(call, node, &chosen, "portgroups").await
}

/// `node` is the path's; it goes before the query's.
async fn page(call: &Call, node: Option<Uuid>, chosen: &Chosen, url: &str) -> Result<Reply, ApiError> {
    let args = &call.query;
    const FORMS: &[(&str, Form)] = &[
        ("node", Form::UuidOrName),
        ("address", Form::Mac),
        ("marker", Form::Uuid),
        ("sort_dir", Form::Direction),
    ];
    query_schema::check(args, FORMS)?;
    let page = Page::read(call, args, FIELDS, Portgroup::SORT_COLUMNS)?;
    let shards = args.list("shard")?;
    if shards.is_some() && !call.version.has(v::PORTGROUP_SHARD) {
        return Err(ApiError::needs(v::PORTGROUP_SHARD));
    }
    // An empty list filters nothing.
    let shards = shards.filter(|shards| !shards.is_empty());
    let groups = args.list("conductor_groups")?.filter(|groups| !groups.is_empty());
    let address = args.mac("address")?;
    let ident = args.uuid_or_name("node")?.filter(|_| node.is_none());
    let given = [node.is_some() || ident.is_some(), address.is_some(), shards.is_some(), groups.is_some()];
    if given.iter().filter(|given| **given).count() > 1 {
        return Err(ApiError::invalid(
            "Filtering by node, address, or shard simultaneously is not supported.",
        ));
    }
    let node = match ident {
        Some(ident) => Some(call.find_node(ident).await?.node.uuid),
        None => node,
    };
    let mut query = page.query().within(call.node_scope()?);
    if let Some(node) = node {
        query = query.and("node_uuid", node.to_string());
    }
    if let Some(address) = address {
        query = query.and("address", address);
    }
    query.of_nodes = match (shards, groups) {
        (Some(shards), _) => Some(("node_uuid", "shard", shards)),
        (None, Some(groups)) => Some(("node_uuid", "conductor_group", groups)),
        (None, None) => None,
    };
    let detail = args.boolean("detail")?.map(|detail| ("detail", detail));
    let listing = Listing { collection: "portgroups", url, chosen, repeated: detail.as_slice() };
    listing.answer(call, &page, &query, shown).await
}

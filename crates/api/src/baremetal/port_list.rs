//! `GET /v1/ports`, `/v1/ports/detail`, and the ports of one node and of one port group.

use super::fields::{Chosen, Page, unknown_field};
use super::port_fields::{DEFAULT, FIELDS, shown};
use super::portgroups;
use super::records::Listing;
use crate::args::parse_uuid;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::Get;
use model::port::Port;
use model::version as v;
use store::{Query, Record};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes/{node}/ports", "baremetal:port:list", handler!(list_of_node))
        .says("Lists the node's ports.")
        .query(LIST),
    Route::new(Get, "/v1/nodes/{node}/ports/detail", "baremetal:port:list", handler!(detail_of_node))
        .says("Lists the node's ports with all their fields.")
        .query(DETAIL),
    Route::new(Get, "/v1/ports", "baremetal:port:list", handler!(list)).says("Lists ports.").query(LIST),
    Route::new(Get, "/v1/ports/detail", "baremetal:port:list", handler!(detail))
        .says("Lists ports with all their fields.")
        .query(DETAIL),
    Route::new(Get, "/v1/portgroups/{portgroup}/ports", "baremetal:port:list", handler!(list_of_portgroup))
        .says("Lists the port group's ports.")
        .since(v::PORTGROUP_LISTS)
        .query(LIST),
    Route::new(
        Get,
        "/v1/portgroups/{portgroup}/ports/detail",
        "baremetal:port:list",
        handler!(detail_of_portgroup),
    )
    .says("Lists the port group's ports with all their fields.")
    .since(v::PORTGROUP_LISTS)
    .query(DETAIL),
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

/// Whose ports a list is about, by its path.
#[derive(Clone, Copy)]
enum Parent {
    Nobody,
    Node(Uuid),
    Group(Uuid),
}

/// `GET /v1/ports`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    some(&call, Parent::Nobody).await
}

/// `GET /v1/ports/detail`
pub async fn detail(call: Call) -> Result<Reply, ApiError> {
    whole(&call, Parent::Nobody).await
}

/// `GET /v1/nodes/{node}/ports`
pub async fn list_of_node(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node.uuid;
    some(&call, Parent::Node(node)).await
}

/// `GET /v1/nodes/{node}/ports/detail`
pub async fn detail_of_node(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node.uuid;
    whole(&call, Parent::Node(node)).await
}

/// `GET /v1/portgroups/{portgroup}/ports`
pub async fn list_of_portgroup(call: Call) -> Result<Reply, ApiError> {
    let group = portgroups::named(&call).await?.uuid;
    some(&call, Parent::Group(group)).await
}

/// `GET /v1/portgroups/{portgroup}/ports/detail`
pub async fn detail_of_portgroup(call: Call) -> Result<Reply, ApiError> {
    let group = portgroups::named(&call).await?.uuid;
    whole(&call, Parent::Group(group)).await
}

async fn some(call: &Call, parent: Parent) -> Result<Reply, ApiError> {
    let chosen = Chosen::of_list(&call.query, call.version, FIELDS, DEFAULT, unknown_field)?;
    page(call, parent, &chosen, "ports").await
}

async fn whole(call: &Call, parent: Parent) -> Result<Reply, ApiError> {
    page(call, parent, &Chosen::All, "ports/detail").await
}

/// What a list's path and query ask for. The path goes before the query.
struct Filters {
    node: Option<Uuid>,
    group: Option<Uuid>,
    address: Option<String>,
    shards: Option<Vec<String>>,
    conductor_groups: Option<Vec<String>>,
    description: Option<String>,
}

impl Filters {
    async fn read(call: &Call, parent: Parent) -> Result<Self, ApiError> {
        let args = &call.query;
        let portgroup = args.uuid_or_name("portgroup")?.filter(|_| !matches!(parent, Parent::Group(_)));
        if portgroup.is_some() && !call.version.has(v::PORTGROUP_LISTS) {
            return Err(ApiError::not_acceptable());
        }
        let shards = args.list("shard")?;
        if shards.is_some() && !call.version.has(v::SHARD) {
            return Err(ApiError::needs(v::SHARD));
        }
        // An empty list filters nothing.
        let shards = shards.filter(|shards| !shards.is_empty());
        let conductor_groups = args.list("conductor_groups")?.filter(|groups| !groups.is_empty());
        let address = args.mac("address")?;
        let node = match (args.uuid("node_uuid")?, args.uuid_or_name("node")?) {
            _ if matches!(parent, Parent::Node(_)) => None,
            (Some(uuid), _) => Some(uuid.to_string()),
            (None, Some(name)) if parse_uuid(name).is_none() && !call.version.has(v::NODE_NAME) => {
                return Err(ApiError::not_acceptable());
            }
            (None, ident) => ident.map(str::to_owned),
        };
        let of_node = node.is_some() || matches!(parent, Parent::Node(_));
        let of_group = portgroup.is_some() || matches!(parent, Parent::Group(_));
        if [of_node, of_group, shards.is_some()].iter().filter(|given| **given).count() > 1 {
            return Err(ApiError::forbidden("Operation not permitted."));
        }
        if conductor_groups.is_some() && (of_node || of_group || address.is_some()) {
            return Err(ApiError::invalid(
                "Filtering by conductor_groups cannot be combined with node_ident, portgroup_ident, or node address filters.",
            ));
        }
        let (parent_node, parent_group) = match parent {
            Parent::Nobody => (None, None),
            Parent::Node(node) => (Some(node), None),
            Parent::Group(group) => (None, Some(group)),
        };
        Ok(Self {
            node: match node {
                Some(ident) => Some(call.find_node(&ident).await?.node.uuid),
                None => parent_node,
            },
            group: match portgroup {
                Some(ident) => Some(portgroups::find(call, ident).await?.uuid),
                None => parent_group,
            },
            address,
            shards,
            conductor_groups,
            description: args
                .text("description_contains")?
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
        })
    }

    /// Adds them to a query; all must hold.
    fn narrow(self, mut query: Query) -> Query {
        let equal = [
            ("node_uuid", self.node.map(|uuid| uuid.to_string())),
            ("portgroup_uuid", self.group.map(|uuid| uuid.to_string())),
            ("address", self.address),
        ];
        for (column, value) in equal {
            if let Some(value) = value {
                query = query.and(column, value);
            }
        }
        query.contains = self.description.map(|text| ("description", text));
        query.of_nodes = match (self.shards, self.conductor_groups) {
            (Some(shards), _) => Some(("node_uuid", "shard", shards)),
            (None, Some(groups)) => Some(("node_uuid", "conductor_group", groups)),
            (None, None) => None,
        };
        query
    }
}

async fn page(call: &Call, parent: Parent, chosen: &Chosen, url: &str) -> Result<Reply, ApiError> {
    let page = Page::read(call, &call.query, FIELDS, Port::SORT_COLUMNS)?;
    let query = Filters::read(call, parent).await?.narrow(page.query()).within(call.node_scope()?);
    let detail = call.query.boolean("detail")?.map(|detail| ("detail", detail));
    let listing = Listing { collection: "ports", url, chosen, repeated: detail.as_slice() };
    listing.answer(call, &page, &query, shown).await
}

//! `GET /v1/nodes` and `/v1/nodes/detail`.

use super::fields::{Chosen, Page, unknown_node_field};
use super::node_fields::{Context, DEFAULT, FIELDS, NodeView};
use super::node_rows::{Brief, Whole};
use crate::args::Args;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::policy::Target;
use crate::route::Route;
use crate::route::Verb::Get;
use crate::wording::display;
use axum::http::StatusCode;
use model::chassis::Chassis;
use model::node::Fault;
use model::state::ProvisionState;
use model::version::{self as v, Microversion};
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq};
use serde_json::Value;
use store::{Cells, ListedNode, NodeQuery};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes", "baremetal:node:list", handler!(list))
        .says("Lists nodes.")
        .query(ARGUMENTS)
        .query_since(FILTER_VERSIONS),
    Route::new(Get, "/v1/nodes/detail", "baremetal:node:list", handler!(detail))
        .says("Lists nodes with all their fields.")
        .query(FILTERS)
        .query_since(FILTER_VERSIONS),
];

/// Arguments of a list of nodes.
pub const ARGUMENTS: &[&str] = &[
    "fields",
    "detail",
    "chassis_uuid",
    "instance_uuid",
    "associated",
    "maintenance",
    "retired",
    "provision_state",
    "marker",
    "limit",
    "sort_key",
    "sort_dir",
    "driver",
    "resource_class",
    "fault",
    "conductor_group",
    "conductor",
    "owner",
    "description_contains",
    "lessee",
    "project",
    "shard",
    "sharded",
    "include_children",
    "parent_node",
    "instance_name",
];

/// The same without what chooses fields.
pub const FILTERS: &[&str] = ARGUMENTS.split_at(2).1;

/// What a whole node takes in a list, and what the fields take that a list shows by default: a guess for its buffer.
const DETAIL_BYTES: usize = 3072;
const ROW_BYTES: usize = 512;

/// Filters that came with a microversion.
pub const FILTER_VERSIONS: &[(&str, Microversion)] = &[
    ("driver", v::DRIVER_FILTER),
    ("resource_class", v::RESOURCE_CLASS),
    ("fault", v::FAULT),
    ("conductor_group", v::CONDUCTOR_GROUP),
    ("conductor", v::CONDUCTORS),
    ("owner", v::OWNER),
    ("lessee", v::LESSEE),
    ("shard", v::SHARD),
    ("sharded", v::SHARD),
    ("include_children", v::PARENT_NODE),
    ("parent_node", v::PARENT_NODE),
    ("instance_name", v::INSTANCE_NAME),
];

/// `GET /v1/nodes`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let chosen = Chosen::of_list(&call.query, call.version, FIELDS, DEFAULT, unknown_node_field)?;
    page(&call, &chosen, "nodes").await
}

/// `GET /v1/nodes/detail`
pub async fn detail(call: Call) -> Result<Reply, ApiError> {
    page(&call, &Chosen::All, "nodes/detail").await
}

async fn page(call: &Call, chosen: &Chosen, url: &str) -> Result<Reply, ApiError> {
    let args = &call.query;
    let page = Page::read(call, args, FIELDS, NodeQuery::SORT_COLUMNS)?;
    let mut query = query(call, args)?;
    query.sort = Some(page.sort);
    query.direction = page.direction;
    query.limit = page.limit;
    query.marker = page.marker;
    if let Some(chassis) = args.uuid("chassis_uuid")? {
        call.state.store.get::<Chassis>(&chassis.to_string()).await?;
    }
    if let Some(marker) = page.marker {
        // A marker that isn't there would start the list anew.
        call.find_node(&marker.to_string()).await?;
    }
    // An empty list of shards is a list that nothing is in.
    let no_shard = args.list("shard")?.is_some_and(|shards| shards.is_empty());
    let mut repeated = Vec::new();
    for name in ["associated", "maintenance", "retired"] {
        if args.boolean(name)? == Some(true) {
            repeated.push((name, true));
        }
    }
    if let Some(detail) = args.boolean("detail")? {
        repeated.push(("detail", detail));
    }
    let is_one = args.uuid("instance_uuid")?.is_some();
    let next = |count: usize, last: Option<Uuid>| match is_one {
        true => None,
        false => page.next(call, url, chosen, &repeated, count, last),
    };
    let context = Context::of(call, chosen);
    let host = args.text("conductor")?;
    // Whose a node is, is no column.
    if host.is_none() && !no_shard {
        let store = &call.state.store;
        let mut list = Written::new(page.limit);
        if let Some(brief) = Brief::of(&context) {
            let write = |row: &dyn Cells| list.push(|out| brief.write(row, out));
            store.visit_nodes(&query, brief.columns(), write).await?;
            return Ok(list.end(next));
        }
        if let Some(whole) = Whole::of(&context, &call.state.shown_nodes) {
            let write = |row: &dyn Cells| list.push(|out| whole.write(row, out));
            store.visit_nodes(&query, Whole::COLUMNS, write).await?;
            return Ok(list.end(next));
        }
    }
    let mut rows = if no_shard { Vec::new() } else { call.state.store.listed_nodes(&query).await? };
    let next = next(rows.len(), rows.last().map(|row| row.node.uuid));
    // A page may come out short, and its link leads on all the same.
    if let Some(host) = host {
        let share = &context.share;
        rows.retain(|row| {
            share.conductor_of(row.node.uuid, &row.node.conductor_group, &row.node.driver) == Some(host)
        });
    }
    let each = if matches!(chosen, Chosen::All) { DETAIL_BYTES } else { ROW_BYTES };
    let list = NodeList { rows: &rows, context: &context, next };
    Reply::json_of_about(&list, rows.len() * each + 1024)
}

/// After so many nodes of a list it is plain how much room the rest will take: they are much alike.
const SAMPLE: usize = 8;

/// Room that is made at once, bytes: memory is taken only as it is written.
const ROOM_AT_MOST: usize = 8 << 20;

/// A list whose nodes are written one by one.
struct Written {
    out: Vec<u8>,
    count: usize,
    most: usize,
    last: Option<Uuid>,
}

impl Written {
    /// Of at most so many nodes.
    fn new(limit: i64) -> Self {
        Self {
            out: b"{\"nodes\":[".to_vec(),
            count: 0,
            most: usize::try_from(limit).unwrap_or(0),
            last: None,
        }
    }

    /// Adds a node; `write` says its UUID.
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>) -> store::Result<Uuid>) -> store::Result<()> {
        if self.count > 0 {
            self.out.push(b',');
        }
        self.last = Some(write(&mut self.out)?);
        self.count += 1;
        if self.count == SAMPLE {
            // Grown by doubling, megabytes would be copied, and be kept by the allocator at each of their sizes.
            let rest = self.most.saturating_sub(SAMPLE);
            self.out.reserve(rest.saturating_mul(self.out.len() / SAMPLE * 9 / 8).min(ROOM_AT_MOST));
        }
        Ok(())
    }

    fn end(mut self, next: impl FnOnce(usize, Option<Uuid>) -> Option<String>) -> Reply {
        self.out.push(b']');
        if let Some(next) = next(self.count, self.last) {
            self.out.extend_from_slice(b",\"next\":");
            self.out.extend_from_slice(Value::from(next).to_string().as_bytes());
        }
        self.out.push(b'}');
        Reply { json: Some(self.out), ..Reply::default() }
    }
}

struct NodeList<'a> {
    rows: &'a [ListedNode],
    context: &'a Context<'a>,
    next: Option<String>,
}

struct Rows<'a>(&'a NodeList<'a>);

impl Serialize for Rows<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.rows.len()))?;
        for row in self.0.rows {
            seq.serialize_element(&NodeView::of_listed(row, self.0.context))?;
        }
        seq.end()
    }
}

impl Serialize for NodeList<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("nodes", &Rows(self))?;
        if let Some(next) = &self.next {
            map.serialize_entry("next", next)?;
        }
        map.end()
    }
}

/// The project whose nodes are listed: the one asked for, which for those who don't see everything can only be their own.
fn project(call: &Call, asked: Option<&str>) -> Result<Option<String>, ApiError> {
    let project = match call.confined_to("baremetal:node:list")? {
        Some(own) if asked.is_some_and(|asked| asked != own) => {
            call.check("baremetal:node:list_all", &Target::NONE)?;
            Some(own)
        }
        Some(own) => Some(own),
        None => asked,
    };
    Ok(project.map(str::to_owned))
}

fn query(call: &Call, args: &Args) -> Result<NodeQuery, ApiError> {
    let mut query = NodeQuery {
        associated: args.boolean("associated")?,
        maintenance: args.boolean("maintenance")?,
        retired: args.boolean("retired")?,
        sharded: args.boolean("sharded")?,
        include_children: args.boolean("include_children")?.unwrap_or(false),
        ..NodeQuery::default()
    };
    if let Some(state) = args.text("provision_state")? {
        if !call.version.has(v::PROVISION_STATE_FILTER) {
            return Err(ApiError::not_acceptable());
        }
        if state.parse::<ProvisionState>().is_err() {
            return Err(ApiError::invalid(format!(
                "Provision state \"{}\" is not valid",
                display(&state.into())
            )));
        }
        query.equal.push(("provision_state", state.to_owned()));
    }
    for (name, since) in FILTER_VERSIONS {
        if args.value(name).is_some() && !call.version.has(*since) {
            // The newest filter has a wording of its own.
            return Err(match *since {
                v::INSTANCE_NAME => ApiError::new(
                    StatusCode::NOT_ACCEPTABLE,
                    "instance_name is not acceptable in this API version",
                ),
                since => ApiError::needs(since),
            });
        }
    }
    if let Some(fault) = args.text("fault")?
        && fault.parse::<Fault>().is_err()
    {
        let valid: Vec<_> = Fault::ALL.iter().map(|fault| format!("'{fault}'")).collect();
        return Err(ApiError::invalid(format!(
            "Unrecognized fault \"{}\" is specified, allowed faults are ({})",
            display(&fault.into()),
            valid.join(", ")
        )));
    }
    for name in [
        "driver",
        "resource_class",
        "fault",
        "conductor_group",
        "owner",
        "lessee",
        "parent_node",
        "instance_name",
    ] {
        if let Some(value) = args.text(name)? {
            query.equal.push((name, value.to_owned()));
        }
    }
    for name in ["chassis_uuid", "instance_uuid"] {
        if let Some(value) = args.uuid(name)? {
            query.equal.push((name, value.to_string()));
        }
    }
    query.shards = args.list("shard")?.unwrap_or_default();
    query.description_contains = args.text("description_contains")?.map(str::to_owned);
    query.project = project(call, args.text("project")?)?;
    Ok(query)
}

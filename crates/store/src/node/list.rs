//! Lists of nodes, and nodes of which only some columns are looked at.

use super::{NodeRow, decode_row};
use crate::cells::Cells;
use crate::listed::ListedNode;
use crate::select::{Column, Select, SortDirection};
use crate::{Result, Store};
use uuid::Uuid;

/// Filters of a list of nodes. Everything given must hold.
#[derive(Debug, Clone, Default)]
pub struct NodeQuery {
    /// Column and exact value; see [`NodeQuery::TEXT_COLUMNS`].
    pub equal: Vec<(&'static str, String)>,
    /// Has an instance, or has none.
    pub associated: Option<bool>,
    /// In maintenance or not.
    pub maintenance: Option<bool>,
    /// Retired or not.
    pub retired: Option<bool>,
    /// One of these shards.
    pub shards: Vec<String>,
    /// Has a shard, or has none.
    pub sharded: Option<bool>,
    /// Text within the description.
    pub description_contains: Option<String>,
    /// Owner or lessee is this project.
    pub project: Option<String>,
    /// Children too; otherwise only nodes without a parent (unless `parent_node` is asked for).
    pub include_children: bool,
    /// Sort column; see [`NodeQuery::SORT_COLUMNS`]. None: order of creation.
    pub sort: Option<&'static str>,
    /// Direction.
    pub direction: SortDirection,
    /// Start behind this node.
    pub marker: Option<Uuid>,
    /// At most so many.
    pub limit: i64,
}

impl NodeQuery {
    /// Columns that `equal` may name.
    pub const TEXT_COLUMNS: &'static [&'static str] = &[
        "chassis_uuid",
        "instance_uuid",
        "provision_state",
        "driver",
        "resource_class",
        "fault",
        "conductor_group",
        "owner",
        "lessee",
        "parent_node",
        "instance_name",
    ];

    /// API field and the column that sorts by it.
    pub const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("id", "id"),
        ("uuid", "uuid"),
        ("name", "name"),
        ("instance_uuid", "instance_uuid"),
        ("provision_state", "provision_state"),
        ("power_state", "power_state"),
        ("driver", "driver"),
        ("maintenance", "maintenance"),
        ("retired", "retired"),
        ("fault", "fault"),
        ("resource_class", "resource_class"),
        ("conductor_group", "conductor_group"),
        ("owner", "owner"),
        ("lessee", "lessee"),
        ("shard", "shard"),
        ("parent_node", "parent_node"),
        ("description", "description"),
        ("instance_name", "instance_name"),
        ("created_at", "created_us"),
        ("updated_at", "updated_us"),
        ("provision_updated_at", "provision_updated_us"),
    ];
}

impl Store {
    /// Shows these columns of each node of a list to `visit`, in the list's order; its first error ends the list.
    ///
    /// Beside [`NodeQuery::SORT_COLUMNS`] there are `doc`, where secrets are masks, for [`ListedNode::read`]; `lease_holder`; and
    /// `revision`, which together with `id` is another one for every other document.
    pub async fn visit_nodes(
        &self,
        query: &NodeQuery,
        columns: &[&'static str],
        mut visit: impl FnMut(&dyn Cells) -> Result<()> + Send,
    ) -> Result<()> {
        select(query, &columns.join(", ")).visit(self.read(), &mut visit).await
    }

    /// The same of one node; `false` where there is none.
    pub async fn visit_node(
        &self,
        uuid: Uuid,
        columns: &[&'static str],
        mut visit: impl FnMut(&dyn Cells) -> Result<()> + Send,
    ) -> Result<bool> {
        let mut select = Select::new(&columns.join(", "), "nodes");
        select.equal("uuid", Column::id(Some(uuid)));
        let mut is_there = false;
        let mut visit = |row: &dyn Cells| {
            is_there = true;
            visit(row)
        };
        select.visit(self.read(), &mut visit).await?;
        Ok(is_there)
    }

    /// Lists nodes; secrets stay masked.
    pub async fn nodes(&self, query: &NodeQuery) -> Result<Vec<NodeRow>> {
        select(query, ROW).fetch(self.read()).await?.iter().map(decode_row).collect()
    }

    /// Lists nodes to be shown: objects that are only carried are not read.
    pub async fn listed_nodes(&self, query: &NodeQuery) -> Result<Vec<ListedNode>> {
        let mut nodes = Vec::new();
        let mut visit = |row: &dyn Cells| {
            nodes.push(ListedNode::read(row, 0, 1)?);
            Ok(())
        };
        select(query, ROW).visit(self.read(), &mut visit).await?;
        Ok(nodes)
    }
}

/// The columns of a [`NodeRow`] and of a [`ListedNode`].
const ROW: &str = "doc, lease_holder";

/// The statement of a list.
fn select(query: &NodeQuery, columns: &str) -> Select {
    let mut select = Select::new(columns, "nodes");
    for (column, value) in &query.equal {
        debug_assert!(NodeQuery::TEXT_COLUMNS.contains(column));
        select.equal(column, Column::Text(Some(value.clone())));
    }
    for (column, value) in [("maintenance", query.maintenance), ("retired", query.retired)] {
        if let Some(value) = value {
            select.equal(column, Column::flag(value));
        }
    }
    for (column, value) in [("instance_uuid", query.associated), ("shard", query.sharded)] {
        if let Some(value) = value {
            select.is_set(column, value);
        }
    }
    if !query.shards.is_empty() {
        select.one_of("shard", &query.shards);
    }
    if let Some(text) = &query.description_contains {
        select.contains("description", text);
    }
    if let Some(project) = &query.project {
        select.either_equal(["owner", "lessee"], Column::Text(Some(project.clone())));
    }
    if !query.include_children && !query.equal.iter().any(|(column, _)| *column == "parent_node") {
        select.is_set("parent_node", false);
    }
    select.page(query.sort, query.direction, query.marker, query.limit);
    select
}

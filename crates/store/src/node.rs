//! Nodes: one document, projected columns, sealed secrets.

use crate::cells::Cells;
use crate::claim::{self, Claim};
use crate::listed::ListedNode;
use crate::select::{Column, Select, SortDirection};
use crate::transaction::Write;
use crate::{Result, Store, StoreError, allocation, chassis, event, hardware, history, measure, server};
use jiff::Timestamp;
use model::Secret;
use model::bios::BiosSetting;
use model::compute::scheduler::size;
use model::event::{EventKind, LogEvent};
use model::firmware::FirmwareComponent;
use model::history::HistoryEntry;
use model::node::{Node, Object, Origin};
use model::secret::{MASK, is_secret_key};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use telemetry::request;
use uuid::Uuid;

/// A node with what is known about it beside its document.
#[derive(Debug, Clone)]
pub struct NodeRow {
    /// The node; its secrets are masks unless it was read by [`Store::node_with_secrets`].
    pub node: Node,
    /// Who holds it now.
    pub reservation: Option<String>,
}

/// Who may change the node now.
#[derive(Debug, Clone, Copy)]
pub enum Guard<'a> {
    /// Only while nobody holds it (users' changes); else [`StoreError::Locked`].
    Free,
    /// Only the holder of this claim; else [`StoreError::ClaimLost`].
    Held(&'a Claim),
    /// Anybody at any time: heartbeats, what was seen on the network, `maintenance`.
    Any,
}

/// A node being changed, and what is to be said about it.
#[derive(Debug)]
pub struct Edit {
    /// The node with its secrets; change it in place.
    pub node: Node,
    /// Written in the same transaction.
    pub events: Vec<LogEvent>,
    /// Entries for the node's history, written in the same transaction.
    pub history: Vec<HistoryEntry>,
    /// All BIOS settings of the node from now on, if they change.
    pub bios: Option<Vec<BiosSetting>>,
    /// All firmware components of the node from now on, if they change.
    pub firmware: Option<Vec<FirmwareComponent>>,
    /// The claim under which the node is changed ends with the change ([`Guard::Held`] only).
    pub release: bool,
}

impl Edit {
    pub(crate) fn new(node: Node) -> Self {
        Self { node, events: Vec::new(), history: Vec::new(), bios: None, firmware: None, release: false }
    }
}

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

/// What is sealed of a node. Pointers are JSON pointers into the named object.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Secrets {
    driver_info: Vec<(String, Value)>,
    driver_internal_info: Vec<(String, Value)>,
    instance_info: Vec<(String, Value)>,
    agent_token: Option<String>,
}

/// Takes the secrets out of an object, at any depth, and leaves masks.
pub(crate) fn take_secrets(object: &mut Object, prefix: &str, out: &mut Vec<(String, Value)>) {
    for (key, value) in object.iter_mut() {
        let pointer = format!("{prefix}/{}", key.replace('~', "~0").replace('/', "~1"));
        if is_secret_key(key) && !value.is_null() {
            if value.as_str() != Some(MASK) {
                out.push((pointer, value.take()));
                *value = Value::from(MASK);
            }
        } else {
            take_nested(value, &pointer, out);
        }
    }
}

fn take_nested(value: &mut Value, pointer: &str, out: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(inner) => take_secrets(inner, pointer, out),
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                take_nested(item, &format!("{pointer}/{index}"), out);
            }
        }
        _ => {}
    }
}

/// Puts back what [`take_secrets`] took.
pub(crate) fn put_secrets(object: &mut Object, secrets: Vec<(String, Value)>) {
    let mut whole = Value::Object(std::mem::take(object));
    for (pointer, secret) in secrets {
        if let Some(place) = whole.pointer_mut(&pointer) {
            *place = secret;
        }
    }
    if let Value::Object(inner) = whole {
        *object = inner;
    }
}

/// Did a user just ask for something that takes work?
fn asks_for_work(before: &Node, edit: &Edit) -> bool {
    let after = &edit.node;
    edit.events.iter().any(|event| event.kind == EventKind::Request)
        && (before.provision_state != after.provision_state
            || before.target_power_state != after.target_power_state
            || before.errand != after.errand)
}

impl Store {
    /// Splits a node into the document that may be shown and the sealed rest.
    fn encode(&self, node: &Node) -> Result<(String, Option<Vec<u8>>)> {
        let mut shown = node.clone();
        let mut secrets = Secrets::default();
        take_secrets(&mut shown.driver_info, "", &mut secrets.driver_info);
        take_secrets(&mut shown.driver_internal_info, "", &mut secrets.driver_internal_info);
        take_secrets(&mut shown.instance_info, "", &mut secrets.instance_info);
        if let Some(token) = shown.agent.token.take() {
            secrets.agent_token = Some(token.expose().to_owned());
            shown.agent.token = Some(Secret::new(MASK));
        }
        let corrupt = |source| StoreError::Corrupt { what: label(node.uuid), source };
        let empty = secrets.driver_info.is_empty()
            && secrets.driver_internal_info.is_empty()
            && secrets.instance_info.is_empty()
            && secrets.agent_token.is_none();
        let sealed = if empty {
            None
        } else {
            let plain = serde_json::to_vec(&secrets).map_err(corrupt)?;
            Some(self.sealer().seal(&label(node.uuid), &plain)?)
        };
        Ok((serde_json::to_string(&shown).map_err(corrupt)?, sealed))
    }

    /// Puts the sealed part back into a node as read.
    fn unseal(&self, node: &mut Node, sealed: Option<Vec<u8>>) -> Result<()> {
        let Some(sealed) = sealed else { return Ok(()) };
        let plain = self.sealer().open_sealed(&label(node.uuid), &sealed)?;
        let secrets: Secrets = serde_json::from_slice(&plain)
            .map_err(|source| StoreError::Corrupt { what: label(node.uuid), source })?;
        put_secrets(&mut node.driver_info, secrets.driver_info);
        put_secrets(&mut node.driver_internal_info, secrets.driver_internal_info);
        put_secrets(&mut node.instance_info, secrets.instance_info);
        node.agent.token = secrets.agent_token.map(Secret::new);
        Ok(())
    }

    /// Registers a node. [`StoreError::Duplicate`] names the field that is taken.
    pub async fn create_node(&self, node: &Node, events: &[LogEvent]) -> Result<()> {
        let (doc, sealed) = self.encode(node)?;
        let columns = projected(node);
        let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
        let marks: Vec<_> = (1..=columns.len() + 3).map(|n| format!("${n}")).collect();
        let sql = format!(
            "INSERT INTO nodes ({}, uuid, doc, secrets) VALUES ({})",
            names.join(", "),
            marks.join(", ")
        );
        let mut tx = self.write_rows().await?;
        chassis::require(&mut tx, node.chassis_uuid).await?;
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (_, value) in columns {
            query = value.bind(query);
        }
        query
            .bind(node.uuid.to_string())
            .bind(doc)
            .bind(sealed)
            .execute(&mut *tx)
            .await
            .map_err(|error| duplicate(error, node))?;
        for event in events {
            event::insert(&mut tx, event, None).await?;
        }
        tx.commit().await?;
        if node.due.is_some() {
            self.nudge();
        }
        Ok(())
    }

    /// Reads a node by UUID or name; secrets stay masked. What reads as a UUID is one.
    pub async fn node(&self, ident: &str) -> Result<NodeRow> {
        let row = self.node_row(ident).await?;
        decode_row(&row)
    }

    /// Reads a node with its secrets opened: only for those who talk to its BMC or its agent.
    pub async fn node_with_secrets(&self, uuid: Uuid) -> Result<NodeRow> {
        let row = self.node_row(&uuid.to_string()).await?;
        let mut decoded = decode_row(&row)?;
        self.unseal(&mut decoded.node, row.try_get("secrets")?)?;
        Ok(decoded)
    }

    /// The node of a row that has `doc` and `secrets`.
    pub(crate) fn open_node(&self, row: &AnyRow) -> Result<Node> {
        let mut node = decode(row.try_get("doc")?)?;
        self.unseal(&mut node, row.try_get("secrets")?)?;
        Ok(node)
    }

    async fn node_row(&self, ident: &str) -> Result<AnyRow> {
        let query = match Uuid::try_parse(ident) {
            Ok(uuid) => sqlx::query("SELECT doc, secrets, lease_holder FROM nodes WHERE uuid = $1")
                .bind(uuid.to_string()),
            Err(_) => sqlx::query("SELECT doc, secrets, lease_holder FROM nodes WHERE name = $1").bind(ident),
        };
        query
            .fetch_optional(self.read())
            .await?
            .ok_or_else(|| StoreError::NotFound { what: "Node", ident: ident.to_owned() })
    }

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

    /// Changes a node: reads it with its secrets, lets `change` edit it, writes it with its events, in one transaction.
    ///
    /// Out comes what `change` returned and the node as written. If `change` fails, or leaves the node as it was, no row is
    /// written; events are, unless it failed.
    pub async fn edit_node<T, E>(
        &self,
        uuid: Uuid,
        guard: Guard<'_>,
        now: Timestamp,
        change: impl FnOnce(&mut Edit) -> Result<T, E>,
    ) -> Result<(T, Node), E>
    where
        E: From<StoreError>,
    {
        let mut tx = self.write_rows().await?;
        let node = self.read_open(&mut tx, uuid, guard).await?;
        let mut edit = Edit::new(node.clone());
        let out = change(&mut edit)?;
        let claim = match guard {
            Guard::Held(claim) => Some(claim),
            Guard::Free | Guard::Any => None,
        };
        let is_held = claim.is_some();
        let release = edit.release && is_held;
        let told = self.write_edit(&mut tx, &node, &mut edit, claim, now).await?;
        tx.commit().await?;
        // A node that stays held is nobody's business until it is released.
        let is_free = release || !is_held;
        if is_free && edit.node.due.is_some() {
            self.nudge();
        }
        if told {
            self.nudge_servers();
        }
        Ok((out, edit.node))
    }

    /// Writes a node that was changed, under a claim if there is one, and what is to be said about it, within a transaction. `true`: its
    /// server was told.
    pub(crate) async fn write_edit(
        &self,
        tx: &mut Write,
        before: &Node,
        edit: &mut Edit,
        claim: Option<&Claim>,
        now: Timestamp,
    ) -> Result<bool> {
        let uuid = before.uuid;
        let release = edit.release && claim.is_some();
        let mut told = false;
        if edit.node != *before {
            if edit.node.chassis_uuid != before.chassis_uuid {
                chassis::require(tx, edit.node.chassis_uuid).await?;
            }
            allocation::follow(tx, before, &mut edit.node).await?;
            told = server::follow(tx, before, &edit.node, now).await?;
            edit.node.updated_at = Some(now);
            if asks_for_work(before, edit) {
                edit.node.origin = request::current().map(|origin| Origin {
                    request_id: origin.id.to_string(),
                    traceparent: origin.traceparent.as_deref().map(str::to_owned),
                });
            }
            measure::moved(before, &edit.node, now);
            self.write_node(tx, before, &edit.node, release).await?;
        } else if release {
            claim::end(tx, uuid).await?;
        }
        for event in &edit.events {
            event::insert(tx, event, claim).await?;
        }
        history::append(tx, uuid, &edit.history).await?;
        if let Some(settings) = &edit.bios {
            hardware::replace(tx, uuid, settings).await?;
        }
        if let Some(components) = &edit.firmware {
            hardware::replace(tx, uuid, components).await?;
        }
        Ok(told)
    }

    /// Reads a node with its secrets within a transaction, if the guard lets us.
    pub(crate) async fn read_open(&self, tx: &mut Write, uuid: Uuid, guard: Guard<'_>) -> Result<Node> {
        self.open_node(&read_guarded(tx, uuid, guard).await?)
    }

    /// Writes a node that was changed, within a transaction; `release` ends its claim.
    pub(crate) async fn write_node(
        &self,
        tx: &mut Write,
        before: &Node,
        node: &Node,
        release: bool,
    ) -> Result<()> {
        let (doc, sealed) = self.encode(node)?;
        // Columns that stay are not named: each that is costs its indexes a change.
        let mut columns = projected(node);
        let mut old = projected(before).into_iter();
        columns.retain(|column| old.next().as_ref() != Some(column));
        let sets: Vec<_> =
            columns.iter().enumerate().map(|(n, (name, _))| format!("{name} = ${}, ", n + 1)).collect();
        let count = columns.len();
        let sql = format!(
            "UPDATE nodes SET {}revision = revision + 1{}, doc = ${}, secrets = ${} WHERE uuid = ${}",
            sets.concat(),
            if release { claim::END } else { "" },
            count + 1,
            count + 2,
            count + 3
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (_, value) in columns {
            query = value.bind(query);
        }
        query
            .bind(doc)
            .bind(sealed)
            .bind(node.uuid.to_string())
            .execute(&mut **tx)
            .await
            .map_err(|error| duplicate(error, node))?;
        Ok(())
    }

    /// Forgets a node, its ports and its config drive, if `allow` agrees. Events stay.
    pub async fn delete_node<E>(
        &self,
        uuid: Uuid,
        now: Timestamp,
        allow: impl FnOnce(&Node) -> Result<(), E>,
    ) -> Result<(), E>
    where
        E: From<StoreError>,
    {
        let mut tx = self.write().await?;
        let row = read_guarded(&mut tx, uuid, Guard::Free).await?;
        let node = decode(row.try_get("doc").map_err(StoreError::from)?)?;
        allow(&node)?;
        let gone = Node { instance_uuid: None, ..node.clone() };
        let told = server::follow(&mut tx, &node, &gone, now).await?;
        sqlx::query("DELETE FROM nodes WHERE uuid = $1")
            .bind(uuid.to_string())
            .execute(&mut *tx)
            .await
            .map_err(StoreError::from)?;
        tx.commit().await?;
        if told {
            self.nudge_servers();
        }
        Ok(())
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

async fn read_guarded(tx: &mut Write, uuid: Uuid, guard: Guard<'_>) -> Result<AnyRow> {
    let sql =
        format!("SELECT doc, secrets, lease_holder, lease_epoch FROM nodes WHERE uuid = $1{}", tx.row_lock());
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(uuid.to_string())
        .fetch_optional(&mut **tx)
        .await?
        .ok_or_else(|| StoreError::NotFound { what: "Node", ident: uuid.to_string() })?;
    let holder: Option<String> = row.try_get("lease_holder")?;
    match guard {
        Guard::Free => {
            if let Some(holder) = holder {
                return Err(StoreError::Locked { node: uuid.to_string(), holder });
            }
        }
        Guard::Held(claim) => {
            if holder.is_none() || row.try_get::<i64, _>("lease_epoch")? != claim.epoch {
                return Err(StoreError::ClaimLost { node: uuid });
            }
        }
        Guard::Any => {}
    }
    Ok(row)
}

fn label(uuid: Uuid) -> String {
    format!("node {uuid}")
}

/// The nodes in whose documents a word stands, which has none of the characters that `LIKE` reads; without their secrets.
pub(crate) async fn naming(tx: &mut Write, word: &str) -> Result<Vec<Node>> {
    let rows = sqlx::query("SELECT doc FROM nodes WHERE doc LIKE $1 ORDER BY id")
        .bind(format!("%{word}%"))
        .fetch_all(&mut **tx)
        .await?;
    rows.iter().map(|row| decode(row.try_get("doc")?)).collect()
}

fn decode(doc: &str) -> Result<Node> {
    serde_json::from_str(doc).map_err(|source| StoreError::Corrupt { what: "node".to_owned(), source })
}

pub(crate) fn decode_row(row: &AnyRow) -> Result<NodeRow> {
    Ok(NodeRow { node: decode(row.try_get("doc")?)?, reservation: row.try_get("lease_holder")? })
}

fn duplicate(error: sqlx::Error, node: &Node) -> StoreError {
    let field = match error.as_database_error() {
        Some(database) if database.is_unique_violation() => database.message(),
        _ => return error.into(),
    };
    let (field, value) = if field.contains("instance_uuid") {
        ("instance_uuid", node.instance_uuid.clone())
    } else if field.contains("name") {
        ("name", node.name.clone())
    } else {
        ("uuid", Some(node.uuid.to_string()))
    };
    StoreError::Duplicate { what: "node", field, value: value.unwrap_or_default() }
}

/// The columns that mirror the document.
fn projected(node: &Node) -> Vec<(&'static str, Column)> {
    use Column as C;
    let number = |what: &str| C::Number(size(node, what).map(|size| i64::try_from(size).unwrap_or(i64::MAX)));
    vec![
        ("name", C::text(node.name.as_deref())),
        ("instance_uuid", C::text(node.instance_uuid.as_deref())),
        ("provision_state", C::text(Some(node.provision_state.as_str()))),
        ("power_state", C::text(node.power_state.map(|state| state.as_str()))),
        ("driver", C::text(Some(&node.driver))),
        ("maintenance", C::flag(node.maintenance)),
        ("retired", C::flag(node.retired)),
        ("fault", C::text(node.fault.map(|fault| fault.as_str()))),
        ("resource_class", C::text(node.resource_class.as_deref())),
        ("conductor_group", C::text(Some(&node.conductor_group))),
        ("chassis_uuid", C::id(node.chassis_uuid)),
        ("owner", C::text(node.owner.as_deref())),
        ("lessee", C::text(node.lessee.as_deref())),
        ("shard", C::text(node.shard.as_deref())),
        ("parent_node", C::id(node.parent_node)),
        ("description", C::text(node.description.as_deref())),
        ("instance_name", C::text(node.instance_name.as_deref())),
        ("created_us", C::time(Some(node.created_at))),
        ("updated_us", C::time(node.updated_at)),
        ("provision_updated_us", C::time(node.provision_updated_at)),
        ("due_us", C::time(node.due)),
        ("cpus", number("cpus")),
        ("memory_mb", number("memory_mb")),
        ("local_gb", number("local_gb")),
    ]
}

//! Nodes: one document, projected columns, sealed secrets.

mod columns;
mod list;
mod sealed;

pub use list::NodeQuery;
pub(crate) use sealed::{put_secrets, take_secrets};

use crate::claim::{self, Claim};
use crate::transaction::Write;
use crate::{Result, Store, StoreError, allocation, chassis, event, hardware, history, measure, server};
use jiff::Timestamp;
use model::bios::BiosSetting;
use model::event::{EventKind, LogEvent};
use model::firmware::FirmwareComponent;
use model::history::HistoryEntry;
use model::node::{Node, Origin};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use telemetry::request;
use uuid::Uuid;

use columns::projected;

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

/// Did a user just ask for something that takes work?
fn asks_for_work(before: &Node, edit: &Edit) -> bool {
    let after = &edit.node;
    edit.events.iter().any(|event| event.kind == EventKind::Request)
        && (before.provision_state != after.provision_state
            || before.target_power_state != after.target_power_state
            || before.errand != after.errand)
}

impl Store {
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

//! Nodes: one document, projected columns, sealed secrets.

mod change;
mod columns;
mod list;
mod sealed;
mod writing;

pub use list::NodeQuery;
pub(crate) use sealed::{put_secrets, take_secrets};
pub(crate) use writing::Changed;

use crate::claim::Claim;
use crate::event::Written;
use crate::transaction::Write;
use crate::{Result, Store, StoreError, chassis, event, server};
use change::read_guarded;
use columns::projected;
use jiff::Timestamp;
use model::bios::BiosSetting;
use model::event::LogEvent;
use model::firmware::FirmwareComponent;
use model::history::HistoryEntry;
use model::node::Node;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

/// A node with what is known about it beside its document.
#[derive(Debug, Clone)]
pub struct NodeRow {
    /// The node; its secrets are masks.
    pub node: Node,
    /// Who holds it now.
    pub reservation: Option<String>,
    /// What it takes to open it; none in lists.
    sealed: Option<Sealed>,
}

/// What was read of a node beside what everybody may see.
#[derive(Debug, Clone)]
struct Sealed {
    revision: Revision,
    secrets: Option<Vec<u8>>,
}

/// A node with its secrets, as it was at one time.
#[derive(Debug, Clone)]
pub struct NodeVersion {
    /// The node.
    pub node: Node,
    /// Which one of its versions this is.
    pub revision: Revision,
}

/// Number of a node's version: another one for every change of its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision(i64);

impl Revision {
    /// The one after this.
    fn next(self) -> Self {
        Self(self.0 + 1)
    }
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

impl<'a> Guard<'a> {
    /// The claim that is asked for.
    fn claim(self) -> Option<&'a Claim> {
        match self {
            Guard::Held(claim) => Some(claim),
            Guard::Free | Guard::Any => None,
        }
    }
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
    /// Of a node as it is.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self { node, events: Vec::new(), history: Vec::new(), bios: None, firmware: None, release: false }
    }
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
        event::insert(&mut tx, events, None, Written::WithChange).await?;
        tx.commit().await?;
        if node.due.is_some() {
            self.nudge();
        }
        Ok(())
    }

    /// Reads a node by UUID or name; secrets stay masked. What reads as a UUID is one.
    pub async fn node(&self, ident: &str) -> Result<NodeRow> {
        let row = self.node_row(ident).await?;
        let revision = Revision(row.try_get("revision")?);
        let sealed = Some(Sealed { revision, secrets: row.try_get("secrets")? });
        Ok(NodeRow { sealed, ..decode_row(&row)? })
    }

    /// Opens the secrets of a node as it was read; one of a list is read anew for that.
    pub async fn open_row(&self, row: NodeRow) -> Result<NodeVersion> {
        let NodeRow { mut node, sealed, .. } = row;
        let Some(Sealed { revision, secrets }) = sealed else {
            return self.node_with_secrets(node.uuid).await;
        };
        self.unseal(&mut node, secrets)?;
        Ok(NodeVersion { node, revision })
    }

    /// Reads a node with its secrets opened: only for those who talk to its BMC or its agent.
    pub async fn node_with_secrets(&self, uuid: Uuid) -> Result<NodeVersion> {
        self.open_node(&self.node_row(&uuid.to_string()).await?)
    }

    /// The node of a row that has `doc`, `secrets` and `revision`.
    pub(crate) fn open_node(&self, row: &AnyRow) -> Result<NodeVersion> {
        let mut node = decode(row.try_get("doc")?)?;
        self.unseal(&mut node, row.try_get("secrets")?)?;
        Ok(NodeVersion { node, revision: Revision(row.try_get("revision")?) })
    }

    async fn node_row(&self, ident: &str) -> Result<AnyRow> {
        macro_rules! by {
            ($column:literal) => {
                concat!("SELECT doc, secrets, revision, lease_holder FROM nodes WHERE ", $column, " = $1")
            };
        }
        let query = match Uuid::try_parse(ident) {
            Ok(uuid) => sqlx::query(by!("uuid")).bind(uuid.to_string()),
            Err(_) => sqlx::query(by!("name")).bind(ident),
        };
        query
            .fetch_optional(self.read())
            .await?
            .ok_or_else(|| StoreError::NotFound { what: "Node", ident: ident.to_owned() })
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
    let (node, reservation) = (decode(row.try_get("doc")?)?, row.try_get("lease_holder")?);
    Ok(NodeRow { node, reservation, sealed: None })
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

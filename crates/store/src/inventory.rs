//! What inspections found: large, and of no use to lists, hence beside the node.

use crate::claim::{self, Claim};
use crate::{Result, Store, StoreError};
use model::node::Object;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

/// An inventory and what other collectors and hooks add to it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inventory {
    /// The hardware, as the agent describes it.
    pub inventory: Object,
    /// Everything else.
    pub plugin_data: Object,
}

/// The two tables that hold inventories.
#[derive(Debug, Clone, Copy)]
enum Table {
    Kept,
    Findings,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Table::Kept => "node_inventory",
            Table::Findings => "node_findings",
        }
    }
}

impl Store {
    /// Keeps what an inspection found, in place of what an earlier one did.
    pub async fn put_inventory(&self, node: Uuid, found: &Inventory) -> Result<()> {
        self.put_found(Table::Kept, node, found).await
    }

    /// What the last inspection found; [`StoreError::NotFound`] if there was none.
    pub async fn inventory(&self, node: Uuid) -> Result<Inventory> {
        self.found(Table::Kept, node).await?.ok_or_else(|| StoreError::NotFound {
            what: "Node inventory record for node",
            ident: node.to_string(),
        })
    }

    /// Keeps what a ramdisk sent until it is looked at.
    pub async fn put_findings(&self, node: Uuid, found: &Inventory) -> Result<()> {
        self.put_found(Table::Findings, node, found).await
    }

    /// What the ramdisk sent, if it did.
    pub async fn findings(&self, node: Uuid) -> Result<Option<Inventory>> {
        self.found(Table::Findings, node).await
    }

    /// Forgets what the ramdisk of a node that is held sent.
    pub async fn delete_findings(&self, claim: &Claim) -> Result<()> {
        let mut tx = self.write_rows().await?;
        claim::check(&mut tx, claim).await?;
        sqlx::query("DELETE FROM node_findings WHERE node_uuid = $1")
            .bind(claim.node.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn put_found(&self, table: Table, node: Uuid, found: &Inventory) -> Result<()> {
        let sql = format!(
            "INSERT INTO {} (node_uuid, inventory, plugin_data) VALUES ($1, $2, $3) ON CONFLICT (node_uuid) DO UPDATE SET \
             inventory = excluded.inventory, plugin_data = excluded.plugin_data",
            table.name()
        );
        let mut tx = self.write_rows().await?;
        sqlx::query(AssertSqlSafe(sql))
            .bind(node.to_string())
            .bind(encode(node, &found.inventory)?)
            .bind(encode(node, &found.plugin_data)?)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn found(&self, table: Table, node: Uuid) -> Result<Option<Inventory>> {
        let sql = format!("SELECT inventory, plugin_data FROM {} WHERE node_uuid = $1", table.name());
        let row = sqlx::query(AssertSqlSafe(sql)).bind(node.to_string()).fetch_optional(self.read()).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Inventory {
            inventory: decode(node, row.try_get("inventory")?)?,
            plugin_data: decode(node, row.try_get("plugin_data")?)?,
        }))
    }
}

fn corrupt(node: Uuid, source: serde_json::Error) -> StoreError {
    StoreError::Corrupt { what: format!("inventory of node {node}"), source }
}

fn encode(node: Uuid, value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|source| corrupt(node, source))
}

fn decode<T: DeserializeOwned>(node: Uuid, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|source| corrupt(node, source))
}

//! Config drives: large and secret, hence beside the node and sealed.

use crate::claim::{self, Claim};
use crate::{Result, Store};
use sqlx::Row;
use uuid::Uuid;

impl Store {
    /// Keeps what the next deployment of the node is to carry, as Ironic's stored form (base64 of gzip of ISO 9660) or a URL.
    pub async fn put_config_drive(&self, node: Uuid, text: &str) -> Result<()> {
        let sealed = self.sealer().seal(&label(node), text.as_bytes())?;
        let mut tx = self.write_rows().await?;
        sqlx::query(
            "INSERT INTO config_drives (node_uuid, sealed) VALUES ($1, $2) \
             ON CONFLICT (node_uuid) DO UPDATE SET sealed = excluded.sealed",
        )
        .bind(node.to_string())
        .bind(sealed)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The config drive, if the node has one.
    pub async fn config_drive(&self, node: Uuid) -> Result<Option<String>> {
        let row = sqlx::query("SELECT sealed FROM config_drives WHERE node_uuid = $1")
            .bind(node.to_string())
            .fetch_optional(self.read())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let plain = self.sealer().open_sealed(&label(node), row.try_get("sealed")?)?;
        Ok(String::from_utf8(plain).ok())
    }

    /// Forgets it.
    pub async fn delete_config_drive(&self, node: Uuid) -> Result<()> {
        self.delete_drive(node, None).await
    }

    /// Forgets that of a node that is held; [`StoreError::ClaimLost`](crate::StoreError::ClaimLost) if it has one and is not held any
    /// more.
    pub async fn delete_held_config_drive(&self, claim: &Claim) -> Result<()> {
        self.delete_drive(claim.node, Some(claim)).await
    }

    async fn delete_drive(&self, node: Uuid, claim: Option<&Claim>) -> Result<()> {
        // Most nodes have none, and a look costs less than a change.
        let sql = "SELECT 1 FROM config_drives WHERE node_uuid = $1";
        if sqlx::query(sql).bind(node.to_string()).fetch_optional(self.read()).await?.is_none() {
            return Ok(());
        }
        let mut tx = self.write_rows().await?;
        if let Some(claim) = claim {
            claim::check(&mut tx, claim).await?;
        }
        sqlx::query("DELETE FROM config_drives WHERE node_uuid = $1")
            .bind(node.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }
}

fn label(node: Uuid) -> String {
    format!("config drive of node {node}")
}

//! Claims: a lease on a node, with an epoch that fences off whoever lost it.

use crate::transaction::Write;
use crate::{Result, Store, StoreError, micros};
use jiff::Timestamp;
use model::node::Node;
use sqlx::{AssertSqlSafe, Row};
use std::time::Duration;
use telemetry::table;
use uuid::Uuid;

/// A lease on one node. It is renewed by [`Store::renew`], ended by [`Store::release`], and every write made under it checks the
/// epoch: once another process has claimed the node, this one's writes fail with [`StoreError::ClaimLost`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Node.
    pub node: Uuid,
    /// Who holds it: the conductor's host name, shown as `reservation`.
    pub holder: String,
    /// Fencing epoch.
    pub epoch: i64,
}

/// Ends a claim within another change of the row.
pub(crate) const END: &str = ", lease_holder = NULL, lease_until_us = 0";

/// Ends the claim of a node within a transaction that has checked it.
pub(crate) async fn end(tx: &mut Write, node: Uuid) -> Result<()> {
    sqlx::query("UPDATE nodes SET lease_holder = NULL, lease_until_us = 0 WHERE uuid = $1")
        .bind(node.to_string())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

impl Store {
    /// Claims a node for `ttl`. [`StoreError::Locked`] where somebody (this process included) holds it.
    pub async fn claim(&self, node: Uuid, holder: &str, now: Timestamp, ttl: Duration) -> Result<Claim> {
        let mut tx = self.write_rows().await?;
        let row = sqlx::query(
            "UPDATE nodes SET lease_holder = $1, lease_epoch = lease_epoch + 1, lease_until_us = $2 \
             WHERE uuid = $3 AND (lease_holder IS NULL OR lease_until_us < $4) RETURNING lease_epoch",
        )
        .bind(holder)
        .bind(until(now, ttl))
        .bind(node.to_string())
        .bind(micros(now))
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(row) = row {
            let epoch = row.try_get("lease_epoch")?;
            tx.commit().await?;
            table::CLAIMS_TAKEN.count([]);
            return Ok(Claim { node, holder: holder.to_owned(), epoch });
        }
        let row = sqlx::query("SELECT lease_holder FROM nodes WHERE uuid = $1")
            .bind(node.to_string())
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| StoreError::NotFound { what: "Node", ident: node.to_string() })?;
        Err(StoreError::Locked { node: node.to_string(), holder: row.try_get("lease_holder")? })
    }

    /// Prolongs a claim; [`StoreError::ClaimLost`] if it is not ours any more.
    pub async fn renew(&self, claim: &Claim, now: Timestamp, ttl: Duration) -> Result<()> {
        let mut tx = self.write_rows().await?;
        let done =
            sqlx::query("UPDATE nodes SET lease_until_us = $1 WHERE uuid = $2 AND lease_epoch = $3 AND lease_holder IS NOT NULL")
                .bind(until(now, ttl))
                .bind(claim.node.to_string())
                .bind(claim.epoch)
                .execute(&mut *tx)
                .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 { Err(StoreError::ClaimLost { node: claim.node }) } else { Ok(()) }
    }

    /// Ends a claim; one that is lost already is no error. Nodes that became due meanwhile are looked at at once.
    pub async fn release(&self, claim: &Claim) -> Result<()> {
        let mut tx = self.write_rows().await?;
        sqlx::query(
            "UPDATE nodes SET lease_holder = NULL, lease_until_us = 0 WHERE uuid = $1 AND lease_epoch = $2",
        )
        .bind(claim.node.to_string())
        .bind(claim.epoch)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.nudge();
        Ok(())
    }

    /// Drops every lease. Right only where this process is the only one: under the lock of a SQLite state directory.
    pub async fn release_all(&self) -> Result<u64> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE nodes SET lease_holder = NULL, lease_until_us = 0 WHERE lease_holder IS NOT NULL",
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.nudge();
        Ok(done.rows_affected())
    }

    /// When the soonest free node is due: the past if one is due already.
    pub async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let row = sqlx::query(
            "SELECT due_us FROM nodes WHERE due_us IS NOT NULL AND (lease_holder IS NULL OR lease_until_us < $1) \
             ORDER BY due_us LIMIT 1",
        )
        .bind(micros(now))
        .fetch_optional(self.read())
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Timestamp::from_microsecond(row.try_get("due_us")?).ok())
    }

    /// Claims the nodes that are due and free, soonest first and at most `limit`, in one transaction; out come the claims and the
    /// nodes with their secrets. A node that can't be read costs nobody else: its claim comes with the error.
    pub async fn claim_due(
        &self,
        holder: &str,
        now: Timestamp,
        ttl: Duration,
        limit: i64,
    ) -> Result<Vec<(Claim, Result<Node>)>> {
        let mut tx = self.write_rows().await?;
        // Rows that another process is about to claim are that one's.
        let sql = format!(
            "UPDATE nodes SET lease_holder = $1, lease_epoch = lease_epoch + 1, lease_until_us = $2 WHERE id IN \
             (SELECT id FROM nodes WHERE due_us <= $3 AND (lease_holder IS NULL OR lease_until_us < $3) \
             ORDER BY due_us LIMIT $4{}) RETURNING due_us, uuid, lease_epoch, doc, secrets",
            tx.row_lock_of_free()
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(holder)
            .bind(until(now, ttl))
            .bind(micros(now))
            .bind(limit)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        table::CLAIMS_TAKEN.add([], rows.len() as u64);
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            let Ok(uuid) = Uuid::parse_str(row.try_get("uuid")?) else { continue };
            let due: i64 = row.try_get("due_us")?;
            let claim = Claim { node: uuid, holder: holder.to_owned(), epoch: row.try_get("lease_epoch")? };
            claimed.push((due, claim, self.open_node(&row)));
        }
        // The database returns them in an order of its own.
        claimed.sort_by_key(|(due, ..)| *due);
        Ok(claimed.into_iter().map(|(_, claim, node)| (claim, node)).collect())
    }
}

fn until(now: Timestamp, ttl: Duration) -> i64 {
    micros(now).saturating_add(i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX))
}

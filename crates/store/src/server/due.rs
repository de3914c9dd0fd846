//! Which servers the reconciler is to look at, and when.

use crate::transaction::Write;
use crate::{Result, Store, micros};
use jiff::Timestamp;
use model::compute::TaskState;
use model::node::Node;
use sqlx::Row;
use uuid::Uuid;

/// A server that is due, as columns tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueServer {
    /// Server.
    pub uuid: Uuid,
    /// What is being done with it.
    pub task_state: Option<TaskState>,
    /// How often it was nudged until it was read; for [`Store::rest_server`].
    pub nudges: i64,
}

impl Store {
    /// When the soonest of those servers is due that are not yet.
    pub async fn next_server_due(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let row = sqlx::query("SELECT due_us FROM servers WHERE due_us > $1 ORDER BY due_us LIMIT 1")
            .bind(micros(now))
            .fetch_optional(self.read())
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Timestamp::from_microsecond(row.try_get("due_us")?).ok())
    }

    /// The servers that are due, soonest first and at most `limit`. No document is read.
    pub async fn due_servers(&self, now: Timestamp, limit: i64) -> Result<Vec<DueServer>> {
        let rows = sqlx::query(
            "SELECT uuid, task_state, nudges FROM servers WHERE due_us <= $1 ORDER BY due_us, id LIMIT $2",
        )
        .bind(micros(now))
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in &rows {
            let (uuid, task): (String, Option<String>) = (row.try_get("uuid")?, row.try_get("task_state")?);
            let Ok(uuid) = Uuid::parse_str(&uuid) else { continue };
            let task_state = task.and_then(|task| task.parse().ok());
            due.push(DueServer { uuid, task_state, nudges: row.try_get("nudges")? });
        }
        Ok(due)
    }

    /// Makes the oldest `limit` servers due that do this and wait for a time to come.
    pub async fn wake_servers(&self, task: TaskState, now: Timestamp, limit: i64) -> Result<()> {
        let mut tx = self.write().await?;
        let woken = sqlx::query(
            "UPDATE servers SET due_us = $1, nudges = nudges + 1 WHERE id IN \
             (SELECT id FROM servers WHERE due_us > $1 AND task_state = $2 ORDER BY id LIMIT $3)",
        )
        .bind(micros(now))
        .bind(task.as_str())
        .bind(limit)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if woken.rows_affected() > 0 {
            self.nudge_servers();
        }
        Ok(())
    }

    /// Puts a server aside until `until`, or until it is nudged, unless it was nudged since it was read: then it stays due.
    pub async fn rest_server(&self, server: Uuid, nudges: i64, until: Option<Timestamp>) -> Result<()> {
        let mut tx = self.write_rows().await?;
        sqlx::query("UPDATE servers SET due_us = $1 WHERE uuid = $2 AND nudges = $3")
            .bind(until.map(micros))
            .bind(server.to_string())
            .bind(nudges)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}

/// Makes a server due within a transaction.
pub(super) async fn nudge(tx: &mut Write, server: &str, now: Timestamp) -> Result<()> {
    sqlx::query("UPDATE servers SET due_us = $1, nudges = nudges + 1 WHERE uuid = $2")
        .bind(micros(now))
        .bind(server)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Is there something in the change that the node's server hears of?
pub(crate) fn concerns(before: &Node, after: &Node) -> bool {
    let seen =
        |node: &Node| (node.provision_state, node.power_state, node.target_power_state, node.maintenance);
    let has_server = before.instance_uuid.is_some() || after.instance_uuid.is_some();
    has_server
        && (seen(before) != seen(after)
            || before.instance_uuid != after.instance_uuid
            || before.last_error != after.last_error)
}

/// A server hears of what becomes of its node, in the transaction that changes the node. `true`: some server was told.
pub(crate) async fn follow(tx: &mut Write, before: &Node, after: &Node, now: Timestamp) -> Result<bool> {
    if !concerns(before, after) {
        return Ok(false);
    }
    let mut told = false;
    for instance in [&before.instance_uuid, &after.instance_uuid] {
        let Some(instance) = instance else { continue };
        nudge(tx, instance, now).await?;
        told = true;
        if before.instance_uuid == after.instance_uuid {
            break;
        }
    }
    Ok(told)
}

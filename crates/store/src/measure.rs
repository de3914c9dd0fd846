//! What the metrics tell of the database's contents.

use crate::{Result, Store, micros};
use jiff::Timestamp;
use model::node::Node;
use sqlx::Row;
use std::time::Duration;
use telemetry::table;

/// A node is about to be written; if it left its provision state, that is told.
pub(crate) fn moved(before: &Node, after: &Node, now: Timestamp) {
    let (from, to) = (before.provision_state, after.provision_state);
    if from != to {
        table::TRANSITIONS.count([from.as_str(), to.as_str()]);
        let since = before.provision_updated_at.unwrap_or(before.created_at);
        let lasted = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        table::STATE_TIME.observe_time([from.as_str()], lasted);
    }
}

impl Store {
    /// Counts nodes by what they are in, those that are due, and claims, and sets the gauges of the table. Two statements, whatever
    /// the number of nodes that come of it.
    pub async fn measure(&self, now: Timestamp) -> Result<()> {
        let now = micros(now);
        let groups = sqlx::query(
            "SELECT provision_state, power_state, maintenance, fault, COUNT(*) AS nodes FROM nodes \
             GROUP BY provision_state, power_state, maintenance, fault",
        )
        .fetch_all(self.read())
        .await?;
        let mut nodes = Vec::with_capacity(groups.len());
        for row in &groups {
            let text =
                |column| Ok::<_, sqlx::Error>(row.try_get::<Option<String>, _>(column)?.unwrap_or_default());
            let maintenance = row.try_get::<i64, _>("maintenance")? != 0;
            let labels = (text("provision_state")?, text("power_state")?, maintenance, text("fault")?);
            nodes.push((labels, row.try_get::<i64, _>("nodes")? as f64));
        }
        table::NODES.replace(nodes.iter().map(|((state, power, maintenance, fault), count)| {
            let maintenance = if *maintenance { "true" } else { "false" };
            ([state.as_str(), power.as_str(), maintenance, fault.as_str()], *count)
        }));
        let due = sqlx::query(
            "SELECT COUNT(*) AS due, MIN(due_us) AS oldest FROM nodes \
             WHERE due_us <= $1 AND lease_holder IS NULL",
        )
        .bind(now)
        .fetch_one(self.read())
        .await?;
        let oldest: Option<i64> = due.try_get("oldest")?;
        table::NODES_DUE.set([], due.try_get::<i64, _>("due")? as f64);
        table::DUE_AGE.set([], oldest.map_or(0.0, |oldest| (now - oldest) as f64 / 1e6));
        let held = sqlx::query("SELECT COUNT(*) AS held FROM nodes WHERE lease_holder IS NOT NULL")
            .fetch_one(self.read())
            .await?;
        table::CLAIMS_HELD.set([], held.try_get::<i64, _>("held")? as f64);
        table::WRITE_QUEUE.set([], self.waiting_writers() as f64);
        Ok(())
    }
}

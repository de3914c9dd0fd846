//! A node's history: written with the change that it tells of, cut where it grows long.

use crate::Result;
use crate::record::{self, Record};
use crate::select::Column;
use crate::transaction::Write;
use model::history::{HistoryEntry, KEPT};
use uuid::Uuid;

impl Record for HistoryEntry {
    const TABLE: &'static str = "node_history";
    const WHAT: &'static str = "Node history record";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("id", "id"),
        ("uuid", "uuid"),
        ("conductor", "conductor"),
        ("event_type", "event_type"),
        ("severity", "severity"),
        ("user", "user_id"),
        ("project", "project"),
        ("state", "state"),
        ("target_provision_state", "target_provision_state"),
        ("created_at", "created_us"),
    ];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("node_uuid", Column::id(Some(self.node_uuid))),
            ("conductor", Column::text(Some(&self.conductor))),
            ("event_type", Column::text(Some(&self.event_type))),
            ("severity", Column::text(Some(self.severity.as_str()))),
            ("user_id", Column::text(self.user.as_deref())),
            ("project", Column::text(self.project.as_deref())),
            ("state", Column::text(Some(&self.state))),
            ("target_provision_state", Column::text(self.target_provision_state.as_deref())),
            ("created_us", Column::time(Some(self.created_at))),
        ]
    }

    fn parent(&self) -> (&'static str, String) {
        ("Node", self.node_uuid.to_string())
    }
}

/// Appends entries about one node, and drops its oldest beyond [`KEPT`].
pub(crate) async fn append(tx: &mut Write, node: Uuid, entries: &[HistoryEntry]) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    for entry in entries {
        record::insert(tx, entry).await?;
    }
    sqlx::query(
        "DELETE FROM node_history WHERE node_uuid = $1 AND id <= \
         (SELECT id FROM node_history WHERE node_uuid = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
    )
    .bind(node.to_string())
    .bind(KEPT)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

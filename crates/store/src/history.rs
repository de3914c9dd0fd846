//! A node's history: written with the change that it tells of, cut where it grows long.

use crate::Result;
use crate::draft::Draft;
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
    let mut draft = Draft::default();
    draft_cut(&mut draft, "", node, KEPT)?;
    draft.query().execute(&mut **tx).await?;
    Ok(())
}

/// As [`append`], in a statement of PostgreSQL's that goes on if `from`, a table of its own, has a row: further tables of its `WITH`. Of entries
/// there is one at least.
pub(crate) fn draft_append(
    draft: &mut Draft,
    from: &str,
    node: Uuid,
    entries: &[HistoryEntry],
) -> Result<()> {
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut row = entry.columns();
        row.push(("uuid", Column::id(Some(entry.uuid))));
        row.push(("doc", Column::Text(Some(record::document(entry)?))));
        rows.push(row);
    }
    let kept = KEPT.saturating_sub(i64::try_from(rows.len()).unwrap_or(KEPT));
    draft.push(", entered AS (");
    draft.insert("node_history", rows, Some(from))?;
    draft.push("), dropped AS (");
    // It sees the table as it was before.
    draft_cut(draft, &format!(" USING {from}"), node, kept)?;
    draft.push(")");
    Ok(())
}

/// `DELETE` of all entries about a node but the newest.
fn draft_cut(draft: &mut Draft, using: &str, node: Uuid, kept: i64) -> sqlx::Result<()> {
    draft.push("DELETE FROM node_history");
    draft.push(using);
    draft.push(" WHERE node_uuid = ");
    draft.bind(node.to_string())?;
    draft.push(" AND id <= (SELECT id FROM node_history WHERE node_uuid = ");
    draft.bind(node.to_string())?;
    draft.push(" ORDER BY id DESC LIMIT 1 OFFSET ");
    draft.bind(kept)?;
    draft.push(")");
    Ok(())
}

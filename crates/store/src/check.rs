//! Looking whether everything can be read.

use crate::archive::{TABLES, columns};
use crate::{Result, Store};
use serde::de::IgnoredAny;
use sqlx::{AssertSqlSafe, Row};

/// Rows that are read at once.
const PAGE: i64 = 200;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Rows that were looked at.
    pub rows: u64,
    /// Claims of nodes of which the event log tells.
    pub claims: u64,
    /// What is wrong, a line for each.
    pub problems: Vec<String>,
}

impl Store {
    /// The number of the newest migration; an open database has it.
    pub fn newest_migration() -> i64 {
        crate::migrations::newest()
    }

    /// Reads every row: documents must be JSON, nodes be nodes, and their secrets open with the key of this site. Looks whether claims
    /// overlapped.
    pub async fn check(&self) -> Result<Report> {
        let mut report = Report::default();
        for (table, _) in TABLES {
            let sql = format!("SELECT COUNT(*) AS count FROM {table}");
            let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(self.read()).await?;
            report.rows += u64::try_from(row.try_get::<i64, _>("count")?).unwrap_or(0);
        }
        for table in self.tables_of_documents().await? {
            self.check_documents(table, &mut report).await?;
        }
        self.check_claims(&mut report).await?;
        Ok(report)
    }

    /// A node was never held by two at one time, as far as the event log tells. Where the clocks of two hosts differ it may look so: the
    /// line says by how much.
    async fn check_claims(&self, report: &mut Report) -> Result<()> {
        let spans = self.claim_spans().await?;
        report.claims = spans.len() as u64;
        for (before, after) in spans.iter().zip(spans.iter().skip(1)) {
            if before.node == after.node && (before.epoch == after.epoch || before.last > after.first) {
                report.problems.push(format!(
                    "node {} was held by two at one time: {} (claim {}) until {}, {} (claim {}) from {}",
                    before.node,
                    before.conductor,
                    before.epoch,
                    before.last,
                    after.conductor,
                    after.epoch,
                    after.first
                ));
            }
        }
        Ok(())
    }

    /// The tables whose rows have a document.
    async fn tables_of_documents(&self) -> Result<Vec<&'static str>> {
        let mut tx = self.write_rows().await?;
        let mut tables = Vec::new();
        for (table, _) in TABLES {
            if columns(&mut tx, table).await?.iter().any(|(name, _)| name == "doc") {
                tables.push(*table);
            }
        }
        Ok(tables)
    }

    async fn check_documents(&self, table: &str, report: &mut Report) -> Result<()> {
        let more = if table == "nodes" { ", secrets, revision" } else { "" };
        let sql = format!("SELECT id, doc{more} FROM {table} WHERE id > $1 ORDER BY id LIMIT $2");
        let mut last = 0_i64;
        loop {
            let rows =
                sqlx::query(AssertSqlSafe(sql.clone())).bind(last).bind(PAGE).fetch_all(self.read()).await?;
            let Some(end) = rows.last() else { return Ok(()) };
            last = end.try_get("id")?;
            for row in &rows {
                let id: i64 = row.try_get("id")?;
                let outcome = if table == "nodes" {
                    self.open_node(row).map(drop).map_err(|error| error.to_string())
                } else {
                    let doc: &str = row.try_get("doc")?;
                    serde_json::from_str::<IgnoredAny>(doc).map(drop).map_err(|error| error.to_string())
                };
                if let Err(error) = outcome {
                    report.problems.push(format!("{table}, row {id}: {error}"));
                }
            }
        }
    }
}

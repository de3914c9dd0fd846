//! Servers that were deleted, for what they used.

use crate::micros;
use crate::record::{self, Record};
use crate::select::Column;
use crate::{Result, Store};
use jiff::Timestamp;
use model::compute::PastServer;
use uuid::Uuid;

impl Record for PastServer {
    const TABLE: &'static str = "past_servers";
    const WHAT: &'static str = "Server";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[("id", "id")];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("project_id", Column::text(Some(&self.project_id))),
            ("ended_us", Column::time(Some(self.ended_at))),
        ]
    }
}

impl Store {
    /// Servers that were deleted after `since`, of one project or of all, in the order of their end.
    pub async fn past_servers(&self, project: Option<&str>, since: Timestamp) -> Result<Vec<PastServer>> {
        let rows = sqlx::query(
            "SELECT doc FROM past_servers WHERE ended_us > $1 AND (project_id = $2 OR $3 = 1) ORDER BY id",
        )
        .bind(micros(since))
        .bind(project.unwrap_or_default().to_owned())
        .bind(i64::from(project.is_none()))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(record::decode).collect()
    }
}

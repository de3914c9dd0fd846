//! Counting nodes.

use crate::{Result, Store};
use model::state::ProvisionState;
use sqlx::{AssertSqlSafe, Row};

impl Store {
    /// How many nodes are in one of these states.
    pub async fn count_nodes_in(&self, states: &[ProvisionState]) -> Result<u64> {
        let marks: Vec<_> = (1..=states.len()).map(|n| format!("${n}")).collect();
        let sql =
            format!("SELECT COUNT(*) AS count FROM nodes WHERE provision_state IN ({})", marks.join(", "));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for state in states {
            query = query.bind(state.as_str());
        }
        let count: i64 = query.fetch_one(self.read()).await?.try_get("count")?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

//! Shards: nodes that belong to one worker of many.

use crate::{Result, Store};
use sqlx::Row;

impl Store {
    /// Every shard that nodes are in, with the number of its nodes, the largest first. `None`: those without a shard.
    pub async fn shards(&self) -> Result<Vec<(Option<String>, i64)>> {
        let rows = sqlx::query(
            "SELECT shard, COUNT(*) AS count FROM nodes GROUP BY shard ORDER BY count DESC, COALESCE(shard, '')",
        )
        .fetch_all(self.read())
        .await?;
        rows.iter().map(|row| Ok((row.try_get("shard")?, row.try_get("count")?))).collect()
    }
}

//! Chassis.

use crate::record::Record;
use crate::select::Column;
use crate::transaction::Write;
use crate::{Result, StoreError};
use model::chassis::Chassis;
use uuid::Uuid;

impl Record for Chassis {
    const TABLE: &'static str = "chassis";
    const WHAT: &'static str = "Chassis";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("id", "id"),
        ("uuid", "uuid"),
        ("description", "description"),
        ("created_at", "created_us"),
        ("updated_at", "updated_us"),
    ];
    const PARTS: Option<(&'static str, &'static str, &'static str)> =
        Some(("nodes", "nodes", "chassis_uuid"));

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("description", Column::text(self.description.as_deref())),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(self.updated_at)),
        ]
    }
}

/// Fails with [`StoreError::NotFound`] where a node's chassis isn't there: what a foreign key would do.
pub(crate) async fn require(tx: &mut Write, chassis: Option<Uuid>) -> Result<()> {
    let Some(uuid) = chassis else { return Ok(()) };
    let found = sqlx::query("SELECT 1 FROM chassis WHERE uuid = $1")
        .bind(uuid.to_string())
        .fetch_optional(&mut **tx)
        .await?;
    match found {
        Some(_) => Ok(()),
        None => Err(StoreError::NotFound { what: Chassis::WHAT, ident: uuid.to_string() }),
    }
}

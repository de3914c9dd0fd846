//! Host aggregates.

use crate::record::{self, Query, Record};
use crate::select::Column;
use crate::{Result, Store, StoreError};
use model::compute::Aggregate;
use sqlx::Row;
use uuid::Uuid;

impl Record for Aggregate {
    const TABLE: &'static str = "aggregates";
    const WHAT: &'static str = "Aggregate";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[("id", "id")];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![("number", Column::Number(Some(self.id))), ("name", Column::text(Some(&self.name)))]
    }
}

impl Store {
    /// The aggregate that clients call by this number, or by its UUID.
    pub async fn aggregate(&self, ident: &str) -> Result<Aggregate> {
        let missing = || StoreError::NotFound { what: Aggregate::WHAT, ident: ident.to_owned() };
        let Ok(number) = ident.parse::<i64>() else { return self.get(ident).await };
        let query = Query { equal: vec![("number", Column::Number(Some(number)))], ..Query::default() };
        self.list(&query).await?.into_iter().next().ok_or_else(missing)
    }

    /// Stores a new aggregate under the next number, which it returns with it.
    pub async fn create_aggregate(&self, mut aggregate: Aggregate) -> Result<Aggregate> {
        let mut tx = self.write().await?;
        let row = sqlx::query("SELECT COALESCE(MAX(number), 0) + 1 AS next FROM aggregates")
            .fetch_one(&mut *tx)
            .await?;
        aggregate.id = row.try_get("next")?;
        record::insert(&mut tx, &aggregate).await?;
        tx.commit().await?;
        Ok(aggregate)
    }
}

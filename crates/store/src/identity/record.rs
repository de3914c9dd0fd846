//! What users, projects, roles and the like have in common: one document beside the columns by which they are looked for.

use super::Identity;
use crate::record::{insertion, replacement};
use crate::select::{Column, Select, SortDirection};
use crate::transaction::Write;
use crate::{Result, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

/// A resource of the identity service. Its table has `id {id}`, `uuid`, the columns of [`IdentityRecord::columns`], and `doc`.
pub trait IdentityRecord: Serialize + DeserializeOwned + Send + Sync {
    /// Table.
    const TABLE: &'static str;
    /// What errors call it.
    const WHAT: &'static str;

    /// Identity.
    fn ident(&self) -> &str;

    /// The columns beside `uuid` and `doc`, which mirror the document.
    fn columns(&self) -> Vec<(&'static str, Column)>;
}

impl Identity<'_> {
    /// Reads one by its id.
    pub async fn get<R: IdentityRecord>(&self, id: &str) -> Result<R> {
        let sql = format!("SELECT doc FROM {} WHERE uuid = $1", R::TABLE);
        let row =
            sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(self.store.read()).await?;
        decode(&row.ok_or_else(|| missing::<R>(id))?)
    }

    /// The first whose columns have these values: by domain and name there is one at most.
    pub async fn find<R: IdentityRecord>(&self, equal: &[(&'static str, &str)]) -> Result<Option<R>> {
        Ok(self.select(equal, &[], 1).await?.into_iter().next())
    }

    /// Lists those whose columns have these values, in the order in which they were made.
    pub async fn list<R: IdentityRecord>(&self, equal: &[(&'static str, &str)]) -> Result<Vec<R>> {
        self.select(equal, &[], i64::MAX).await
    }

    /// Lists those with these ids.
    pub async fn list_of<R: IdentityRecord>(&self, ids: &[String]) -> Result<Vec<R>> {
        // Both databases bound the number of values in a statement.
        let mut found = Vec::new();
        for part in ids.chunks(500) {
            found.extend(self.select(&[], part, i64::MAX).await?);
        }
        Ok(found)
    }

    async fn select<R: IdentityRecord>(
        &self,
        equal: &[(&'static str, &str)],
        ids: &[String],
        limit: i64,
    ) -> Result<Vec<R>> {
        let mut select = Select::new("doc", R::TABLE);
        for (column, value) in equal {
            select.equal(column, Column::text(Some(value)));
        }
        if !ids.is_empty() {
            select.one_of("uuid", ids);
        }
        select.page(None, SortDirection::Ascending, None, limit);
        select.fetch(self.store.read()).await?.iter().map(decode).collect()
    }

    /// Stores a new one; [`StoreError::Duplicate`] names the field that is taken, [`StoreError::NotFound`] what it refers to and is not
    /// there.
    pub async fn create<R: IdentityRecord>(&self, record: &R) -> Result<()> {
        let mut tx = self.store.write().await?;
        insert(&mut tx, record).await?;
        self.commit(tx).await
    }

    /// Changes one as it is stored now, in one transaction, and returns it as written. If `change` fails, nothing is written.
    pub async fn edit<R, E>(self, id: &str, change: impl FnOnce(&mut R) -> Result<(), E>) -> Result<R, E>
    where
        R: IdentityRecord,
        E: From<StoreError>,
    {
        let mut tx = self.store.write().await?;
        let mut record: R = read(&mut tx, id).await?;
        change(&mut record)?;
        overwrite(&mut tx, &record).await?;
        self.commit(tx).await?;
        Ok(record)
    }
}

/// Reads a record within a transaction.
pub(super) async fn read<R: IdentityRecord>(tx: &mut Write, id: &str) -> Result<R> {
    let sql = format!("SELECT doc FROM {} WHERE uuid = $1", R::TABLE);
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(&mut **tx).await?;
    decode(&row.ok_or_else(|| missing::<R>(id))?)
}

/// Inserts a record within a transaction.
pub(super) async fn insert<R: IdentityRecord>(tx: &mut Write, record: &R) -> Result<()> {
    let columns = record.columns();
    write(tx, insertion(R::TABLE, &columns), columns, record).await.map(|_| ())
}

/// Overwrites a record within a transaction.
pub(super) async fn overwrite<R: IdentityRecord>(tx: &mut Write, record: &R) -> Result<()> {
    let columns = record.columns();
    match write(tx, replacement(R::TABLE, &columns), columns, record).await? {
        0 => Err(missing::<R>(record.ident())),
        _ => Ok(()),
    }
}

/// Deletes a record within a transaction.
pub(super) async fn delete<R: IdentityRecord>(tx: &mut Write, id: &str) -> Result<()> {
    let sql = format!("DELETE FROM {} WHERE uuid = $1", R::TABLE);
    match sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).execute(&mut **tx).await?.rows_affected() {
        0 => Err(missing::<R>(id)),
        _ => Ok(()),
    }
}

/// Binds columns, `uuid` and `doc`, in this order, and runs the statement.
async fn write<R: IdentityRecord>(
    tx: &mut Write,
    sql: String,
    columns: Vec<(&'static str, Column)>,
    record: &R,
) -> Result<u64> {
    let doc = serde_json::to_string(record)
        .map_err(|source| StoreError::Corrupt { what: format!("{} {}", R::WHAT, record.ident()), source })?;
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (_, value) in columns.clone() {
        query = value.bind(query);
    }
    let done = query
        .bind(record.ident().to_owned())
        .bind(doc)
        .execute(&mut **tx)
        .await
        .map_err(|error| conflict(error, &columns, record))?;
    Ok(done.rows_affected())
}

/// Reads the document of a row.
pub(super) fn decode<R: IdentityRecord>(row: &AnyRow) -> Result<R> {
    serde_json::from_str(row.try_get("doc")?)
        .map_err(|source| StoreError::Corrupt { what: R::WHAT.to_owned(), source })
}

/// There is none of that id.
pub(super) fn missing<R: IdentityRecord>(id: &str) -> StoreError {
    StoreError::NotFound { what: R::WHAT, ident: id.to_owned() }
}

fn conflict<R: IdentityRecord>(
    error: sqlx::Error,
    columns: &[(&'static str, Column)],
    record: &R,
) -> StoreError {
    let Some(database) = error.as_database_error() else { return error.into() };
    let value_of = |name: &str| columns.iter().find(|(own, _)| *own == name).map(|(_, value)| value.shown());
    if database.is_foreign_key_violation() {
        // Whoever writes has looked whether what it refers to is there; it went in between. The domain is what most refer to.
        return StoreError::NotFound { what: "what it belongs to, of", ident: record.ident().to_owned() };
    }
    if !database.is_unique_violation() {
        return error.into();
    }
    let field = if database.message().contains("name") { "name" } else { "uuid" };
    let value = value_of(field).unwrap_or_else(|| record.ident().to_owned());
    StoreError::Duplicate { what: R::WHAT, field, value }
}

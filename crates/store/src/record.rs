//! Resources that are one document beside the columns that filters, uniqueness and order need: everything but nodes, which have
//! claims and secrets besides.
//!
//! A new resource is a struct in `model`, a table in a migration, and an `impl Record`: that is all its SQL.

use crate::select::{Column, Select, SortDirection};
use crate::transaction::Write;
use crate::{Result, Store, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

/// A resource that is stored as one document.
///
/// Its table has `id {id}`, `uuid TEXT NOT NULL UNIQUE`, the columns of [`Record::columns`], and `doc TEXT NOT NULL`.
pub trait Record: Serialize + DeserializeOwned + Send + Sync {
    /// Table.
    const TABLE: &'static str;
    /// What errors call it, as in "Portgroup … could not be found".
    const WHAT: &'static str;
    /// Has a column `name`, by which it may be asked for too.
    const IS_NAMED: bool;
    /// API field and the column that sorts by it.
    const SORT_COLUMNS: &'static [(&'static str, &'static str)];

    /// Rows that belong to it and keep it from being deleted: what they are called, their table, its column with this one's UUID.
    const PARTS: Option<(&'static str, &'static str, &'static str)> = None;

    /// Identity.
    fn uuid(&self) -> Uuid;

    /// The columns beside `uuid` and `doc`, which mirror the document.
    fn columns(&self) -> Vec<(&'static str, Column)>;

    /// What a violated foreign key means: what is missing, and what was asked for.
    fn parent(&self) -> (&'static str, String) {
        ("Node", String::new())
    }
}

/// Filters, order and page of a list of records. Everything given must hold. Columns are those of the record's table.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Column and exact value.
    pub equal: Vec<(&'static str, Column)>,
    /// Column and the values that it may have.
    pub one_of: Vec<(&'static str, Vec<String>)>,
    /// Column and the text within it.
    pub contains: Option<(&'static str, String)>,
    /// Column with a node's UUID, the node's column, and the values that the latter may have.
    pub of_nodes: Option<(&'static str, &'static str, Vec<String>)>,
    /// Whose records these are; none: anybody's.
    pub scope: Option<Scope>,
    /// Sort column, out of [`Record::SORT_COLUMNS`]. None: order of creation.
    pub sort: Option<&'static str>,
    /// Direction.
    pub direction: SortDirection,
    /// Start behind this record.
    pub marker: Option<Uuid>,
    /// At most so many; none: all.
    pub limit: Option<i64>,
}

/// Whose records a list is confined to. Columns are those of the record's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Records whose column names a node that this project owns or uses.
    OfNodes(&'static str, String),
    /// Records that this project owns.
    OwnedBy(String),
    /// Records that this project owns, and public ones.
    OwnedOrPublic(String),
    /// Records that this project owns, or whose network it owns.
    OwnedThere(String),
}

impl Query {
    /// Records whose column has this value.
    pub fn equal(column: &'static str, value: impl Into<String>) -> Self {
        Self::default().and(column, value)
    }

    /// And whose column has this value.
    pub fn and(mut self, column: &'static str, value: impl Into<String>) -> Self {
        self.equal.push((column, Column::Text(Some(value.into()))));
        self
    }

    /// And which are this scope's, if one is given.
    pub fn within(mut self, scope: Option<Scope>) -> Self {
        self.scope = scope;
        self
    }

    /// At most so many.
    pub fn limit(mut self, limit: i64) -> Self {
        self.limit = Some(limit);
        self
    }
}

impl Store {
    /// Stores a new record; [`StoreError::Duplicate`] names the field that is taken, [`StoreError::NotFound`] a missing parent.
    pub async fn create<R: Record>(&self, record: &R) -> Result<()> {
        let mut tx = self.write_rows().await?;
        insert(&mut tx, record).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Writes a changed record over the stored one.
    pub async fn update<R: Record>(&self, record: &R) -> Result<()> {
        let mut tx = self.write_rows().await?;
        overwrite(&mut tx, record).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Changes a record as it is stored now, in one transaction, and returns it as written. If `change` fails, nothing is written.
    pub async fn edit<R, E>(&self, uuid: Uuid, change: impl FnOnce(&mut R) -> Result<(), E>) -> Result<R, E>
    where
        R: Record,
        E: From<StoreError>,
    {
        let mut tx = self.write_rows().await?;
        let mut record: R = read(&mut tx, uuid).await?;
        change(&mut record)?;
        overwrite(&mut tx, &record).await?;
        tx.commit().await?;
        Ok(record)
    }

    /// Forgets a record; [`StoreError::InUse`] while it has [`Record::PARTS`].
    pub async fn delete<R: Record>(&self, uuid: Uuid) -> Result<()> {
        let ident = uuid.to_string();
        let mut tx = self.write().await?;
        if let Some((parts, table, column)) = R::PARTS {
            let sql = format!("SELECT 1 FROM {table} WHERE {column} = $1 LIMIT 1");
            if sqlx::query(AssertSqlSafe(sql)).bind(&ident).fetch_optional(&mut *tx).await?.is_some() {
                return Err(StoreError::InUse { what: R::WHAT, ident, parts });
            }
        }
        let sql = format!("DELETE FROM {} WHERE uuid = $1", R::TABLE);
        let done = sqlx::query(AssertSqlSafe(sql)).bind(&ident).execute(&mut *tx).await?;
        tx.commit().await?;
        if done.rows_affected() == 0 { Err(missing::<R>(&ident)) } else { Ok(()) }
    }

    /// Forgets every record of a kind.
    pub async fn delete_all<R: Record>(&self) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(AssertSqlSafe(format!("DELETE FROM {}", R::TABLE))).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Reads a record by UUID or, where it has one, by name. What reads as a UUID is one: a name that looks like it finds nothing.
    pub async fn get<R: Record>(&self, ident: &str) -> Result<R> {
        let is_named = R::IS_NAMED && Uuid::try_parse(ident).is_err();
        let by_name = if is_named { " OR name = $2" } else { "" };
        let sql = format!("SELECT doc FROM {} WHERE uuid = $1{by_name}", R::TABLE);
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(ident.to_ascii_lowercase());
        if is_named {
            query = query.bind(ident.to_owned());
        }
        let row = query.fetch_optional(self.read()).await?.ok_or_else(|| missing::<R>(ident))?;
        decode(&row)
    }

    /// Lists records.
    pub async fn list<R: Record>(&self, query: &Query) -> Result<Vec<R>> {
        let mut select = Select::new("doc", R::TABLE);
        for (column, value) in &query.equal {
            select.equal(column, value.clone());
        }
        for (column, values) in &query.one_of {
            select.one_of(column, values);
        }
        if let Some((column, text)) = &query.contains {
            select.contains(column, text);
        }
        if let Some((column, of_node, values)) = &query.of_nodes {
            select.whose(column, "nodes", of_node, values);
        }
        if let Some(scope) = &query.scope {
            select.within(scope);
        }
        select.page(query.sort, query.direction, query.marker, query.limit.unwrap_or(i64::MAX));
        select.fetch(self.read()).await?.iter().map(decode).collect()
    }
}

/// Reads a record within a transaction.
pub(crate) async fn read<R: Record>(tx: &mut Write, uuid: Uuid) -> Result<R> {
    let sql = format!("SELECT doc FROM {} WHERE uuid = $1{}", R::TABLE, tx.row_lock());
    let row = sqlx::query(AssertSqlSafe(sql)).bind(uuid.to_string()).fetch_optional(&mut **tx).await?;
    decode(&row.ok_or_else(|| missing::<R>(&uuid.to_string()))?)
}

/// Inserts a record within a transaction.
pub(crate) async fn insert<R: Record>(tx: &mut Write, record: &R) -> Result<()> {
    let columns = record.columns();
    write(tx, insertion(R::TABLE, &columns), columns, record).await.map(|_| ())
}

/// Overwrites a record within a transaction.
pub(crate) async fn overwrite<R: Record>(tx: &mut Write, record: &R) -> Result<()> {
    let columns = record.columns();
    match write(tx, replacement(R::TABLE, &columns), columns, record).await? {
        0 => Err(missing::<R>(&record.uuid().to_string())),
        _ => Ok(()),
    }
}

/// The statement that inserts these columns, then `uuid` and `doc`.
pub(crate) fn insertion(table: &str, columns: &[(&'static str, Column)]) -> String {
    let names: Vec<_> = columns.iter().map(|(name, _)| format!("{name}, ")).collect();
    let marks: Vec<_> = (1..=columns.len() + 2).map(|n| format!("${n}")).collect();
    format!("INSERT INTO {table} ({}uuid, doc) VALUES ({})", names.concat(), marks.join(", "))
}

/// The statement that overwrites these columns and `doc`, where `uuid` comes before the latter among the values.
pub(crate) fn replacement(table: &str, columns: &[(&'static str, Column)]) -> String {
    let sets: Vec<_> = columns.iter().zip(1..).map(|((name, _), n)| format!("{name} = ${n}, ")).collect();
    let count = columns.len();
    format!("UPDATE {table} SET {}doc = ${} WHERE uuid = ${}", sets.concat(), count + 2, count + 1)
}

/// Binds columns, `uuid` and `doc`, in this order, and runs the statement.
async fn write<R: Record>(
    tx: &mut Write,
    sql: String,
    columns: Vec<(&'static str, Column)>,
    record: &R,
) -> Result<u64> {
    let doc = document(record)?;
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (_, value) in columns.clone() {
        query = value.bind(query);
    }
    let done = query
        .bind(record.uuid().to_string())
        .bind(doc)
        .execute(&mut **tx)
        .await
        .map_err(|error| conflict(error, columns, record))?;
    Ok(done.rows_affected())
}

/// What is stored as a record's document.
pub(crate) fn document<R: Record>(record: &R) -> Result<String> {
    serde_json::to_string(record)
        .map_err(|source| StoreError::Corrupt { what: format!("{} {}", R::WHAT, record.uuid()), source })
}

/// Reads the document of a row.
pub(crate) fn decode<R: Record>(row: &AnyRow) -> Result<R> {
    serde_json::from_str(row.try_get("doc")?)
        .map_err(|source| StoreError::Corrupt { what: R::WHAT.to_owned(), source })
}

fn missing<R: Record>(ident: &str) -> StoreError {
    StoreError::NotFound { what: R::WHAT, ident: ident.to_owned() }
}

fn conflict<R: Record>(
    error: sqlx::Error,
    mut columns: Vec<(&'static str, Column)>,
    record: &R,
) -> StoreError {
    let Some(database) = error.as_database_error() else { return error.into() };
    if database.is_foreign_key_violation() {
        let (what, ident) = record.parent();
        return StoreError::NotFound { what, ident };
    }
    if !database.is_unique_violation() {
        return error.into();
    }
    // Both databases name the columns: SQLite as `table.column`, PostgreSQL as `table_column_column_key`.
    let constraint = database.constraint().and_then(|name| name.strip_prefix(R::TABLE));
    columns.push(("uuid", Column::id(Some(record.uuid()))));
    let named = |name: &str| {
        let message = database.message();
        message.contains(&format!("{}.{name}", R::TABLE))
            || constraint.is_some_and(|columns| columns.contains(&format!("_{name}_")))
    };
    match columns.iter().find(|(name, _)| named(name)) {
        Some((field, value)) => StoreError::Duplicate { what: R::WHAT, field, value: value.shown() },
        None => error.into(),
    }
}

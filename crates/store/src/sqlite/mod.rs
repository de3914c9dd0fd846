//! SQLite on the caller's own thread, behind [`Statements`].
//!
//! sqlx gives each SQLite connection a thread and sends every statement to it. Here a statement takes a few microseconds, since what
//! it touches is in memory, and the two changes of threads take several times as long; on a machine that is busy, each waits for its turn
//! besides. So statements run where they are asked for; only what waits long for the disk, a `COMMIT`, is sent away (see
//! [`writer`]). Statements, values and rows stay sqlx's `Any`, so that the same text serves another database through sqlx's own
//! connections.

mod readers;
mod writer;

pub(crate) use readers::Readers;
pub(crate) use writer::{Write, Writer};

use crate::cells::{Cells, Visit};
use crate::statements::{Item, Statements};
use futures_util::future::{self, BoxFuture};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use rusqlite::config::DbConfig;
use rusqlite::ffi;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{OpenFlags, Row, Statement};
use sqlx::any::{AnyArguments, AnyQueryResult, AnyRow, AnyTypeInfo};
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::{Either, Error, SqlStr};
use sqlx_core::HashMap;
use sqlx_core::any::{AnyColumn, AnyTypeInfoKind, AnyValue, AnyValueKind};
use sqlx_core::ext::ustr::UStr;
use std::borrow::Cow;
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 128;

/// How a connection begins.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                       PRAGMA busy_timeout = 10000; PRAGMA temp_store = MEMORY;";

/// A connection to a SQLite database that exists.
pub(crate) struct Sqlite {
    connection: rusqlite::Connection,
    /// The columns of statements by their text.
    columns: RefCell<HashMap<String, Arc<Columns>>>,
}

/// A statement's columns.
struct Columns {
    names: Vec<UStr>,
    places: Arc<HashMap<UStr, usize>>,
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sqlite").finish_non_exhaustive()
    }
}

impl Sqlite {
    /// Opens a connection.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(path, flags).map_err(error)?;
        connection.execute_batch(PRAGMAS).map_err(error)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // A plan holds for whatever values are bound: else some statements are prepared anew each time that they run.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(error)?;
        Ok(Self { connection, columns: RefCell::default() })
    }

    /// Runs statements that take and return nothing.
    pub fn batch(&self, sql: &str) -> Result<(), Error> {
        self.connection.execute_batch(sql).map_err(error)
    }

    /// Runs one statement: its rows, at most `limit`, and behind them, where it came to its end, how many it changed.
    pub fn run(
        &self,
        sql: &str,
        arguments: Option<AnyArguments>,
        limit: usize,
    ) -> Result<Vec<Either<AnyQueryResult, AnyRow>>, Error> {
        let Some(arguments) = arguments else {
            // Text alone may be several statements.
            self.batch(sql)?;
            return Ok(vec![Either::Left(self.result())]);
        };
        let mut statement = self.connection.prepare_cached(sql).map_err(error)?;
        bind(&mut statement, arguments).map_err(error)?;
        let columns = self.columns(sql, &statement);
        let mut items = Vec::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(error)? {
            items.push(Either::Right(any_row(row, &columns).map_err(error)?));
            if items.len() == limit {
                return Ok(items);
            }
        }
        drop(rows);
        items.push(Either::Left(self.result()));
        Ok(items)
    }

    /// Shows the rows of one statement as they lie in the database's pages, without a copy.
    pub fn visit(&self, sql: &str, arguments: AnyArguments, visit: Visit<'_>) -> crate::Result<()> {
        let mut statement = self.connection.prepare_cached(sql).map_err(error)?;
        bind(&mut statement, arguments).map_err(error)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(error)? {
            visit(row)?;
        }
        Ok(())
    }

    /// The statement's columns, which its text tells.
    fn columns(&self, sql: &str, statement: &Statement<'_>) -> Arc<Columns> {
        let mut known = self.columns.borrow_mut();
        if let Some(columns) = known.get(sql) {
            return Arc::clone(columns);
        }
        // As with the statements themselves, the few that are run often come again soon.
        if known.len() >= STATEMENTS {
            known.clear();
        }
        let names: Vec<UStr> = statement.column_names().into_iter().map(UStr::new).collect();
        let places = Arc::new(names.iter().cloned().zip(0..).collect());
        let columns = Arc::new(Columns { names, places });
        known.insert(sql.to_owned(), Arc::clone(&columns));
        columns
    }

    fn result(&self) -> AnyQueryResult {
        AnyQueryResult { rows_affected: self.connection.changes(), last_insert_id: None }
    }

    /// As [`Statements::many`], at once.
    pub fn all(&self, sql: &str, arguments: Option<AnyArguments>) -> Vec<Item> {
        match self.run(sql, arguments, usize::MAX) {
            Ok(items) => items.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }
    }

    /// As [`Statements::optional`], at once.
    pub fn first(&self, sql: &str, arguments: Option<AnyArguments>) -> Result<Option<AnyRow>, Error> {
        let items = self.run(sql, arguments, 1)?;
        Ok(items.into_iter().find_map(Either::right))
    }
}

impl Statements for Sqlite {
    fn many<'e>(&'e mut self, sql: SqlStr, arguments: Option<AnyArguments>) -> BoxStream<'e, Item> {
        stream::iter(self.all(sql.as_str(), arguments)).boxed()
    }

    fn optional<'e>(
        &'e mut self,
        sql: SqlStr,
        arguments: Option<AnyArguments>,
    ) -> BoxFuture<'e, Result<Option<AnyRow>, Error>> {
        future::ready(self.first(sql.as_str(), arguments)).boxed()
    }
}

/// Binds `$1`, `$2` …, which SQLite takes for names and numbers in the order in which it meets them.
fn bind(statement: &mut Statement<'_>, arguments: AnyArguments) -> rusqlite::Result<()> {
    for (number, value) in (1..).zip(arguments.values.0) {
        if let Some(index) = statement.parameter_index(&format!("${number}"))? {
            statement.raw_bind_parameter(index, ToSqlOutput::Borrowed(borrowed(&value)))?;
        }
    }
    Ok(())
}

fn borrowed(value: &AnyValueKind) -> ValueRef<'_> {
    match value {
        AnyValueKind::Bool(value) => ValueRef::Integer(i64::from(*value)),
        AnyValueKind::SmallInt(value) => ValueRef::Integer(i64::from(*value)),
        AnyValueKind::Integer(value) => ValueRef::Integer(i64::from(*value)),
        AnyValueKind::BigInt(value) => ValueRef::Integer(*value),
        AnyValueKind::Real(value) => ValueRef::Real(f64::from(*value)),
        AnyValueKind::Double(value) => ValueRef::Real(*value),
        AnyValueKind::Text(value) => ValueRef::Text(value.as_bytes()),
        AnyValueKind::TextSlice(value) => ValueRef::Text(value.as_bytes()),
        AnyValueKind::Blob(value) => ValueRef::Blob(value),
        // `Null`; the enum says that it may grow, and nothing here makes what it would grow by.
        _ => ValueRef::Null,
    }
}

fn any_row(row: &Row<'_>, Columns { names, places }: &Columns) -> rusqlite::Result<AnyRow> {
    let mut columns = Vec::with_capacity(names.len());
    let mut values = Vec::with_capacity(names.len());
    for (ordinal, name) in names.iter().enumerate() {
        let (type_info, kind) = match row.get_ref(ordinal)? {
            ValueRef::Null => (AnyTypeInfoKind::Null, AnyValueKind::Null(AnyTypeInfoKind::Null)),
            ValueRef::Integer(value) => (AnyTypeInfoKind::BigInt, AnyValueKind::BigInt(value)),
            ValueRef::Real(value) => (AnyTypeInfoKind::Double, AnyValueKind::Double(value)),
            ValueRef::Text(text) => {
                // Much faster than to look for what is no text, which never is there.
                let text = str::from_utf8(text)
                    .map_or_else(|_| String::from_utf8_lossy(text).into_owned(), str::to_owned);
                (AnyTypeInfoKind::Text, AnyValueKind::Text(Arc::new(text)))
            }
            ValueRef::Blob(bytes) => (AnyTypeInfoKind::Blob, AnyValueKind::Blob(Arc::new(bytes.to_vec()))),
        };
        columns.push(AnyColumn { ordinal, name: name.clone(), type_info: AnyTypeInfo { kind: type_info } });
        values.push(AnyValue { kind });
    }
    Ok(AnyRow { column_names: Arc::clone(places), columns, values })
}

impl Cells for Row<'_> {
    fn text(&self, column: usize) -> crate::Result<Option<&str>> {
        let cell = self.get_ref(column).map_err(error)?;
        Ok(cell.as_str_or_null().map_err(|source| error(source.into()))?)
    }

    fn number(&self, column: usize) -> crate::Result<Option<i64>> {
        let cell = self.get_ref(column).map_err(error)?;
        Ok(cell.as_i64_or_null().map_err(|source| error(source.into()))?)
    }
}

/// What SQLite said.
#[derive(Debug)]
struct SqliteError {
    /// The extended result code.
    code: i32,
    message: String,
}

fn error(error: rusqlite::Error) -> Error {
    let code = error.sqlite_error().map(|sqlite| sqlite.extended_code);
    match (code, error) {
        (Some(code), rusqlite::Error::SqliteFailure(_, Some(message))) => {
            Error::Database(Box::new(SqliteError { code, message }))
        }
        (Some(code), other) => Error::Database(Box::new(SqliteError { code, message: other.to_string() })),
        (None, other) => Error::AnyDriverError(Box::new(other)),
    }
}

impl std::fmt::Display for SqliteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "(code: {}) {}", self.code, self.message)
    }
}

impl std::error::Error for SqliteError {}

impl DatabaseError for SqliteError {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.to_string().into())
    }

    fn kind(&self) -> ErrorKind {
        match self.code {
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => ErrorKind::UniqueViolation,
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY => ErrorKind::ForeignKeyViolation,
            ffi::SQLITE_CONSTRAINT_NOTNULL => ErrorKind::NotNullViolation,
            ffi::SQLITE_CONSTRAINT_CHECK => ErrorKind::CheckViolation,
            _ => ErrorKind::Other,
        }
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }
}

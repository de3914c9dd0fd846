//! The connections that read, on either database.

use crate::cells::Visit;
use crate::postgres::Postgres as Database;
use crate::sqlite;
use crate::statements::{Item, not_prepared};
use futures_util::future::{self, BoxFuture};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryFutureExt};
use sqlx::any::{AnyArguments, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, Error, Execute, Executor, SqlStr};

/// Each query sees what was committed before it began.
#[derive(Debug)]
pub(crate) enum Readers {
    Sqlite(sqlite::Readers),
    Postgres(Database),
}

impl Readers {
    /// Shows the rows of one statement to a visitor, in their order; its first error ends the visit.
    pub async fn visit(&self, sql: SqlStr, arguments: AnyArguments, visit: Visit<'_>) -> crate::Result<()> {
        match self {
            Readers::Sqlite(readers) => readers.visit(sql.as_str(), arguments, visit),
            Readers::Postgres(database) => database.visit(sql, arguments, visit).await,
        }
    }

    /// Closes the connections.
    pub async fn close(&self) {
        match self {
            Readers::Sqlite(readers) => readers.close(),
            Readers::Postgres(database) => database.close().await,
        }
    }
}

impl<'r> Executor<'r> for &'r Readers {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, mut query: E) -> BoxStream<'e, Item>
    where
        'r: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let arguments = match query.take_arguments() {
            Ok(arguments) => arguments,
            Err(error) => return stream::once(future::ready(Err(Error::Encode(error)))).boxed(),
        };
        match self {
            Readers::Sqlite(readers) => stream::iter(readers.all(query.sql().as_str(), arguments)).boxed(),
            Readers::Postgres(database) => {
                let all = database.all(query.sql(), arguments.unwrap_or_default());
                all.map_ok(|items| stream::iter(items).map(Ok)).try_flatten_stream().boxed()
            }
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, mut query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'r: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let arguments = match query.take_arguments() {
            Ok(arguments) => arguments,
            Err(error) => return future::ready(Err(Error::Encode(error))).boxed(),
        };
        match self {
            Readers::Sqlite(readers) => future::ready(readers.first(query.sql().as_str(), arguments)).boxed(),
            Readers::Postgres(database) => {
                database.optional(query.sql(), arguments.unwrap_or_default()).boxed()
            }
        }
    }

    fn prepare_with<'e>(
        self,
        _sql: SqlStr,
        _parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'r: 'e,
    {
        future::ready(Err(not_prepared())).boxed()
    }
}

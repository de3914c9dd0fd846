//! What connections of both databases have in common: they run statements of sqlx's `Any`.

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, future, stream};
use sqlx::any::{AnyArguments, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, Either, Error, Execute, Executor, SqlStr};

/// A row, or how many rows a statement changed.
pub(crate) type Item = Result<Either<AnyQueryResult, AnyRow>, Error>;

/// A connection that runs statements. As a trait object it is an [`Executor`], so that what is written once serves either database.
pub(crate) trait Statements: Send + std::fmt::Debug {
    /// As [`Executor::fetch_many`]. Without arguments the text may be several statements.
    fn many<'e>(&'e mut self, sql: SqlStr, arguments: Option<AnyArguments>) -> BoxStream<'e, Item>;

    /// As [`Executor::fetch_optional`].
    fn optional<'e>(
        &'e mut self,
        sql: SqlStr,
        arguments: Option<AnyArguments>,
    ) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>;
}

impl<'c> Executor<'c> for &'c mut (dyn Statements + 'static) {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, mut query: E) -> BoxStream<'e, Item>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match query.take_arguments() {
            Ok(arguments) => self.many(query.sql(), arguments),
            Err(error) => stream::once(future::ready(Err(Error::Encode(error)))).boxed(),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, mut query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match query.take_arguments() {
            Ok(arguments) => self.optional(query.sql(), arguments),
            Err(error) => future::ready(Err(Error::Encode(error))).boxed(),
        }
    }

    fn prepare_with<'e>(
        self,
        _sql: SqlStr,
        _parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'c: 'e,
    {
        future::ready(Err(not_prepared())).boxed()
    }
}

/// Statements are prepared and kept by their text; nobody prepares one ahead.
pub(crate) fn not_prepared() -> Error {
    Error::Configuration("statements are prepared when they are run".into())
}

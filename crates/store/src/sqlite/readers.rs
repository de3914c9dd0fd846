//! The connections that read.

use super::Sqlite;
use crate::statements::{Item, not_prepared};
use futures_util::future::{self, BoxFuture};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use sqlx::any::{AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, Error, Execute, Executor, SqlStr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Connections that are kept. As many are open as threads read at once, which the runtime bounds: a query does not wait half-way.
const KEPT: usize = 4;

/// Connections that are opened when they are first needed. An [`Executor`], as sqlx's own pool is.
pub(crate) struct Readers {
    path: PathBuf,
    free: Mutex<Vec<Sqlite>>,
}

impl Readers {
    /// Opens nothing yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), free: Mutex::default() }
    }

    /// Lends a connection for one query.
    fn lend<T>(&self, query: impl FnOnce(&Sqlite) -> T) -> Result<T, Error> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match free {
            Some(connection) => connection,
            None => Sqlite::open(&self.path)?,
        };
        let outcome = query(&connection);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(connection);
        }
        Ok(outcome)
    }

    /// Closes the connections.
    pub fn close(&self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}

impl<'r> Executor<'r> for &'r Readers {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, mut query: E) -> BoxStream<'e, Item>
    where
        'r: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let items = query
            .take_arguments()
            .map_err(Error::Encode)
            .and_then(|arguments| self.lend(|connection| connection.all(query.sql().as_str(), arguments)));
        stream::iter(items.unwrap_or_else(|error| vec![Err(error)])).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, mut query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'r: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let row = query.take_arguments().map_err(Error::Encode).and_then(|arguments| {
            self.lend(|connection| connection.first(query.sql().as_str(), arguments)).and_then(|row| row)
        });
        future::ready(row).boxed()
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

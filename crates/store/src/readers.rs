//! The connections that read.
//!
//! A pool of its own, since each use of sqlx's asks its connection twice whether it is still there; these are file handles of this
//! process, and each question costs a change of threads and back, as much as reading a node.

use crate::writer::connect;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use sqlx::any::{AnyConnectOptions, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, AnyConnection, Connection, Either, Error, Execute, Executor, SqlStr};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

/// At most so many are open.
const READERS: usize = 4;

type Item = Result<Either<AnyQueryResult, AnyRow>, Error>;

/// Connections that are opened when they are first needed. An [`Executor`], as sqlx's own pool is.
pub(crate) struct Readers {
    options: AnyConnectOptions,
    permits: Semaphore,
    free: Mutex<Vec<AnyConnection>>,
}

impl Readers {
    /// Opens nothing yet.
    pub fn new(options: AnyConnectOptions) -> Self {
        Self { options, permits: Semaphore::new(READERS), free: Mutex::default() }
    }

    /// A connection for one query. It comes back by [`Readers::put`]; one that does not, because its reader was dropped half-way, is
    /// closed.
    async fn take(&self) -> Result<(SemaphorePermit<'_>, AnyConnection), Error> {
        let permit = self.permits.acquire().await.map_err(|_| Error::PoolClosed)?;
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match free {
            Some(connection) => connection,
            None => connect(&self.options).await?,
        };
        Ok((permit, connection))
    }

    fn put(&self, connection: AnyConnection, error: Option<&Error>) {
        // What the database says about a query leaves the connection as it was.
        if error.is_none_or(|error| matches!(error, Error::Database(_))) {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }

    /// Waits for the last reader, and closes the connections.
    pub async fn close(&self) {
        let all = u32::try_from(READERS).unwrap_or(u32::MAX);
        // Nobody else closes it; a second call finds nothing to do.
        let _permits = self.permits.acquire_many(all).await;
        self.permits.close();
        let free = std::mem::take(&mut *self.free.lock().unwrap_or_else(PoisonError::into_inner));
        for connection in free {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "a connection that reads did not close cleanly");
            }
        }
    }
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}

impl<'r> Executor<'r> for &'r Readers {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Item>
    where
        'r: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let rows = async move {
            let (_permit, mut connection) = match self.take().await {
                Ok(taken) => taken,
                Err(error) => return vec![Err(error)],
            };
            let rows: Vec<Item> = connection.fetch_many(query).collect().await;
            self.put(connection, rows.iter().find_map(|row| row.as_ref().err()));
            rows
        };
        rows.map(stream::iter).flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'r: 'e,
        E: 'q + Execute<'q, Any>,
    {
        async move {
            let (_permit, mut connection) = self.take().await?;
            let row = connection.fetch_optional(query).await;
            self.put(connection, row.as_ref().err());
            row
        }
        .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'r: 'e,
    {
        async move {
            let (_permit, mut connection) = self.take().await?;
            let statement = connection.prepare_with(sql, parameters).await;
            self.put(connection, statement.as_ref().err());
            statement
        }
        .boxed()
    }
}

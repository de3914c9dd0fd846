//! The connections that read.

use super::Sqlite;
use crate::cells::Visit;
use crate::statements::Item;
use sqlx::Error;
use sqlx::any::{AnyArguments, AnyRow};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Connections that are kept. As many are open as threads read at once, which the runtime bounds: a query does not wait half-way.
const KEPT: usize = 4;

/// Every change anywhere makes a reader forget its pages, and the system's cache has them. With SQLite's own 2 MB a list of 1,000 nodes costs
/// 0.7 ms in place of 1.1, and a process with 10,000 nodes takes 27 MiB in place of 24.
const CACHE: &str = "PRAGMA cache_size = -512";

/// Connections that are opened when they are first needed.
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
            None => {
                let connection = Sqlite::open(&self.path)?;
                connection.batch(CACHE)?;
                connection
            }
        };
        let outcome = query(&connection);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(connection);
        }
        Ok(outcome)
    }

    /// As [`crate::statements::Statements::many`], at once.
    pub fn all(&self, sql: &str, arguments: Option<AnyArguments>) -> Vec<Item> {
        self.lend(|connection| connection.all(sql, arguments)).unwrap_or_else(|error| vec![Err(error)])
    }

    /// As [`crate::statements::Statements::optional`], at once.
    pub fn first(&self, sql: &str, arguments: Option<AnyArguments>) -> Result<Option<AnyRow>, Error> {
        self.lend(|connection| connection.first(sql, arguments)).and_then(|row| row)
    }

    /// As [`Sqlite::visit`].
    pub fn visit(&self, sql: &str, arguments: AnyArguments, visit: Visit<'_>) -> crate::Result<()> {
        self.lend(|connection| connection.visit(sql, arguments, visit))?
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

//! A change under way, on either database.

use crate::event::Told;
use crate::migrations::Dialect;
use crate::statements::Statements;
use crate::{Result, postgres, sqlite};
use std::ops::{Deref, DerefMut};

/// How much of the database a change keeps others from.
///
/// SQLite has one writer at a time anyway. On PostgreSQL this is what makes a change that reads before it writes as safe as there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Everything: no other change of this site runs meanwhile, in any process.
    All,
    /// The rows that it reads with [`Write::row_lock`], and those that it writes. Changes of other rows run meanwhile; none of
    /// [`Reach::All`] does.
    Rows,
    /// Nothing but the row that it writes, on a connection of its own: a sign of life waits for nobody.
    Life,
}

/// A connection within a transaction. What is not committed by [`Write::commit`] is taken back.
pub(crate) struct Write {
    backend: Backend,
    /// What is to be told once it is committed.
    told: Vec<Told>,
}

/// The transaction of either database.
pub(crate) enum Backend {
    Sqlite(sqlite::Write),
    Postgres(postgres::Write),
}

impl Write {
    /// A change in a transaction that has begun.
    pub fn new(backend: Backend) -> Self {
        Self { backend, told: Vec::new() }
    }

    /// Has something told once the change is on the disk.
    pub fn tell(&mut self, told: Told) {
        self.told.push(told);
    }

    /// The words that the database understands.
    pub fn dialect(&self) -> Dialect {
        match &self.backend {
            Backend::Sqlite(_) => Dialect::Sqlite,
            Backend::Postgres(_) => Dialect::Postgres,
        }
    }

    /// What ends a `SELECT` of rows that are to stay as they were read until the change is written.
    pub fn row_lock(&self) -> &'static str {
        match &self.backend {
            Backend::Sqlite(_) => "",
            // Weaker than FOR UPDATE: rows that refer to this one may be added meanwhile.
            Backend::Postgres(_) => " FOR NO KEY UPDATE",
        }
    }

    /// Returns when the change is safe on the disk, or could not be brought there.
    pub async fn commit(self) -> Result<()> {
        match self.backend {
            Backend::Sqlite(write) => write.commit().await?,
            Backend::Postgres(write) => write.commit().await?,
        }
        self.told.into_iter().for_each(Told::tell);
        Ok(())
    }
}

impl Deref for Write {
    type Target = dyn Statements;

    fn deref(&self) -> &Self::Target {
        match &self.backend {
            Backend::Sqlite(write) => &**write,
            Backend::Postgres(write) => write.connection(),
        }
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match &mut self.backend {
            Backend::Sqlite(write) => &mut **write,
            Backend::Postgres(write) => write.connection_mut(),
        }
    }
}

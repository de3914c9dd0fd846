//! PostgreSQL: connections, transactions that are as safe as SQLite's, and word of changes between processes.
//!
//! Every change takes one advisory lock of the database: alone ([`Reach::All`]), or shared with others that lock the rows they
//! touch ([`Reach::Rows`]). So a change that reads, decides and writes sees nothing move under it, as under SQLite's one writer, and
//! those that are many (a node's record, a lease, an event) still run beside each other, in one process and in many.

mod notices;
mod room;

pub(crate) use notices::{Notices, Topic};
pub(crate) use room::is_crowded;

use crate::Result;
use crate::lane::Lane;
use crate::statements::{Item, Statements};
use crate::transaction::Reach;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryFutureExt};
use room::{Room, Seat};
use sqlx::any::{AnyArguments, AnyPoolOptions, AnyRow};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Error, Executor, PgPool, SqlStr, Transaction};
use sqlx_core::any::AnyValueKind;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;
use telemetry::{Timer, table};

/// How long a query waits for a database that is not there.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection that rested for longer is asked whether it still is one.
const RESTED: Duration = Duration::from_millis(500);
/// How often a change is begun anew on another connection, where one turned out to be dead: nothing was done on it yet.
const BEGINS: u32 = 24;

/// How a connection begins. A process that is stopped, or cut off, within a change would keep all others from theirs: the database ends
/// its change instead, which is nothing that was acknowledged.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '5s'; SET lock_timeout = '20s'; \
                       SET statement_timeout = '60s'; SET synchronous_commit = on; \
                       SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3";

/// Number of the advisory lock: "billet" as bytes.
const LOCK: i64 = 0x0062_696c_6c65_7400;

/// Connections on which changes are made. All those of a process are 22 to 28, so that three or four fit into PostgreSQL's usual hundred:
/// what there is to do is bound by the processors long before.
fn changes() -> Room {
    let kept = |lane| match lane {
        Lane::Work => 3,
        Lane::Machine | Lane::Change => 2,
        Lane::Members => 1,
        Lane::Look => 0,
    };
    Room::new(kept, 3)
}

/// Connections that read.
fn looks() -> Room {
    // A list is written while it is read.
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let for_lists = u32::try_from(cores).unwrap_or(u32::MAX).clamp(2, 8);
    let kept = |lane| match lane {
        Lane::Look => for_lists,
        Lane::Work => 2,
        Lane::Machine | Lane::Change | Lane::Members => 1,
    };
    Room::new(kept, 1)
}

/// The connections of a process.
#[derive(Debug, Clone)]
pub(crate) struct Postgres {
    writers: AnyPool,
    changes: Room,
    readers: AnyPool,
    looks: Room,
    /// The one for signs of life, however many wait for the others.
    life: AnyPool,
    /// Those for notices, which sqlx has for PostgreSQL alone.
    own: PgPool,
}

impl Postgres {
    /// Prepares connections to a database; each is made when it is first needed. The URL is as libpq's, `postgres://…`.
    pub fn new(url: &str) -> sqlx::Result<Self> {
        sqlx::any::install_default_drivers();
        let (changes, looks) = (changes(), looks());
        Ok(Self {
            writers: pool(changes.seats()).connect_lazy(url)?,
            changes,
            readers: pool(looks.seats()).connect_lazy(url)?,
            looks,
            life: pool(1).connect_lazy(url)?,
            own: PgPoolOptions::new().max_connections(2).acquire_timeout(PATIENCE).connect_lazy(url)?,
        })
    }

    /// As [`Statements::many`], on a connection that reads, when one is free for the lane that this runs in.
    pub fn many(&self, sql: SqlStr, arguments: AnyArguments) -> BoxStream<'_, Item> {
        let query = sqlx::query_with(sql, storable(arguments));
        let rows = |seat: Seat| {
            let rows = self.readers.fetch_many(query);
            rows.inspect(move |_| {
                // It is left with the last row.
                let _ = &seat;
            })
        };
        self.looks.enter().map_ok(rows).try_flatten_stream().boxed()
    }

    /// As [`Statements::optional`], as [`Postgres::many`].
    pub async fn optional(&self, sql: SqlStr, arguments: AnyArguments) -> Result<Option<AnyRow>, Error> {
        let _seat = self.looks.enter().await?;
        self.readers.fetch_optional(sqlx::query_with(sql, storable(arguments))).await
    }

    /// The connections for notices.
    pub fn own(&self) -> &PgPool {
        &self.own
    }

    /// Changes that wait until they may begin.
    pub fn waiting(&self) -> usize {
        self.changes.waiting()
    }

    /// Those of the lane that this runs in.
    pub fn backlog(&self) -> usize {
        self.changes.backlog()
    }

    /// Begins a change, when those that are in its way have ended.
    pub async fn write(&self, reach: Reach) -> Result<Write> {
        let begin = match reach {
            Reach::All => format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})"),
            Reach::Rows => format!("BEGIN; SELECT pg_advisory_xact_lock_shared({LOCK})"),
            Reach::Life => "BEGIN".to_owned(),
        };
        let pool = if reach == Reach::Life { &self.life } else { &self.writers };
        let waited = Timer::start();
        let seat = match reach {
            Reach::Life => None,
            Reach::All | Reach::Rows => Some(self.changes.enter().await?),
        };
        let mut begins = 1;
        loop {
            match pool.begin_with(sqlx::AssertSqlSafe(begin.clone())).await {
                Ok(transaction) => {
                    table::WRITE_QUEUE_TIME.observe_time([], waited.elapsed());
                    return Ok(Write { transaction, _seat: seat });
                }
                Err(error) if begins < BEGINS && is_gone(&error) => begins += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes a change of one statement, which takes the lock itself ([`with_lock`]) and is committed when this returns. Out comes how many rows
    /// it changed. If the database is lost meanwhile, nobody knows whether it was made.
    pub async fn change_at_once(&self, query: Change) -> Result<u64> {
        let (mut connection, _seat) = self.alone().await?;
        let began = Timer::start();
        let done = query.execute(statements(&mut connection)).await?;
        committed(began);
        Ok(done.rows_affected())
    }

    /// As [`Postgres::change_at_once`]; out come the rows that the statement returns.
    pub async fn change_and_return(&self, query: Change) -> Result<Vec<AnyRow>> {
        let (mut connection, _seat) = self.alone().await?;
        let began = Timer::start();
        let rows = query.fetch_all(statements(&mut connection)).await?;
        committed(began);
        Ok(rows)
    }

    /// A connection for one statement.
    async fn alone(&self) -> Result<(PoolConnection<Any>, Seat)> {
        let waited = Timer::start();
        let seat = self.changes.enter().await?;
        let connection = self.writers.acquire().await?;
        table::WRITE_QUEUE_TIME.observe_time([], waited.elapsed());
        Ok((connection, seat))
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.writers.close().await;
        self.readers.close().await;
        self.life.close().await;
        self.own.close().await;
    }
}

fn pool(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        // Asking each time would double what a short query costs.
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move {
                if about.idle_for < RESTED {
                    return Ok(true);
                }
                Ok(connection.ping().await.is_ok())
            })
        })
        .after_connect(|connection, _| Box::pin(async move { connection.execute(SESSION).await.map(|_| ()) }))
}

/// The server says goodbye, or takes nobody in: admin_shutdown, crash_shutdown, cannot_connect_now,
/// idle_in_transaction_session_timeout, too_many_connections.
const GONE: &[&str] = &["57P01", "57P02", "57P03", "25P03", "53300"];

/// Was the connection dead before anything was done on it?
fn is_gone(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Protocol(_) | Error::BeginFailed => true,
        Error::Database(error) => error.code().is_some_and(|code| GONE.contains(&code.as_ref())),
        _ => false,
    }
}

/// Is the database not there, or was it lost on the way?
pub(crate) fn is_away(error: &Error) -> bool {
    is_gone(error) || matches!(error, Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed)
}

/// A statement that is a change of its own.
type Change = Query<'static, Any, AnyArguments>;

/// The lock of [`Reach::Rows`] for a change of one statement: `lock` has a row once the lock is there, and must be among the tables whose rows
/// are changed. What is changed has to be checked by the statement's own conditions, which see each row as it is then, though the rest of
/// the database as it was before.
pub(crate) fn with_lock() -> String {
    format!("WITH lock AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared({LOCK}))")
}

fn statements(connection: &mut AnyConnection) -> &mut (dyn Statements + 'static) {
    connection
}

fn committed(began: Timer) {
    table::COMMIT_TIME.observe_time([], began.elapsed());
    table::COMMIT_CHANGES.observe([], 1.0);
}

/// A change under way.
pub(crate) struct Write {
    transaction: Transaction<'static, Any>,
    _seat: Option<Seat>,
}

impl Write {
    pub fn connection(&self) -> &(dyn Statements + 'static) {
        &*self.transaction
    }

    pub fn connection_mut(&mut self) -> &mut (dyn Statements + 'static) {
        &mut *self.transaction
    }

    /// Returns when the change is safe.
    pub async fn commit(self) -> Result<()> {
        let began = Timer::start();
        self.transaction.commit().await?;
        committed(began);
        Ok(())
    }
}

impl Statements for AnyConnection {
    fn many<'e>(&'e mut self, sql: SqlStr, arguments: Option<AnyArguments>) -> BoxStream<'e, Item> {
        match arguments {
            Some(arguments) => self.fetch_many(sqlx::query_with(sql, storable(arguments))),
            None => self.fetch_many(sqlx::raw_sql(sql)),
        }
    }

    fn optional<'e>(
        &'e mut self,
        sql: SqlStr,
        arguments: Option<AnyArguments>,
    ) -> BoxFuture<'e, Result<Option<AnyRow>, Error>> {
        match arguments {
            Some(arguments) => self.fetch_optional(sqlx::query_with(sql, storable(arguments))),
            None => self.fetch_optional(sqlx::raw_sql(sql)),
        }
    }
}

/// PostgreSQL's texts can't have a NUL, which a client may write into a name or a ramdisk into an error. Documents are not touched: in JSON
/// it is written as an escape.
pub(crate) fn storable(mut arguments: AnyArguments) -> AnyArguments {
    for value in &mut arguments.values.0 {
        let text: &str = match value {
            AnyValueKind::Text(text) => text,
            AnyValueKind::TextSlice(text) => text,
            _ => continue,
        };
        if text.contains('\0') {
            *value = AnyValueKind::Text(Arc::new(text.replace('\0', "\u{fffd}")));
        }
    }
    arguments
}

/// Two changes that waited for each other: PostgreSQL ended one (deadlock_detected, serialization_failure, lock_not_available).
const RETRY: &[&str] = &["40P01", "40001", "55P03"];

/// Would the same change do if it were tried again?
pub(crate) fn is_worth_another_try(error: &Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| RETRY.contains(&code.as_ref()))
}

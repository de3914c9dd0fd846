//! PostgreSQL: connections, transactions that are as safe as SQLite's, and word of changes between processes.
//!
//! Every change takes one advisory lock of the database: alone ([`Reach::All`]), or shared with others that lock the rows they
//! touch ([`Reach::Rows`]). So a change that reads, decides and writes sees nothing move under it, as under SQLite's one writer, and
//! those that are many (a node's record, a lease, an event) still run beside each other, in one process and in many.

mod connections;
mod notices;
mod room;

pub(crate) use notices::{Notices, Topic};
pub(crate) use room::is_crowded;

use crate::Result;
use crate::cells::Visit;
use crate::lane::Lane;
use crate::statements::Statements;
use crate::transaction::Reach;
use connections::{Connections, Lent};
use futures_util::TryStreamExt;
use room::Room;
use sqlx::any::{AnyArguments, AnyConnectOptions, AnyQueryResult, AnyRow};
use sqlx::postgres::PgPoolOptions;
use sqlx::query::Query;
use sqlx::{Any, Either, Error, PgPool, SqlStr};
use sqlx_core::any::AnyValueKind;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;
use telemetry::{Timer, table};

/// How long a query waits for a database that is not there.
const PATIENCE: Duration = Duration::from_secs(10);
/// How a connection begins. A process that is stopped, or cut off, within a change would keep all others from theirs: the database ends
/// its change instead, which is nothing that was acknowledged.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '5s'; SET lock_timeout = '20s'; \
                       SET statement_timeout = '60s'; SET synchronous_commit = on; \
                       SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3";

/// Number of the advisory lock: "billet" as bytes.
const LOCK: i64 = 0x0062_696c_6c65_7400;

/// Connections on which changes are made. All those of a process are 21 to 27, so that three or four fit into PostgreSQL's usual hundred:
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
    changes: Connections,
    looks: Connections,
    /// The one for signs of life, however many wait for the others.
    life: Connections,
    /// The one that notices come by, which sqlx has for PostgreSQL alone.
    own: PgPool,
}

impl Postgres {
    /// Prepares connections to a database; each is made when it is first needed. The URL is as libpq's, `postgres://…`.
    pub fn new(url: &str) -> sqlx::Result<Self> {
        sqlx::any::install_default_drivers();
        let options: AnyConnectOptions = url.parse()?;
        let connections = |room| Connections::new(options.clone(), room);
        Ok(Self {
            changes: connections(changes()),
            looks: connections(looks()),
            life: connections(Room::new(|_| 0, 1)),
            own: PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_lazy(url)?,
        })
    }

    /// Shows rows to a visitor as they come, on a connection that reads, when one is free for the lane that this runs in; its first error ends
    /// the visit.
    pub async fn visit(&self, sql: SqlStr, arguments: AnyArguments, visit: Visit<'_>) -> Result<()> {
        let mut lent = self.looks.lend().await?;
        let mut rows = lent.ask().many(sql, Some(arguments));
        while let Some(item) = rows.try_next().await? {
            if let Either::Right(row) = item {
                visit(&row)?;
            }
        }
        drop(rows);
        lent.give_back();
        Ok(())
    }

    /// All that a statement says, as [`Postgres::visit`].
    pub async fn all(
        &self,
        sql: SqlStr,
        arguments: AnyArguments,
    ) -> Result<Vec<Either<AnyQueryResult, AnyRow>>, Error> {
        let mut lent = self.looks.lend().await?;
        let items = lent.ask().many(sql, Some(arguments)).try_collect().await?;
        lent.give_back();
        Ok(items)
    }

    /// As [`Statements::optional`], as [`Postgres::visit`].
    pub async fn optional(&self, sql: SqlStr, arguments: AnyArguments) -> Result<Option<AnyRow>, Error> {
        let mut lent = self.looks.lend().await?;
        let row = lent.ask().optional(sql, Some(arguments)).await?;
        lent.give_back();
        Ok(row)
    }

    /// Has the server tell whoever listens on a channel.
    pub async fn notify(&self, channel: &'static str, payload: String) -> Result<(), Error> {
        let mut lent = self.looks.lend().await?;
        sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(payload).execute(lent.ask()).await?;
        lent.give_back();
        Ok(())
    }

    /// Where notices come by.
    pub fn own(&self) -> &PgPool {
        &self.own
    }

    /// Changes that wait until they may begin.
    pub fn waiting(&self) -> usize {
        self.changes.room().waiting()
    }

    /// Those of the lane that this runs in.
    pub fn backlog(&self) -> usize {
        self.changes.room().backlog()
    }

    /// Begins a change, when those that are in its way have ended.
    pub async fn write(&self, reach: Reach) -> Result<Write> {
        let begin = match reach {
            Reach::All => format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})"),
            Reach::Rows => format!("BEGIN; SELECT pg_advisory_xact_lock_shared({LOCK})"),
            Reach::Life => "BEGIN".to_owned(),
        };
        let connections = if reach == Reach::Life { &self.life } else { &self.changes };
        let waited = Timer::start();
        let lent = connections.begin(&begin).await?;
        table::WRITE_QUEUE_TIME.observe_time([], waited.elapsed());
        Ok(Write { lent })
    }

    /// Makes a change of one statement, which takes the lock itself ([`with_lock`]) and is committed when this returns. Out comes how many rows
    /// it changed. If the database is lost meanwhile, nobody knows whether it was made.
    pub async fn change_at_once(&self, query: Change) -> Result<u64> {
        let mut lent = self.alone().await?;
        let began = Timer::start();
        let done = query.execute(lent.ask()).await?;
        committed(began);
        lent.give_back();
        Ok(done.rows_affected())
    }

    /// As [`Postgres::change_at_once`]; out come the rows that the statement returns.
    pub async fn change_and_return(&self, query: Change) -> Result<Vec<AnyRow>> {
        let mut lent = self.alone().await?;
        let began = Timer::start();
        let rows = query.fetch_all(lent.ask()).await?;
        committed(began);
        lent.give_back();
        Ok(rows)
    }

    /// A connection for one statement.
    async fn alone(&self) -> Result<Lent> {
        let waited = Timer::start();
        let lent = self.changes.lend().await?;
        table::WRITE_QUEUE_TIME.observe_time([], waited.elapsed());
        Ok(lent)
    }

    /// Closes the connections.
    pub async fn close(&self) {
        for connections in [&self.changes, &self.looks, &self.life] {
            connections.close().await;
        }
        self.own.close().await;
    }
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

fn committed(began: Timer) {
    table::COMMIT_TIME.observe_time([], began.elapsed());
    table::COMMIT_CHANGES.observe([], 1.0);
}

/// A change under way.
pub(crate) struct Write {
    lent: Lent,
}

impl Write {
    pub fn connection(&self) -> &(dyn Statements + 'static) {
        &self.lent
    }

    pub fn connection_mut(&mut self) -> &mut (dyn Statements + 'static) {
        &mut self.lent
    }

    /// Returns when the change is safe.
    pub async fn commit(self) -> Result<()> {
        let began = Timer::start();
        self.lent.commit().await?;
        committed(began);
        Ok(())
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

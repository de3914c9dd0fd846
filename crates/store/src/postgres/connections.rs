//! Connections that come back: those at rest, behind the seats of a [`Room`].
//!
//! sqlx's own pool asks every connection that is given back whether it still is one, in a task of its own. For a query of one row
//! that is a second round trip and three threads woken, as much again as the query costs. Here a connection whose work has ended comes back as it
//! is; only one that was left in the middle of something is set right first.

use super::room::{Room, Seat};
use super::{PATIENCE, SESSION, is_gone, storable};
use crate::statements::{Item, Statements};
use futures_util::future::{self, BoxFuture};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use sqlx::any::{AnyArguments, AnyConnectOptions, AnyRow};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Error, Executor, SqlStr};
use std::io::ErrorKind;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

/// A connection that rested for longer is asked whether it still is one.
const RESTED: Duration = Duration::from_millis(500);
/// One that rested for longer is closed when another comes back.
const UNUSED: Duration = Duration::from_mins(10);
/// One that is older is not used again: the server's side of it keeps what it ever learned.
const LIFETIME: Duration = Duration::from_mins(30);
/// How often a change is begun anew on another connection, where one turned out to be dead: nothing was done on it yet.
const BEGINS: u32 = 24;
/// Pause before the next attempt to reach a server that takes nobody in, and the longest one; each is twice the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));

/// As many connections as their room has seats, each made when it is first needed. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    room: Room,
    home: Arc<Home>,
}

#[derive(Debug)]
struct Home {
    options: AnyConnectOptions,
    /// Those at rest, the one that was used last on top; `None` once they were closed for good.
    resting: Mutex<Option<Vec<Resting>>>,
}

#[derive(Debug)]
struct Resting {
    line: Line,
    since: Instant,
}

#[derive(Debug)]
struct Line {
    connection: AnyConnection,
    made: Instant,
}

impl Connections {
    /// No connection yet, but room for some.
    pub fn new(options: AnyConnectOptions, room: Room) -> Self {
        Self { room, home: Arc::new(Home { options, resting: Mutex::new(Some(Vec::new())) }) }
    }

    /// Who may use them.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Waits for a seat of the lane that this runs in, and lends a connection. Where the server takes nobody in, it is tried again for as
    /// long as a query has patience.
    pub async fn lend(&self) -> Result<Lent, Error> {
        let seat = self.room.enter().await?;
        self.lend_to(seat).await
    }

    /// Lends a connection on which a change has begun. `sql` may be sent more than once, where a connection turns out to be dead.
    pub async fn begin(&self, sql: &str) -> Result<Lent, Error> {
        let mut seat = self.room.enter().await?;
        let mut begins = 1;
        loop {
            let mut lent = self.lend_to(seat).await?;
            match lent.begin(sql).await {
                Err(error) if begins < BEGINS && is_gone(&error) => begins += 1,
                begun => return begun.map(|()| lent),
            }
            // With nothing on it, it need not be set right either.
            lent.line = None;
            let Some(kept) = lent.seat.take() else { return Err(Error::PoolClosed) };
            seat = kept;
        }
    }

    async fn lend_to(&self, seat: Seat) -> Result<Lent, Error> {
        let line = timeout(PATIENCE, self.home.line()).await.map_err(|_| Error::PoolTimedOut)??;
        Ok(Lent { line: Some(line), state: State::Settled, home: Arc::clone(&self.home), seat: Some(seat) })
    }

    /// Closes those at rest, and the others as they come back.
    pub async fn close(&self) {
        let resting = mem::take(&mut *self.home.lock());
        for Resting { line, .. } in resting.unwrap_or_default() {
            // The server learns of it in any case.
            drop(line.connection.close().await);
        }
    }
}

impl Home {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Vec<Resting>>> {
        // Nothing is half done when a panic comes.
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last, if it still is one; else a new one.
    async fn line(&self) -> Result<Line, Error> {
        loop {
            let Some(resting) = self.lock().as_mut().map(Vec::pop) else { return Err(Error::PoolClosed) };
            let Some(Resting { mut line, since }) = resting else { break };
            if since.elapsed() < RESTED || line.connection.ping().await.is_ok() {
                return Ok(line);
            }
        }
        let mut pause = PAUSES.0;
        loop {
            match self.connect().await {
                Ok(connection) => return Ok(Line { connection, made: Instant::now() }),
                // A server that starts, or has as many connections as it takes.
                Err(error) if is_transient(&error) => tracing::debug!(%error, "the database takes nobody in"),
                Err(error) => return Err(error),
            }
            sleep(pause).await;
            pause = PAUSES.1.min(pause * 2);
        }
    }

    async fn connect(&self) -> Result<AnyConnection, Error> {
        let mut connection = AnyConnection::connect_with(&self.options).await?;
        connection.execute(SESSION).await?;
        Ok(connection)
    }

    /// Takes a connection back on which nothing is under way.
    fn take_back(&self, line: Line) {
        let mut resting = self.lock();
        let Some(resting) = resting.as_mut() else { return };
        if resting.first().is_some_and(|oldest| oldest.since.elapsed() > UNUSED) {
            resting.remove(0);
        }
        resting.push(Resting { line, since: Instant::now() });
    }
}

/// Is a server there that takes nobody in now, or soon again?
fn is_transient(error: &Error) -> bool {
    match error {
        Error::Io(error) => {
            matches!(
                error.kind(),
                ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
            )
        }
        Error::Database(error) => error.is_transient_in_connect_phase(),
        _ => false,
    }
}

/// What is under way on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing.
    Settled,
    /// A statement whose end was not seen.
    Asked,
    /// A change that was neither committed nor taken back.
    Changing,
}

/// A connection on loan. What was begun on it and not ended when this is dropped is taken back before anybody else gets it.
#[derive(Debug)]
pub(super) struct Lent {
    /// There until this is dropped.
    line: Option<Line>,
    state: State,
    home: Arc<Home>,
    seat: Option<Seat>,
}

impl Lent {
    async fn begin(&mut self, sql: &str) -> Result<(), Error> {
        self.state = State::Changing;
        self.connection()?.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        Ok(())
    }

    /// Ends the change, which is safe when this returns.
    pub async fn commit(mut self) -> Result<(), Error> {
        self.connection()?.execute("COMMIT").await?;
        self.state = State::Settled;
        Ok(())
    }

    /// Says that a statement begins, which may be left before its end.
    pub fn ask(&mut self) -> &mut (dyn Statements + 'static) {
        if self.state == State::Settled {
            self.state = State::Asked;
        }
        self
    }

    /// Gives it back after a statement whose last row was read.
    pub fn give_back(mut self) {
        if self.state == State::Asked {
            self.state = State::Settled;
        }
    }

    fn connection(&mut self) -> Result<&mut AnyConnection, Error> {
        self.line.as_mut().map(|line| &mut line.connection).ok_or(Error::PoolClosed)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(line) = self.line.take() else { return };
        if self.state == State::Settled && line.made.elapsed() < LIFETIME {
            return self.home.take_back(line);
        }
        // Without a runtime it is closed, which undoes a change as well.
        let Ok(runtime) = Handle::try_current() else { return };
        let (home, seat, state) = (Arc::clone(&self.home), self.seat.take(), self.state);
        runtime.spawn(async move {
            // Its seat is kept for as long.
            let _seat = seat;
            if let Ok(Some(line)) = timeout(PATIENCE, settle(line, state)).await {
                home.take_back(line);
            }
        });
    }
}

/// Ends what is under way on a connection; `None` where it can't be used again.
async fn settle(mut line: Line, state: State) -> Option<Line> {
    let ended = match state {
        State::Settled => Ok(()),
        State::Asked => line.connection.ping().await,
        State::Changing => line.connection.execute("ROLLBACK").await.map(|_| ()),
    };
    if ended.is_ok() && line.made.elapsed() < LIFETIME {
        return Some(line);
    }
    // The server learns of it in any case.
    drop(line.connection.close().await);
    None
}

impl Statements for Lent {
    fn many<'e>(&'e mut self, sql: SqlStr, arguments: Option<AnyArguments>) -> BoxStream<'e, Item> {
        let Ok(connection) = self.connection() else {
            return future::err(Error::PoolClosed).into_stream().boxed();
        };
        match arguments {
            Some(arguments) => connection.fetch_many(sqlx::query_with(sql, storable(arguments))),
            None => connection.fetch_many(sqlx::raw_sql(sql)),
        }
    }

    fn optional<'e>(
        &'e mut self,
        sql: SqlStr,
        arguments: Option<AnyArguments>,
    ) -> BoxFuture<'e, Result<Option<AnyRow>, Error>> {
        let Ok(connection) = self.connection() else { return future::err(Error::PoolClosed).boxed() };
        match arguments {
            Some(arguments) => connection.fetch_optional(sqlx::query_with(sql, storable(arguments))),
            None => connection.fetch_optional(sqlx::raw_sql(sql)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::VARIABLE;
    use sqlx::{Row, SqlSafeStr};

    /// One connection to the throw-away cluster; `None` where the tests run on SQLite, which has no use for it.
    fn one() -> Option<Connections> {
        sqlx::any::install_default_drivers();
        let cluster = std::env::var(VARIABLE).ok()?;
        let options = format!("{cluster}/postgres").parse().unwrap();
        Some(Connections::new(options, Room::new(|_| 0, 1)))
    }

    async fn number(lent: &mut Lent, sql: &'static str) -> i64 {
        let row = sqlx::query(sql).fetch_one(lent.ask()).await.unwrap();
        row.try_get(0).unwrap()
    }

    const BACKEND: &str = "SELECT CAST(pg_backend_pid() AS BIGINT)";

    #[tokio::test]
    async fn a_connection_that_comes_back_is_the_next_ones() {
        let Some(connections) = one() else { return };
        let mut first = connections.lend().await.unwrap();
        let backend = number(&mut first, BACKEND).await;
        first.give_back();
        let mut second = connections.lend().await.unwrap();
        assert_eq!(number(&mut second, BACKEND).await, backend);
        // Left in the middle of an answer, it is the next one's as well.
        let mut rows =
            second.ask().many(AssertSqlSafe("SELECT * FROM generate_series(1, 100000)").into_sql_str(), None);
        assert!(rows.next().await.unwrap().is_ok());
        drop(rows);
        drop(second);
        let mut third = connections.lend().await.unwrap();
        assert_eq!(number(&mut third, BACKEND).await, backend);
    }

    #[tokio::test]
    async fn a_change_that_was_left_is_taken_back_first() {
        let Some(connections) = one() else { return };
        let mut change = connections.begin("BEGIN; SELECT pg_advisory_xact_lock(77)").await.unwrap();
        let backend = number(&mut change, BACKEND).await;
        drop(change);
        let mut next = connections.lend().await.unwrap();
        assert_eq!(number(&mut next, BACKEND).await, backend);
        let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77";
        assert_eq!(number(&mut next, held).await, 0);
    }

    #[tokio::test]
    async fn a_change_is_begun_on_another_connection_where_one_is_dead() {
        let Some(connections) = one() else { return };
        let mut lent = connections.lend().await.unwrap();
        let backend = number(&mut lent, BACKEND).await;
        lent.give_back();
        let mut other = AnyConnection::connect_with(&connections.home.options).await.unwrap();
        let end = "SELECT pg_terminate_backend(CAST($1 AS INTEGER), 5000)";
        sqlx::query(end).bind(backend).execute(&mut other).await.unwrap();
        let mut change = connections.begin("BEGIN").await.unwrap();
        assert_ne!(number(&mut change, BACKEND).await, backend);
        change.commit().await.unwrap();
    }

    #[tokio::test]
    async fn nothing_is_lent_once_they_are_closed() {
        let Some(connections) = one() else { return };
        let lent = connections.lend().await.unwrap();
        connections.close().await;
        drop(lent);
        assert!(matches!(connections.lend().await, Err(Error::PoolClosed)));
    }
}

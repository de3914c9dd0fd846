//! One connection writes, and writers that queue up for it share its transactions: group commit.
//!
//! SQLite has one writer at a time, and what an acknowledged change costs is the `fsync` of its `COMMIT`. So the connection stands
//! at the end of a fair queue, and whoever is done while others wait leaves their work in the open transaction and hands the
//! connection on. Each works within a savepoint of its own, so that what one takes back hurts nobody else; the last of the line, or the
//! one that fills the group, commits for all, and only then any of them is acknowledged. Where nobody waits, a group has one member,
//! and nothing is slower than it would be without groups.
//!
//! A failed `COMMIT` fails every member. So does a statement upon which SQLite ends the whole transaction by itself (a full disk does
//! that): the next in the line finds the savepoint gone.

use super::Sqlite;
use crate::{Result, StoreError};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use telemetry::{Timer, table};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

/// Changes that one `COMMIT` acknowledges at most.
const MEMBERS: usize = 64;
/// A group is not kept open longer than this for those who still wait.
const OPEN: Duration = Duration::from_millis(10);

/// A disk that takes less than this is waited for where the change was made: to change threads twice costs more processor time than
/// most of the change. It takes up one of the runtime's threads, never more, since one at a time commits.
const SWIFT: Duration = Duration::from_millis(2);

/// The connection that writes, and the queue in front of it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
}

struct Shared {
    /// Tokio's mutex is fair: first come, first served.
    line: Arc<Mutex<Line>>,
    waiting: AtomicUsize,
    path: PathBuf,
}

/// The connection and the transaction that is open on it.
struct Line {
    connection: Sqlite,
    stage: Stage,
    /// When the transaction began.
    since: Instant,
    /// How long a `COMMIT` takes of late: a mean in which the last one counts for an eighth. Checkpoints are among them.
    pace: Duration,
    /// Those whose work is in the transaction and who wait for its `COMMIT`.
    members: Vec<oneshot::Sender<Result<()>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No transaction.
    Idle,
    /// A transaction with nobody's work in it but the first one's, who needs no savepoint.
    First,
    /// A transaction with a savepoint in front of the last one's work.
    Saved,
}

impl Writer {
    /// Opens the connection to a database that exists.
    pub fn open(path: &Path) -> sqlx::Result<Self> {
        let line = Line {
            connection: Sqlite::open(path)?,
            stage: Stage::Idle,
            since: Instant::now(),
            // Nothing is known of the disk yet.
            pace: SWIFT,
            members: Vec::new(),
        };
        let path = path.to_owned();
        let shared = Shared { line: Arc::new(Mutex::new(line)), waiting: AtomicUsize::new(0), path };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Changes that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::SeqCst)
    }

    /// Queues up; out comes the connection within a transaction. What is not committed by [`Write::commit`] is taken back.
    pub async fn write(&self) -> Result<Write> {
        let waited = Timer::start();
        let mut waiting = Waiting::new(&self.shared);
        let line = Arc::clone(&self.shared.line).lock_owned().await;
        waiting.has_come = true;
        drop(waiting);
        table::WRITE_QUEUE_TIME.observe_time([], waited.elapsed());
        // From here to the end nothing waits, so nobody can be dropped with the transaction in a state that is not known.
        let mut write = Write { shared: Arc::clone(&self.shared), line, settled: true };
        if write.line.stage != Stage::Idle && write.line.save().is_err() {
            write.line.lose();
        }
        if write.line.stage == Stage::Idle {
            write.begin()?;
        }
        write.settled = false;
        Ok(write)
    }

    /// Lets the last change end, and writes everything into the database file.
    pub async fn close(&self) {
        let mut line = self.shared.line.lock().await;
        line.commit();
        // What was acknowledged is safe in the log too; this leaves one file in place of two.
        if let Err(error) = line.connection.batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "the database's log could not be folded into its file");
        }
    }
}

/// Somebody in the queue.
struct Waiting<'a> {
    shared: &'a Arc<Shared>,
    has_come: bool,
}

impl<'a> Waiting<'a> {
    fn new(shared: &'a Arc<Shared>) -> Self {
        shared.waiting.fetch_add(1, Ordering::SeqCst);
        Self { shared, has_come: false }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let left = self.shared.waiting.fetch_sub(1, Ordering::SeqCst) - 1;
        if left > 0 || self.has_come {
            return;
        }
        // Somebody may have left their work to the one that will not come now.
        match Arc::clone(&self.shared.line).try_lock_owned() {
            Ok(mut line) => line.commit(),
            // Whoever holds it may have looked at the queue already.
            Err(_) => {
                let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
                let shared = Arc::clone(self.shared);
                runtime.spawn(async move {
                    let mut line = Arc::clone(&shared.line).lock_owned().await;
                    if shared.waiting.load(Ordering::SeqCst) == 0 {
                        tokio::task::spawn_blocking(move || line.commit());
                    }
                });
            }
        }
    }
}

/// The connection in the hands of one writer.
pub(crate) struct Write {
    shared: Arc<Shared>,
    line: OwnedMutexGuard<Line>,
    /// Committed, or nothing was begun.
    settled: bool,
}

impl Deref for Write {
    type Target = Sqlite;

    fn deref(&self) -> &Sqlite {
        &self.line.connection
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut Sqlite {
        &mut self.line.connection
    }
}

impl Write {
    /// Begins a transaction; a connection that can't is replaced once.
    fn begin(&mut self) -> Result<()> {
        if self.line.begin().is_err() {
            self.line.connection = Sqlite::open(&self.shared.path)?;
            self.line.begin()?;
        }
        Ok(())
    }

    /// Returns when the change is on the disk, or could not be brought there: then nothing of it is.
    pub async fn commit(mut self) -> Result<()> {
        self.settled = true;
        let (member, outcome) = oneshot::channel();
        self.line.members.push(member);
        let is_last = self.shared.waiting.load(Ordering::SeqCst) == 0;
        if is_last || self.line.members.len() >= MEMBERS || self.line.since.elapsed() >= OPEN {
            // It waits for the disk; and it goes on if the caller is dropped.
            if self.line.pace < SWIFT && has_other_threads() {
                self.line.commit();
            } else {
                tokio::task::spawn_blocking(move || self.line.commit());
            }
        } else {
            drop(self);
        }
        outcome.await.unwrap_or(Err(StoreError::Aborted))
    }
}

/// Does the runtime go on while this thread waits?
fn has_other_threads() -> bool {
    tokio::runtime::Handle::try_current().is_ok_and(|runtime| runtime.metrics().num_workers() > 1)
}

impl Drop for Write {
    /// Takes back what was not committed. Where the rest of the group would be left alone with it, it is committed here and now: a
    /// task for that might never run, if it is the runtime's end that drops the writer.
    fn drop(&mut self) {
        if !self.settled {
            self.line.take_back();
        }
        if !self.line.members.is_empty() && self.shared.waiting.load(Ordering::SeqCst) == 0 {
            self.line.commit();
        }
    }
}

impl Line {
    fn begin(&mut self) -> sqlx::Result<()> {
        self.connection.batch("BEGIN IMMEDIATE")?;
        self.stage = Stage::First;
        self.since = Instant::now();
        Ok(())
    }

    /// Sets a savepoint behind the work that is in the transaction.
    fn save(&mut self) -> sqlx::Result<()> {
        let sql = match self.stage {
            // Released first, so that there is never more than one: SQLite keeps a list of changed pages for each.
            Stage::Saved => "RELEASE member; SAVEPOINT member",
            Stage::First | Stage::Idle => "SAVEPOINT member",
        };
        self.connection.batch(sql)?;
        self.stage = Stage::Saved;
        Ok(())
    }

    /// Takes back what was done since the last one's work.
    fn take_back(&mut self) {
        match self.stage {
            Stage::Idle => {}
            Stage::First => self.lose(),
            Stage::Saved => {
                if self.connection.batch("ROLLBACK TO member").is_err() {
                    self.lose();
                }
            }
        }
    }

    /// Writes the group to the disk and tells its members.
    fn commit(&mut self) {
        if self.stage == Stage::Idle {
            return;
        }
        let began = Timer::start();
        let outcome = self.connection.batch("COMMIT");
        let took = began.elapsed();
        self.pace = self.pace * 7 / 8 + took / 8;
        match outcome {
            Ok(_) => {
                table::COMMIT_TIME.observe_time([], took);
                table::COMMIT_CHANGES.observe([], self.members.len() as f64);
                self.stage = Stage::Idle;
                for member in self.members.drain(..) {
                    // Those who stopped waiting have what they wanted all the same.
                    let _ = member.send(Ok(()));
                }
            }
            Err(error) => {
                let reason = StoreError::from(error);
                tracing::error!(error = %reason, members = self.members.len(), "changes could not be written");
                let members = std::mem::take(&mut self.members);
                self.lose();
                let is_full = matches!(reason, StoreError::Full);
                let mut reason = Some(reason);
                // The one that committed stands last and gets the database's own words.
                for member in members.into_iter().rev() {
                    let told =
                        reason.take().unwrap_or(if is_full { StoreError::Full } else { StoreError::Aborted });
                    let _ = member.send(Err(told));
                }
            }
        }
    }

    /// Ends a transaction of which nothing may stay; members that are still in it fail.
    fn lose(&mut self) {
        // It fails where SQLite has ended the transaction by itself, which is what is wanted.
        let _ = self.connection.batch("ROLLBACK");
        self.stage = Stage::Idle;
        for member in self.members.drain(..) {
            let _ = member.send(Err(StoreError::Aborted));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::Statements;
    use tokio::task::JoinHandle;

    async fn site() -> (tempfile::TempDir, Writer) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("test.db"), "").unwrap();
        let writer = Writer::open(&dir.path().join("test.db")).unwrap();
        let tables = writer.write().await.unwrap();
        tables
            .batch("CREATE TABLE a (x BIGINT PRIMARY KEY); CREATE TABLE b (x BIGINT REFERENCES a (x))")
            .unwrap();
        tables.commit().await.unwrap();
        (dir, writer)
    }

    async fn insert(write: &mut Write, x: i64) {
        let connection: &mut dyn Statements = &mut **write;
        sqlx::query("INSERT INTO a (x) VALUES ($1)").bind(x).execute(connection).await.unwrap();
    }

    /// What another process would find: as much of the files as is on the disk now.
    async fn on_disk(dir: &Path) -> Vec<i64> {
        let copy = tempfile::tempdir().unwrap();
        for name in ["test.db", "test.db-wal"] {
            std::fs::copy(dir.join(name), copy.path().join(name)).unwrap();
        }
        let mut connection = Sqlite::open(&copy.path().join("test.db")).unwrap();
        let numbers = sqlx::query_scalar("SELECT x FROM a ORDER BY x");
        numbers.fetch_all(&mut connection as &mut dyn Statements).await.unwrap()
    }

    /// The first one's change, done and waiting for company, and the second one at work in the same transaction.
    async fn two(writer: &Writer) -> (JoinHandle<Result<()>>, Write) {
        let mut first = writer.write().await.unwrap();
        insert(&mut first, 1).await;
        let second = tokio::spawn({
            let writer = writer.clone();
            async move { writer.write().await.unwrap() }
        });
        while writer.shared.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // A machine that is busy does not make this group one that was kept open for too long.
        first.line.since += Duration::from_mins(1);
        let first = tokio::spawn(first.commit());
        let mut second = second.await.unwrap();
        assert_eq!(second.line.members.len(), 1, "the first one's work was left in the transaction");
        insert(&mut second, 2).await;
        assert!(!first.is_finished());
        (first, second)
    }

    #[tokio::test]
    async fn those_who_queue_up_are_acknowledged_by_one_commit() {
        let (dir, writer) = site().await;
        let (first, second) = two(&writer).await;
        assert!(on_disk(dir.path()).await.is_empty(), "a crash now would lose what nobody was promised");
        second.commit().await.unwrap();
        first.await.unwrap().unwrap();
        assert_eq!(on_disk(dir.path()).await, [1, 2]);
    }

    #[tokio::test]
    async fn what_one_takes_back_hurts_nobody_else() {
        let (dir, writer) = site().await;
        let (first, second) = two(&writer).await;
        drop(second);
        first.await.unwrap().unwrap();
        assert_eq!(on_disk(dir.path()).await, [1]);
        let mut third = writer.write().await.unwrap();
        insert(&mut third, 2).await;
        third.commit().await.unwrap();
        assert_eq!(on_disk(dir.path()).await, [1, 2]);
    }

    #[tokio::test]
    async fn a_commit_that_fails_fails_every_member_and_the_next_change_goes_on() {
        let (dir, writer) = site().await;
        let (first, second) = two(&writer).await;
        second.batch("PRAGMA defer_foreign_keys = ON; INSERT INTO b (x) VALUES (99)").unwrap();
        assert!(matches!(second.commit().await, Err(StoreError::Database(_))));
        assert!(matches!(first.await.unwrap(), Err(StoreError::Aborted)));
        assert!(on_disk(dir.path()).await.is_empty());
        let mut third = writer.write().await.unwrap();
        insert(&mut third, 1).await;
        third.commit().await.unwrap();
        assert_eq!(on_disk(dir.path()).await, [1]);
    }

    #[tokio::test]
    async fn a_transaction_that_the_database_ended_is_not_acknowledged_to_anybody() {
        let (dir, writer) = site().await;
        let (first, second) = two(&writer).await;
        // As SQLite does by itself on a full disk.
        second.batch("ROLLBACK").unwrap();
        drop(second);
        assert!(matches!(first.await.unwrap(), Err(StoreError::Aborted)));
        let mut third = writer.write().await.unwrap();
        insert(&mut third, 3).await;
        third.commit().await.unwrap();
        assert_eq!(on_disk(dir.path()).await, [3]);
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_while_it_waits_leaves_nobody_waiting() {
        let (dir, writer) = site().await;
        let (first, second) = two(&writer).await;
        let third = tokio::spawn({
            let writer = writer.clone();
            async move { writer.write().await.map(drop) }
        });
        while writer.shared.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let second = tokio::spawn(second.commit());
        third.abort();
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        assert_eq!(on_disk(dir.path()).await, [1, 2]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_crowd_is_served_whole() {
        let (dir, writer) = site().await;
        let mut crowd = tokio::task::JoinSet::new();
        for x in 0..500 {
            let writer = writer.clone();
            crowd.spawn(async move {
                let mut write = writer.write().await.unwrap();
                insert(&mut write, x).await;
                if x % 3 == 0 {
                    return;
                }
                write.commit().await.unwrap();
            });
        }
        crowd.join_all().await;
        let expected: Vec<_> = (0..500).filter(|x| x % 3 != 0).collect();
        assert_eq!(on_disk(dir.path()).await, expected);
    }
}

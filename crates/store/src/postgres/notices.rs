//! Word of changes between processes: PostgreSQL's `LISTEN` and `NOTIFY`.
//!
//! A notice says only that there is something to look at. One that is lost costs a delay: everybody looks by themselves too, now and
//! then. Whoever keeps something in memory for as long as nobody says that it changed must not rely on that while nothing is
//! heard, hence [`Notices::is_listening`].

use super::Postgres;
use crate::lane::{Lane, within};
use sqlx::postgres::PgListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

const CHANNEL: &str = "billet";
/// Pause after the database was not there.
const PAUSE: Duration = Duration::from_secs(1);

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// Nodes that may be due.
    Nodes,
    /// Servers that may be due.
    Servers,
    /// Identity data that changed.
    Identity,
}

impl Topic {
    const ALL: [Topic; 3] = [Topic::Nodes, Topic::Servers, Topic::Identity];

    fn name(self) -> &'static str {
        match self {
            Topic::Nodes => "nodes",
            Topic::Servers => "servers",
            Topic::Identity => "identity",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Sends and receives notices for as long as it lives.
#[derive(Debug)]
pub(crate) struct Notices {
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug)]
struct Shared {
    /// Who this process is, so that it doesn't heed itself.
    origin: Uuid,
    /// Topics that are to be told of.
    pending: AtomicU8,
    wake: Notify,
    is_listening: AtomicBool,
}

impl Notices {
    /// Begins to send and to listen. `heed` is called for every notice of another process, and for every topic whenever some may
    /// have been missed.
    pub fn start(database: &Postgres, heed: impl Fn(Topic) + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            origin: Uuid::new_v4(),
            pending: AtomicU8::new(0),
            wake: Notify::new(),
            is_listening: AtomicBool::new(false),
        });
        let tasks = [
            tokio::spawn(send(Arc::clone(&shared), database.clone())),
            tokio::spawn(listen(Arc::clone(&shared), database.clone(), heed)),
        ];
        Self { shared, tasks }
    }

    /// Tells the other processes soon. Many notices of one topic may become one.
    pub fn tell(&self, topic: Topic) {
        self.shared.pending.fetch_or(topic.bit(), Ordering::AcqRel);
        self.shared.wake.notify_one();
    }

    /// Is every notice heard now?
    pub fn is_listening(&self) -> bool {
        self.shared.is_listening.load(Ordering::Acquire)
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn send(shared: Arc<Shared>, database: Postgres) {
    loop {
        shared.wake.notified().await;
        let pending = shared.pending.swap(0, Ordering::AcqRel);
        let topics = Topic::ALL.iter().filter(|topic| pending & topic.bit() != 0);
        let names: Vec<_> = topics.map(|topic| topic.name()).collect();
        if names.is_empty() {
            continue;
        }
        let payload = format!("{} {}", shared.origin, names.join(" "));
        if let Err(error) = within(Lane::Members, database.notify(CHANNEL, payload)).await {
            tracing::warn!(%error, "other processes can't be told of changes; they find them by themselves");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn listen(shared: Arc<Shared>, database: Postgres, heed: impl Fn(Topic) + Sync) {
    loop {
        if let Err(error) = listen_once(&shared, &database, &heed).await {
            if matches!(error, sqlx::Error::PoolClosed) {
                return;
            }
            tracing::warn!(%error, "other processes' changes are not heard of now; they are found with a delay");
        }
        shared.is_listening.store(false, Ordering::Release);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Listens until the connection is lost.
async fn listen_once(
    shared: &Shared,
    database: &Postgres,
    heed: &(impl Fn(Topic) + Sync),
) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(database.own()).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    shared.is_listening.store(true, Ordering::Release);
    // What was said before is not known.
    Topic::ALL.into_iter().for_each(heed);
    while let Some(notice) = listener.try_recv().await? {
        let mut words = notice.payload().split(' ');
        if words.next().is_some_and(|origin| Uuid::parse_str(origin) == Ok(shared.origin)) {
            continue;
        }
        for word in words {
            if let Some(topic) = Topic::ALL.into_iter().find(|topic| topic.name() == word) {
                heed(topic);
            }
        }
    }
    Ok(())
}

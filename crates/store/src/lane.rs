//! Whose work a query is.
//!
//! On PostgreSQL a process has few connections. Each lane has some of them for itself ([`crate::postgres::Room`]), so that a flood in one
//! leaves the others alone: a rack that is listed over and over, a thousand visits of the reconciler, users' changes, calls of ramdisks,
//! and the signs of life by which a process keeps its nodes. SQLite answers where it is asked, and has no use for lanes.

use std::future::Future;
use std::time::Duration;

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// What the server does by itself: visits to nodes, sweeps, clearing up.
    Work,
    /// Calls of ramdisks: lookups and heartbeats.
    Machine,
    /// Users' changes.
    Change,
    /// Listings and details.
    Look,
    /// What a process knows of the others, and frees of those that died.
    Members,
}

impl Lane {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Lane::Work, Lane::Machine, Lane::Change, Lane::Look, Lane::Members];

    /// How long a query waits for its turn. Somebody waits for an answer in most lanes; the server's own work had better wait than be
    /// begun anew, and what is done under a claim is given up by itself once that is lost.
    pub(crate) const fn patience(self) -> Duration {
        match self {
            Lane::Work | Lane::Members => Duration::from_secs(60),
            Lane::Machine | Lane::Change | Lane::Look => Duration::from_secs(10),
        }
    }
}

tokio::task_local! {
    static CURRENT: Lane;
}

/// Does `work` in a lane; what it spawns is on its own.
pub async fn within<F: Future>(lane: Lane, work: F) -> F::Output {
    CURRENT.scope(lane, work).await
}

/// The lane that this runs in.
pub(crate) fn current() -> Lane {
    CURRENT.try_with(|lane| *lane).unwrap_or(Lane::Work)
}

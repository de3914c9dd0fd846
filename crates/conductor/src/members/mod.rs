//! This process as one of the site's: its session, the nodes that it holds by it, and who else is there.
//!
//! [`Conductor::join`] begins a session ([`store::conductor`]), [`Conductor::keep`] prolongs it. A process that could not do so in time
//! (paused, cut off, the database gone) lets go of everything by its own clock before others may take it ([`session::Session`]), and
//! begins another session when it can. What it does outside, to machines, goes through one gate ([`Held::keep`], [`Held::check`]).

mod held;
mod name_lock;
mod session;
mod share;

pub use held::Held;
pub use share::Share;

use crate::Conductor;
use crate::request::RequestError;
use jiff::Timestamp;
use model::node::Node;
use name_lock::NameLock;
use session::Session;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::lane::within;
use store::{Claim, Joined, Lane, Member, Presence, StoreError, uptime};
use telemetry::table;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What one process of the site does for all of them.
const LEADERSHIP: &str = "site";

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Serves operators and tenants.
    Api,
    /// Moves nodes and servers.
    Conductor,
    /// Boots machines, and hears their agents.
    Netboot,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 3] = [Role::Api, Role::Conductor, Role::Netboot];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Api => "api",
            Role::Conductor => "conductor",
            Role::Netboot => "netboot",
        }
    }
}

/// Why a process can't be one of the site's. Each is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Another one has the name.
    #[error(
        "another living process has the name \"{hostname}\" ({how}): give each its own with hostname in [conductor] of the configuration"
    )]
    NameTaken {
        /// The name.
        hostname: String,
        /// How that is known.
        how: String,
    },
    /// The file that stands for the name can't be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a conductor knows of its session and of the others.
pub(crate) struct Members {
    session: Mutex<Arc<Session>>,
    /// Nodes that are held, and the epochs of their claims.
    held: Mutex<HashMap<Uuid, i64>>,
    /// Claims that were dropped and not released yet.
    dropped: Mutex<Vec<Claim>>,
    seen: Mutex<Arc<[Member]>>,
    lock: Mutex<Option<NameLock>>,
    /// There is something to do before the next prolongation.
    stirred: Notify,
    /// Leadership may have come.
    elected: Notify,
}

impl Members {
    pub fn new() -> Self {
        Self {
            session: Mutex::new(Arc::new(Session::solitary())),
            held: Mutex::default(),
            dropped: Mutex::default(),
            seen: Mutex::new(Arc::from([])),
            lock: Mutex::default(),
            stirred: Notify::new(),
            elected: Notify::new(),
        }
    }

    pub fn session(&self) -> Arc<Session> {
        Arc::clone(&locked(&self.session))
    }

    fn register(&self, claim: &Claim) {
        locked(&self.held).insert(claim.node, claim.epoch);
    }

    /// The claim is not worked under any more; `unreleased`: it has yet to end.
    fn forget(&self, claim: &Claim, unreleased: bool) {
        let mut held = locked(&self.held);
        if held.get(&claim.node) == Some(&claim.epoch) {
            held.remove(&claim.node);
        }
        drop(held);
        if unreleased {
            locked(&self.dropped).push(claim.clone());
            self.stirred.notify_one();
        }
    }
}

impl Conductor {
    /// Begins this process's session under its name, and takes over what a dead process of that name held. Where it can't be proved
    /// dead, it is waited for until its session has run out.
    pub async fn join(&self) -> Result<(), JoinError> {
        let settings = self.settings();
        let mut buried = Vec::new();
        let session = Uuid::new_v4();
        if self.store().is_shared() {
            let mut lock = NameLock::take(&settings.state_dir, &settings.hostname)?;
            buried = lock.buried().to_vec();
            lock.note(session)?;
            *locked(&self.members().lock) = Some(lock);
        }
        self.begin_session(session, &buried).await
    }

    async fn begin_session(&self, session: Uuid, buried: &[Uuid]) -> Result<(), JoinError> {
        let settings = self.settings();
        let presence = self.presence();
        let mut first_seen = None;
        loop {
            let asked = uptime();
            match self.store().join(session, &presence, buried, settings.lease).await? {
                Joined::Yes => {
                    let session = Session::begin(session, asked + reliance(settings.lease));
                    *locked(&self.members().session) = Arc::new(session);
                    self.look_around().await?;
                    return Ok(());
                }
                Joined::Taken { seen_at, .. } => {
                    if *first_seen.get_or_insert(seen_at) != seen_at {
                        return Err(JoinError::NameTaken {
                            hostname: settings.hostname.clone(),
                            how: format!("last heard of at {seen_at}"),
                        });
                    }
                }
            }
            tokio::time::sleep(settings.lease / 10).await;
        }
    }

    fn presence(&self) -> Presence {
        let settings = self.settings();
        Presence {
            hostname: settings.hostname.clone(),
            conductor_group: settings.conductor_group.clone(),
            drivers: settings.drivers.clone().unwrap_or_default(),
            roles: settings.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        }
    }

    /// Prolongs the session until `stop`, and begins another where it was lost. An error: another process has the name now, and this
    /// one has to end.
    pub async fn keep(&self, stop: CancellationToken) -> Result<(), JoinError> {
        // What frees the nodes of the dead must not wait behind the work on those of the living.
        within(Lane::Members, self.keep_on(stop)).await
    }

    async fn keep_on(&self, stop: CancellationToken) -> Result<(), JoinError> {
        let mut unknown = HashSet::new();
        let mut looked_at = uptime();
        loop {
            let lease = self.settings().lease;
            // The end of one that may have died is looked for more often, so that its nodes are soon somebody's.
            let pause = lease / if is_somebody_late(&locked(&self.members().seen), lease) { 20 } else { 5 };
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.members().stirred.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
            let session = self.members().session();
            if !self.prolong(&session).await {
                session.end();
                table::SESSIONS_LOST.count([]);
                tracing::error!(
                    "this process was not heard of for too long; others take its nodes, and it begins anew"
                );
                if !self.begin_anew(session.id(), &stop).await? {
                    break;
                }
                unknown.clear();
                continue;
            }
            // Between two looks for claims that nobody here knows of, those that were just made are heard of.
            let thoroughly = uptime().saturating_sub(looked_at) >= self.settings().lease * 3 / 5;
            if thoroughly {
                looked_at = uptime();
            }
            let looked = self.tidy(&session, thoroughly, &mut unknown);
            // What hangs here must not keep the next sign of life from being sent.
            match tokio::time::timeout(self.settings().lease / 5, looked).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(%error, "the list of conductors can't be brought up to date")
                }
                Err(_) => tracing::warn!("the list of conductors can't be brought up to date yet"),
            }
        }
        Ok(())
    }

    /// Says goodbye: what this process held is free at once.
    pub async fn leave(&self) {
        let session = self.members().session();
        session.end();
        if !session.is_joined() {
            return;
        }
        if let Err(error) = self.store().leave(session.id()).await {
            tracing::warn!(%error, "this process could not say goodbye; others find out in a few seconds");
        }
    }

    /// `false`: the session is over.
    async fn prolong(&self, session: &Session) -> bool {
        let lease = self.settings().lease;
        let pause = lease / 20;
        loop {
            let asked = uptime();
            let Some(left) = session.left() else { return false };
            // A try that hangs on a dead connection must not be the last.
            let patience = left.min(lease / 5);
            match tokio::time::timeout(patience, self.store().prolong(session.id(), lease)).await {
                Ok(Ok(true)) => {
                    session.prolong(asked + reliance(lease));
                    // It may have been paused since it asked.
                    return !session.is_over();
                }
                Ok(Ok(false)) => return false,
                Err(_) => {
                    table::RENEWALS_FAILED.count([]);
                    tracing::warn!(left_ms = left.as_millis(), "the database does not answer");
                }
                Ok(Err(error)) => {
                    table::RENEWALS_FAILED.count([]);
                    tracing::error!(%error, left_ms = left.as_millis(), "the session can't be prolonged");
                    tokio::time::sleep(pause.min(left)).await;
                }
            }
        }
    }

    /// Begins another session after one on which nobody here relies any more, however long the database is away. `false`: there is no
    /// need any more.
    async fn begin_anew(&self, over: Uuid, stop: &CancellationToken) -> Result<bool, JoinError> {
        locked(&self.members().held).clear();
        locked(&self.members().dropped).clear();
        let buried = [over];
        loop {
            let session = Uuid::new_v4();
            if let Some(lock) = &mut *locked(&self.members().lock) {
                lock.note(session)?;
            }
            let begun = tokio::select! {
                () = stop.cancelled() => return Ok(false),
                begun = self.begin_session(session, &buried) => begun,
            };
            match begun {
                Ok(()) => {
                    tracing::info!("this process is back");
                    self.store().look_again();
                    return Ok(true);
                }
                Err(JoinError::Store(error)) => {
                    tracing::error!(%error, "this process can't come back yet");
                    tokio::time::sleep(self.settings().lease / 5).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Releases what was dropped, looks for claims that nobody works under, and at the others.
    async fn tidy(
        &self,
        session: &Session,
        thoroughly: bool,
        unknown: &mut HashSet<(Uuid, i64)>,
    ) -> Result<(), StoreError> {
        self.store().bury_dead().await?;
        let dropped = locked(&self.members().dropped).clone();
        for claim in &dropped {
            self.store().release(claim).await?;
            locked(&self.members().dropped).retain(|left| left != claim);
        }
        if thoroughly {
            let holder = self.holder(session);
            let stored = self.store().claims_of(session.id()).await?;
            let orphans: HashSet<_> = {
                let held = locked(&self.members().held);
                stored.into_iter().filter(|(node, epoch)| held.get(node) != Some(epoch)).collect()
            };
            // One that was just made may not have been heard of here; one that is there at the next look was made by a change whose
            // answer got lost.
            for (node, epoch) in orphans.intersection(unknown) {
                tracing::warn!(%node, "a claim that nobody works under is released");
                self.store().release(&Claim { node: *node, holder: holder.clone(), epoch: *epoch }).await?;
            }
            *unknown = orphans;
        }
        self.look_around().await
    }

    /// Reads who is there, and takes the lead where nobody has it.
    async fn look_around(&self) -> Result<(), StoreError> {
        let session = self.members().session();
        if self.settings().roles.contains(&Role::Conductor) && session.is_joined() {
            let leads = self.store().take_task(LEADERSHIP, session.id()).await?;
            if session.lead(leads) {
                self.members().elected.notify_waiters();
            }
        }
        let members = self.store().members().await?;
        *locked(&self.members().seen) = members.into();
        Ok(())
    }

    /// The session of this process: what is done in it ends with it.
    pub fn session(&self) -> Uuid {
        self.members().session().id()
    }

    /// Does this process do what one does for all of them?
    pub fn is_leader(&self) -> bool {
        self.members().session().is_leader()
    }

    /// Returns when this process leads, or `stop` is cancelled.
    pub async fn until_leader(&self, stop: &CancellationToken) {
        loop {
            let elected = self.members().elected.notified();
            if self.is_leader() || stop.is_cancelled() {
                return;
            }
            tokio::select! {
                () = elected => {}
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.settings().lease / 5) => {}
            }
        }
    }

    /// The processes of this site as of a moment ago, this one among them.
    pub async fn conductors(&self) -> Result<Vec<Member>, StoreError> {
        let mut members = self.store().members().await?;
        if !members.iter().any(|member| member.presence.hostname == self.hostname()) {
            members.push(self.own_member());
        }
        Ok(members)
    }

    /// Which nodes are whose, as of the last look around.
    pub fn share(&self) -> Share {
        let seen = Arc::clone(&locked(&self.members().seen));
        let seen = if seen.is_empty() { Arc::from([self.own_member()]) } else { seen };
        Share::new(self.hostname().to_owned(), seen)
    }

    /// As [`Conductor::share`], from what the database says now.
    pub async fn share_now(&self) -> Result<Share, StoreError> {
        self.look_around().await?;
        Ok(self.share())
    }

    /// Refuses what is asked of a node that no conductor serves, in Ironic's words.
    pub(crate) async fn check_served(&self, node: &Node) -> Result<(), RequestError> {
        let is_served = |share: Share| share.is_served(&node.conductor_group, &node.driver);
        // One may have come a moment ago.
        if is_served(self.share()) || is_served(self.share_now().await?) {
            return Ok(());
        }
        Err(RequestError::NotFound(format!(
            "No valid host was found. Reason: No conductor service registered which supports driver {} for conductor group \"{}\".",
            node.driver, node.conductor_group
        )))
    }

    fn own_member(&self) -> Member {
        let now = Timestamp::now();
        Member {
            session: self.members().session().id(),
            presence: self.presence(),
            created_at: now,
            seen_at: now,
            is_alive: true,
        }
    }
}

/// How long a session may be relied on from before its prolongation was asked for: less than it lasts, for what differs between two
/// clocks, and between asking a BMC and its doing.
fn reliance(lease: Duration) -> Duration {
    lease - lease / 10
}

/// Has some living process not been heard of for half of what its session lasts? All of these times are the database's.
fn is_somebody_late(seen: &[Member], lease: Duration) -> bool {
    let living = || seen.iter().filter(|member| member.is_alive).map(|member| member.seen_at);
    let Some(newest) = living().max() else { return false };
    living().any(|seen_at| newest.duration_since(seen_at).unsigned_abs() > lease / 2)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_living_can_be_late() {
        let member = |second: i64, is_alive| Member {
            session: Uuid::new_v4(),
            presence: Presence {
                hostname: second.to_string(),
                conductor_group: String::new(),
                drivers: Vec::new(),
                roles: Vec::new(),
            },
            created_at: Timestamp::UNIX_EPOCH,
            seen_at: Timestamp::from_second(second).unwrap_or_default(),
            is_alive,
        };
        let late = |seen: &[Member]| is_somebody_late(seen, Duration::from_secs(10));
        assert!(!late(&[]) && !late(&[member(100, true), member(96, true), member(7, false)]));
        assert!(late(&[member(100, true), member(94, true)]));
    }
}

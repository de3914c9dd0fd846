//! One visit to a claimed node: the working copy, and the doors to the store, the BMC and the agent.

use crate::Conductor;
use crate::agent::AgentClient;
use crate::hardware;
use crate::measure;
use crate::members::Held;
use crate::outcome::Failure;
use bmc::{Bmc, BmcError};
use jiff::Timestamp;
use model::event::{EventKind, LogEvent};
use model::node::Node;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use store::{NodeVersion, Revision};

/// A node that was read or written no longer ago than this is as good as read now.
const FRESH: Duration = Duration::from_millis(20);

/// A change that waits for the next one.
type Later = Box<dyn Fn(&mut store::Edit) + Send + Sync>;

/// A claimed node while a handler works on it.
pub struct Visit<'a> {
    /// The conductor at work.
    pub conductor: &'a Conductor,
    /// The claim that every write checks, and the gate before what is done outside.
    pub held: &'a Held,
    /// The node as of the last read or write, secrets included.
    pub node: Node,
    /// The last write ended the claim.
    pub is_released: bool,
    /// The node as it is stored, where that is not the one in hand.
    stored: Option<Node>,
    /// Which version that is.
    revision: Revision,
    /// What makes the node in hand of the one that is stored.
    later: Vec<Later>,
    /// When the node was last read or written.
    read_at: Instant,
    /// What was seen and is not written yet: it goes with the next change of the node, at the latest before the BMC is asked again.
    seen: Mutex<Vec<LogEvent>>,
    agent: Mutex<Option<AgentClient>>,
}

impl<'a> Visit<'a> {
    /// Begins a visit to a node just claimed.
    pub fn new(conductor: &'a Conductor, held: &'a Held, version: NodeVersion) -> Self {
        Self {
            conductor,
            held,
            node: version.node,
            is_released: false,
            stored: None,
            revision: version.revision,
            later: Vec::new(),
            read_at: Instant::now(),
            seen: Mutex::default(),
            agent: Mutex::default(),
        }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Changes the node on disk and in hand, with events in the same transaction. `change` is made on the node in hand, and once more
    /// on the node as it is if that is another one by now: what it finds out counts when this returns.
    ///
    /// Where this fails, or is dropped half-way, the change may have been written or not. What was to be written later goes with it, since it must
    /// not be made a second time: the next visit finds out from the node what is left to do, as after a crash.
    pub async fn edit(&mut self, mut change: impl FnMut(&mut store::Edit)) -> Result<(), Failure> {
        let now = self.now();
        let seen = self.seen().clone();
        let mut release = false;
        let later = std::mem::take(&mut self.later);
        if let Some(stored) = self.stored.take() {
            self.node = stored;
        }
        let known = (&self.node, self.revision);
        let written = self.conductor.store().edit_held(self.held.claim(), known, now, |edit| {
            edit.events.extend(seen.iter().cloned());
            later.iter().for_each(|earlier| earlier(edit));
            change(edit);
            release = edit.release;
        });
        let written = written.await?;
        self.seen().clear();
        self.take(written);
        self.is_released = release;
        Ok(())
    }

    /// Changes the node in hand now, and on disk with the next [`Visit::edit`], which comes before anything else is done to the machine: for
    /// what need not be on record before that.
    pub fn edit_later(&mut self, change: impl Fn(&mut store::Edit) + Send + Sync + 'static) {
        let mut edit = store::Edit::new(self.node.clone());
        change(&mut edit);
        let before = std::mem::replace(&mut self.node, edit.node);
        self.stored.get_or_insert(before);
        self.later.push(Box::new(change));
    }

    /// Takes up a version of the node that was just read or written.
    fn take(&mut self, version: NodeVersion) {
        self.node = version.node;
        self.revision = version.revision;
        self.read_at = Instant::now();
    }

    /// Reads the node anew, unless that was done a moment ago: whatever comes of it is checked against the node as it is then.
    pub async fn refresh(&mut self) -> Result<(), Failure> {
        if self.read_at.elapsed() < FRESH {
            return Ok(());
        }
        if !self.later.is_empty() {
            return self.edit(|_| {}).await;
        }
        let read = self.conductor.store().node_with_secrets(self.node.uuid).await?;
        self.take(read);
        Ok(())
    }

    /// Notes one line for the node's event log, which is written as what the BMC was seen to do is (see [`Visit::ask`]).
    pub fn note(&self, event: LogEvent) {
        self.seen().push(event);
    }

    /// Writes what was to be written later, and what was seen; for those who are about to wait, or to do something to the machine.
    pub async fn flush(&mut self) -> Result<(), Failure> {
        let changed = if self.later.is_empty() { Ok(()) } else { self.edit(|_| {}).await };
        // What was seen is told even if the node can't be written any more; it is gone where it was written with it.
        let seen = std::mem::take(&mut *self.seen());
        self.conductor.store().record_held(self.held.claim(), &seen).await?;
        changed
    }

    fn seen(&self) -> MutexGuard<'_, Vec<LogEvent>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node's BMC.
    pub fn bmc(&self) -> Result<Arc<dyn Bmc>, Failure> {
        hardware::bmc_of(self.conductor, &self.node).map_err(Failure::last)
    }

    /// Asks the BMC something and leaves an event with the time it took and what came of it.
    ///
    /// The event is written with the next change of the node, which nearly always follows at once; before the BMC is asked again in
    /// any case, so that what was done is on record before anything else is.
    pub async fn ask<T>(
        &mut self,
        doing: &'static str,
        call: impl Future<Output = Result<T, BmcError>>,
        tell: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        self.flush().await?;
        self.held.check()?;
        let started = self.now();
        let answer = measure::bmc(&self.node, doing, call).await;
        let event = |detail: String| {
            LogEvent::new(Some(self.node.uuid), started, EventKind::Bmc, doing, detail).until(self.now())
        };
        match answer {
            Ok(value) => {
                let event = event(tell(&value));
                self.seen().push(event);
                Ok(value)
            }
            Err(source) => {
                let event = event(source.to_string()).failed();
                self.seen().push(event);
                Err(Failure::Bmc { doing, source })
            }
        }
    }

    /// The node's agent; calls of one visit share a connection, as a handshake is most of what a call costs.
    pub fn agent(&self) -> Result<AgentClient, Failure> {
        self.held.check()?;
        debug_assert!(self.later.is_empty(), "what is to be written is written before the agent is asked");
        let mut kept = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = kept.as_ref().filter(|agent| agent.is_of(&self.node.agent)) {
            return Ok(agent.clone());
        }
        let agent = AgentClient::new(&self.node.agent, self.conductor.settings().agent_timeout)?;
        *kept = Some(agent.clone());
        Ok(agent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use std::future::poll_fn;
    use std::task::Poll;
    use store::{Holder, Store, StoreError};
    use uuid::Uuid;

    async fn site() -> (tempfile::TempDir, Store, Node, Conductor) {
        let dir = tempfile::tempdir().unwrap();
        let store = store::testing::open(dir.path()).await.unwrap();
        let node = Node::new(Uuid::new_v4(), "fake-hardware", Timestamp::now());
        store.create_node(&node, &[]).await.unwrap();
        let conductor = Conductor::new(store.clone(), Settings::new("here", dir.path()), Arc::default());
        (dir, store, node, conductor)
    }

    #[tokio::test]
    async fn a_change_that_was_broken_off_after_it_was_written_is_not_made_again() {
        let (_dir, store, node, conductor) = site().await;
        let held = conductor.claim(node.uuid).await.unwrap();
        let mut visit = Visit::new(&conductor, &held, store.node_with_secrets(node.uuid).await.unwrap());
        visit.edit_later(|edit| edit.node.nudges += 1);
        let nudges = async || store.node_with_secrets(node.uuid).await.unwrap().node.nudges;
        {
            let mut edit = std::pin::pin!(visit.edit(|_| {}));
            while poll_fn(|context| Poll::Ready(edit.as_mut().poll(context).is_pending())).await {
                // On SQLite its commit is under way by now; on PostgreSQL it has to be asked until the statement is out.
                while nudges().await == 0 && !store.is_shared() {
                    tokio::task::yield_now().await;
                }
                if nudges().await > 0 {
                    break;
                }
            }
        }
        visit.flush().await.unwrap();
        assert_eq!(nudges().await, 1);
    }

    #[tokio::test]
    async fn what_was_seen_is_told_though_the_claim_was_lost() {
        let (_dir, store, node, conductor) = site().await;
        let held = conductor.claim(node.uuid).await.unwrap();
        let mut visit = Visit::new(&conductor, &held, store.node_with_secrets(node.uuid).await.unwrap());
        visit.note(LogEvent::new(Some(node.uuid), Timestamp::now(), EventKind::Agent, "standby.sync", ""));
        visit.edit_later(|edit| edit.node.nudges += 1);
        store.release(held.claim()).await.unwrap();
        store.claim(node.uuid, &Holder::new("there", Uuid::new_v4())).await.unwrap();

        let flushed = visit.flush().await;
        assert!(matches!(flushed, Err(Failure::Store(StoreError::ClaimLost { .. }))), "{flushed:?}");
        assert_eq!(store.node_with_secrets(node.uuid).await.unwrap().node, node);
        let names: Vec<_> =
            store.events(node.uuid, 10).await.unwrap().into_iter().map(|event| event.name).collect();
        assert_eq!(names, ["standby.sync"]);
    }
}

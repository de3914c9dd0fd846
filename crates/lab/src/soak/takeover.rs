//! How long nodes of a process that died are nobody's.
//!
//! Right after an act of violence the database is asked which nodes the victim holds, under which epochs. From then on it is looked
//! at again and again: a node whose epoch has moved on was claimed by somebody else, or by the same process in its next life.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use store::{ClaimState, Store};
use uuid::Uuid;

use crate::error::{Error, Result};

/// Nodes are taken over within this time.
pub(super) const BAR: Duration = Duration::from_secs(15);
/// Nodes that are nobody's for so long stay that, and there is no use in waiting for more.
const HOPELESS: Duration = Duration::from_secs(60);

/// What is done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Act {
    /// `kill -9`; it is started again soon, and knows that its predecessor is dead.
    Restart,
    /// `kill -9`; it stays away until others have what it held.
    Crash,
    /// SIGSTOP, until others have what it held; then SIGCONT.
    Stop,
    /// It is cut off from the database until others have what it held, and goes on all the while.
    Cut,
}

/// How long nodes waited for somebody else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Takeover {
    /// Nodes that changed hands.
    pub nodes: usize,
    /// Half of them waited for at most so long.
    pub median: Duration,
    /// None of them waited for longer.
    pub longest: Duration,
}

impl Takeover {
    fn of(mut waits: Vec<Duration>) -> Self {
        waits.sort_unstable();
        Self {
            nodes: waits.len(),
            median: waits.get(waits.len() / 2).copied().unwrap_or_default(),
            longest: waits.last().copied().unwrap_or_default(),
        }
    }
}

/// What one victim held, and has yet to be taken.
struct Loss {
    victim: usize,
    act: Act,
    session: Uuid,
    since: Instant,
    /// Epochs of the victim's claims.
    nodes: HashMap<Uuid, i64>,
}

/// Watches the claims.
pub(super) struct Watch {
    store: Store,
    losses: Vec<Loss>,
    waits: Vec<(Act, Duration)>,
}

impl Watch {
    pub fn new(store: Store) -> Self {
        Self { store, losses: Vec::new(), waits: Vec::new() }
    }

    /// What a process holds that was just stopped; `None`: nothing, or the database can't tell.
    pub async fn held_by(&self, name: &str) -> Option<(Uuid, HashMap<Uuid, i64>)> {
        let members = self.store.members().await.ok()?;
        let session =
            members.iter().find(|member| member.is_alive && member.presence.hostname == name)?.session;
        let held: HashMap<_, _> = self.store.claims_of(session).await.ok()?.into_iter().collect();
        (!held.is_empty()).then_some((session, held))
    }

    /// From now on it counts how long these nodes wait.
    pub fn begin(
        &mut self,
        victim: usize,
        act: Act,
        (session, nodes): (Uuid, HashMap<Uuid, i64>),
        since: Instant,
    ) {
        self.losses.push(Loss { victim, act, session, since, nodes });
    }

    /// Looks at the claims. Out come the victims that have nothing left to be taken, nor a session.
    pub async fn look(&mut self) -> Result<Vec<(usize, Act)>> {
        if self.losses.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(loss) = self.losses.iter().find(|loss| loss.since.elapsed() > HOPELESS) {
            return Err(Error::Invalid(format!(
                "{} nodes of a process that was gone ({:?}) were not taken over in {} s: {:?}",
                loss.nodes.len(),
                loss.act,
                HOPELESS.as_secs(),
                loss.nodes.keys().next()
            )));
        }
        // The database may be away itself.
        let Ok(states) = self.store.claim_states(Timestamp::now()).await else { return Ok(Vec::new()) };
        let Ok(members) = self.store.members().await else { return Ok(Vec::new()) };
        let now = Instant::now();
        let states: HashMap<Uuid, ClaimState> = states.into_iter().map(|state| (state.node, state)).collect();
        let mut over = Vec::new();
        for loss in &mut self.losses {
            loss.nodes.retain(|node, epoch| {
                let Some(state) = states.get(node) else { return false };
                if state.epoch > *epoch {
                    self.waits.push((loss.act, now - loss.since));
                    return false;
                }
                // The victim's last change was on its way, and brought the node to rest.
                state.session.is_some() || state.is_due
            });
            let lives = members.iter().any(|member| member.session == loss.session && member.is_alive);
            if loss.nodes.is_empty() && !lives {
                over.push(loss.session);
            }
        }
        let over = self.losses.extract_if(.., |loss| over.contains(&loss.session));
        Ok(over.map(|loss| (loss.victim, loss.act)).collect())
    }

    /// Is nothing left to be taken?
    pub fn is_idle(&self) -> bool {
        self.losses.is_empty()
    }

    /// What was seen of one kind of act.
    pub fn takeover(&self, act: Act) -> Takeover {
        Takeover::of(self.waits.iter().filter(|(own, _)| *own == act).map(|(_, wait)| *wait).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_those_in_the_middle() {
        let seconds = |list: &[u64]| list.iter().copied().map(Duration::from_secs).collect::<Vec<_>>();
        assert_eq!(Takeover::of(Vec::new()), Takeover::default());
        let takeover = Takeover::of(seconds(&[9, 1, 3]));
        assert_eq!(
            (takeover.nodes, takeover.median, takeover.longest),
            (3, seconds(&[3])[0], seconds(&[9])[0])
        );
    }
}

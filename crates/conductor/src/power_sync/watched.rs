//! What the process remembers of each node from one sweep to the next. All of it may be lost: the next sweep finds it anew.

use bmc::Bmc;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How a node's power is asked for.
#[derive(Clone)]
pub enum Reach {
    /// By this BMC, which the power interface of this name drives.
    Bmc(Arc<dyn Bmc>, &'static str),
    /// Not at all: this is wrong with the node's settings.
    Broken(Arc<str>),
    /// Not at all: nothing here drives its power interface.
    Nobody,
}

impl Reach {
    /// Must the power be asked for in every sweep, to keep a session?
    fn keeps_session(&self) -> bool {
        matches!(self, Reach::Bmc(bmc, _) if bmc.keeps_session())
    }
}

/// One node.
pub struct Watched {
    /// How it is asked, as of `updated_us`.
    pub reach: Reach,
    /// The version of the node that `reach` was read from.
    pub updated_us: i64,
    /// When it was last asked.
    asked: Option<Instant>,
    /// Failures in a row.
    failures: u32,
    /// An answer is awaited, or what follows from it is being written.
    under_way: bool,
    /// The last sweep that met it.
    met: u64,
}

/// All nodes, by their place in the walk.
#[derive(Clone, Default)]
pub struct Watchlist(Arc<Mutex<HashMap<i64, Watched>>>);

impl Watchlist {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the node is asked, if that is known for its version.
    pub fn reach(&self, id: i64, updated_us: i64) -> Option<Reach> {
        self.lock().get(&id).filter(|node| node.updated_us == updated_us).map(|node| node.reach.clone())
    }

    /// Notes how a node is asked.
    pub fn learn(&self, id: i64, updated_us: i64, reach: Reach) {
        let mut nodes = self.lock();
        let node = nodes.entry(id).or_insert_with(|| Watched {
            reach: reach.clone(),
            updated_us,
            asked: None,
            failures: 0,
            under_way: false,
            met: 0,
        });
        node.reach = reach;
        node.updated_us = updated_us;
    }

    /// Is it the node's turn `now`, in sweep number `sweep`? If so, it is taken to be asked now. One that fails has no session to keep and
    /// is asked once an `interval`.
    pub fn take_turn(&self, id: i64, sweep: u64, interval: Duration, beat: Duration, now: Instant) -> bool {
        let mut nodes = self.lock();
        let Some(node) = nodes.get_mut(&id) else { return false };
        node.met = sweep;
        let every =
            if node.reach.keeps_session() && node.failures == 0 { beat.min(interval) } else { interval };
        // Turns come a little early or late, by where in the sweep a node stands: half a beat is rounded to.
        let is_due = node.asked.is_none_or(|at| now.saturating_duration_since(at) + beat / 2 >= every);
        if node.under_way || !is_due || every.is_zero() {
            return false;
        }
        node.under_way = true;
        node.asked = Some(now);
        true
    }

    /// How often in a row the node has failed.
    pub fn failures(&self, id: i64) -> u32 {
        self.lock().get(&id).map_or(0, |node| node.failures)
    }

    /// The node was asked, and what followed is written. It has failed `failures` times in a row now; `None`: the answer came too late
    /// to count, since the node had changed meanwhile.
    pub fn end_turn(&self, id: i64, failures: Option<u32>) {
        if let Some(node) = self.lock().get_mut(&id) {
            node.under_way = false;
            node.failures = failures.unwrap_or(node.failures);
        }
    }

    /// Forgets nodes that none of the last sweeps has met.
    pub fn forget_before(&self, sweep: u64) {
        self.lock().retain(|_, node| node.met >= sweep || node.under_way);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmc::ipmi::{IpmiBmc, Limits, Settings};

    const INTERVAL: Duration = Duration::from_secs(120);
    const BEAT: Duration = Duration::from_secs(40);

    fn with_session() -> Reach {
        let info = serde_json::json!({"ipmi_address": "192.0.2.1"});
        let settings = Settings::parse(info.as_object().unwrap()).unwrap();
        Reach::Bmc(Arc::new(IpmiBmc::new(settings, Limits::default())), "ipmitool")
    }

    #[test]
    fn sessions_are_used_in_each_sweep_and_what_fails_is_asked_once_an_interval() {
        let list = Watchlist::default();
        list.learn(1, 5, with_session());
        list.learn(2, 5, Reach::Bmc(Arc::new(bmc::fake::FakeBmc::new(bmc::PowerState::On)), "fake"));
        let (mut turns, mut now) = ([0; 2], Instant::now());
        for sweep in 1..=9 {
            for (id, turns) in [1, 2].into_iter().zip(&mut turns) {
                if list.take_turn(id, sweep, INTERVAL, BEAT, now) {
                    assert!(!list.take_turn(id, sweep, INTERVAL, BEAT, now), "it is being asked");
                    *turns += 1;
                    let failures = if id == 1 && sweep > 3 { list.failures(id) + 1 } else { 0 };
                    list.end_turn(id, Some(failures));
                }
            }
            now += BEAT;
        }
        // The one with a session: in sweeps 1, 2, 3 and 4, fails, and then 7. The other one in 1, 4 and 7.
        assert_eq!((turns, list.failures(1), list.failures(2)), ([5, 3], 2, 0));
    }

    #[test]
    fn what_was_not_met_is_forgotten() {
        let list = Watchlist::default();
        list.learn(1, 5, Reach::Nobody);
        list.take_turn(1, 3, INTERVAL, BEAT, Instant::now());
        assert!(list.reach(1, 5).is_some());
        assert!(list.reach(1, 6).is_none(), "it has changed meanwhile");
        list.end_turn(1, None);
        list.forget_before(4);
        assert!(list.reach(1, 5).is_none());
    }
}

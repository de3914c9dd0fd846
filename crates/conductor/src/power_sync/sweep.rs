//! One walk over all nodes.

use super::lanes::{Lanes, Place};
use super::verdict::{self, Answer, Outcome};
use super::watched::{Reach, Watchlist};
use super::{PowerSync, reach};
use crate::Conductor;
use crate::measure;
use jiff::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::{PowerRow, StoreError};
use tokio::time::{Instant, sleep_until};

/// Nodes that are read at one time.
const PAGE: i64 = 128;
/// Sweeps for which a node is remembered that they did not meet: long enough for a cleaning.
const REMEMBERED: u64 = 30;

/// What sweeps have come to so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Sweeps that have met their last node.
    pub ended: u64,
    /// Nodes that the last one of them met.
    pub nodes: u64,
    /// From its first node to its last, spread included.
    pub took: Duration,
    /// Questions of all sweeps.
    pub asked: u64,
    /// Answers that agreed with the record.
    pub agreed: u64,
    /// Answers that did not.
    pub differed: u64,
    /// Questions without an answer.
    pub failed: u64,
}

/// Counters that tasks share.
#[derive(Debug, Default)]
pub struct Tally {
    ended: AtomicU64,
    nodes: AtomicU64,
    took_us: AtomicU64,
    pub asked: AtomicU64,
    pub agreed: AtomicU64,
    pub differed: AtomicU64,
    pub failed: AtomicU64,
}

impl Tally {
    /// The numbers now.
    pub fn read(&self) -> Sweep {
        let read = |number: &AtomicU64| number.load(Ordering::SeqCst);
        Sweep {
            ended: read(&self.ended),
            nodes: read(&self.nodes),
            took: Duration::from_micros(read(&self.took_us)),
            asked: read(&self.asked),
            agreed: read(&self.agreed),
            differed: read(&self.differed),
            failed: read(&self.failed),
        }
    }

    /// One more.
    pub fn count(number: &AtomicU64) {
        number.fetch_add(1, Ordering::SeqCst);
    }
}

/// Walks over the nodes, again and again.
pub(super) struct Sweeper {
    conductor: Conductor,
    settings: PowerSync,
    beat: Duration,
    watchlist: Watchlist,
    lanes: Lanes,
    /// This is sweep number so much.
    number: u64,
    /// Nodes of the last sweep, by which this one is spread.
    expected: u64,
}

impl Sweeper {
    pub fn new(conductor: Conductor, beat: Duration) -> Self {
        let settings = conductor.settings().power_sync;
        let (watchlist, lanes) = (Watchlist::default(), Lanes::new());
        Self { conductor, settings, beat, watchlist, lanes, number: 0, expected: 0 }
    }

    /// Asks every node whose turn it is; returns when the last one has been asked, not when it has answered. Pages are spread over
    /// `spread`, if there is time.
    pub async fn sweep(&mut self, spread: Duration) -> Result<(), StoreError> {
        self.number += 1;
        let began = Instant::now();
        let (mut last, mut met) = (0, 0u64);
        loop {
            if self.expected > 0 {
                let part = met.min(self.expected) as f64 / self.expected as f64;
                sleep_until(began + spread.mul_f64(part)).await;
            }
            let rows = self.conductor.store().power_rows(last, PAGE).await?;
            let is_last = (rows.len() as i64) < PAGE;
            // The conductors of a group share its nodes out among themselves.
            let share = self.conductor.share();
            for row in rows {
                last = row.id;
                if share.is_ours(row.uuid, &row.conductor_group, &row.driver) {
                    met += 1;
                    self.attend(row).await;
                }
            }
            if is_last {
                break;
            }
        }
        self.watchlist.forget_before(self.number.saturating_sub(REMEMBERED));
        self.expected = met;
        let tally = self.conductor.power_tally();
        let took = began.elapsed();
        tally.nodes.store(met, Ordering::SeqCst);
        tally.took_us.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
        Tally::count(&tally.ended);
        tracing::debug!(nodes = met, ?took, "power was asked for");
        Ok(())
    }

    /// Asks a node in a task of its own, if it is its turn.
    async fn attend(&self, row: PowerRow) {
        let reach = match self.watchlist.reach(row.id, row.updated_us) {
            Some(known) => known,
            None => match reach::find(&self.conductor, &row).await {
                Ok(found) => {
                    self.watchlist.learn(row.id, row.updated_us, found.clone());
                    found
                }
                Err(StoreError::NotFound { .. }) => return,
                Err(error) => {
                    tracing::error!(node = %row.uuid, %error, "the node can't be read");
                    return;
                }
            },
        };
        let interval = if row.is_failed { self.settings.recovery_interval } else { self.settings.interval };
        if matches!(reach, Reach::Nobody)
            || !self.watchlist.take_turn(row.id, self.number, interval, self.beat, Instant::now())
        {
            return;
        }
        Tally::count(&self.conductor.power_tally().asked);
        let place = self.lanes.enter().await;
        tokio::spawn(ask(self.conductor.clone(), self.watchlist.clone(), row, reach, place));
    }
}

/// Asks one node and does what follows from the answer.
async fn ask(conductor: Conductor, watchlist: Watchlist, row: PowerRow, reach: Reach, place: Place) {
    let tally = conductor.power_tally();
    let started = Timestamp::now();
    let answer = match reach {
        Reach::Bmc(bmc, interface) => {
            let asked = measure::bmc_of(row.uuid, interface, "power status", bmc.power_state());
            match place.wait(asked).await {
                Ok(state) => Answer::Power(crate::power::recorded(state)),
                Err(error) => Answer::Failed(error.to_string()),
            }
        }
        Reach::Broken(problem) => Answer::Failed(problem.to_string()),
        Reach::Nobody => return,
    };
    let (counter, failed) = match &answer {
        Answer::Power(state) if row.power_state == Some(*state) => (&tally.agreed, false),
        Answer::Power(_) => (&tally.differed, row.power_state.is_some()),
        Answer::Failed(_) => (&tally.failed, true),
    };
    let failures = if failed && !row.is_failed { watchlist.failures(row.id).saturating_add(1) } else { 0 };
    let verdict = verdict::of(&row, &answer, failures, &conductor.settings().power_sync);
    // Boxed: most answers lead to nothing, and a task that waits for a dead BMC is to be small.
    let outcome = Box::pin(verdict::carry_out(&conductor, &row, verdict, failures, started)).await;
    let counted = match outcome {
        Outcome::Stands => Some(failures),
        Outcome::GivenUp => Some(0),
        Outcome::TooLate => None,
    };
    watchlist.end_turn(row.id, counted);
    Tally::count(counter);
}

//! Who is killed when: drawn from the seed, so that a run can be repeated, as far as time allows.
//!
//! Whoever is struck is stopped first, and looked at: only who holds nodes is worth it. The first acts are one of each kind; when all of
//! them are done, and what the victims held was taken over, [`Chaos::complete`] tells so.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::process::Site;
use super::takeover::{Act, Takeover, Watch};
use super::{Options, Outcome};
use crate::error::{Error, Result};
use crate::fleet::mix;
use crate::postgres::Cluster;

/// One act in so many stops a process in place of killing it, and one cuts it off.
const SPARE_ONE_IN: u64 = 6;
/// One in so many of the others keeps it away until others have taken what it held.
const CRASH_ONE_IN: u64 = 4;
/// A process that is started again soon is down for at most so long.
const LONGEST_ABSENCE_MS: u64 = 3000;
const TICK: Duration = Duration::from_millis(100);
/// A process that starts while the database is away ends, and is started again; one that is ready must not end by itself.
const EXCUSED: Duration = Duration::from_secs(15);

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % sides
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(usize::try_from(self.roll((list.len() as u64).max(1))).unwrap_or_default())
    }
}

/// What is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Strike(Act),
    KillDatabase,
}

/// Kills, stops, cuts off, and looks at what comes of it.
pub(super) struct Chaos<'a> {
    options: &'a Options,
    site: &'a mut Site,
    cluster: &'a mut Cluster,
    watch: Watch,
    dice: Dice,
    /// What must come to pass, one of each.
    due: VecDeque<Plan>,
    outcome: Outcome,
    excused_until: Instant,
}

impl<'a> Chaos<'a> {
    pub fn new(options: &'a Options, site: &'a mut Site, cluster: &'a mut Cluster, watch: Watch) -> Self {
        // The one that lasts longest comes first, and the database is killed while it lasts.
        let due = [
            Plan::Strike(Act::Stop),
            Plan::Strike(Act::Restart),
            Plan::KillDatabase,
            Plan::Strike(Act::Cut),
            Plan::Strike(Act::Crash),
        ];
        Self {
            options,
            site,
            cluster,
            watch,
            dice: Dice(options.seed),
            due: due.into(),
            outcome: Outcome::default(),
            excused_until: Instant::now(),
        }
    }

    /// Goes on until `stop`, and until what was begun has come to its end. `complete` is cancelled once each kind of act has been.
    pub async fn run(mut self, complete: CancellationToken, stop: CancellationToken) -> Result<Outcome> {
        let mut next = Instant::now() + self.options.every;
        while !(stop.is_cancelled() && self.watch.is_idle()) {
            tokio::time::sleep(TICK).await;
            self.look_after()?;
            for (victim, act) in self.watch.look().await? {
                self.bring_back(victim, act)?;
            }
            if self.due.is_empty() && self.lasting().all(|takeover| takeover.nodes > 0) {
                complete.cancel();
            }
            if stop.is_cancelled() || Instant::now() < next {
                continue;
            }
            let plan = match self.due.front() {
                Some(plan) => *plan,
                None if self.options.once => continue,
                None => self.draw(),
            };
            // Where nobody held anything it is tried again in a moment.
            if self.carry_out(plan).await? {
                self.due.pop_front();
                next = Instant::now() + self.options.every;
            }
        }
        self.outcome.restarted = self.watch.takeover(Act::Restart);
        self.outcome.crashed = self.watch.takeover(Act::Crash);
        self.outcome.stopped = self.watch.takeover(Act::Stop);
        self.outcome.cut_off = self.watch.takeover(Act::Cut);
        if let Some(plan) = self.due.front() {
            return Err(Error::Invalid(format!("all was over before this came to pass: {plan:?}")));
        }
        Ok(self.outcome)
    }

    /// The kinds of act of which it has to be seen how long others take.
    fn lasting(&self) -> impl Iterator<Item = Takeover> {
        [Act::Crash, Act::Stop, Act::Cut].into_iter().map(|act| self.watch.takeover(act))
    }

    fn draw(&mut self) -> Plan {
        Plan::Strike(match self.dice.roll(SPARE_ONE_IN) {
            0 => Act::Stop,
            1 => Act::Cut,
            _ if self.dice.roll(CRASH_ONE_IN) == 0 => Act::Crash,
            _ => Act::Restart,
        })
    }

    /// `false`: it could not be done now.
    async fn carry_out(&mut self, plan: Plan) -> Result<bool> {
        let act = match plan {
            Plan::Strike(act) => act,
            Plan::KillDatabase => {
                self.excused_until = Instant::now() + EXCUSED;
                self.cluster.kill();
                self.cluster.restart().await?;
                self.outcome.database_kills += 1;
                self.excused_until = Instant::now() + EXCUSED;
                return Ok(true);
            }
        };
        let mut up = Vec::new();
        for index in 0..self.site.processes.len() {
            if self.site.is_ready(index) {
                up.push(index);
            }
        }
        // One is left to go on.
        let Some(&victim) = self.dice.pick(&up).filter(|_| up.len() > 1) else { return Ok(false) };
        let since = Instant::now();
        self.site.stop(victim);
        let name = self.site.processes[victim].name.clone();
        let Some(held) = self.watch.held_by(&name).await else {
            self.site.resume(victim);
            return Ok(false);
        };
        self.watch.begin(victim, act, held, since);
        match act {
            Act::Stop => self.outcome.stops += 1,
            Act::Cut => {
                self.site.cut(victim);
                self.site.resume(victim);
                self.outcome.cuts += 1;
            }
            Act::Crash => {
                self.site.kill(victim);
                self.site.processes[victim].is_kept_away = true;
                self.outcome.crashes += 1;
            }
            Act::Restart => {
                self.site.kill(victim);
                let absence = Duration::from_millis(self.dice.roll(LONGEST_ABSENCE_MS));
                self.site.processes[victim].starts_at = Some(Instant::now() + absence);
                self.outcome.restarts += 1;
            }
        }
        Ok(true)
    }

    /// Others have what it held.
    fn bring_back(&mut self, victim: usize, act: Act) -> Result<()> {
        match act {
            Act::Stop => self.site.resume(victim),
            Act::Cut => self.site.mend(victim),
            Act::Crash => self.site.start(victim)?,
            Act::Restart => {}
        }
        Ok(())
    }

    /// Starts those whose time has come.
    fn look_after(&mut self) -> Result<()> {
        let now = Instant::now();
        for index in 0..self.site.processes.len() {
            let process = &mut self.site.processes[index];
            if process.starts_at.is_some_and(|at| at <= now) {
                self.site.start(index)?;
                continue;
            }
            if process.is_kept_away || process.starts_at.is_some() || !process.has_ended() {
                continue;
            }
            if now > self.excused_until && self.site.was_ready(index) {
                let name = self.site.processes[index].name.clone();
                return Err(Error::Invalid(format!(
                    "{name} ended by itself; its log ends: {}",
                    self.site.last_words(&name)
                )));
            }
            self.site.processes[index].starts_at = Some(now + Duration::from_secs(1));
        }
        Ok(())
    }
}

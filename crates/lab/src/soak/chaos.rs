//! Who is killed when: drawn from the seed, so that a run can be repeated, as far as time allows.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::process::Site;
use super::{Options, Outcome};
use crate::error::{Error, Result};
use crate::fleet::mix;
use crate::postgres::Cluster;

/// A process is stopped for so long: until others have taken what it held, and somewhat longer.
const PAUSE: Duration = Duration::from_secs(16);
/// One act in so many stops a process in place of killing it.
const PAUSE_ONE_IN: u64 = 5;
/// A killed process is down for at most so long.
const LONGEST_ABSENCE_MS: u64 = 3000;
/// The database is killed after so many acts.
const DATABASE_AFTER: u32 = 3;
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
}

/// Kills and stops until `stop`.
pub(super) async fn run(
    site: &mut Site,
    cluster: &mut Cluster,
    options: &Options,
    stop: CancellationToken,
) -> Result<Outcome> {
    let mut dice = Dice(options.seed);
    let mut outcome = Outcome::default();
    let mut next = Instant::now() + options.every;
    let mut excused_until = Instant::now();
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(TICK) => {}
        }
        look_after(site, excused_until)?;
        if Instant::now() < next {
            continue;
        }
        next = Instant::now() + options.every;
        if outcome.database_kills == 0 && outcome.kills + outcome.pauses >= DATABASE_AFTER {
            cluster.kill();
            cluster.restart().await?;
            outcome.database_kills += 1;
            excused_until = Instant::now() + EXCUSED;
            continue;
        }
        let mut up: Vec<_> = Vec::new();
        for (index, process) in site.processes.iter_mut().enumerate() {
            if process.is_up() {
                up.push(index);
            }
        }
        // One is left to go on.
        if up.len() < 2 {
            continue;
        }
        let victim = up[usize::try_from(dice.roll(up.len() as u64)).unwrap_or_default()];
        if dice.roll(PAUSE_ONE_IN) == 0 {
            site.pause(victim, Instant::now() + PAUSE);
            outcome.pauses += 1;
        } else {
            site.kill(victim);
            let absence = Duration::from_millis(dice.roll(LONGEST_ABSENCE_MS));
            site.processes[victim].starts_at = Some(Instant::now() + absence);
            outcome.kills += 1;
        }
    }
    Ok(outcome)
}

/// Starts and resumes those whose time has come.
fn look_after(site: &mut Site, excused_until: Instant) -> Result<()> {
    let now = Instant::now();
    for index in 0..site.processes.len() {
        if site.processes[index].paused_until.is_some_and(|until| until <= now) {
            site.resume(index);
        }
        if site.processes[index].starts_at.is_some_and(|at| at <= now) {
            site.start(index)?;
            continue;
        }
        if site.processes[index].starts_at.is_none() && site.processes[index].has_ended() {
            if now > excused_until && site.was_ready(index) {
                let name = site.processes[index].name.clone();
                return Err(Error::Invalid(format!(
                    "{name} ended by itself; its log ends: {}",
                    site.last_words(&name)
                )));
            }
            site.processes[index].starts_at = Some(now + Duration::from_secs(1));
        }
    }
    Ok(())
}

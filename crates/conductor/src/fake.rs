//! The pretended slowness of `fake-hardware` (Ironic's section `[fake]`).
//!
//! A pause is recorded in the node's work and the node is put aside until it is over: nothing waits for it meanwhile, neither a
//! task nor a claim, and a restart of the conductor goes on counting where it was.

use crate::hardware;
use crate::outcome::Failure;
use crate::visit::Visit;
use jiff::{SignedDuration, Timestamp};
use model::node::{InterfaceKind, Pause};
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// How long something takes: between two whole numbers of seconds, the shorter times being the likelier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delay {
    earliest: Duration,
    latest: Duration,
}

/// A delay that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a delay: give seconds (\"3\"), or the least and the most seconds (\"1,5\")")]
pub struct NotADelay(String);

impl FromStr for Delay {
    type Err = NotADelay;

    /// Reads `a` or `a,b`, in seconds.
    fn from_str(text: &str) -> Result<Self, NotADelay> {
        let wrong = || NotADelay(text.to_owned());
        let seconds = |text: &str| text.trim().parse().map(Duration::from_secs).map_err(|_| wrong());
        let (earliest, latest) = match text.split_once(',') {
            Some((earliest, latest)) => (seconds(earliest)?, seconds(latest)?),
            None => (seconds(text)?, seconds(text)?),
        };
        if latest < earliest {
            return Err(wrong());
        }
        Ok(Self { earliest, latest })
    }
}

impl Delay {
    /// The delay at `fraction`, from 0 to 1, of all draws: a triangle that falls from the earliest to the latest.
    fn at(self, fraction: f64) -> Duration {
        let span = self.latest.saturating_sub(self.earliest);
        self.latest.saturating_sub(span.mul_f64((1.0 - fraction.clamp(0.0, 1.0)).sqrt()))
    }

    fn draw(self) -> Duration {
        let mut bytes = [0; 4];
        // Without randomness the delay is the likeliest one.
        let drawn = SystemRandom::new().fill(&mut bytes).map_or(0, |()| u32::from_be_bytes(bytes));
        self.at(f64::from(drawn) / f64::from(u32::MAX))
    }
}

/// The delays of a site, by interface; none is given by default.
#[derive(Debug, Clone, Default)]
pub struct Delays(BTreeMap<InterfaceKind, Delay>);

impl Delays {
    /// Sets the delay of one interface's fake implementation.
    pub fn set(&mut self, kind: InterfaceKind, delay: Delay) {
        self.0.insert(kind, delay);
    }

    fn of(&self, kind: InterfaceKind) -> Option<Delay> {
        self.0.get(&kind).copied().filter(|delay| !delay.latest.is_zero())
    }
}

/// Takes the time that the fake implementation of `kind` takes, if the node uses that. The same label is not delayed twice within
/// one step or state.
pub async fn pause(visit: &mut Visit<'_>, kind: InterfaceKind, label: &str) -> Result<(), Failure> {
    if hardware::implementation(&visit.node, kind) != "fake" {
        return Ok(());
    }
    match visit.conductor.settings().fake.of(kind) {
        Some(delay) => pause_for(visit, label, || delay.draw()).await,
        None => Ok(()),
    }
}

/// Puts the node aside for `duration`, once for each label. [`Failure::Later`] until that time is over.
pub async fn pause_for(
    visit: &mut Visit<'_>,
    label: &str,
    duration: impl FnOnce() -> Duration,
) -> Result<(), Failure> {
    let now = visit.now();
    if let Some(until) = begun(&visit.node.work.pauses, label) {
        return if until <= now { Ok(()) } else { Err(Failure::Later(until)) };
    }
    let until = SignedDuration::try_from(duration())
        .ok()
        .and_then(|duration| now.saturating_add(duration).ok())
        .unwrap_or(now);
    let pause = Pause { label: label.to_owned(), until };
    visit.edit(|edit| edit.node.work.pauses.push(pause.clone())).await?;
    Err(Failure::Later(until))
}

/// When the pause of that label ends or ended, if it was begun.
fn begun(pauses: &[Pause], label: &str) -> Option<Timestamp> {
    pauses.iter().find(|pause| pause.label == label).map(|pause| pause.until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_read_as_ironic_writes_them() {
        assert_eq!("0".parse::<Delay>().unwrap(), Delay::default());
        let delay: Delay = "1, 5".parse().unwrap();
        assert_eq!((delay.at(0.0), delay.at(1.0)), (Duration::from_secs(1), Duration::from_secs(5)));
        assert!(delay.at(0.5) < Duration::from_secs(3), "short ones are likelier");
        for bad in ["", "x", "-1", "5,1", "1,2,3"] {
            assert!(bad.parse::<Delay>().is_err(), "{bad}");
        }
    }
}

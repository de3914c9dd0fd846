//! The sweep of power over simulated BMCs. How often a BMC was asked is read at the BMC.

use std::time::{Duration, Instant};

use super::comparison::Figure;
use super::meter::Meter;
use super::product::{Product, Running};
use crate::bench::server::pause;
use crate::error::{Error, Result};
use crate::fleet::Fleet;

/// Between two sweeps, seconds: the next one begins as soon as one is over.
const INTERVAL: u32 = 1;
/// How long a round is.
const WINDOW: Duration = Duration::from_secs(10);
/// Within this the first answers must have come.
const LIMIT: Duration = Duration::from_secs(180);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Measuring begins when all have been asked twice, where sessions are kept and have to be opened first; else when all workers are at it,
/// after so many questions.
const WARM: u64 = 50;

/// Starts the server with a short interval, and counts in rounds what it asks; out come questions a second.
///
/// # Errors
/// [`Error::Timeout`] when no BMC is asked.
pub(super) fn sweep(
    product: &Product,
    rounds: usize,
    fleet: &Fleet,
    nodes: usize,
) -> Result<(Figure, Running)> {
    let asked = || (0..nodes).filter_map(|index| fleet.power_asked(index)).sum::<u64>();
    let before = asked();
    let running = product.start(INTERVAL)?;
    let began = Instant::now();
    let warm = if product.keeps_sessions() { 2 * nodes as u64 } else { WARM.min(nodes as u64) };
    while asked() < before + warm {
        if began.elapsed() > LIMIT {
            return Err(Error::Timeout {
                what: format!("a sweep of {}: {} questions", product.name(), asked() - before),
                seconds: LIMIT.as_secs(),
                hint: format!("its log is {}", product.log().display()),
            });
        }
        pause(LOOK_AGAIN);
    }
    let mut meter = Meter::default();
    for _ in 0..rounds {
        meter.round(&running, || {
            let before = asked();
            pause(WINDOW);
            Ok(asked() - before)
        })?;
    }
    Ok((meter.rate(), running))
}

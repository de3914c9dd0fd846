//! Power synchronisation: what the BMCs say beside what is recorded.
//!
//! A sweep walks the nodes that rest, page by page, and asks each one's BMC for its power. A node whose BMC agrees with the record
//! costs no write. What else is heard is acted on as configured ([`verdict`]): the machine is brought back to what is recorded, by
//! the ordinary way of a power change, or the record follows the machine. A BMC that fails three times in a row puts its node into
//! maintenance, with a fault that goes when it answers again.
//!
//! There are no workers that dead BMCs could fill: those that answer at once share a bounded number of places ([`lanes`]); one that
//! does not leaves its place after a moment and waits in a timer of its own.
//!
//! Sessions end at the BMC after a minute without use. Where that is shorter than the interval, they are kept by asking for the power more
//! often, which is one packet where a new session would be seven and a password hash on a small processor; with an interval of more than
//! [`KEPT_UP_TO`] uses they are left to end.

mod lanes;
mod reach;
mod settings;
mod sweep;
mod verdict;
mod watched;

pub use settings::PowerSync;
pub use sweep::Sweep;
pub(crate) use sweep::Tally;

use crate::Conductor;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Sessions are kept where an interval takes no more uses than this.
const KEPT_UP_TO: u32 = 4;

/// Sweeps until `stop`; what is being asked then is dropped.
pub async fn run(conductor: Conductor, stop: CancellationToken) {
    let settings = conductor.settings().power_sync;
    if settings.interval.is_zero() {
        return;
    }
    let beat = beat(settings.interval, conductor.bmcs().session_use());
    let mut sweeper = sweep::Sweeper::new(conductor, beat);
    // The first one opens sessions and is as fast as it can be; the others are spread, so that they are a murmur and not a burst.
    let mut spread = Duration::ZERO;
    while !stop.is_cancelled() {
        let next = Instant::now() + beat;
        tokio::select! {
            () = stop.cancelled() => return,
            swept = sweeper.sweep(spread) => if let Err(error) = swept {
                tracing::error!(%error, "the sweep of power was broken off");
            },
        }
        spread = beat * 3 / 4;
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep_until(next) => {}
        }
    }
}

/// From the begin of one sweep to the begin of the next: the interval, or the whole part of it that keeps sessions open.
fn beat(interval: Duration, session_use: Duration) -> Duration {
    let uses = interval.as_secs_f64() / session_use.as_secs_f64().max(f64::MIN_POSITIVE);
    if uses > f64::from(KEPT_UP_TO) { interval } else { interval.div_f64(uses.ceil().max(1.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_kept_by_asking_more_often_unless_that_is_too_often() {
        let beat = |seconds| beat(Duration::from_secs(seconds), Duration::from_secs(40)).as_secs_f64();
        assert_eq!([beat(10), beat(40), beat(120), beat(160)], [10.0, 40.0, 40.0, 40.0]);
        assert_eq!(beat(60), 30.0);
        assert_eq!(beat(600), 600.0);
    }
}

//! The steps that every node has: `power_on`, `power_off`, `reboot`, `hold` and `wait`.

use super::Progress;
use crate::fake;
use crate::outcome::Failure;
use crate::power;
use crate::visit::Visit;
use model::event::{EventKind, LogEvent};
use model::node::PowerState;
use model::step::Step;
use serde_json::Value;
use std::time::Duration;

/// Carries a reserved step out.
pub async fn run(visit: &mut Visit<'_>, step: &Step) -> Result<Progress, Failure> {
    match step.step.as_str() {
        "power_on" => power::ensure(visit, PowerState::On).await?,
        "power_off" => power::ensure(visit, PowerState::Off).await?,
        "reboot" => power::cycle(visit).await?,
        "hold" => return Ok(Progress::Held),
        // `wait` is left by the wait state's handler.
        _ => {
            seconds(step)?;
            return Ok(Progress::Waiting);
        }
    }
    Ok(Progress::Done)
}

/// In a wait state: is this step over? `None` where the question is not the reserved steps'.
pub async fn goes_on(visit: &mut Visit<'_>, step: &Step) -> Result<Option<bool>, Failure> {
    match step.step.as_str() {
        // The wait state behind a hold is entered by `unhold` only.
        "hold" => Ok(Some(true)),
        "wait" => {
            if let Some(asked) = seconds(step)? {
                pause(visit, asked).await?;
            }
            Ok(Some(true))
        }
        _ => Ok(None),
    }
}

async fn pause(visit: &mut Visit<'_>, asked: Duration) -> Result<(), Failure> {
    let most = visit.conductor.settings().longest_wait_step;
    if asked > most && visit.node.work.pauses.is_empty() {
        let detail = format!(
            "A wait time exceeding the configured maximum has been requested. Holding for {}, got {}.",
            most.as_secs(),
            asked.as_secs()
        );
        let now = visit.now();
        visit.note(LogEvent::new(Some(visit.node.uuid), now, EventKind::Step, "wait", detail).failed());
    }
    fake::pause_for(visit, "wait", || asked.min(most)).await
}

/// How long `wait` waits; none: no longer than it takes to get there.
fn seconds(step: &Step) -> Result<Option<Duration>, Failure> {
    let asked = match step.args.get("seconds") {
        None => return Ok(None),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    match asked {
        Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
        None => Err(Failure::last("the argument \"seconds\" of the step wait is not a number of seconds")),
    }
}

//! `servicing`: steps on a machine that carries an instance, in the order that the operator gave.

use crate::boot;
use crate::outcome::{Failure, Outcome};
use crate::power;
use crate::steps;
use crate::visit::Visit;
use model::agent::Phase;
use model::node::{PowerState, Work};
use model::state::Event;

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    steps::plan_ahead(visit, Phase::Service).await?;
    if let Some(outcome) = steps::prepare_ramdisk(visit, Phase::Service).await? {
        return Ok(outcome);
    }
    if let Some(outcome) = steps::advance(visit, Phase::Service).await? {
        return Ok(outcome);
    }
    if steps::needs_ramdisk(&visit.node) {
        restore(visit).await?;
    }
    Ok(Outcome::next_with(Event::Done, |node| {
        steps::forget(node, Phase::Service);
    }))
}

/// The machine leaves the ramdisk and boots its instance again.
pub async fn restore(visit: &mut Visit<'_>) -> Result<(), Failure> {
    power::ensure(visit, PowerState::Off).await?;
    boot::end_ramdisk(visit).await?;
    boot::set_instance_device(visit).await?;
    power::ensure(visit, PowerState::On).await
}

/// `active` behind a service that was aborted: the instance is still to be booted.
pub async fn leave(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    let restored = match visit.node.work.boot {
        Some(_) => restore(visit).await,
        None => Ok(()),
    };
    let error = match restored {
        Err(error) if error.is_runners() => return Err(error),
        Err(error) => Some(format!("Failed to tear down service after aborting the operation: {error}")),
        Ok(()) => None,
    };
    visit
        .edit(|edit| {
            edit.node.work = Work::default();
            edit.node.last_error = error.clone().or(edit.node.last_error.take());
        })
        .await?;
    Ok(Outcome::Wait(None))
}

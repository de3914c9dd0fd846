//! `cleaning`: the ramdisk erases what the last tenant left, or does what the operator listed.

use crate::outcome::{Failure, Outcome};
use crate::power;
use crate::steps;
use crate::visit::Visit;
use model::agent::Phase;
use model::node::{Node, PowerState};
use model::state::{Event, ProvisionState};

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    if is_automated(&visit.node)
        && !visit.node.automated_clean.unwrap_or(visit.conductor.settings().automated_clean)
    {
        return Ok(end(&visit.node));
    }
    if let Some(outcome) = steps::prepare_ramdisk(visit, Phase::Clean).await? {
        return Ok(outcome);
    }
    if let Some(outcome) = steps::advance(visit, Phase::Clean).await? {
        return Ok(outcome);
    }
    if steps::needs_ramdisk(&visit.node) {
        power::ensure(visit, PowerState::Off).await?;
    }
    Ok(end(&visit.node))
}

/// Manual cleaning aims at `manageable`, automated cleaning at `available`.
pub fn is_automated(node: &Node) -> bool {
    node.target_provision_state != Some(ProvisionState::Manageable)
}

fn end(node: &Node) -> Outcome {
    let event = if is_automated(node) && !node.retired { Event::Done } else { Event::DoneManageable };
    Outcome::next_with(event, |node| {
        steps::forget(node, Phase::Clean);
    })
}

//! `deploying`: the image goes to the disk and the machine boots from it.

use crate::fake;
use crate::outcome::{Failure, Outcome};
use crate::steps;
use crate::visit::Visit;
use model::agent::Phase;
use model::node::InterfaceKind;
use model::state::Event;

pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    if !visit.node.work.is_planned {
        fake::pause(visit, InterfaceKind::Deploy, "prepare").await?;
        steps::plan_ahead(visit, Phase::Deploy).await?;
        if visit.node.work.steps.is_empty() {
            return Err(Failure::Steps("No deploy steps returned by the driver".to_owned()));
        }
    }
    if let Some(outcome) = steps::advance(visit, Phase::Deploy).await? {
        return Ok(outcome);
    }
    Ok(Outcome::next_with(Event::Done, |node| {
        steps::forget(node, Phase::Deploy);
        node.last_error = None;
    }))
}

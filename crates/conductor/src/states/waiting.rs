//! The wait states: the ramdisk boots, or works on a command.

use crate::boot;
use crate::outcome::{Failure, Outcome};
use crate::steps;
use crate::visit::Visit;
use model::agent::Phase;
use model::node::Node;
use model::state::Event;

pub async fn run(visit: &mut Visit<'_>, phase: Phase) -> Result<Outcome, Failure> {
    if visit.node.agent.url.is_none() {
        return boot::await_call(visit, |node| timeout_text(phase, node)).await;
    }
    if steps::command_ended(visit).await? {
        return Ok(Outcome::next(Event::Resume));
    }
    let now = visit.now();
    if visit.node.work.deadline.is_some_and(|deadline| now >= deadline) && silent(visit) {
        return Err(Failure::last(timeout_text(phase, &visit.node)));
    }
    if visit.node.work.failing_since.is_some() {
        visit.edit(|edit| edit.node.work.failing_since = None).await?;
    }
    Ok(Outcome::Wait(Some(boot::after(now, visit.conductor.settings().agent_poll))))
}

/// A long command may outlive the deadline, which is for silence: an agent that still sends heartbeats is not late.
fn silent(visit: &Visit<'_>) -> bool {
    let limit = visit.conductor.settings().heartbeat_timeout;
    visit.node.agent.last_heartbeat.is_none_or(|at| boot::after(at, limit) < visit.now())
}

/// Ironic's wording, which clients know.
fn timeout_text(phase: Phase, node: &Node) -> String {
    match phase {
        Phase::Deploy => format!("Timeout reached while waiting for callback for node {}.", node.uuid),
        Phase::Clean | Phase::Service => {
            let (doing, step) = match phase {
                Phase::Clean => ("cleaning", &node.clean_step),
                _ => ("servicing", &node.service_step),
            };
            let step = step.as_ref().map_or_else(|| "{}".to_owned(), |step| step.full_name());
            format!(
                "Timeout reached while {doing} the node. Please check if the ramdisk responsible for the {doing} is running on \
                 the node. Failed on step {step}."
            )
        }
    }
}

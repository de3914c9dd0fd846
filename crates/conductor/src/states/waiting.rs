//! The wait states of cleaning, deployment and service: the ramdisk boots or works on a command, or the BMC works on a step.

use crate::boot;
use crate::outcome::{Failure, Outcome};
use crate::steps;
use crate::steps::command::command_ended;
use crate::visit::Visit;
use model::agent::Phase;
use model::node::Node;
use model::state::Event;

pub async fn run(visit: &mut Visit<'_>, phase: Phase) -> Result<Outcome, Failure> {
    if steps::is_polled(&visit.node, phase) {
        return poll(visit, phase).await;
    }
    if !boot::has_called(&visit.node) && steps::needs_ramdisk(&visit.node) {
        return boot::await_call(visit, |node| timeout_text(phase, node)).await;
    }
    if visit.node.agent.url.is_none() || command_ended(visit).await? {
        return Ok(Outcome::next(Event::Resume));
    }
    let now = visit.now();
    if visit.node.work.deadline.is_some_and(|deadline| now >= deadline) && silent(visit) {
        return Err(Failure::TimedOut(timeout_text(phase, &visit.node)));
    }
    if visit.node.work.failing_since.is_some() {
        visit.edit(|edit| edit.node.work.failing_since = None).await?;
    }
    Ok(Outcome::Wait(Some(boot::after(now, visit.conductor.settings().agent_poll))))
}

/// A step of the conductor's own side is asked how it stands.
async fn poll(visit: &mut Visit<'_>, phase: Phase) -> Result<Outcome, Failure> {
    if steps::poll(visit, phase).await? {
        return Ok(Outcome::next(Event::Resume));
    }
    let now = visit.now();
    if visit.node.work.deadline.is_some_and(|deadline| now >= deadline) {
        return Err(Failure::TimedOut(timeout_text(phase, &visit.node)));
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
            let doing = if phase == Phase::Clean { "cleaning" } else { "servicing" };
            let step =
                steps::shown_step(node, phase).map_or_else(|| "{}".to_owned(), |step| step.full_name());
            format!(
                "Timeout reached while {doing} the node. Please check if the ramdisk responsible for the {doing} is running on \
                 the node. Failed on step {step}."
            )
        }
    }
}

//! `rescuing`, `rescue wait` and `unrescuing`: another ramdisk in place of the instance, and back.

use super::servicing;
use crate::boot;
use crate::fail;
use crate::fake;
use crate::hardware;
use crate::outcome::{Failure, Outcome};
use crate::visit::Visit;
use model::Secret;
use model::agent::RescueParams;
use model::event::{EventKind, LogEvent};
use model::node::{AgentLink, InterfaceKind, Node, Work};
use model::state::Event;
use serde_json::{Value, json};

/// `rescuing`: the ramdisk is started and, when it has called, told who may log in.
pub async fn run(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    if is_pretended(&visit.node) {
        fake::pause(visit, InterfaceKind::Rescue, "rescue").await?;
        return Ok(end(Event::Done));
    }
    if boot::has_called(&visit.node) {
        finalize(visit).await?;
        return Ok(end(Event::Done));
    }
    if visit.node.work.boot.as_ref().is_none_or(|boot| boot.powered_at.is_none()) {
        boot::start_ramdisk(visit).await?;
    }
    Ok(Outcome::next(Event::Wait))
}

/// `rescue wait`: the ramdisk boots.
pub async fn wait(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    if boot::has_called(&visit.node) {
        return Ok(Outcome::next(Event::Resume));
    }
    boot::await_call(visit, |_| {
        "Timeout reached while waiting for rescue ramdisk callback for node".to_owned()
    })
    .await
}

/// `unrescuing`: the instance boots again.
pub async fn back(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    if is_pretended(&visit.node) {
        fake::pause(visit, InterfaceKind::Rescue, "unrescue").await?;
    } else {
        servicing::restore(visit).await?;
    }
    Ok(end(Event::Done))
}

fn is_pretended(node: &Node) -> bool {
    hardware::implementation(node, InterfaceKind::Rescue) == "fake"
}

/// The ramdisk gets the hash of the password, never the password.
async fn finalize(visit: &mut Visit<'_>) -> Result<(), Failure> {
    const COMMAND: &str = "rescue.finalize_rescue";
    let hashed = visit.node.instance_info.get("hashed_rescue_password").and_then(Value::as_str);
    let password = hashed.map(Secret::new).ok_or_else(|| {
        Failure::last(format!(
            "Node {} is missing 'instance_info/rescue_password'. It is required for rescuing node.",
            visit.node.uuid
        ))
    })?;
    let params = json!(RescueParams { rescue_password: password, hashed: true });
    let Value::Object(params) = params else { return Err(Failure::last("parameters are not an object")) };
    let started = visit.now();
    let result = visit.agent()?.command(COMMAND, params, true).await?;
    if let Some(error) = result.command_error {
        return Err(Failure::last(format!(
            "Agent returned error for {COMMAND}: {error}. The ramdisk must be one that people can log in to; set rescue_kernel and \
             rescue_ramdisk in driver_info if the default one is not."
        )));
    }
    let now = visit.now();
    let told = LogEvent::new(Some(visit.node.uuid), started, EventKind::Agent, COMMAND, "").until(now);
    visit.note(told);
    Ok(())
}

fn end(event: Event) -> Outcome {
    Outcome::next_with(event, |node| {
        fail::forget_rescue_password(node);
        node.work = Work::default();
        node.agent = AgentLink::default();
        node.driver_internal_info.remove("agent_url");
    })
}

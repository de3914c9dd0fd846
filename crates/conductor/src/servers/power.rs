//! `powering-on`, `powering-off`, `rebooting` and `rebooting_hard`: the node is asked to change its power, and is watched.

use super::retreat;
use super::visit::{Next, Trouble, Visit, is_of, soon};
use crate::provision::enter_power;
use crate::request::{PowerRequest, RequestError};
use model::compute::{PowerView, TaskState, VmState};
use model::node::{Node, PowerState, PowerTarget};

/// Seconds that an operating system gets to shut itself down (Nova's `[DEFAULT] shutdown_timeout`).
const SHUTDOWN_SECONDS: u64 = 60;

pub async fn run(visit: &mut Visit<'_>) -> Result<Next, Trouble> {
    let Some(node) = visit.node().await? else { return retreat::lost(visit).await };
    let Some(target) = target(visit) else { return Ok(Next::Rest(None)) };
    if !visit.server.work.told {
        return tell(visit, &node, target).await;
    }
    if node.target_power_state.is_some() {
        return Ok(Next::Rest(None));
    }
    if node.power_state == Some(target.outcome()) && node.last_error.is_none() {
        return end(visit, &node, None).await;
    }
    let error = node.last_error.clone().unwrap_or_else(|| "its power did not change".to_owned());
    // What the operating system did not do is done by force.
    if matches!(target, PowerTarget::SoftOff | PowerTarget::SoftReboot) {
        let told = visit.failed("power", format!("{target}: {error}"));
        return visit
            .edit(|edit| {
                edit.note(told);
                edit.server.work.told = false;
                edit.server.work.forced = true;
            })
            .await;
    }
    end(visit, &node, Some(error)).await
}

/// What the node is to do for the task.
fn target(visit: &Visit<'_>) -> Option<PowerTarget> {
    let forced = visit.server.work.forced;
    Some(match visit.server.task_state? {
        TaskState::PoweringOn => PowerTarget::On,
        TaskState::PoweringOff if forced => PowerTarget::Off,
        TaskState::PoweringOff => PowerTarget::SoftOff,
        TaskState::Rebooting if forced => PowerTarget::Reboot,
        TaskState::Rebooting => PowerTarget::SoftReboot,
        TaskState::RebootingHard => PowerTarget::Reboot,
        _ => return None,
    })
}

async fn tell(visit: &mut Visit<'_>, node: &Node, target: PowerTarget) -> Result<Next, Trouble> {
    let soft = matches!(target, PowerTarget::SoftOff | PowerTarget::SoftReboot);
    // There is nobody to ask on a machine that is off.
    let is_off = node.power_state == Some(PowerState::Off);
    let request = PowerRequest {
        target: match target {
            PowerTarget::SoftOff if is_off => PowerTarget::Off,
            PowerTarget::SoftReboot if is_off => PowerTarget::Reboot,
            other => other,
        },
        timeout_seconds: soft.then_some(SHUTDOWN_SECONDS),
    };
    let event = visit.begun("power");
    let told = visit
        .edit_with_node(node.uuid, |edit, machine| {
            if !is_of(&machine.edit.node, &edit.server) {
                return Err(Trouble::Moved);
            }
            enter_power(&mut machine.edit, request, event.started_at)?;
            edit.server.work.told = true;
            edit.server.work.forced |= is_off;
            edit.note(event);
            Ok(())
        })
        .await;
    match told {
        // Another change is under way, or it must not be switched off: the latter was refused when it was asked for.
        Err(Trouble::Refused(RequestError::Conflict(_))) if !node.disable_power_off => Ok(Next::Rest(soon())),
        Err(Trouble::Refused(refusal)) => end(visit, node, Some(refusal.to_string())).await,
        other => other,
    }
}

/// Ends the task. A machine that can't be restarted and is off is a server in error; else the server is what its machine is.
async fn end(visit: &mut Visit<'_>, node: &Node, error: Option<String>) -> Result<Next, Trouble> {
    let now = visit.now();
    let power = PowerView::of_node(node.power_state);
    let event = match &error {
        None => visit.done("power", Some(format!("power is {}", power_word(power)))),
        Some(error) => visit.failed("power", error.clone()),
    };
    let is_reboot = matches!(visit.server.task_state, Some(TaskState::Rebooting | TaskState::RebootingHard));
    let label = node.label();
    visit
        .edit(|edit| {
            edit.note(event);
            let server = &mut edit.server;
            server.power = power;
            match (error, power) {
                (Some(error), power) if is_reboot && power != PowerView::Running => {
                    let message = format!("Node {label} could not be restarted: {error}");
                    server.fail(500, message, None, now);
                }
                // What failed, failed; the server is where it was.
                (Some(_), _) if server.vm_state == VmState::Error => server.come_to_rest(VmState::Error),
                (_, PowerView::Shutdown) => server.come_to_rest(VmState::Stopped),
                (None, _) => {
                    server.fault = None;
                    server.come_to_rest(VmState::Active);
                }
                (Some(_), _) => {
                    let state = server.vm_state;
                    server.come_to_rest(state);
                }
            }
        })
        .await
}

fn power_word(power: PowerView) -> &'static str {
    match power {
        PowerView::Running => "on",
        PowerView::Shutdown => "off",
        PowerView::NoState => "unknown",
    }
}

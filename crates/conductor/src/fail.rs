//! Work that failed or was aborted: what is written of it, at once; the machine is the failure state's business.

use crate::hardware;
use crate::history;
use crate::measure;
use crate::outcome::Failure;
use crate::runner;
use crate::steps;
use crate::visit::Visit;
use crate::wording;
use model::agent::Phase;
use model::node::{AgentLink, Fault, Node, Work};
use model::state::{Event, Kind, ProvisionState};

/// The work failed for good: state, error, fault and event are written together; the tear-down is left to the failure state.
pub async fn record(visit: &mut Visit<'_>, failure: Failure) -> Result<(), Failure> {
    let now = visit.now();
    let from = visit.node.provision_state;
    let text = in_words(&visit.node, &failure);
    let by_request = matches!(failure, Failure::Aborted(_));
    let fault = match &failure {
        Failure::Final { fault, .. } => *fault,
        _ => None,
    };
    let conductor = visit.conductor;
    let mut failed_step = None;
    visit
        .edit(|edit| {
            failed_step = None;
            let node = &mut edit.node;
            let told = history::failed(conductor, node, &text, now);
            if node.apply(Event::Fail, now).is_err() {
                // Moved on meanwhile by a user's verb: that verb has the last word.
                return;
            }
            failed_step = measure::running_step(node);
            edit.history.extend(told);
            node.last_error = Some(text.clone());
            node.fault = fault.or(node.fault);
            if !by_request {
                set_maintenance(node, from, &text);
            }
            abandon(node, from, by_request);
            if from == ProvisionState::Adopting {
                node.power_state = None;
                hardware::restore_deploy_interface(node);
            }
            // An aborted service ends where it began, as Ironic has it.
            if by_request && node.provision_state == ProvisionState::ServiceFailed {
                node.apply(Event::Abort, now).ok();
            }
            node.due = Some(now);
            let event = runner::moved(node, from, now, &text).failed();
            edit.events.push(event);
        })
        .await?;
    if let Some((name, started)) = failed_step {
        measure::step(&name, started, now, "failed");
    }
    Ok(())
}

/// Which of the three families of steps a state belongs to.
pub fn phase_of(state: ProvisionState) -> Option<Phase> {
    use ProvisionState as S;
    match state {
        S::Cleaning | S::CleanWait | S::CleanHold | S::CleanFailed => Some(Phase::Clean),
        S::Deploying | S::DeployWait | S::DeployHold | S::DeployFailed => Some(Phase::Deploy),
        S::Servicing | S::ServiceWait | S::ServiceHold | S::ServiceFailed => Some(Phase::Service),
        _ => None,
    }
}

/// Drops the work that was going on in state `from`, and leaves what its tear-down needs to know. The list of steps of a failed
/// cleaning or service stays for people to read; that of an aborted one goes.
pub fn abandon(node: &mut Node, from: ProvisionState, by_request: bool) {
    let boot = node.work.boot.take();
    let tears_down = node.provision_state.kind() == Kind::Failure;
    let phase = phase_of(from);
    if phase == Some(Phase::Clean) {
        hardware::restore_deploy_interface(node);
    }
    match phase {
        Some(phase) if by_request || phase == Phase::Deploy => steps::forget(node, phase),
        Some(phase) => {
            steps::show_step(node, phase, None);
            node.driver_internal_info.remove(&format!("{}_step_index", phase.name()));
        }
        None => {}
    }
    if matches!(from, ProvisionState::Inspecting | ProvisionState::InspectWait) {
        node.inspection_started_at = None;
    }
    if matches!(from, ProvisionState::Rescuing | ProvisionState::RescueWait) {
        forget_rescue_password(node);
    }
    node.work = Work { tear_down: tears_down, boot, ..Work::default() };
    node.agent = AgentLink::default();
    node.driver_internal_info.remove("agent_url");
}

/// A rescue password is kept no longer than it is needed.
pub fn forget_rescue_password(node: &mut Node) {
    for key in ["rescue_password", "hashed_rescue_password"] {
        node.instance_info.remove(key);
    }
}

/// Cleaning and service set maintenance and a fault if they fail while a step runs (`conductor.md` §3, §4).
fn set_maintenance(node: &mut Node, from: ProvisionState, text: &str) {
    let fault = match phase_of(from) {
        Some(Phase::Clean) if node.clean_step.is_some() => Fault::Clean,
        Some(Phase::Service) if node.service_step.is_some() => Fault::Service,
        _ => return,
    };
    node.maintenance = true;
    node.maintenance_reason.get_or_insert_with(|| text.to_owned());
    node.fault = Some(fault);
}

/// `last_error`, in Ironic's words.
fn in_words(node: &Node, failure: &Failure) -> String {
    use ProvisionState as S;
    let text = failure.to_string();
    if matches!(failure, Failure::Steps(_) | Failure::TimedOut(_) | Failure::Aborted(_)) {
        return text;
    }
    let of_step = |phase: Phase, otherwise: &str| match steps::shown_step(node, phase) {
        Some(step) => {
            format!("Node {} failed step {}: {text}", node.uuid, wording::user_step(step, Some(step)))
        }
        None => format!("Failed to prepare node {} for {otherwise}: {text}", node.uuid),
    };
    match node.provision_state {
        S::Deploying | S::DeployWait => match &node.deploy_step {
            Some(step) => {
                let dot = if text.ends_with('.') { "" } else { "." };
                format!("Deploy step {} failed: {text}{dot}", step.full_name())
            }
            None => format!("Failed to prepare to deploy: {text}"),
        },
        S::Cleaning | S::CleanWait => of_step(Phase::Clean, "cleaning"),
        S::Servicing | S::ServiceWait => of_step(Phase::Service, "service"),
        S::Deleting => format!("Failed to tear down: {text}"),
        S::Rescuing | S::RescueWait => format!("Failed to rescue: {text}"),
        S::Unrescuing => format!("Failed to unrescue: {text}"),
        S::Adopting => format!("Error while attempting to adopt node {}: {text}.", node.uuid),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use model::step::Step;

    fn cleaning() -> Node {
        let mut node = Node::new(uuid::Uuid::nil(), "ipmi", Timestamp::UNIX_EPOCH);
        for event in [Event::Manage, Event::Done, Event::Clean] {
            node.apply(event, Timestamp::UNIX_EPOCH).unwrap();
        }
        node
    }

    #[test]
    fn only_a_step_that_ran_is_a_fault() {
        let mut node = cleaning();
        set_maintenance(&mut node, ProvisionState::Cleaning, "x");
        assert_eq!((node.maintenance, node.fault), (false, None));
        node.clean_step = Some(Step::core("bios", "factory_reset", 0));
        assert_eq!(
            in_words(&node, &Failure::last("broken")),
            format!(
                "Node {} failed step {{'interface': 'bios', 'step': 'factory_reset', 'abortable': False, 'priority': 0}}: broken",
                node.uuid
            )
        );
        set_maintenance(&mut node, ProvisionState::Cleaning, "x");
        assert_eq!((node.maintenance, node.fault), (true, Some(Fault::Clean)));
        abandon(&mut node, ProvisionState::Cleaning, false);
        assert_eq!(node.clean_step, None);
    }
}

//! What goes into a node's history, in Ironic's words (`conductor/utils.py`, `node_history_record` and `log_step_flow_history`).

use crate::Conductor;
use jiff::Timestamp;
use model::history::{HistoryEntry, Severity};
use model::node::{Node, Object};
use model::secret::is_secret_key;
use model::state::{Event, ProvisionState};
use model::step::Step;
use model::wording::repr;
use serde_json::{Value, json};
use uuid::Uuid;

/// An error; the caller puts the same text into `last_error`.
pub fn error(
    conductor: &Conductor,
    node: &Node,
    event_type: &str,
    text: &str,
    now: Timestamp,
) -> HistoryEntry {
    entry(conductor, node, Severity::Error, event_type, text.to_owned(), now)
}

/// An abort that took effect at once.
pub fn aborted(conductor: &Conductor, node: &Node, text: &str, now: Timestamp) -> HistoryEntry {
    entry(conductor, node, Severity::Info, event_type(node.provision_state), text.to_owned(), now)
}

/// The work of the node's state failed: the end of its steps, if one of them ran, and the error. Ask before the state changes.
pub fn failed(conductor: &Conductor, node: &Node, text: &str, now: Timestamp) -> Vec<HistoryEntry> {
    let mut out = Vec::new();
    let running = node.work.steps.get(node.work.next).filter(|_| node.work.started_at.is_some());
    if let (Some(flow), Some(step)) = (flow(node), running) {
        let text =
            format!("{} aborted at step '{}' with steps={}", flow.title, step.step, listed(&node.work.steps));
        out.push(entry(conductor, node, Severity::Error, &format!("{}_end", flow.name), text, now));
    }
    out.push(error(conductor, node, event_type(node.provision_state), text, now));
    out
}

/// The first of the node's steps is about to run.
pub fn steps_started(conductor: &Conductor, node: &Node, now: Timestamp) -> Option<HistoryEntry> {
    let flow = flow(node)?;
    let text = format!("Starting {} with steps={}", flow.name.replace('_', " "), listed(&node.work.steps));
    Some(entry(conductor, node, Severity::Info, &format!("{}_start", flow.name), text, now))
}

/// The node is about to leave its state by `event`: the end of its steps, if that is what the event says.
pub fn steps_ended(conductor: &Conductor, node: &Node, event: Event, now: Timestamp) -> Option<HistoryEntry> {
    if !matches!(event, Event::Done | Event::DoneManageable) || node.work.steps.is_empty() {
        return None;
    }
    let flow = flow(node)?;
    let text = format!("{} completed successfully with steps={}", flow.title, listed(&node.work.steps));
    Some(entry(conductor, node, Severity::Info, &format!("{}_end", flow.name), text, now))
}

fn entry(
    conductor: &Conductor,
    node: &Node,
    severity: Severity,
    event_type: &str,
    text: String,
    now: Timestamp,
) -> HistoryEntry {
    HistoryEntry::new(Uuid::new_v4(), node, conductor.hostname(), severity, event_type, text, now)
}

/// A list of steps that a state works through.
struct Flow {
    name: &'static str,
    title: &'static str,
}

fn flow(node: &Node) -> Option<Flow> {
    use ProvisionState as S;
    let manual = node.target_provision_state == Some(S::Manageable);
    let (name, title) = match node.provision_state {
        S::Cleaning | S::CleanWait if manual => ("manual_cleaning", "Manual Cleaning"),
        S::Cleaning | S::CleanWait => ("automated_cleaning", "Automated Cleaning"),
        S::Deploying | S::DeployWait => ("deployment", "Deployment"),
        S::Servicing | S::ServiceWait => ("servicing", "Servicing"),
        _ => return None,
    };
    Some(Flow { name, title })
}

/// Ironic's name for what goes on in a state.
fn event_type(state: ProvisionState) -> &'static str {
    use ProvisionState as S;
    match state {
        S::Deploying | S::DeployWait | S::DeployHold | S::DeployFailed => "deploying",
        S::Cleaning | S::CleanWait | S::CleanHold | S::CleanFailed => "cleaning",
        S::Servicing | S::ServiceWait | S::ServiceHold | S::ServiceFailed => "servicing",
        S::Verifying => "verify",
        S::Inspecting | S::InspectWait | S::InspectFailed => "introspection",
        S::Rescuing | S::RescueWait | S::RescueFailed | S::Unrescuing => "rescue",
        S::Deleting => "unprovision",
        S::Adopting => "adoption",
        _ => "UNKNOWN",
    }
}

/// Steps as Python would print them, secrets masked.
fn listed(steps: &[Step]) -> String {
    let shown: Vec<Value> = steps
        .iter()
        .map(|step| {
            json!({
                "interface": step.interface, "step": step.step, "priority": step.priority, "args": masked(&step.args)
            })
        })
        .collect();
    repr(&Value::Array(shown))
}

/// Arguments for people: what is named like a secret is not shown.
pub fn masked(arguments: &Object) -> Value {
    let shown = arguments.iter().map(|(key, value)| {
        let value = if is_secret_key(key) { Value::from("***") } else { value.clone() };
        (key.clone(), value)
    });
    Value::Object(shown.collect())
}

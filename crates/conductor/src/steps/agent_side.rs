//! Steps that the ramdisk carries out, and the list of those that it offers.

use super::command::command_once;
use super::{Progress, plan};
use crate::hardware;
use crate::outcome::Failure;
use crate::visit::Visit;
use model::agent::{AgentStep, ExecuteStepParams, GetStepsParams, Phase, StepCall, StepList};
use model::event::{EventKind, LogEvent};
use model::node::{InterfaceKind, Node, Object};
use model::secret::{MASK, is_secret_key};
use model::step::Step;
use serde_json::{Map, Value, json};

/// Runs one agent step.
pub async fn run(visit: &mut Visit<'_>, phase: Phase, step: &Step) -> Result<Progress, Failure> {
    let versions = visit
        .node
        .driver_internal_info
        .get("hardware_manager_version")
        .and_then(|value| serde_json::from_value(value.clone()).ok());
    let params = ExecuteStepParams {
        step: StepCall {
            step: step.step.clone(),
            interface: step.interface.clone(),
            priority: Some(step.priority),
            args: step.args.clone(),
            extra: Map::new(),
        },
        node: agent_view(&visit.node),
        ports: ports(visit).await?,
        versions,
    };
    let done = command_once(visit, &phase.execute_command(), params.to_params(phase)).await?;
    Ok(if done.is_some() { Progress::Done } else { Progress::Waiting })
}

/// Asks the agent which steps it offers, and decides anew what is to be done, now that everything on offer is known.
pub async fn merge_offered(visit: &mut Visit<'_>, phase: Phase) -> Result<(), Failure> {
    let started = visit.now();
    let params = json!(GetStepsParams { node: agent_view(&visit.node), ports: ports(visit).await? });
    let Value::Object(params) = params else { return Err(Failure::last("parameters are not an object")) };
    let result = visit.agent()?.command(&phase.get_command(), params, true).await?;
    if let Some(error) = &result.command_error {
        return Err(Failure::last(format!("Agent returned error for {}: {error}", phase.get_command())));
    }
    let list =
        StepList::from_result(phase, &result.command_result.unwrap_or(Value::Null)).map_err(|error| {
            Failure::last(format!("the agent's list of {} steps can't be read: {error}", phase.name()))
        })?;
    let mut offered: Vec<_> = list.steps.values().flatten().filter_map(in_band).collect();
    offered.retain(|step| takes_part(&visit.node, step));
    if phase == Phase::Clean {
        plan::prioritise(&mut offered, &visit.conductor.settings().clean_priorities);
    }
    let steps = super::decide(visit, phase, Some(offered)).await?;
    let now = visit.now();
    visit
        .edit(|edit| {
            let names: Vec<_> = steps.iter().map(Step::full_name).collect();
            let index = edit.node.work.next;
            let detail = names.get(index..).unwrap_or_default().join(", ");
            edit.events.push(
                LogEvent::new(Some(edit.node.uuid), started, EventKind::Agent, phase.get_command(), detail)
                    .until(now),
            );
            super::set_steps(&mut edit.node, phase, steps.clone());
            edit.node.driver_internal_info.insert("hardware_manager_version".into(), json!(list.versions));
            edit.node.work.agent_steps_known = true;
        })
        .await
}

/// A step of the agent's list. One that names no interface is the deploy interface's.
fn in_band(offer: &AgentStep) -> Option<Step> {
    if offer.step.is_empty() {
        return None;
    }
    let interface = if offer.interface.is_empty() { "deploy" } else { &offer.interface };
    let mut step = Step::core(interface, &offer.step, offer.priority);
    step.abortable = offer.abortable;
    step.in_band = true;
    step.reboot_requested = offer.reboot_requested;
    step.argsinfo = offer.argsinfo.as_ref().and_then(Value::as_object).cloned();
    step.requires_ramdisk = Some(true);
    Some(step)
}

/// The ramdisk's steps for the deploy interface are everybody's; those for RAID are for nodes whose RAID interface is the agent.
fn takes_part(node: &Node, step: &Step) -> bool {
    match step.interface.as_str() {
        "deploy" => true,
        "raid" => hardware::implementation(node, InterfaceKind::Raid) == "agent",
        _ => false,
    }
}

async fn ports(visit: &Visit<'_>) -> Result<Vec<Value>, Failure> {
    let ports = visit.conductor.store().ports_of_node(visit.node.uuid).await?;
    Ok(ports
        .iter()
        .map(|port| json!({"uuid": port.uuid, "address": port.address, "pxe_enabled": port.pxe_enabled}))
        .collect())
}

/// What an agent gets to know of its node: no BMC credentials, no secrets.
pub fn agent_view(node: &Node) -> Object {
    let mut view = Object::new();
    view.insert("uuid".into(), json!(node.uuid));
    view.insert("name".into(), json!(node.name));
    view.insert("driver".into(), json!(node.driver));
    view.insert("properties".into(), Value::Object(node.properties.clone()));
    view.insert("extra".into(), Value::Object(node.extra.clone()));
    view.insert("target_raid_config".into(), Value::Object(node.target_raid_config.clone()));
    view.insert("raid_config".into(), Value::Object(node.raid_config.clone()));
    for (key, object) in
        [("instance_info", &node.instance_info), ("driver_internal_info", &node.driver_internal_info)]
    {
        let mut object = object.clone();
        object
            .retain(|key, value| !is_secret_key(key) && key != "configdrive" && value.as_str() != Some(MASK));
        view.insert(key.into(), Value::Object(object));
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use uuid::Uuid;

    fn node() -> Node {
        Node::new(Uuid::nil(), "ipmi", Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_agent_sees_no_secrets() {
        let mut node = node();
        node.driver_info.insert("ipmi_password".into(), "calvin".into());
        node.instance_info.insert("image_pull_secret".into(), "s".into());
        node.instance_info.insert("image_source".into(), "http://x".into());
        let text = serde_json::to_string(&agent_view(&node)).unwrap();
        assert!(!text.contains("calvin") && !text.contains("image_pull_secret"), "{text}");
        assert!(text.contains("http://x"));
    }
}

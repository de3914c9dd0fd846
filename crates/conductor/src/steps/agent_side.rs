//! Steps that the ramdisk carries out, and the list of those that it offers.

use super::{Progress, command_once};
use crate::outcome::Failure;
use crate::visit::Visit;
use model::agent::{ExecuteStepParams, GetStepsParams, Phase, StepCall, StepList};
use model::event::{EventKind, LogEvent};
use model::node::{Node, Object};
use model::secret::{MASK, is_secret_key};
use model::step::{self, Step};
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

/// Asks the agent which steps it offers, and merges them with what is to be done.
///
/// Automated cleaning and deployment take every step with a priority above 0, sorted; what the user listed stays in the user's
/// order and must be among those offered.
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
    let offered: Vec<Step> = list
        .steps
        .values()
        .flatten()
        .map(|offer| Step {
            interface: if offer.interface.is_empty() { "deploy".to_owned() } else { offer.interface.clone() },
            step: offer.step.clone(),
            args: Map::new(),
            priority: offer.priority,
            abortable: offer.abortable,
            in_band: true,
            reboot_requested: offer.reboot_requested,
        })
        .collect();
    let steps = merge(&visit.node, &offered)?;
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
            edit.node.driver_internal_info.insert(format!("{}_steps", phase.name()), json!(steps));
            edit.node.driver_internal_info.insert("hardware_manager_version".into(), json!(list.versions));
            edit.node.work.steps = steps;
            edit.node.work.agent_steps_known = true;
        })
        .await
}

fn merge(node: &Node, offered: &[Step]) -> Result<Vec<Step>, Failure> {
    // The step that runs now keeps its place, whatever priorities the agent names.
    let fixed = (node.work.next + usize::from(node.work.started_at.is_some())).min(node.work.steps.len());
    let (done, ahead) = node.work.steps.split_at(fixed);
    let mut steps = ahead.to_vec();
    match &node.work.user_steps {
        Some(wanted) => {
            for user in wanted {
                let offer =
                    offered.iter().find(|offer| offer.interface == user.interface && offer.step == user.step);
                let Some(offer) = offer else {
                    let mut names: Vec<_> = offered.iter().map(Step::full_name).collect();
                    names.sort();
                    return Err(Failure::last(format!(
                        "Node does not support these steps: {}. The ramdisk offers: {}",
                        user.full_name(),
                        names.join(", ")
                    )));
                };
                steps.push(Step { args: user.args.clone(), ..offer.clone() });
            }
        }
        None => {
            steps.extend(offered.iter().filter(|step| step.priority > 0).cloned());
            step::sort(&mut steps);
        }
    }
    Ok([done, &steps].concat())
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

    fn offer(step: &str, priority: i64) -> Step {
        Step { in_band: true, ..Step::core("deploy", step, priority) }
    }

    fn node() -> Node {
        Node::new(Uuid::nil(), "ipmi", Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn automated_cleaning_takes_what_has_a_priority_in_its_order() {
        let offered =
            [offer("erase_devices", 10), offer("burnin_cpu", 0), offer("erase_devices_metadata", 99)];
        let names: Vec<_> = merge(&node(), &offered).unwrap().into_iter().map(|step| step.step).collect();
        assert_eq!(names, ["erase_devices_metadata", "erase_devices"]);
    }

    #[test]
    fn manual_cleaning_keeps_the_users_order_and_names_what_is_not_offered() {
        let offered = [offer("erase_devices", 10), offer("erase_devices_metadata", 99)];
        let mut node = node();
        node.work.user_steps = Some(vec![offer("erase_devices", 0), offer("erase_devices_metadata", 0)]);
        let names: Vec<_> = merge(&node, &offered).unwrap().into_iter().map(|step| step.step).collect();
        assert_eq!(names, ["erase_devices", "erase_devices_metadata"]);
        node.work.user_steps = Some(vec![offer("polish", 0)]);
        let error = merge(&node, &offered).unwrap_err().to_string();
        assert!(error.contains("deploy.polish") && error.contains("deploy.erase_devices"), "{error}");
    }

    #[test]
    fn steps_that_are_done_stay_done_when_the_agent_adds_its_own() {
        let mut node = node();
        node.work.steps = vec![Step::core("deploy", "deploy", 100), Step::core("deploy", "write_image", 80)];
        node.work.next = 1;
        let names: Vec<_> =
            merge(&node, &[offer("raise", 90)]).unwrap().into_iter().map(|step| step.step).collect();
        assert_eq!(names, ["deploy", "raise", "write_image"]);
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

//! From what is offered and what was asked for to what is done: pure rules (`conductor.md` §3, §4).
//!
//! The refusals are Ironic's (its `conductor/steps.py`), since people search for them.

use crate::wording;
use model::agent::Phase;
use model::deploy_template::DeployTemplate;
use model::step::{self, Step};
use std::collections::{BTreeMap, BTreeSet};

/// Puts the site's priorities over those of the offers, by `interface.step`.
pub fn prioritise(offered: &mut [Step], priorities: &BTreeMap<String, i64>) {
    for step in offered {
        if let Some(priority) = priorities.get(&step.full_name()) {
            step.priority = *priority;
        }
    }
}

/// Automated cleaning: every step with a priority, the highest first.
pub fn automated(offered: &[Step]) -> Vec<Step> {
    let mut steps: Vec<_> = offered.iter().filter(|step| step.priority > 0).cloned().collect();
    step::sort(&mut steps);
    steps
}

/// What a user listed for cleaning or service, in the user's order, each with what its offer says of it. The error is everything
/// that is wrong with the list.
pub fn listed(
    phase: Phase,
    wanted: &[Step],
    offered: &[Step],
    disable_ramdisk: bool,
) -> Result<Vec<Step>, String> {
    let mut errors = Vec::new();
    let mut steps = Vec::with_capacity(wanted.len());
    for user in wanted {
        // What children can do is theirs to say; the reserved ones need nobody's offer.
        if user.execute_on_child_nodes || user.is_reserved() {
            steps.push(Step { abortable: true, requires_ramdisk: Some(false), ..user.clone() });
            continue;
        }
        let Some(offer) = offered.iter().find(|offer| offer.is_same_as(user)) else {
            errors.push(not_supported(phase, user));
            continue;
        };
        check_arguments(phase, user, offer, &mut errors);
        if disable_ramdisk && offer.requires_ramdisk.unwrap_or(true) {
            errors.push(format!(
                "{} step {} requires booting a ramdisk",
                phase.name(),
                wording::user_step(user, None)
            ));
        }
        steps.push(Step { args: user.args.clone(), ..offer.clone() });
    }
    finish(steps, errors)
}

/// Do all of these do without the ramdisk?
pub fn need_no_ramdisk(steps: &[Step]) -> bool {
    steps.iter().all(|step| step.requires_ramdisk == Some(false))
}

/// What a deployment consists of: the driver's own steps, unless the user or a template says otherwise, and what these two add,
/// by priority. While the agent's steps are not known (`is_complete` false), what nobody offers yet is left out.
pub fn deployment(
    offered: &[Step],
    wanted: &[Step],
    templates: &[DeployTemplate],
    is_complete: bool,
) -> Result<Vec<Step>, String> {
    let of_templates: Vec<_> = templates.iter().flat_map(|template| &template.steps).cloned().collect();
    let names: Vec<_> = templates.iter().map(|template| template.name.as_str()).collect();
    let mut added = deploy_steps(offered, &of_templates, is_complete).map_err(|errors| {
        format!(
            "Validation of deploy steps from deploy templates matching this node's instance traits failed. Matching deploy \
             templates: {}. Errors: {errors}",
            names.join(",")
        )
    })?;
    let users = deploy_steps(offered, wanted, is_complete).map_err(|errors| {
        format!("Validation of deploy steps from \"deploy steps\" argument failed.{errors}")
    })?;
    added.retain(|step| !users.iter().any(|user| user.is_same_as(step)));
    added.extend(users);
    let mut steps: Vec<_> = offered
        .iter()
        .filter(|step| !added.iter().any(|other| other.is_same_as(step)))
        .chain(&added)
        .filter(|step| step.priority > 0)
        .cloned()
        .collect();
    step::sort(&mut steps);
    Ok(steps)
}

/// Steps of a template or of the verb's `deploy_steps`, each with its own priority.
fn deploy_steps(offered: &[Step], wanted: &[Step], is_complete: bool) -> Result<Vec<Step>, String> {
    let mut errors = Vec::new();
    let mut steps: Vec<Step> = Vec::with_capacity(wanted.len());
    let mut duplicates = BTreeSet::new();
    for user in wanted {
        if user.is_reserved() {
            steps.push(Step { abortable: true, requires_ramdisk: Some(false), ..user.clone() });
            continue;
        }
        let Some(offer) = offered.iter().find(|offer| offer.is_same_as(user)) else {
            if is_complete {
                errors.push(not_supported(Phase::Deploy, user));
            }
            continue;
        };
        check_arguments(Phase::Deploy, user, offer, &mut errors);
        if user.priority > 0 && user.interface == "deploy" && user.step == "deploy" {
            errors.push(
                "deploy step deploy on interface deploy is a core step and cannot be overridden by user steps. It may be \
                 disabled by setting the priority to 0"
                    .to_owned(),
            );
        }
        if steps.iter().any(|step| step.is_same_as(user)) {
            duplicates.insert(user.full_name());
        }
        steps.push(Step { args: user.args.clone(), priority: user.priority, ..offer.clone() });
    }
    if !duplicates.is_empty() {
        errors.push(format!(
            "deploy steps from all deploy templates matching this node's instance traits cannot have the same interface and \
             step. Duplicate deploy steps for {}",
            duplicates.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    finish(steps, errors)
}

fn finish(steps: Vec<Step>, errors: Vec<String>) -> Result<Vec<Step>, String> {
    if errors.is_empty() { Ok(steps) } else { Err(errors.join("; ")) }
}

fn not_supported(phase: Phase, user: &Step) -> String {
    format!("node does not support this {} step: {}", phase.name(), wording::user_step(user, None))
}

/// Are the arguments those that the step takes? Steps that say nothing of their arguments take none.
fn check_arguments(phase: Phase, user: &Step, offer: &Step, errors: &mut Vec<String>) {
    let none = Default::default();
    let known = offer.argsinfo.as_ref().unwrap_or(&none);
    let shown = |offer| wording::user_step(user, offer);
    let unexpected: Vec<_> =
        user.args.keys().filter(|name| !known.contains_key(*name)).map(String::as_str).collect();
    if !unexpected.is_empty() {
        errors.push(format!(
            "{} step {} has these unexpected arguments: {}",
            phase.name(),
            shown((phase != Phase::Deploy).then_some(offer)),
            unexpected.join(", ")
        ));
    }
    if phase == Phase::Deploy && user.priority == 0 {
        return;
    }
    let missing: Vec<_> = known
        .iter()
        .filter(|(name, info)| info["required"] == true && !user.args.contains_key(*name))
        .map(|(name, info)| match info["description"].as_str() {
            Some(description) => format!("{name} ({description})"),
            None => name.clone(),
        })
        .collect();
    if !missing.is_empty() {
        errors.push(format!(
            "{} step {} is missing these required arguments: {}",
            phase.name(),
            shown((phase != Phase::Deploy).then_some(offer)),
            missing.join(", ")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use serde_json::{Map, json};

    fn offer(interface: &str, step: &str, priority: i64) -> Step {
        let mut step = Step::core(interface, step, priority);
        step.requires_ramdisk = Some(true);
        step
    }

    fn with_argument(mut step: Step, name: &str, is_required: bool) -> Step {
        let mut info = Map::new();
        info.insert(name.to_owned(), json!({"description": "what", "required": is_required}));
        step.argsinfo = Some(info);
        step
    }

    fn names(steps: &[Step]) -> Vec<String> {
        steps.iter().map(Step::full_name).collect()
    }

    #[test]
    fn automated_cleaning_takes_what_has_a_priority_in_its_order() {
        let mut offered = [
            offer("deploy", "erase_devices", 10),
            offer("deploy", "burnin_cpu", 0),
            offer("vendor", "log", 10),
            offer("deploy", "erase_devices_metadata", 99),
        ];
        assert_eq!(
            names(&automated(&offered)),
            ["deploy.erase_devices_metadata", "vendor.log", "deploy.erase_devices"]
        );
        let priorities = [("deploy.erase_devices".to_owned(), 0), ("deploy.burnin_cpu".to_owned(), 200)];
        prioritise(&mut offered, &priorities.into());
        assert_eq!(
            names(&automated(&offered)),
            ["deploy.burnin_cpu", "deploy.erase_devices_metadata", "vendor.log"]
        );
    }

    #[test]
    fn a_users_list_keeps_its_order_and_its_reserved_steps() {
        let offered = [offer("deploy", "b", 10), with_argument(offer("bios", "a", 0), "x", false)];
        let mut second = offer("bios", "a", 5);
        second.args.insert("x".into(), json!(1));
        let wanted = [offer("power", "hold", 0), offer("deploy", "b", 0), second.clone()];
        let steps = listed(Phase::Clean, &wanted, &offered, false).unwrap();
        assert_eq!(names(&steps), ["power.hold", "deploy.b", "bios.a"]);
        assert_eq!((steps[1].priority, &steps[2].args), (10, &second.args));
        assert!(!need_no_ramdisk(&steps) && need_no_ramdisk(&steps[..1]));
    }

    #[test]
    fn everything_wrong_with_a_list_is_said_in_ironics_words() {
        let offered = [with_argument(offer("bios", "apply", 0), "settings", true), offer("vendor", "log", 1)];
        let mut log = offer("vendor", "log", 0);
        log.args.insert("a".into(), json!(1));
        let wanted = [offer("bios", "apply", 0), offer("deploy", "nope", 0), log];
        assert_eq!(
            listed(Phase::Clean, &wanted, &offered, false).unwrap_err(),
            "clean step {'interface': 'bios', 'step': 'apply', 'abortable': False, 'priority': 0} is missing these required \
             arguments: settings (what); node does not support this clean step: {'interface': 'deploy', 'step': 'nope'}; clean \
             step {'interface': 'vendor', 'step': 'log', 'args': {'a': 1}, 'abortable': False, 'priority': 1} has these \
             unexpected arguments: a"
        );
        assert_eq!(
            listed(Phase::Clean, &[offer("vendor", "log", 0)], &offered, true).unwrap_err(),
            "clean step {'interface': 'vendor', 'step': 'log'} requires booting a ramdisk"
        );
    }

    #[test]
    fn a_deployment_is_the_drivers_steps_with_the_users_over_the_templates() {
        let offered =
            [offer("deploy", "deploy", 100), offer("deploy", "write", 80), offer("raid", "apply", 0)];
        let template = DeployTemplate {
            uuid: uuid::Uuid::nil(),
            name: "CUSTOM_X".into(),
            steps: vec![offer("raid", "apply", 90), offer("deploy", "write", 0)],
            extra: Map::new(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: None,
        };
        let steps = deployment(&offered, &[], std::slice::from_ref(&template), true).unwrap();
        assert_eq!(names(&steps), ["deploy.deploy", "raid.apply"], "priority 0 disables");
        let steps =
            deployment(&offered, &[offer("deploy", "write", 70)], std::slice::from_ref(&template), true)
                .unwrap();
        assert_eq!(names(&steps), ["deploy.deploy", "raid.apply", "deploy.write"]);
        let unknown = [offer("bios", "later", 85)];
        assert_eq!(deployment(&offered, &unknown, &[], false).unwrap().len(), 2);
        assert!(
            deployment(&offered, &unknown, &[], true).unwrap_err().starts_with(
                "Validation of deploy steps from \"deploy steps\" argument failed.node does not"
            )
        );
        let twice = [offer("raid", "apply", 5), offer("raid", "apply", 6)];
        assert!(deployment(&offered, &twice, &[], true).unwrap_err().contains("Duplicate deploy steps for"));
        assert!(deployment(&offered, &[offer("deploy", "deploy", 50)], &[], true).is_err());
    }
}

//! Steps as clients write them: with a verb, in a deploy template, in a runbook.

use super::fields::keep_masked;
use super::schema::{ARRAY, BOOLEAN, INTEGER, OBJECT, Property, STRING, check_value, limited, property};
use crate::args::parse_uuid;
use crate::error::ApiError;
use model::step::Step;
use serde_json::Value;

/// Interfaces that have steps.
const INTERFACES: &[&str] = &["vendor", "power", "management", "firmware", "deploy", "bios", "raid"];

const INTERFACE: Property = property("interface", STRING).one_of(INTERFACES);
const STEP: Property = limited("step", STRING, 1, usize::MAX);
const ARGS: Property = property("args", OBJECT);

/// An integer of 0 or more, also as digits in a text; [`whole`] reads it.
pub const fn rank(name: &'static str) -> Property {
    property(name, INTEGER.or(STRING)).range(0, i64::MAX).pattern("^[0-9]+$", is_digits)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A step of `clean_steps` and `service_steps`.
pub const USER_STEP: Property = property("", OBJECT).keys(
    &[
        INTERFACE,
        STEP,
        ARGS,
        rank("order"),
        property("execute_on_child_nodes", BOOLEAN),
        property("limit_child_node_execution", ARRAY).items(&property("", STRING)),
    ],
    &["interface", "step"],
);

/// A step of `deploy_steps` and of deploy templates.
pub const DEPLOY_STEP: Property = property("", OBJECT)
    .keys(&[INTERFACE, STEP, ARGS, rank("priority")], &["interface", "step", "args", "priority"]);

/// A step of a runbook.
pub const RUNBOOK_STEP: Property =
    property("", OBJECT).keys(&[INTERFACE, STEP, ARGS, rank("order")], &["interface", "step", "order"]);

/// Reads one step of a shape, and its order; the error is what is wrong with it.
pub fn read_step(item: &Value, shape: &Property) -> Result<(Step, i64), String> {
    check_value(item, shape)?;
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = text("step");
    let mut step = Step::core(text("interface"), name, number(item, "priority")?);
    step.args = item.get("args").and_then(Value::as_object).cloned().unwrap_or_default();
    step.execute_on_child_nodes = item.get("execute_on_child_nodes") == Some(&Value::Bool(true));
    let children = item.get("limit_child_node_execution").and_then(Value::as_array);
    for child in children.into_iter().flatten() {
        let child = child.as_str().filter(|text| !step.execute_on_child_nodes || parse_uuid(text).is_some());
        let Some(child) = child else {
            return Err(format!(
                "Invalid entry detected for execute_on_child_node parameter in step {name}."
            ));
        };
        step.limit_child_node_execution.push(child.to_owned());
    }
    Ok((step, number(item, "order")?))
}

fn number(item: &Value, key: &str) -> Result<i64, String> {
    item.get(key).map_or(Ok(0), |value| whole(value).ok_or_else(|| format!("{value} is too large")))
}

/// A whole number or its digits; `None` where it is too large.
pub fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        #[expect(clippy::cast_possible_truncation, reason = "a whole number by its schema; saturates")]
        other => other.as_i64().or_else(|| other.as_f64().map(|float| float as i64)),
    }
}

/// Reads the steps of a template or a runbook, whose schema has been checked, each with its order. The same step twice is refused.
pub fn read_steps(value: &Value, shape: &Property) -> Result<Vec<(Step, i64)>, ApiError> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut steps: Vec<(Step, i64)> = Vec::with_capacity(items.len());
    let mut doubles: Vec<String> = Vec::new();
    for item in items {
        let (step, order) = read_step(item, shape).map_err(ApiError::invalid)?;
        let double = format!("interface: {}, step: {}", step.interface, step.step);
        if steps.iter().any(|(other, _)| other.interface == step.interface && other.step == step.step)
            && !doubles.contains(&double)
        {
            doubles.push(double);
        }
        steps.push((step, order));
    }
    if doubles.is_empty() {
        return Ok(steps);
    }
    // Ironic says this of runbooks too.
    Err(ApiError::invalid(format!(
        "Deploy template invalid: Duplicate deploy steps. A template cannot have multiple deploy steps with the same interface \
         and step. Duplicates: {}.",
        doubles.join("; ")
    )))
}

/// Where a client wrote masks back into a step's arguments, those of the same step as stored stay.
pub fn keep_masked_args<'a>(step: &mut Step, mut stored: impl Iterator<Item = &'a Step>) {
    if let Some(same) = stored.find(|old| old.interface == step.interface && old.step == step.step) {
        keep_masked(&mut step.args, &same.args);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn steps_are_checked_by_kind() {
        let good = json!({"interface": "deploy", "step": "erase_devices_metadata", "args": {"x": 1}});
        let (step, _) = read_step(&good, &USER_STEP).unwrap();
        assert_eq!(step.full_name(), "deploy.erase_devices_metadata");
        assert_eq!(step.args, *json!({"x": 1}).as_object().unwrap());
        assert_eq!(read_step(&good, &DEPLOY_STEP).unwrap_err(), "'priority' is a required property");
        assert_eq!(read_step(&good, &RUNBOOK_STEP).unwrap_err(), "'order' is a required property");
        let deploy = json!({"interface": "raid", "step": "x", "args": {}, "priority": "80"});
        assert_eq!(read_step(&deploy, &DEPLOY_STEP).unwrap().0.priority, 80);
        let ordered = json!({"interface": "raid", "step": "x", "order": 7.0});
        assert_eq!(read_step(&ordered, &RUNBOOK_STEP).unwrap().1, 7);
        for bad in [
            json!("x"),
            json!({"interface": "deploy"}),
            json!({"interface": "network", "step": "x"}),
            json!({"interface": "deploy", "step": ""}),
            json!({"interface": "deploy", "step": 1}),
            json!({"interface": "deploy", "step": "x", "args": []}),
            json!({"interface": "deploy", "step": "x", "extra": 1}),
            json!({"interface": "deploy", "step": "x", "order": -1}),
            json!({"interface": "deploy", "step": "x", "order": ""}),
            json!({"interface": "deploy", "step": "x", "order": "99999999999999999999"}),
            json!({"interface": "deploy", "step": "x", "order": null}),
            json!({"interface": "deploy", "step": "x", "execute_on_child_nodes": "yes"}),
            json!({"interface": "deploy", "step": "x", "execute_on_child_nodes": true,
                   "limit_child_node_execution": ["not-a-uuid"]}),
        ] {
            assert!(read_step(&bad, &USER_STEP).is_err(), "{bad}");
        }
    }
}

//! Applying rules to a node: conditions, actions, loops.

use super::actions::act;
use super::arguments::{named, signature};
use super::attributes::view;
use super::conditions::holds;
use super::format::{Context, fill};
use super::{InspectionRule, Operation};
use crate::node::Node;
use crate::port::Port;
use serde_json::Value;

/// What rules said and did, for the node's history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Log {
    /// Line by line.
    pub lines: Vec<Line>,
}

/// One line of a [`Log`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `debug`, `info`, `warning`, `error`, `critical`.
    pub level: &'static str,
    /// What was said.
    pub text: String,
}

/// Why the inspection fails. The texts become the node's `last_error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A rule said so, by its action `fail`.
    #[error("Failed to inspect hardware. Reason: {0}")]
    Failed(String),
    /// A condition has no answer.
    #[error("Inspection rule condition check failed. Reason: {0}")]
    Condition(String),
    /// An action can't be carried out.
    #[error("Inspection rule action execution failed. Reason: {0}")]
    Action(String),
    /// The rule itself can't be carried out.
    #[error("Inspection rule execution failed. Reason: {0}")]
    Invalid(String),
}

impl RuleError {
    pub(super) fn action(why: String) -> Self {
        RuleError::Action(why)
    }
}

/// What actions work on.
pub(super) struct Subject<'a> {
    pub node: &'a mut Node,
    pub ports: &'a mut [Port],
    pub plugin_data: &'a mut Value,
    pub log: Log,
}

impl Subject<'_> {
    pub fn warn(&mut self, text: String) {
        self.log.lines.push(Line { level: "warning", text });
    }
}

/// Applies rules, in the order given, to a node, its ports, and the data of an inspection.
///
/// The first error ends it, and means that the inspection failed; what was changed before it stays changed, as in Ironic. Secrets in
/// what conditions and texts see are masked, whether `node` carries them open or not.
pub fn apply(
    rules: &[InspectionRule],
    node: &mut Node,
    ports: &mut [Port],
    inventory: &Value,
    plugin_data: &mut Value,
) -> Result<Log, RuleError> {
    let mut subject = Subject { node, ports, plugin_data, log: Log::default() };
    for rule in rules {
        let mut all_hold = true;
        for condition in &rule.conditions {
            if !check(condition, &subject, inventory)? {
                all_hold = false;
                break;
            }
        }
        if !all_hold {
            continue;
        }
        let label = rule.description.clone().unwrap_or_else(|| rule.uuid.to_string());
        let line = Line { level: "info", text: format!("Inspection rule {label} applies") };
        subject.log.lines.push(line);
        for action in &rule.actions {
            carry_out(action, &mut subject, inventory)?;
        }
    }
    Ok(subject.log)
}

/// The items of a loop; an object is one item.
fn items(items: &Value) -> &[Value] {
    match items {
        Value::Array(list) => list,
        other => std::slice::from_ref(other),
    }
}

/// Does a condition hold, over its loop if it has one?
fn check(condition: &Operation, subject: &Subject<'_>, inventory: &Value) -> Result<bool, RuleError> {
    let Some(looped) = condition.looped() else { return check_once(condition, subject, inventory, None) };
    let multiple = condition.multiple.as_deref().unwrap_or("any");
    let mut results = Vec::new();
    for item in items(looped) {
        let result = check_once(condition, subject, inventory, Some(item))?;
        match multiple {
            "first" if result => return Ok(true),
            "last" => results = vec![result],
            _ => results.push(result),
        }
    }
    Ok(match multiple {
        "any" => results.contains(&true),
        "all" => !results.contains(&false),
        _ => results.first().copied().unwrap_or(false),
    })
}

fn check_once(
    condition: &Operation,
    subject: &Subject<'_>,
    inventory: &Value,
    item: Option<&Value>,
) -> Result<bool, RuleError> {
    let (op, inverted) = condition.operator();
    let args = filled(condition, op, subject, inventory, item)?;
    // Within a loop, filling in makes texts of numbers.
    let result = holds(op, &args, item.is_some()).map_err(RuleError::Condition)?;
    Ok(result != inverted)
}

fn carry_out(action: &Operation, subject: &mut Subject<'_>, inventory: &Value) -> Result<(), RuleError> {
    let op = action.op.as_str();
    let Some(looped) = action.looped() else {
        let args = filled(action, op, subject, inventory, None)?;
        return act(op, &args, subject);
    };
    for item in items(looped) {
        let args = filled(action, op, subject, inventory, Some(item))?;
        act(op, &args, subject)?;
    }
    Ok(())
}

/// An operation's arguments by name, filled in where they are to be.
fn filled(
    operation: &Operation,
    op: &str,
    subject: &Subject<'_>,
    inventory: &Value,
    item: Option<&Value>,
) -> Result<serde_json::Map<String, Value>, RuleError> {
    let signature =
        signature(op).ok_or_else(|| RuleError::Invalid(format!("Unsupported operator: '{op}'.")))?;
    let mut args = named(&signature, &operation.args).map_err(RuleError::Invalid)?;
    let node = view(subject.node);
    let context = Context { node: &node, inventory, plugin_data: subject.plugin_data, item };
    for (name, value) in &mut args {
        if item.is_some() || signature.formatted.contains(&name.as_str()) {
            *value = fill(value, context, op);
        }
    }
    Ok(args)
}

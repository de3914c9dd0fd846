//! An inspection rule: what is to be done with a node when what its inspection found meets some conditions.
//!
//! Rules are written by operators, what they are applied to comes from a ramdisk: so nothing of an inventory is ever taken for a
//! rule's text ([`format`]), and regular expressions are bounded in size and run in linear time.

mod actions;
mod apply;
mod arguments;
mod attributes;
mod conditions;
mod format;
#[cfg(test)]
mod tests;

pub use apply::{Line, Log, RuleError, apply};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// An inspection rule as stored. Field names are the API's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InspectionRule {
    /// Identity.
    pub uuid: Uuid,
    /// For people.
    pub description: Option<String>,
    /// Higher goes first.
    #[serde(default)]
    pub priority: i64,
    /// When it is looked at; `main` is all there is.
    pub phase: Option<String>,
    /// Conditions and actions are never shown.
    #[serde(default)]
    pub sensitive: bool,
    /// All of them must hold.
    #[serde(default)]
    pub conditions: Vec<Operation>,
    /// Carried out one after another.
    pub actions: Vec<Operation>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

/// One condition or action, as the user wrote it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Its name; a condition's may be inverted by a leading `!`.
    pub op: String,
    /// Its arguments, by name or in order.
    pub args: Value,
    /// Items over which it is repeated, each known as `item`.
    #[serde(rename = "loop", default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Value>,
    /// What counts among a condition's results over `items`: `any`, `all`, `first`, `last`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiple: Option<String>,
}

/// Operators of conditions.
pub const CONDITIONS: &[&str] = &[
    "eq", "lt", "gt", "is-empty", "in-net", "matches", "contains", "one-of", "is-none", "is-true", "is-false",
];

/// Operators of actions.
pub const ACTIONS: &[&str] = &[
    "fail",
    "log",
    "set-attribute",
    "extend-attribute",
    "del-attribute",
    "set-capability",
    "unset-capability",
    "add-trait",
    "remove-trait",
    "set-plugin-data",
    "extend-plugin-data",
    "unset-plugin-data",
    "set-port-attribute",
    "extend-port-attribute",
    "del-port-attribute",
    "api-call",
];

/// What may count among the results of a condition over a loop.
pub const MULTIPLE: &[&str] = &["any", "all", "first", "last"];

impl Operation {
    /// The items of the loop; an empty loop is none.
    pub fn looped(&self) -> Option<&Value> {
        self.items.as_ref().filter(|items| match items {
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            _ => false,
        })
    }

    /// The operator without its `!`, and whether it had one.
    fn operator(&self) -> (&str, bool) {
        let op = self.op.trim();
        op.strip_prefix('!').map_or((op, false), |rest| (rest.trim(), true))
    }
}

impl InspectionRule {
    /// What is wrong with the operations' arguments, one sentence each; nothing where the rule can be applied.
    pub fn faults(&self) -> Vec<String> {
        let of_conditions =
            self.conditions.iter().filter_map(|condition| arguments::fault(condition, "condition"));
        let of_actions = self.actions.iter().filter_map(|action| arguments::fault(action, "action"));
        of_conditions.chain(of_actions).collect()
    }
}

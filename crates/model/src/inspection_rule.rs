//! An inspection rule: what is to be done with a node when what its inspection found meets some conditions.

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

//! A chassis: what nodes may be grouped by, for people.

use crate::node::Object;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A chassis as stored. Field names are the API's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chassis {
    /// Identity.
    pub uuid: Uuid,
    /// For people.
    pub description: Option<String>,
    /// Free for the operator.
    #[serde(default)]
    pub extra: Object,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

impl Chassis {
    /// A chassis that nothing is said about yet.
    pub fn new(uuid: Uuid, now: Timestamp) -> Self {
        Self { uuid, description: None, extra: Object::new(), created_at: now, updated_at: None }
    }
}

//! A deploy template: steps that are added to the deployment of every instance that asks for the trait of its name.

use crate::node::Object;
use crate::step::Step;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A deploy template as stored. Field names are the API's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeployTemplate {
    /// Identity.
    pub uuid: Uuid,
    /// Unique name: the trait that chooses it.
    pub name: String,
    /// What is to be done, each with its priority.
    pub steps: Vec<Step>,
    /// Free for the operator.
    #[serde(default)]
    pub extra: Object,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

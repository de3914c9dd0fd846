//! Groups of users.

use super::Extra;
use serde::{Deserialize, Serialize};

/// Users that are given roles together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Identity.
    pub id: String,
    /// Name, unique within the domain.
    pub name: String,
    /// The domain.
    pub domain_id: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Other attributes.
    #[serde(flatten)]
    pub extra: Extra,
}

//! Application credentials: what a program logs in with in its user's place, for one project and with some of the user's roles.

use super::Extra;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A role as credentials and tokens name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleName {
    /// Identity.
    pub id: String,
    /// Name.
    pub name: String,
}

/// An application credential; its secret's digest is kept beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApplicationCredential {
    /// Identity.
    pub id: String,
    /// Name, unique among its user's.
    pub name: String,
    /// Whose it is.
    pub user_id: String,
    /// What its tokens are for.
    pub project_id: String,
    /// For people.
    pub description: Option<String>,
    /// When it ends; none: never.
    pub expires_at: Option<Timestamp>,
    /// What its tokens may do, as long as the user may.
    pub roles: Vec<RoleName>,
    /// May make further credentials.
    #[serde(default)]
    pub unrestricted: bool,
    /// Other attributes.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ApplicationCredential {
    /// Has its time passed?
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

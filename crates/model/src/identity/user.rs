//! Users.

use super::{Extra, yes};
use serde::{Deserialize, Serialize};

/// Somebody, or something, that can get a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Identity.
    pub id: String,
    /// Name, unique within the domain.
    pub name: String,
    /// The domain.
    pub domain_id: String,
    /// A disabled user gets no token, and those it has are void.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The project of tokens for which nobody names a scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_project_id: Option<String>,
    /// Never set: passwords don't expire here. Clients read it.
    #[serde(default)]
    pub password_expires_at: Option<String>,
    /// Keystone's options; kept and shown.
    #[serde(default)]
    pub options: Extra,
    /// Other attributes: `description`, `email` …
    #[serde(flatten)]
    pub extra: Extra,
}

impl User {
    /// An enabled user of that name.
    pub fn new(id: impl Into<String>, name: impl Into<String>, domain_id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            domain_id: domain_id.into(),
            enabled: true,
            default_project_id: None,
            password_expires_at: None,
            options: Extra::new(),
            extra: Extra::new(),
        }
    }
}

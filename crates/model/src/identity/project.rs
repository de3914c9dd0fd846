//! Domains and projects. A domain is a project that acts as one in Keystone; here they are kept apart, since nothing is ever both.

use super::{Extra, yes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A realm of names: users, groups and projects are unique within their domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Domain {
    /// Identity.
    pub id: String,
    /// Unique name.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Nobody of a disabled domain can log in.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Free for the operator.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Keystone's options (`immutable`).
    #[serde(default)]
    pub options: Extra,
    /// Other attributes.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What owns servers, images and networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Identity.
    pub id: String,
    /// Name, unique within the domain.
    pub name: String,
    /// The domain.
    pub domain_id: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// No tokens for a disabled project.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The project above it; the domain where there is none.
    pub parent_id: String,
    /// Always false: domains are no projects here. Clients read it.
    #[serde(default)]
    pub is_domain: bool,
    /// Free for the operator.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Keystone's options (`immutable`).
    #[serde(default)]
    pub options: Extra,
    /// Other attributes.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Domain {
    /// A domain of that name.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            description: String::new(),
            enabled: true,
            tags: BTreeSet::new(),
            options: Extra::new(),
            extra: Extra::new(),
        }
    }
}

impl Project {
    /// A project right below its domain.
    pub fn new(id: impl Into<String>, name: impl Into<String>, domain_id: impl Into<String>) -> Self {
        let domain_id = domain_id.into();
        Self {
            id: id.into(),
            name: name.into(),
            parent_id: domain_id.clone(),
            domain_id,
            description: String::new(),
            enabled: true,
            is_domain: false,
            tags: BTreeSet::new(),
            options: Extra::new(),
            extra: Extra::new(),
        }
    }

    /// Has no project above it.
    pub fn is_root(&self) -> bool {
        self.parent_id == self.domain_id
    }
}

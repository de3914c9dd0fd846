//! Who there is and who may do what where: domains, projects, users, groups, roles and their assignments, and the catalog of services.
//!
//! The words and the fields are Keystone's (Identity API v3). What is stored is what its API shows, so a document is rendered by
//! serialising it; attributes that Keystone doesn't know are kept in `extra`, as Keystone keeps them. Passwords are no part of a user's
//! document: the store holds them beside it.

pub mod application_credential;
pub mod assignment;
pub mod bootstrap;
pub mod catalog;
pub mod group;
pub mod project;
pub mod role;
pub mod token;
pub mod user;

pub use application_credential::{ApplicationCredential, RoleName};
pub use assignment::{Actor, Assignment, Scope, effective_roles};
pub use catalog::{Endpoint, Interface, Region, Service};
pub use group::Group;
pub use project::{Domain, Project};
pub use role::{ImpliedRole, Role, implied_closure};
pub use token::Claims;
pub use user::User;

use uuid::Uuid;

/// Attributes that a resource carries besides those that Keystone defines.
pub type Extra = serde_json::Map<String, serde_json::Value>;

/// The domain that every Keystone has from the start.
pub const DEFAULT_DOMAIN: &str = "default";

/// An identifier as Keystone makes them: 32 hex digits.
pub fn id_from(uuid: Uuid) -> String {
    uuid.simple().to_string()
}

/// What serde fills in for a missing `enabled`.
pub(crate) const fn yes() -> bool {
    true
}

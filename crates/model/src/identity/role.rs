//! Roles, and which imply which.

use super::Extra;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A role. What it allows is the services' matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// Identity.
    pub id: String,
    /// Name, unique among the roles of its domain, or among those of none.
    pub name: String,
    /// The domain that it is confined to, if it is.
    pub domain_id: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Keystone's options (`immutable`).
    #[serde(default)]
    pub options: Extra,
    /// Other attributes.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Role {
    /// A role of no domain.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            domain_id: None,
            description: None,
            options: Extra::new(),
            extra: Extra::new(),
        }
    }
}

/// Who has `prior` has `implied` too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImpliedRole {
    /// Identity of the role that implies.
    pub prior: String,
    /// Identity of the role that is implied.
    pub implied: String,
}

/// Role ids with all that they imply, directly or not. Rules that go in a circle end it.
pub fn implied_closure(roles: impl IntoIterator<Item = String>, rules: &[ImpliedRole]) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = BTreeSet::new();
    let mut open: Vec<String> = roles.into_iter().collect();
    while let Some(role) = open.pop() {
        let implied = rules.iter().filter(|rule| rule.prior == role).map(|rule| rule.implied.clone());
        let implied: Vec<_> = implied.collect();
        if all.insert(role) {
            open.extend(implied);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implied_roles_are_followed_to_the_end_and_circles_end() {
        let rule = |prior: &str, implied: &str| ImpliedRole { prior: prior.into(), implied: implied.into() };
        let rules =
            [rule("admin", "member"), rule("member", "reader"), rule("reader", "admin"), rule("x", "y")];
        let all = implied_closure(["member".to_owned()], &rules);
        assert_eq!(all.into_iter().collect::<Vec<_>>(), ["admin", "member", "reader"]);
        assert_eq!(implied_closure(["lonely".to_owned()], &rules).len(), 1);
    }
}

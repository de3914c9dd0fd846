//! Who has which role where.

use super::{ImpliedRole, implied_closure};
use std::collections::BTreeSet;

/// Who has a role.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Actor {
    /// A user, by id.
    User(String),
    /// A group, by id: each of its members.
    Group(String),
}

/// What a role, or a token, is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// A project, by id.
    Project(String),
    /// A domain, by id.
    Domain(String),
    /// The whole site.
    System,
}

/// A role that somebody has somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Assignment {
    /// Who.
    pub actor: Actor,
    /// Where.
    pub scope: Scope,
    /// The role's id.
    pub role_id: String,
    /// Counts not there but in the projects below (`OS-INHERIT`).
    pub inherited: bool,
}

impl Assignment {
    /// A role at a place itself.
    pub fn new(actor: Actor, scope: Scope, role_id: impl Into<String>) -> Self {
        Self { actor, scope, role_id: role_id.into(), inherited: false }
    }
}

/// The ids of the roles that count at a scope, out of all assignments of a user and the user's groups.
///
/// `above` is what the project lies below: its parent projects and its domain. Roles that are implied are among them.
pub fn effective_roles(
    assignments: &[Assignment],
    scope: &Scope,
    above: &[Scope],
    rules: &[ImpliedRole],
) -> BTreeSet<String> {
    let counts = |assignment: &&Assignment| {
        if assignment.inherited { above.contains(&assignment.scope) } else { assignment.scope == *scope }
    };
    implied_closure(assignments.iter().filter(counts).map(|assignment| assignment.role_id.clone()), rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inherited_counts_below_and_not_there() {
        let user = || Actor::User("u".into());
        let at = |scope: Scope, role: &str, inherited| Assignment {
            inherited,
            ..Assignment::new(user(), scope, role)
        };
        let (project, domain) = (Scope::Project("p".into()), Scope::Domain("d".into()));
        let all = [
            at(project.clone(), "member", false),
            at(project.clone(), "below", true),
            at(domain.clone(), "inherited", true),
            at(domain.clone(), "of-the-domain", false),
            at(Scope::System, "operator", false),
        ];
        let roles = |scope: &Scope, above: &[Scope]| {
            effective_roles(&all, scope, above, &[]).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(roles(&project, std::slice::from_ref(&domain)), ["inherited", "member"]);
        assert_eq!(roles(&domain, &[]), ["of-the-domain"]);
        assert_eq!(roles(&Scope::System, &[]), ["operator"]);
        assert_eq!(roles(&Scope::Project("q".into()), &[project, domain]), ["below", "inherited"]);
    }
}

//! Who may do what: Ironic's rules over the caller and what the call is aimed at.
//!
//! A rule is a small expression of constants; [`rules`] is the table of all. Nothing here reads a clock, a database or a request: who
//! the caller is comes from [`crate::auth`], whose the target is comes from the resource, and what a refusal looks like is
//! [`crate::authorize`]'s.

pub mod rules;

pub use rules::find;

/// Roles that rules ask for. Keystone hands out implied roles with the token, so `admin` comes with the three below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// All of a scope.
    Admin,
    /// Between admin and member: also over what one leases.
    Manager,
    /// Uses things.
    Member,
    /// Sees things.
    Reader,
    /// Another service of the cloud.
    Service,
    /// The operator's role of clouds from before system scope.
    BaremetalAdmin,
}

impl Role {
    const ALL: [Self; 6] =
        [Role::Admin, Role::Manager, Role::Member, Role::Reader, Role::Service, Role::BaremetalAdmin];

    /// The role's name in Keystone.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Manager => "manager",
            Role::Member => "member",
            Role::Reader => "reader",
            Role::Service => "service",
            Role::BaremetalAdmin => "baremetal_admin",
        }
    }
}

/// A set of roles. Those that no rule asks for are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u8);

impl Roles {
    /// Reads names; case doesn't count, as in oslo.policy.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().fold(Self::default(), |roles, name| {
            match Role::ALL.iter().find(|role| role.as_str().eq_ignore_ascii_case(name)) {
                Some(role) => roles.with(*role),
                None => roles,
            }
        })
    }

    /// The set with one more role.
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | 1 << role as u8)
    }

    /// Is the role in it?
    pub const fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }
}

/// What rules look at of a caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// Roles within the scope.
    pub roles: Roles,
    /// The whole system is the scope, not one project.
    pub system: bool,
    /// The project that the token is for.
    pub project: Option<String>,
    /// The project is the one of the cloud's own services, which Ironic's `service_role` elevates.
    pub service_project: bool,
    /// The project is one of those that hosted bare metal before system scope (`is_member` in Ironic).
    pub legacy_project: bool,
    /// Keystone calls the project its admin project.
    pub admin_project: bool,
}

/// Whose the thing is that a call is aimed at; parts that don't apply are absent and match nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Target<'a> {
    /// Project that owns the node.
    pub node_owner: Option<&'a str>,
    /// Project that uses the node.
    pub node_lessee: Option<&'a str>,
    /// Project that owns the allocation.
    pub allocation_owner: Option<&'a str>,
    /// Project that owns the runbook.
    pub runbook_owner: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Nothing in particular.
    pub const NONE: Target<'static> =
        Target { node_owner: None, node_lessee: None, allocation_owner: None, runbook_owner: None };

    /// A node, or what belongs to it.
    pub fn node(node: &'a model::node::Node) -> Self {
        Self { node_owner: node.owner.as_deref(), node_lessee: node.lessee.as_deref(), ..Self::NONE }
    }

    /// An allocation of this project.
    pub fn allocation(owner: Option<&'a str>) -> Self {
        Self { allocation_owner: owner, ..Self::NONE }
    }

    /// A runbook of this project.
    pub fn runbook(owner: Option<&'a str>) -> Self {
        Self { runbook_owner: owner, ..Self::NONE }
    }

    fn holder(&self, part: Part) -> Option<&'a str> {
        match part {
            Part::NodeOwner => self.node_owner,
            Part::NodeLessee => self.node_lessee,
            Part::AllocationOwner => self.allocation_owner,
            Part::RunbookOwner => self.runbook_owner,
        }
    }
}

/// A part of a target that names a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// [`Target::node_owner`].
    NodeOwner,
    /// [`Target::node_lessee`].
    NodeLessee,
    /// [`Target::allocation_owner`].
    AllocationOwner,
    /// [`Target::runbook_owner`].
    RunbookOwner,
}

/// An expression over caller and target.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// Everybody.
    Everybody,
    /// The caller has this role.
    Has(Role),
    /// The caller's scope is the system.
    System,
    /// The caller's project is the cloud's service project.
    ServiceProject,
    /// The caller's project is a legacy one, see [`Credentials::legacy_project`].
    LegacyProject,
    /// The caller's project is Keystone's admin project.
    AdminProject,
    /// The caller's project is this part of the target.
    Of(Part),
    /// All of these.
    All(&'static [Check]),
    /// One of these at least.
    Any(&'static [Check]),
}

impl Check {
    fn holds(&self, who: &Credentials, target: &Target<'_>) -> bool {
        match self {
            Check::Everybody => true,
            Check::Has(role) => who.roles.has(*role),
            Check::System => who.system,
            Check::ServiceProject => who.service_project,
            Check::LegacyProject => who.legacy_project,
            Check::AdminProject => who.admin_project,
            Check::Of(part) => who.project.is_some() && who.project.as_deref() == target.holder(*part),
            Check::All(checks) => checks.iter().all(|check| check.holds(who, target)),
            Check::Any(checks) => checks.iter().any(|check| check.holds(who, target)),
        }
    }

    fn looks_at_target(&self) -> bool {
        match self {
            Check::Of(_) => true,
            Check::All(checks) | Check::Any(checks) => checks.iter().any(Check::looks_at_target),
            _ => false,
        }
    }
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Ironic's name of it.
    pub name: &'static str,
    check: Check,
    /// Tokens for a project don't count at all.
    system_only: bool,
}

impl Rule {
    /// May this caller do this to that target?
    pub fn admits(&self, who: &Credentials, target: &Target<'_>) -> bool {
        (who.system || !self.system_only) && self.check.holds(who, target)
    }

    /// Does it depend on whose the target is?
    pub fn looks_at_target(&self) -> bool {
        self.check.looks_at_target()
    }
}

/// May this caller do what the rule guards? A rule that doesn't exist admits nobody.
pub fn admits(rule: &str, who: &Credentials, target: &Target<'_>) -> bool {
    match find(rule) {
        Some(rule) => rule.admits(who, target),
        None => {
            tracing::error!(rule, "there is no such rule, so nobody is let through");
            false
        }
    }
}

#[cfg(test)]
mod tests;

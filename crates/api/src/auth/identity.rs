//! What Keystone says of a token, and what that means here.

use crate::policy::{Credentials, Role, Roles};
use jiff::Timestamp;
use serde::Deserialize;

/// A user that Keystone vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Keystone's id of the user.
    pub user_id: String,
    /// The user's name, for people.
    pub user_name: String,
    /// The user's domain, if it was told.
    pub user_domain: Option<Domain>,
    /// The project that the token is for.
    pub project: Option<Project>,
    /// Names of the roles within the scope.
    pub role_names: Vec<String>,
    /// What rules look at.
    pub credentials: Credentials,
}

/// A project as a configuration names it: its id, its name in the default domain, or `domain/name`.
///
/// A name alone never stands for a project of another domain: whoever administers a domain names its projects.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ProjectName(String);

impl ProjectName {
    /// Takes it as written.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    fn is(&self, project: &Project) -> bool {
        if project.id == self.0 {
            return true;
        }
        let (domain, name) = match self.0.split_once('/') {
            Some((domain, name)) => (Some(domain), name),
            None => (None, self.0.as_str()),
        };
        let Some(own) = &project.domain else { return false };
        let fits = match domain {
            Some(domain) => own.id.as_deref() == Some(domain) || own.name.as_deref() == Some(domain),
            None => own.is_default(),
        };
        fits && project.name == name
    }
}

/// The body of Keystone's answer to a validation.
#[derive(Deserialize)]
pub(super) struct Validated {
    pub(super) token: Token,
}

/// What it says of the token.
#[derive(Deserialize)]
pub(super) struct Token {
    pub(super) expires_at: Timestamp,
    user: User,
    #[serde(default)]
    roles: Vec<Named>,
    project: Option<Project>,
    system: Option<System>,
    /// Absent where Keystone has no admin project set up; then every project counts, as in OpenStack's own libraries.
    #[serde(default = "yes")]
    is_admin_project: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct User {
    id: String,
    name: String,
    domain: Option<Domain>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct System {
    #[serde(default)]
    all: bool,
}

/// A project as a token names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Project {
    /// Identity.
    pub id: String,
    /// Name.
    pub name: String,
    /// Its domain.
    pub domain: Option<Domain>,
}

/// A domain as a token names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Domain {
    /// Identity.
    pub id: Option<String>,
    /// Name.
    pub name: Option<String>,
}

impl From<&model::identity::Domain> for Domain {
    fn from(domain: &model::identity::Domain) -> Self {
        Self { id: Some(domain.id.clone()), name: Some(domain.name.clone()) }
    }
}

impl Domain {
    fn is_default(&self) -> bool {
        self.id.as_deref() == Some("default")
    }
}

impl Token {
    /// A token of the site's own identity service.
    pub(super) fn own(
        user: &model::identity::User,
        user_domain: &model::identity::Domain,
        roles: impl Iterator<Item = String>,
        project: Option<(&model::identity::Project, &model::identity::Domain)>,
        system: bool,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            expires_at,
            user: User { id: user.id.clone(), name: user.name.clone(), domain: Some(user_domain.into()) },
            roles: roles.map(|name| Named { name }).collect(),
            project: project.map(|(project, domain)| Project {
                id: project.id.clone(),
                name: project.name.clone(),
                domain: Some(domain.into()),
            }),
            system: system.then_some(System { all: true }),
            is_admin_project: true,
        }
    }

    /// Who it stands for. An admin of one of the `operators` counts as an admin of the system; `service` is the project of the
    /// cloud's services, if they are to be elevated.
    pub(super) fn identity(self, operators: &[ProjectName], service: Option<&ProjectName>) -> Identity {
        let mut roles = Roles::named(self.roles.iter().map(|role| role.name.as_str()));
        let mut system = self.system.is_some_and(|system| system.all);
        let project = self.project.as_ref();
        if roles.has(Role::Admin)
            && project.is_some_and(|project| operators.iter().any(|name| name.is(project)))
        {
            system = true;
            // Keystones from before implied roles hand out `admin` alone.
            roles = [Role::Manager, Role::Member, Role::Reader].into_iter().fold(roles, Roles::with);
        }
        let in_default = |project: &Project| project.domain.as_ref().is_none_or(Domain::is_default);
        let credentials = Credentials {
            roles,
            system,
            service_project: project
                .is_some_and(|project| service.is_some_and(|service| service.is(project))),
            legacy_project: project.is_some_and(|project| {
                in_default(project) && matches!(project.name.as_str(), "demo" | "baremetal")
            }),
            admin_project: self.is_admin_project,
            project: self.project.as_ref().map(|project| project.id.clone()),
        };
        Identity {
            user_id: self.user.id,
            user_name: self.user.name,
            user_domain: self.user.domain,
            project: self.project,
            role_names: self.roles.into_iter().map(|role| role.name).collect(),
            credentials,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn token(scope: Value, roles: &[&str]) -> Token {
        let roles: Vec<_> = roles.iter().map(|name| json!({"id": "r", "name": name})).collect();
        let mut token = json!({
            "expires_at": "2026-11-28T12:39:06.000000Z",
            "user": {"id": "u", "name": "ada", "domain": {"id": "default", "name": "Default"}},
            "roles": roles,
        });
        token.as_object_mut().unwrap().extend(scope.as_object().cloned().unwrap());
        serde_json::from_value(token).unwrap()
    }

    fn project(name: &str, domain: &str) -> Value {
        json!({"project": {"id": format!("id-of-{name}"), "name": name, "domain": {"id": domain, "name": domain}}})
    }

    fn names(names: &[&str]) -> Vec<ProjectName> {
        names.iter().map(|name| ProjectName::new(*name)).collect()
    }

    #[test]
    fn scopes_are_told_apart() {
        let system = token(json!({"system": {"all": true}}), &["reader"]).identity(&[], None);
        assert!(system.credentials.system && system.credentials.project.is_none());
        let member = token(project("p", "default"), &["member", "reader"]).identity(&[], None).credentials;
        assert!(!member.system && member.project.as_deref() == Some("id-of-p") && member.admin_project);
        let domain = token(json!({"domain": {"id": "d", "name": "d"}}), &["admin"]).identity(&[], None);
        assert!(!domain.credentials.system && domain.credentials.project.is_none());
        let unscoped = token(json!({}), &[]).identity(&names(&["admin"]), None).credentials;
        assert_eq!(unscoped.roles, Roles::default());
    }

    #[test]
    fn an_admin_of_the_operators_project_is_an_operator_and_others_are_not() {
        let operators = names(&["admin"]);
        let is_operator =
            |scope: Value, roles: &[&str]| token(scope, roles).identity(&operators, None).credentials.system;
        assert!(is_operator(project("admin", "default"), &["admin"]));
        assert!(!is_operator(project("admin", "default"), &["member", "reader"]));
        assert!(!is_operator(project("admin", "evil"), &["admin"]), "another domain's project of that name");
        assert!(!is_operator(project("other", "default"), &["admin"]));
        let of_no_domain = json!({"project": {"id": "x", "name": "admin", "domain": null}});
        assert!(!is_operator(of_no_domain, &["admin"]), "a domain that acts as a project");
        let operator = token(project("admin", "default"), &["admin"]).identity(&operators, None).credentials;
        assert!(operator.roles.has(Role::Reader) && operator.roles.has(Role::Member));
        for name in ["id-of-admin", "default/admin"] {
            let operators = names(&[name]);
            assert!(
                token(project("admin", "default"), &["admin"]).identity(&operators, None).credentials.system
            );
        }
        let elsewhere = names(&["ops/admin"]);
        assert!(token(project("admin", "ops"), &["admin"]).identity(&elsewhere, None).credentials.system);
        assert!(
            !token(project("admin", "default"), &["admin"]).identity(&elsewhere, None).credentials.system
        );
    }

    #[test]
    fn the_service_project_is_elevated_only_where_one_is_named() {
        let service = ProjectName::new("service");
        let of = |service: Option<&ProjectName>| {
            token(project("service", "default"), &["service"])
                .identity(&[], service)
                .credentials
                .service_project
        };
        assert!(!of(None));
        assert!(of(Some(&service)));
    }
}

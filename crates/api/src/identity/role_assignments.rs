//! `/v3/role_assignments`: who has which role where.

use super::document::many;
use super::project_tree::collect_below;
use super::reach::{Reach, required};
use super::validated::above;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use model::identity::{Actor, Assignment, Domain, Group, Project, Role, Scope, User, implied_closure};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

pub(super) const ROUTES: &[Route] = &[Route::new(Get, "/v3/role_assignments", Access::User, handler!(list))
    .says("Lists who has which role where.")];

/// An assignment as it is shown: `effective` ones come from one that was made, by group, inheritance or implication.
struct Shown {
    assignment: Assignment,
    /// Path of the assignment that was made.
    link: String,
    /// Path of the membership by which a user has it.
    membership: Option<String>,
    /// The role by which another is had.
    prior: Option<String>,
}

impl Shown {
    fn made(assignment: Assignment) -> Self {
        Self { link: link(&assignment), assignment, membership: None, prior: None }
    }
}

fn link(assignment: &Assignment) -> String {
    let scope = match &assignment.scope {
        Scope::Project(id) => format!("projects/{id}"),
        Scope::Domain(id) => format!("domains/{id}"),
        Scope::System => "system".to_owned(),
    };
    let actor = match &assignment.actor {
        Actor::User(id) => format!("users/{id}"),
        Actor::Group(id) => format!("groups/{id}"),
    };
    let role = &assignment.role_id;
    if assignment.inherited {
        format!("/v3/OS-INHERIT/{scope}/{actor}/roles/{role}/inherited_to_projects")
    } else {
        format!("/v3/{scope}/{actor}/roles/{role}")
    }
}

/// Everything that names are looked up in. A site's identity data is small; lists of assignments are for operators.
struct Names {
    users: HashMap<String, User>,
    groups: HashMap<String, Group>,
    projects: HashMap<String, Project>,
    domains: HashMap<String, Domain>,
    roles: HashMap<String, Role>,
}

impl Names {
    async fn read(call: &Call) -> Result<Self, CloudError> {
        let identity = call.state.store.identity();
        let by_id = |id: &String| id.clone();
        Ok(Self {
            users: identity.list::<User>(&[]).await?.into_iter().map(|one| (by_id(&one.id), one)).collect(),
            groups: identity.list::<Group>(&[]).await?.into_iter().map(|one| (by_id(&one.id), one)).collect(),
            projects: identity
                .list::<Project>(&[])
                .await?
                .into_iter()
                .map(|one| (by_id(&one.id), one))
                .collect(),
            domains: identity
                .list::<Domain>(&[])
                .await?
                .into_iter()
                .map(|one| (by_id(&one.id), one))
                .collect(),
            roles: identity.list::<Role>(&[]).await?.into_iter().map(|one| (by_id(&one.id), one)).collect(),
        })
    }

    fn in_domain(&self, id: &str, name: &str, domain: &str) -> Value {
        let domain_name = self.domains.get(domain).map_or("", |domain| &domain.name);
        json!({"id": id, "name": name, "domain": {"id": domain, "name": domain_name}})
    }

    fn actor(&self, actor: &Actor) -> Option<Value> {
        Some(match actor {
            Actor::User(id) => {
                let user = self.users.get(id)?;
                self.in_domain(id, &user.name, &user.domain_id)
            }
            Actor::Group(id) => {
                let group = self.groups.get(id)?;
                self.in_domain(id, &group.name, &group.domain_id)
            }
        })
    }

    fn scope(&self, scope: &Scope) -> Option<Value> {
        Some(match scope {
            Scope::System => json!({"system": {"all": true}}),
            Scope::Domain(id) => json!({"domain": {"id": id, "name": self.domains.get(id)?.name}}),
            Scope::Project(id) => {
                let project = self.projects.get(id)?;
                json!({"project": self.in_domain(id, &project.name, &project.domain_id)})
            }
        })
    }

    fn role(&self, id: &str) -> Option<Value> {
        let role = self.roles.get(id)?;
        Some(match &role.domain_id {
            Some(domain) => self.in_domain(id, &role.name, domain),
            None => json!({"id": id, "name": role.name}),
        })
    }

    /// The domain that a scope is in; none for the system.
    fn domain_of<'a>(&'a self, scope: &'a Scope) -> Option<&'a str> {
        match scope {
            Scope::System => None,
            Scope::Domain(id) => Some(id),
            Scope::Project(id) => self.projects.get(id).map(|project| project.domain_id.as_str()),
        }
    }
}

/// Filters of the query.
struct Wanted<'a> {
    user: Option<&'a str>,
    group: Option<&'a str>,
    role: Option<&'a str>,
    scope: Option<Scope>,
    inherited: Option<bool>,
    effective: bool,
    /// The project's own and those of all below it.
    subtree: bool,
}

/// `?flag`, `?flag=` and `?flag=true` alike, as in Keystone; `0` and `false` say no.
fn is_set(call: &Call, name: &str) -> bool {
    call.query.first(name).is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "0" | "false"))
}

impl<'a> Wanted<'a> {
    fn read(call: &'a Call) -> Result<Self, CloudError> {
        let first = |name: &str| call.query.first(name).filter(|value| !value.is_empty());
        let (project, domain) = (first("scope.project.id"), first("scope.domain.id"));
        let system = first("scope.system");
        let both = |one: &str, other: &str| {
            Err(CloudError::invalid(format!("Specify a {one} or {other}, not both")))
        };
        match (project, domain, system) {
            (Some(_), Some(_), _) => return both("domain", "project"),
            (_, Some(_), Some(_)) => return both("system", "domain"),
            (Some(_), _, Some(_)) => return both("system", "project"),
            _ => {}
        }
        let wanted = Self {
            user: first("user.id"),
            group: first("group.id"),
            role: first("role.id"),
            scope: project
                .map(|id| Scope::Project(id.to_owned()))
                .or_else(|| domain.map(|id| Scope::Domain(id.to_owned())))
                .or_else(|| system.map(|_| Scope::System)),
            inherited: first("scope.OS-INHERIT:inherited_to").map(|to| to == "projects"),
            effective: is_set(call, "effective"),
            subtree: is_set(call, "include_subtree"),
        };
        if wanted.user.is_some() && wanted.group.is_some() {
            return both("user", "group");
        }
        if wanted.effective && wanted.group.is_some() {
            return Err(CloudError::invalid(
                "Combining effective and group filter will always result in an empty list.",
            ));
        }
        if wanted.subtree && project.is_none() {
            return Err(CloudError::invalid(
                "scope.project.id must be specified if include_subtree is also specified",
            ));
        }
        Ok(wanted)
    }

    fn fits(&self, assignment: &Assignment, scopes: Option<&HashSet<Scope>>) -> bool {
        let actor = match (&assignment.actor, self.user, self.group) {
            (_, None, None) => true,
            (Actor::User(id), Some(user), _) => id == user,
            (Actor::Group(id), _, Some(group)) => id == group,
            _ => false,
        };
        actor
            && self.role.is_none_or(|role| assignment.role_id == role)
            && scopes.is_none_or(|scopes| scopes.contains(&assignment.scope))
            && (self.effective || self.inherited.is_none_or(|inherited| assignment.inherited == inherited))
    }
}

/// `GET /v3/role_assignments`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let reach = required(&call, "identity:list_role_assignments").await?;
    let wanted = Wanted::read(&call)?;
    let names = Names::read(&call).await?;
    let made = call.state.store.identity().assignments().await?;
    let all = if wanted.effective {
        effective(&call, &names, made).await?
    } else {
        made.into_iter().map(Shown::made).collect()
    };
    let scopes = wanted.scope.as_ref().map(|scope| {
        let mut scopes = HashSet::from([scope.clone()]);
        if let (true, Scope::Project(id)) = (wanted.subtree, scope) {
            let projects: Vec<_> = names.projects.values().cloned().collect();
            let mut below = Vec::new();
            collect_below(&projects, id, &mut below);
            scopes.extend(below.into_iter().map(|project| Scope::Project(project.id)));
        }
        scopes
    });
    let with_names = is_set(&call, "include_names");
    let sees = |assignment: &Assignment| match &reach {
        Reach::All => true,
        Reach::Domain(own) => names.domain_of(&assignment.scope) == Some(own),
    };
    let documents = all
        .iter()
        .filter(|shown| sees(&shown.assignment) && wanted.fits(&shown.assignment, scopes.as_ref()))
        .filter_map(|shown| document(&call, &names, shown, with_names))
        .collect();
    many(&call, "role_assignments", "role_assignments", documents)
}

fn document(call: &Call, names: &Names, shown: &Shown, with_names: bool) -> Option<Value> {
    let assignment = &shown.assignment;
    let (mut scope, actor, role) =
        (names.scope(&assignment.scope)?, names.actor(&assignment.actor)?, names.role(&assignment.role_id)?);
    let bare = |value: Value| json!({"id": value["id"]});
    let (actor, role) = if with_names { (actor, role) } else { (bare(actor), bare(role)) };
    if !with_names {
        for kind in ["project", "domain"] {
            if let Some(named) = scope.get_mut(kind) {
                *named = bare(named.clone());
            }
        }
    }
    if assignment.inherited {
        scope["OS-INHERIT:inherited_to"] = json!("projects");
    }
    let kind = if matches!(assignment.actor, Actor::User(_)) { "user" } else { "group" };
    let mut links = json!({"assignment": call.url(&shown.link)});
    if let Some(membership) = &shown.membership {
        links["membership"] = json!(call.url(membership));
    }
    if let Some(prior) = &shown.prior {
        links["prior_role"] = json!(call.url(&format!("/v3/roles/{prior}")));
    }
    Some(json!({ "scope": scope, kind: actor, "role": role, "links": links }))
}

/// What the assignments that were made come to: members for groups, projects for what they inherit, and implied roles.
async fn effective(call: &Call, names: &Names, made: Vec<Assignment>) -> Result<Vec<Shown>, CloudError> {
    let identity = call.state.store.identity();
    let rules = identity.implied_roles().await?;
    let mut members: HashMap<String, Vec<String>> = HashMap::new();
    let mut below: HashMap<Scope, Vec<String>> = HashMap::new();
    if made.iter().any(|assignment| assignment.inherited) {
        for project in names.projects.values() {
            for place in above(identity, project).await? {
                below.entry(place).or_default().push(project.id.clone());
            }
        }
    }
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for assignment in made {
        let link = link(&assignment);
        let scopes = if assignment.inherited {
            let projects = below.get(&assignment.scope).cloned().unwrap_or_default();
            projects.into_iter().map(Scope::Project).collect()
        } else {
            vec![assignment.scope]
        };
        let users = match &assignment.actor {
            Actor::User(id) => vec![(id.clone(), None)],
            Actor::Group(group) => {
                if !members.contains_key(group) {
                    let found = identity.members(group).await?.into_iter().map(|user| user.id).collect();
                    members.insert(group.clone(), found);
                }
                let path = |user: &str| format!("/v3/groups/{group}/users/{user}");
                members[group].iter().map(|user| (user.clone(), Some(path(user)))).collect()
            }
        };
        for role in implied_closure([assignment.role_id.clone()], &rules) {
            for scope in &scopes {
                for (user, membership) in &users {
                    let one = Assignment::new(Actor::User(user.clone()), scope.clone(), role.clone());
                    if !seen.insert((one.clone(), link.clone())) {
                        continue;
                    }
                    all.push(Shown {
                        link: link.clone(),
                        assignment: one,
                        membership: membership.clone(),
                        prior: (role != assignment.role_id).then(|| assignment.role_id.clone()),
                    });
                }
            }
        }
    }
    Ok(all)
}

//! Roles of users and groups on projects, on domains and on the system: `/v3/{scope}/{id}/{actor}/{id}/roles/{role}`.
//!
//! What is asked for stands in the path: the parameters `project` or `domain` (else the system), `user` or `group`, and `role`.

use super::document::{many, shown};
use super::error::{from_store, not_found};
use super::reach::{Reach, required};
use super::roles::role;
use crate::cloud::{Access, Call, CloudError, Handler, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Put};
use axum::http::StatusCode;
use model::identity::{Actor, Assignment, Domain, Group, Project, Role, Scope, User};

/// The four rows of an actor at a scope, for roles there.
macro_rules! rows {
    ($list:literal, $one:literal) => {
        &four($list, $one, [handler!(list), handler!(check), handler!(grant), handler!(revoke)])
    };
}

/// The same for roles that the projects below inherit.
macro_rules! inherited {
    ($list:literal, $one:literal) => {
        &four(
            $list,
            $one,
            [
                handler!(list_inherited),
                handler!(check_inherited),
                handler!(let_inherit),
                handler!(stop_inheriting),
            ],
        )
    };
}

const fn four(list: &'static str, one: &'static str, handlers: [Handler; 4]) -> [Route; 4] {
    let [lists, checks, grants, revokes] = handlers;
    [
        Route::new(Get, list, Access::User, lists).says("Lists the roles that somebody has somewhere."),
        Route::new(Get, one, Access::User, checks)
            .success(StatusCode::NO_CONTENT)
            .says("Tells whether somebody has a role somewhere."),
        Route::new(Put, one, Access::User, grants)
            .success(StatusCode::NO_CONTENT)
            .says("Gives somebody a role somewhere."),
        Route::new(Delete, one, Access::User, revokes)
            .success(StatusCode::NO_CONTENT)
            .says("Takes somebody's role somewhere away."),
    ]
}

pub(super) const OF_USERS_ON_PROJECTS: &[Route] =
    rows!("/v3/projects/{project}/users/{user}/roles", "/v3/projects/{project}/users/{user}/roles/{role}");
pub(super) const OF_GROUPS_ON_PROJECTS: &[Route] = rows!(
    "/v3/projects/{project}/groups/{group}/roles",
    "/v3/projects/{project}/groups/{group}/roles/{role}"
);
pub(super) const OF_USERS_ON_DOMAINS: &[Route] =
    rows!("/v3/domains/{domain}/users/{user}/roles", "/v3/domains/{domain}/users/{user}/roles/{role}");
pub(super) const OF_GROUPS_ON_DOMAINS: &[Route] =
    rows!("/v3/domains/{domain}/groups/{group}/roles", "/v3/domains/{domain}/groups/{group}/roles/{role}");
pub(super) const OF_USERS_ON_THE_SYSTEM: &[Route] =
    rows!("/v3/system/users/{user}/roles", "/v3/system/users/{user}/roles/{role}");
pub(super) const OF_GROUPS_ON_THE_SYSTEM: &[Route] =
    rows!("/v3/system/groups/{group}/roles", "/v3/system/groups/{group}/roles/{role}");
pub(super) const INHERITED_BY_USERS_FROM_PROJECTS: &[Route] = inherited!(
    "/v3/OS-INHERIT/projects/{project}/users/{user}/roles/inherited_to_projects",
    "/v3/OS-INHERIT/projects/{project}/users/{user}/roles/{role}/inherited_to_projects"
);
pub(super) const INHERITED_BY_GROUPS_FROM_PROJECTS: &[Route] = inherited!(
    "/v3/OS-INHERIT/projects/{project}/groups/{group}/roles/inherited_to_projects",
    "/v3/OS-INHERIT/projects/{project}/groups/{group}/roles/{role}/inherited_to_projects"
);
pub(super) const INHERITED_BY_USERS_FROM_DOMAINS: &[Route] = inherited!(
    "/v3/OS-INHERIT/domains/{domain}/users/{user}/roles/inherited_to_projects",
    "/v3/OS-INHERIT/domains/{domain}/users/{user}/roles/{role}/inherited_to_projects"
);
pub(super) const INHERITED_BY_GROUPS_FROM_DOMAINS: &[Route] = inherited!(
    "/v3/OS-INHERIT/domains/{domain}/groups/{group}/roles/inherited_to_projects",
    "/v3/OS-INHERIT/domains/{domain}/groups/{group}/roles/{role}/inherited_to_projects"
);

/// A parameter of the path that may be absent.
fn parameter<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    call.parameters.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str())
}

/// Who and where, if both are there and the caller looks after both.
async fn place(call: &Call, action: &str) -> Result<(Actor, Scope), CloudError> {
    let reach = required(call, action).await?;
    let identity = call.state.store.identity();
    let scope = match (parameter(call, "project"), parameter(call, "domain")) {
        (Some(id), _) => {
            let project: Project = identity.get(id).await.map_err(from_store)?;
            reach.check(&project.domain_id, "project", id)?;
            Scope::Project(project.id)
        }
        (None, Some(id)) => {
            reach.check(id, "domain", id)?;
            Scope::Domain(identity.get::<Domain>(id).await.map_err(from_store)?.id)
        }
        (None, None) if reach == Reach::All => Scope::System,
        (None, None) => return Err(super::error::forbidden(action)),
    };
    let actor = match (parameter(call, "user"), parameter(call, "group")) {
        (Some(id), _) => {
            let user: User = identity.get(id).await.map_err(from_store)?;
            reach.check(&user.domain_id, "user", id)?;
            Actor::User(user.id)
        }
        (None, group) => {
            let id = group.unwrap_or_default();
            let group: Group = identity.get(id).await.map_err(from_store)?;
            reach.check(&group.domain_id, "group", id)?;
            Actor::Group(group.id)
        }
    };
    Ok((actor, scope))
}

async fn assignment(call: &Call, action: &str, inherited: bool) -> Result<Assignment, CloudError> {
    let (actor, scope) = place(call, action).await?;
    let role = role(call, call.parameter("role")).await?;
    if let (Some(own), Scope::Domain(_) | Scope::System) = (&role.domain_id, &scope)
        && scope != Scope::Domain(own.clone())
    {
        return Err(CloudError::forbidden(format!("The role {} belongs to another domain.", role.name)));
    }
    Ok(Assignment { actor, scope, role_id: role.id, inherited })
}

fn absent(assignment: &Assignment) -> CloudError {
    let (Actor::User(actor) | Actor::Group(actor)) = &assignment.actor;
    let place = match &assignment.scope {
        Scope::Project(id) | Scope::Domain(id) => id.as_str(),
        Scope::System => "the system",
    };
    not_found(
        "role assignment with role",
        &format!("{}, user or group: {actor}, project, domain, or system: {place}", assignment.role_id),
    )
}

async fn listed(call: Call, inherited: bool) -> Result<Reply, CloudError> {
    let (actor, scope) = place(&call, "identity:list_grants").await?;
    let identity = call.state.store.identity();
    let own = identity.assignments_of(&actor).await?;
    let ids: Vec<_> = own
        .into_iter()
        .filter(|one| one.scope == scope && one.inherited == inherited)
        .map(|one| one.role_id)
        .collect();
    let roles: Vec<Role> = if ids.is_empty() { Vec::new() } else { identity.list_of(&ids).await? };
    let documents: Result<Vec<_>, _> =
        roles.iter().map(|role| shown(&call, "roles", &role.id, role)).collect();
    many(&call, "roles", "roles", documents?)
}

async fn checked(call: Call, inherited: bool) -> Result<Reply, CloudError> {
    let wanted = assignment(&call, "identity:check_grant", inherited).await?;
    let own = call.state.store.identity().assignments_of(&wanted.actor).await?;
    if own.contains(&wanted) { Ok(Reply::empty()) } else { Err(absent(&wanted)) }
}

async fn granted(call: Call, inherited: bool) -> Result<Reply, CloudError> {
    let wanted = assignment(&call, "identity:create_grant", inherited).await?;
    call.state.store.identity().assign(&wanted).await.map_err(from_store)?;
    Ok(Reply::empty())
}

async fn revoked(call: Call, inherited: bool) -> Result<Reply, CloudError> {
    let unwanted = assignment(&call, "identity:revoke_grant", inherited).await?;
    let was_there = call.state.store.identity().unassign(&unwanted).await.map_err(from_store)?;
    if was_there { Ok(Reply::empty()) } else { Err(absent(&unwanted)) }
}

/// `GET …/roles`
async fn list(call: Call) -> Result<Reply, CloudError> {
    listed(call, false).await
}

/// `GET …/roles/{role}`
async fn check(call: Call) -> Result<Reply, CloudError> {
    checked(call, false).await
}

/// `PUT …/roles/{role}`
async fn grant(call: Call) -> Result<Reply, CloudError> {
    granted(call, false).await
}

/// `DELETE …/roles/{role}`
async fn revoke(call: Call) -> Result<Reply, CloudError> {
    revoked(call, false).await
}

/// `GET /v3/OS-INHERIT/…/roles/inherited_to_projects`
async fn list_inherited(call: Call) -> Result<Reply, CloudError> {
    listed(call, true).await
}

/// `GET /v3/OS-INHERIT/…/roles/{role}/inherited_to_projects`
async fn check_inherited(call: Call) -> Result<Reply, CloudError> {
    checked(call, true).await
}

/// `PUT /v3/OS-INHERIT/…/roles/{role}/inherited_to_projects`
async fn let_inherit(call: Call) -> Result<Reply, CloudError> {
    granted(call, true).await
}

/// `DELETE /v3/OS-INHERIT/…/roles/{role}/inherited_to_projects`
async fn stop_inheriting(call: Call) -> Result<Reply, CloudError> {
    revoked(call, true).await
}

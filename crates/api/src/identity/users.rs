//! `/v3/users`.

use super::authenticate::check_password;
use super::credential_request::UserName;
use super::document::{Attributes, filtered, many, merge, missing, one, shown};
use super::error::{Refusal, forbidden, from_store, unauthorized};
use super::reach::{reach, required};
use super::tokens::own;
use super::validated::scopes_of;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::limits::{NAME_CHARACTERS, PASSWORD_BYTES};
use crate::route::Verb::{Delete, Get, Patch, Post};
use axum::http::StatusCode;
use model::Secret;
use model::identity::{Group, Project, User, id_from};
use serde::Deserialize;
use store::StoreError;
use uuid::Uuid;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v3/users", Access::User, handler!(list)).says("Lists users."),
    Route::new(Post, "/v3/users", Access::User, handler!(create))
        .success(StatusCode::CREATED)
        .says("Makes a user."),
    Route::new(Get, "/v3/users/{user}", Access::User, handler!(show)).says("Shows a user."),
    Route::new(Patch, "/v3/users/{user}", Access::User, handler!(update))
        .says("Changes a user; a new password, or disabling it, ends its tokens."),
    Route::new(Delete, "/v3/users/{user}", Access::User, handler!(delete))
        .success(StatusCode::NO_CONTENT)
        .says("Forgets a user."),
    Route::new(Post, "/v3/users/{user}/password", Access::Public, handler!(change_password))
        .success(StatusCode::NO_CONTENT)
        .says("Changes a user's password for one who knows the old one."),
    Route::new(Get, "/v3/users/{user}/projects", Access::User, handler!(projects))
        .says("Lists the projects that a user has roles in."),
    Route::new(Get, "/v3/users/{user}/groups", Access::User, handler!(groups))
        .says("Lists the groups that a user is in."),
];

/// The user that the path names, for whoever may look after it; users may look at themselves where `own_too`.
pub(super) async fn named(call: &Call, action: &str, own_too: bool) -> Result<User, CloudError> {
    let id = call.parameter("user");
    let is_own = own_too && call.user_id()? == id;
    let reach = match reach(call).await? {
        Some(reach) => Some(reach),
        None if is_own => None,
        None => return Err(forbidden(action)),
    };
    let user: User = call.state.store.identity().get(id).await.map_err(from_store)?;
    match reach {
        Some(reach) if !is_own => reach.check(&user.domain_id, "user", id)?,
        _ => {}
    }
    Ok(user)
}

/// `GET /v3/users`. Everybody may look for itself by name, as clients do for who gives a name.
async fn list(call: Call) -> Result<Reply, CloudError> {
    let reach = match reach(&call).await? {
        Some(reach) => Some(reach),
        None if call.query.has("name") => None,
        None => return Err(forbidden("identity:list_users")),
    };
    let own = call.user_id()?;
    let mut equal = Vec::new();
    for column in ["domain_id", "name"] {
        equal.extend(call.query.first(column).map(|value| (column, value)));
    }
    let users: Vec<User> = call.state.store.identity().list(&equal).await?;
    let seen = users.iter().filter(|user| match &reach {
        Some(reach) => reach.covers(&user.domain_id),
        None => user.id == own,
    });
    let documents: Result<Vec<_>, _> = seen.map(|user| shown(&call, "users", &user.id, user)).collect();
    many(&call, "users", "users", filtered(&call, &["domain_id", "name", "enabled"], documents?))
}

/// `GET /v3/users/{user}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let user = named(&call, "identity:get_user", true).await?;
    one("user", shown(&call, "users", &user.id, &user)?)
}

/// A password out of a request, with its digest.
async fn password(call: &Call, attributes: &mut Attributes) -> Result<Option<Secret>, CloudError> {
    let Some(password) = attributes.text("password", PASSWORD_BYTES)? else { return Ok(None) };
    if password.is_empty() || password.len() > PASSWORD_BYTES {
        return Err(attributes.bad("password", &format!("it takes 1 to {PASSWORD_BYTES} bytes")));
    }
    Ok(Some(own(call)?.passwords().digest(&Secret::new(password)).await?))
}

/// `POST /v3/users`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let reach = required(&call, "identity:create_user").await?;
    let mut attributes = Attributes::of(&call, "user")?;
    let name = attributes.required_name(NAME_CHARACTERS)?;
    let domain = reach.domain_for(&call, attributes.text("domain_id", NAME_CHARACTERS)?).await?;
    let mut user = User::new(id_from(Uuid::new_v4()), name, domain);
    user.enabled = attributes.flag("enabled")?.unwrap_or(true);
    user.default_project_id = attributes.text("default_project_id", NAME_CHARACTERS)?;
    user.options = attributes.object("options")?.unwrap_or_default();
    let digest = password(&call, &mut attributes).await?;
    user.extra = extra(attributes);
    call.state.store.identity().create_user(&user, digest.as_ref()).await.map_err(from_store)?;
    one("user", shown(&call, "users", &user.id, &user)?)
}

/// What is kept of other attributes: nothing that could be a password, nothing that Keystone makes itself.
fn extra(attributes: Attributes) -> model::identity::Extra {
    let mut rest = attributes.rest();
    for name in ["original_password", "password_expires_at", "federated"] {
        rest.remove(name);
    }
    rest
}

/// `PATCH /v3/users/{user}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let user = named(&call, "identity:update_user", false).await?;
    let mut attributes = Attributes::of(&call, "user")?;
    let name = attributes.name(NAME_CHARACTERS)?;
    let enabled = attributes.flag("enabled")?;
    let default_project = attributes.change("default_project_id", NAME_CHARACTERS)?;
    let options = attributes.object("options")?;
    if attributes.text("domain_id", NAME_CHARACTERS)?.is_some_and(|domain| domain != user.domain_id) {
        return Err(attributes.bad("domain_id", "a user stays in its domain"));
    }
    let digest = password(&call, &mut attributes).await?;
    let changes = extra(attributes);
    let edited = call.state.store.identity().edit_user(&user.id, digest.as_ref(), call.now(), |user| {
        if let Some(name) = name {
            user.name = name;
        }
        user.enabled = enabled.unwrap_or(user.enabled);
        if let Some(project) = default_project {
            user.default_project_id = project;
        }
        merge(&mut user.options, options.unwrap_or_default());
        merge(&mut user.extra, changes);
        Ok::<_, Refusal>(())
    });
    let user = edited.await.map_err(|refusal| refusal.0)?;
    if digest.is_some() {
        own(&call)?.passwords().unlock(&["user", &user.id]);
    }
    one("user", shown(&call, "users", &user.id, &user)?)
}

/// `DELETE /v3/users/{user}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let user = named(&call, "identity:delete_user", false).await?;
    call.state.store.identity().delete_user(&user.id).await.map_err(from_store)?;
    Ok(Reply::empty())
}

#[derive(Deserialize)]
struct PasswordChange {
    original_password: Secret,
    password: Secret,
}

/// `POST /v3/users/{user}/password`: who knows the old password needs no token.
async fn change_password(call: Call) -> Result<Reply, CloudError> {
    let own = own(&call)?;
    let body: Option<serde_json::Value> = serde_json::from_slice(&call.body).ok();
    let change = body.and_then(|body| serde_json::from_value(body.get("user")?.clone()).ok());
    let Some(PasswordChange { original_password, password }) = change else {
        return Err(missing("original_password and password", "user"));
    };
    let length = password.expose().len();
    if length == 0 || length > PASSWORD_BYTES {
        return Err(CloudError::invalid(format!("A password takes 1 to {PASSWORD_BYTES} bytes.")));
    }
    let identity = call.state.store.identity();
    let id = call.parameter("user").to_owned();
    let user: Option<User> = match identity.get(&id).await {
        Ok(user) => Some(user),
        Err(StoreError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let asked = UserName::Id(id.clone());
    check_password(&call.state.store, own, &asked, user.as_ref(), &original_password).await?;
    if !user.is_some_and(|user| user.enabled) {
        return Err(unauthorized());
    }
    let digest = own.passwords().digest(&password).await?;
    let edited = identity.edit_user(&id, Some(&digest), call.now(), |_| Ok::<_, Refusal>(()));
    edited.await.map_err(|refusal| refusal.0)?;
    Ok(Reply::empty())
}

/// `GET /v3/users/{user}/projects`
async fn projects(call: Call) -> Result<Reply, CloudError> {
    let user = named(&call, "identity:list_user_projects", true).await?;
    let identity = call.state.store.identity();
    let ids: Vec<_> = scopes_of(identity, &user.id).await?.projects.into_iter().collect();
    let found: Vec<Project> = if ids.is_empty() { Vec::new() } else { identity.list_of(&ids).await? };
    let documents: Result<Vec<_>, _> =
        found.iter().map(|project| shown(&call, "projects", &project.id, project)).collect();
    let documents = filtered(&call, &["domain_id", "name", "enabled"], documents?);
    many(&call, "projects", &format!("users/{}/projects", user.id), documents)
}

/// `GET /v3/users/{user}/groups`
async fn groups(call: Call) -> Result<Reply, CloudError> {
    let user = named(&call, "identity:list_groups_for_user", true).await?;
    let found: Vec<Group> = call.state.store.identity().groups_of(&user.id).await?;
    let documents: Result<Vec<_>, _> =
        found.iter().map(|group| shown(&call, "groups", &group.id, group)).collect();
    many(
        &call,
        "groups",
        &format!("users/{}/groups", user.id),
        filtered(&call, &["domain_id", "name"], documents?),
    )
}

//! `/v3/groups`.

use super::document::{Attributes, filtered, many, merge, one, shown};
use super::error::{Refusal, from_store, not_found};
use super::reach::required;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::limits::{DESCRIPTION_TEXT, NAME_CHARACTERS, PROJECT_NAME_CHARACTERS};
use crate::route::Verb::{Delete, Get, Patch, Post, Put};
use axum::http::StatusCode;
use model::identity::{Extra, Group, User, id_from};
use uuid::Uuid;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v3/groups", Access::User, handler!(list)).says("Lists groups."),
    Route::new(Post, "/v3/groups", Access::User, handler!(create))
        .success(StatusCode::CREATED)
        .says("Makes a group."),
    Route::new(Get, "/v3/groups/{group}", Access::User, handler!(show)).says("Shows a group."),
    Route::new(Patch, "/v3/groups/{group}", Access::User, handler!(update)).says("Changes a group."),
    Route::new(Delete, "/v3/groups/{group}", Access::User, handler!(delete))
        .success(StatusCode::NO_CONTENT)
        .says("Forgets a group."),
    Route::new(Get, "/v3/groups/{group}/users", Access::User, handler!(members))
        .says("Lists who is in a group."),
    Route::new(Get, "/v3/groups/{group}/users/{user}", Access::User, handler!(is_member))
        .success(StatusCode::NO_CONTENT)
        .says("Tells whether a user is in a group."),
    Route::new(Put, "/v3/groups/{group}/users/{user}", Access::User, handler!(add))
        .success(StatusCode::NO_CONTENT)
        .says("Puts a user into a group."),
    Route::new(Delete, "/v3/groups/{group}/users/{user}", Access::User, handler!(remove))
        .success(StatusCode::NO_CONTENT)
        .says("Takes a user out of a group."),
];

/// The group that the path names, for whoever may look after it.
async fn named(call: &Call, action: &str) -> Result<Group, CloudError> {
    let reach = required(call, action).await?;
    let id = call.parameter("group");
    let group: Group = call.state.store.identity().get(id).await.map_err(from_store)?;
    reach.check(&group.domain_id, "group", id)?;
    Ok(group)
}

/// The user that the path names beside the group.
async fn named_user(call: &Call, action: &str) -> Result<User, CloudError> {
    let reach = required(call, action).await?;
    let id = call.parameter("user");
    let user: User = call.state.store.identity().get(id).await.map_err(from_store)?;
    reach.check(&user.domain_id, "user", id)?;
    Ok(user)
}

/// `GET /v3/groups`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let reach = required(&call, "identity:list_groups").await?;
    let groups: Vec<Group> = call.state.store.identity().list(&[]).await?;
    let seen = groups.iter().filter(|group| reach.covers(&group.domain_id));
    let documents: Result<Vec<_>, _> = seen.map(|group| shown(&call, "groups", &group.id, group)).collect();
    many(&call, "groups", "groups", filtered(&call, &["domain_id", "name"], documents?))
}

/// `POST /v3/groups`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let reach = required(&call, "identity:create_group").await?;
    let mut attributes = Attributes::of(&call, "group")?;
    let name = attributes.required_name(PROJECT_NAME_CHARACTERS)?;
    let domain_id = reach.domain_for(&call, attributes.text("domain_id", NAME_CHARACTERS)?).await?;
    let description = attributes.text("description", DESCRIPTION_TEXT)?.unwrap_or_default();
    let extra: Extra = attributes.rest();
    let group = Group { id: id_from(Uuid::new_v4()), name, domain_id, description, extra };
    call.state.store.identity().create(&group).await.map_err(from_store)?;
    one("group", shown(&call, "groups", &group.id, &group)?)
}

/// `GET /v3/groups/{group}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let group = named(&call, "identity:get_group").await?;
    one("group", shown(&call, "groups", &group.id, &group)?)
}

/// `PATCH /v3/groups/{group}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let group = named(&call, "identity:update_group").await?;
    let mut attributes = Attributes::of(&call, "group")?;
    let name = attributes.name(PROJECT_NAME_CHARACTERS)?;
    let description = attributes.change("description", DESCRIPTION_TEXT)?;
    if attributes.text("domain_id", NAME_CHARACTERS)?.is_some_and(|domain| domain != group.domain_id) {
        return Err(attributes.bad("domain_id", "a group stays in its domain"));
    }
    let changes = attributes.rest();
    let edited = call.state.store.identity().edit(&group.id, |group: &mut Group| {
        if let Some(name) = name {
            group.name = name;
        }
        if let Some(description) = description {
            group.description = description.unwrap_or_default();
        }
        merge(&mut group.extra, changes);
        Ok::<_, Refusal>(())
    });
    let group = edited.await.map_err(|refusal| refusal.0)?;
    one("group", shown(&call, "groups", &group.id, &group)?)
}

/// `DELETE /v3/groups/{group}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let group = named(&call, "identity:delete_group").await?;
    call.state.store.identity().delete_group(&group.id).await.map_err(from_store)?;
    Ok(Reply::empty())
}

/// `GET /v3/groups/{group}/users`
async fn members(call: Call) -> Result<Reply, CloudError> {
    let group = named(&call, "identity:list_users_in_group").await?;
    let users = call.state.store.identity().members(&group.id).await?;
    let documents: Result<Vec<_>, _> =
        users.iter().map(|user| shown(&call, "users", &user.id, user)).collect();
    let documents = filtered(&call, &["domain_id", "name", "enabled"], documents?);
    many(&call, "users", &format!("groups/{}/users", group.id), documents)
}

/// `GET /v3/groups/{group}/users/{user}`
async fn is_member(call: Call) -> Result<Reply, CloudError> {
    let group = named(&call, "identity:check_user_in_group").await?;
    let user = named_user(&call, "identity:check_user_in_group").await?;
    let groups = call.state.store.identity().groups_of(&user.id).await?;
    if groups.iter().any(|one| one.id == group.id) { Ok(Reply::empty()) } else { Err(not_in(&group, &user)) }
}

fn not_in(group: &Group, user: &User) -> CloudError {
    not_found("user in group", &format!("{} in {}", user.id, group.id))
}

/// `PUT /v3/groups/{group}/users/{user}`
async fn add(call: Call) -> Result<Reply, CloudError> {
    let group = named(&call, "identity:add_user_to_group").await?;
    let user = named_user(&call, "identity:add_user_to_group").await?;
    call.state.store.identity().add_member(&group.id, &user.id).await.map_err(from_store)?;
    Ok(Reply::empty())
}

/// `DELETE /v3/groups/{group}/users/{user}`
async fn remove(call: Call) -> Result<Reply, CloudError> {
    let group = named(&call, "identity:remove_user_from_group").await?;
    let user = named_user(&call, "identity:remove_user_from_group").await?;
    let was_in = call.state.store.identity().remove_member(&group.id, &user.id).await.map_err(from_store)?;
    if was_in { Ok(Reply::empty()) } else { Err(not_in(&group, &user)) }
}

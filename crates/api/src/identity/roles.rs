//! `/v3/roles`, and which role implies which.

use super::document::{Attributes, filtered, many, merge, one, shown};
use super::error::{Refusal, from_store};
use super::immutable::{check_deletion, check_update};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::limits::{DESCRIPTION_TEXT, NAME_CHARACTERS};
use crate::route::Verb::{Delete, Get, Patch, Post};
use axum::http::StatusCode;
use model::identity::{Domain, Role, id_from};
use uuid::Uuid;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v3/roles", Access::Operator, handler!(list)).says("Lists roles."),
    Route::new(Post, "/v3/roles", Access::Operator, handler!(create))
        .success(StatusCode::CREATED)
        .says("Makes a role."),
    Route::new(Get, "/v3/roles/{role}", Access::Operator, handler!(show)).says("Shows a role."),
    Route::new(Patch, "/v3/roles/{role}", Access::Operator, handler!(update)).says("Changes a role."),
    Route::new(Delete, "/v3/roles/{role}", Access::Operator, handler!(delete))
        .success(StatusCode::NO_CONTENT)
        .says("Forgets a role; whoever had it has it no more."),
];

/// A role by its id.
pub(super) async fn role(call: &Call, id: &str) -> Result<Role, CloudError> {
    call.state.store.identity().get(id).await.map_err(from_store)
}

/// `GET /v3/roles`: those of no domain, unless one is asked for.
async fn list(call: Call) -> Result<Reply, CloudError> {
    let domain = call.query.first("domain_id").unwrap_or_default();
    let roles: Vec<Role> = call.state.store.identity().list(&[("domain_id", domain)]).await?;
    let documents: Result<Vec<_>, _> =
        roles.iter().map(|role| shown(&call, "roles", &role.id, role)).collect();
    many(&call, "roles", "roles", filtered(&call, &["name"], documents?))
}

/// `POST /v3/roles`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let mut attributes = Attributes::of(&call, "role")?;
    let name = attributes.required_name(NAME_CHARACTERS)?;
    let domain_id = attributes.text("domain_id", NAME_CHARACTERS)?;
    if let Some(domain) = &domain_id {
        call.state.store.identity().get::<Domain>(domain).await.map_err(from_store)?;
    }
    let role = Role {
        domain_id,
        description: attributes.text("description", DESCRIPTION_TEXT)?,
        options: attributes.object("options")?.unwrap_or_default(),
        extra: attributes.rest(),
        ..Role::new(id_from(Uuid::new_v4()), name)
    };
    call.state.store.identity().create(&role).await.map_err(from_store)?;
    one("role", shown(&call, "roles", &role.id, &role)?)
}

/// `GET /v3/roles/{role}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let role = role(&call, call.parameter("role")).await?;
    one("role", shown(&call, "roles", &role.id, &role)?)
}

/// `PATCH /v3/roles/{role}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let mut attributes = Attributes::of(&call, "role")?;
    let name = attributes.name(NAME_CHARACTERS)?;
    let description = attributes.change("description", DESCRIPTION_TEXT)?;
    let domain = attributes.change("domain_id", NAME_CHARACTERS)?;
    let options = attributes.object("options")?;
    let changes = attributes.rest();
    let edited = call.state.store.identity().edit(call.parameter("role"), |role: &mut Role| {
        check_update("role", &role.id, &role.options, options.as_ref())?;
        if domain.is_some_and(|domain| domain != role.domain_id) {
            return Err(Refusal(CloudError::invalid("A role stays in its domain, or in none.")));
        }
        if let Some(name) = name {
            role.name = name;
        }
        if let Some(description) = description {
            role.description = description;
        }
        merge(&mut role.options, options.unwrap_or_default());
        merge(&mut role.extra, changes);
        Ok::<_, Refusal>(())
    });
    let role = edited.await.map_err(|refusal| refusal.0)?;
    one("role", shown(&call, "roles", &role.id, &role)?)
}

/// `DELETE /v3/roles/{role}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let role = role(&call, call.parameter("role")).await?;
    check_deletion("role", &role.id, &role.options)?;
    call.state.store.identity().delete_role(&role.id).await.map_err(from_store)?;
    Ok(Reply::empty())
}

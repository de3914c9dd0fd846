//! `/v2.0/security-groups`: kept and shown, since clients insist on them. Nothing filters a bare-metal machine's traffic here.

use super::attributes::{Attributes, check_revision};
use super::error::not_found;
use super::listing::{Collection, no_own_filter, one};
use super::security_group_rules;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post, Put};
use axum::http::StatusCode;
use model::network::{DEFAULT_GROUP, SecurityGroup};
use serde_json::{Value, json};
use store::{Scope, StoreError};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.0/security-groups", Access::Project, handler!(list)).says("Lists security groups."),
    Route::new(Post, "/v2.0/security-groups", Access::Project, handler!(create))
        .says("Creates a security group.")
        .success(StatusCode::CREATED),
    Route::new(Get, "/v2.0/security-groups/{group}", Access::Project, handler!(show))
        .says("Shows a security group with its rules."),
    Route::new(Put, "/v2.0/security-groups/{group}", Access::Project, handler!(update))
        .says("Changes a security group."),
    Route::new(Delete, "/v2.0/security-groups/{group}", Access::Project, handler!(delete))
        .says("Deletes a security group.")
        .success(StatusCode::NO_CONTENT),
];

const COLLECTION: Collection = Collection {
    name: "security-groups",
    what: "Security group",
    fields: &[
        "id",
        "name",
        "description",
        "tenant_id",
        "project_id",
        "stateful",
        "shared",
        "revision_number",
        "created_at",
        "updated_at",
    ],
    columns: &[("id", "uuid"), ("name", "name")],
    own: no_own_filter,
};

/// The group that a path names, if the caller may see it.
pub async fn find(call: &Call) -> Result<SecurityGroup, CloudError> {
    named(call, call.parameter("group")).await
}

/// The group of this identity, if the caller may see it.
pub async fn named(call: &Call, ident: &str) -> Result<SecurityGroup, CloudError> {
    let missing = || not_found("Security group", ident);
    if Uuid::try_parse(ident).is_err() {
        return Err(missing());
    }
    match call.state.store.get::<SecurityGroup>(ident).await {
        Ok(group) if call.may_see(&group.project_id) => Ok(group),
        Ok(_) | Err(StoreError::NotFound { .. }) => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

/// Every group that the caller may see. The caller's project has its group `default` from now on.
pub async fn visible(call: &Call) -> Result<Vec<SecurityGroup>, CloudError> {
    let store = &call.state.store;
    if let Ok(project) = call.project() {
        store.default_security_group(project, call.now()).await?;
    }
    let scope = if call.sees_all() { None } else { Some(Scope::OwnedBy(call.project()?.to_owned())) };
    Ok(store.list(&COLLECTION.query(call, scope)).await?)
}

fn render(group: &SecurityGroup) -> Value {
    let rules: Vec<Value> =
        group.rules.iter().map(|rule| security_group_rules::render(group, rule)).collect();
    json!({
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "tenant_id": group.project_id,
        "project_id": group.project_id,
        "stateful": group.stateful,
        "shared": false,
        "security_group_rules": rules,
        "tags": group.tags,
        "revision_number": group.revision_number,
        "created_at": super::time(group.created_at),
        "updated_at": super::time(group.updated_at),
    })
}

/// `GET /v2.0/security-groups`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let groups = visible(&call).await?;
    COLLECTION.answer(&call, groups.iter().map(render).collect())
}

/// `GET /v2.0/security-groups/{group}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    one(&call, "security_group", render(&find(&call).await?))
}

/// `POST /v2.0/security-groups`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let mut attributes = Attributes::read(&call, "security_group")?;
    let project = attributes.project(&call)?;
    let now = call.now();
    let mut group = SecurityGroup::new(std::array::from_fn(|_| Uuid::new_v4()), "", project, now);
    read(&mut attributes, &mut group)?;
    attributes.finish(&[])?;
    // Each project has its own; it is the first of its groups.
    call.state.store.default_security_group(&group.project_id, now).await?;
    if group.name == DEFAULT_GROUP {
        return Err(CloudError::conflict("Default security group already exists.")
            .kind("SecurityGroupDefaultAlreadyExists"));
    }
    call.state.store.create_security_group(&group).await?;
    one(&call, "security_group", render(&group))
}

fn read(attributes: &mut Attributes, group: &mut SecurityGroup) -> Result<(), CloudError> {
    attributes.set_text("name", &mut group.name)?;
    attributes.set_text("description", &mut group.description)?;
    attributes.set_flag("stateful", &mut group.stateful)
}

/// `PUT /v2.0/security-groups/{group}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let id = find(&call).await?.id;
    let mut attributes = Attributes::read(&call, "security_group")?;
    let now = call.now();
    let done = call.state.store.edit_security_group(id, |group| {
        check_revision(&call, group.revision_number)?;
        let name = group.name.clone();
        read(&mut attributes, group)?;
        attributes.finish(&["id", "tenant_id", "project_id", "security_group_rules", "revision_number"])?;
        if (name == DEFAULT_GROUP || group.name == DEFAULT_GROUP) && name != group.name {
            return Err(CloudError::conflict("The group 'default' keeps its name, and no other takes it.")
                .kind("SecurityGroupCannotUpdateDefault"));
        }
        group.revision_number += 1;
        group.updated_at = now;
        Ok(())
    });
    one(&call, "security_group", render(&done.await?))
}

/// `DELETE /v2.0/security-groups/{group}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let group = find(&call).await?;
    check_revision(&call, group.revision_number)?;
    if group.name == DEFAULT_GROUP && !call.is_operator() {
        return Err(CloudError::conflict("The group 'default' can't be removed: each project has one.")
            .kind("SecurityGroupCannotRemoveDefault"));
    }
    call.state.store.delete_security_group(&group).await?;
    Ok(Reply::empty())
}

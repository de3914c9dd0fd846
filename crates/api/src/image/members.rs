//! Members of shared images.

use super::document::time;
use super::records::{changeable, may_change, visible};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post, Put};
use axum::http::StatusCode;
use model::image::{Image, Member, MemberStatus, Visibility};
use serde_json::{Value, json};
use store::StoreError;

/// Rows of the route table.
pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v2/images/{image}/members", Access::Project, handler!(list))
        .says("Lists an image's members."),
    Route::new(Post, "/v2/images/{image}/members", Access::Project, handler!(create))
        .says("Shares an image with a project."),
    Route::new(Get, "/v2/images/{image}/members/{member}", Access::Project, handler!(show))
        .says("Shows a member of an image."),
    Route::new(Put, "/v2/images/{image}/members/{member}", Access::Project, handler!(update))
        .says("Says whether a project wants an image that is shared with it."),
    Route::new(Delete, "/v2/images/{image}/members/{member}", Access::Project, handler!(delete))
        .success(StatusCode::NO_CONTENT)
        .says("Takes an image away from a project."),
];

/// `[DEFAULT] image_member_quota`.
const MEMBERS: i64 = 128;
/// Longest identity of a project, in bytes.
const LONGEST: usize = 255;

fn document(member: &Member) -> Value {
    json!({
        "member_id": member.project,
        "image_id": member.image,
        "status": member.status.as_str(),
        "created_at": time(member.created_at),
        "updated_at": time(member.updated_at),
        "schema": "/v2/schemas/member",
    })
}

fn no_member(call: &Call) -> CloudError {
    let (image, member) = (call.parameter("image"), call.parameter("member"));
    CloudError::not_found(format!(
        "{} not found in the member list of the image {image}.",
        member.chars().take(100).collect::<String>()
    ))
}

fn is_shared(image: &Image) -> Result<(), CloudError> {
    if image.visibility == Visibility::Shared {
        return Ok(());
    }
    Err(CloudError::forbidden(format!(
        "Only shared images have members; this one is {}. Make it shared first.",
        image.visibility.as_str()
    )))
}

/// May the caller see this member? The image's owner sees all, a member itself.
fn may_see(call: &Call, image: &Image, project: &str) -> bool {
    call.sees_all() || may_change(call, image) || call.owns(project) || is_own_image(call, image)
}

/// A reader of the owner's project sees the members too.
fn is_own_image(call: &Call, image: &Image) -> bool {
    image.owner.as_deref().is_some_and(|owner| call.owns(owner))
}

async fn list(call: Call) -> Result<Reply, CloudError> {
    let image = visible(&call).await?;
    is_shared(&image)?;
    let members = call.state.store.image_members(image.uuid).await?;
    let shown: Vec<_> =
        members.iter().filter(|member| may_see(&call, &image, &member.project)).map(document).collect();
    Reply::json(&json!({"members": shown, "schema": "/v2/schemas/members"}))
}

async fn create(call: Call) -> Result<Reply, CloudError> {
    let body = call.json()?;
    let project = body["member"].as_str().filter(|project| !project.is_empty() && project.len() <= LONGEST);
    let project = project.filter(|project| !project.contains('\0')).ok_or_else(|| {
        CloudError::invalid("Member to be added not specified: send the project's id as \"member\".")
    })?;
    let image = changeable(&call, "share").await?;
    is_shared(&image)?;
    let now = call.now();
    let member = Member {
        image: image.uuid,
        project: project.to_owned(),
        status: MemberStatus::Pending,
        created_at: now,
        updated_at: now,
    };
    call.state.store.create_image_member(&member, MEMBERS).await.map_err(|error| match error {
        StoreError::Duplicate { .. } => CloudError::conflict(format!(
            "The target member {project} is already associated with image {}.",
            image.uuid
        )),
        StoreError::InUse { .. } => CloudError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("The limit has been exceeded on the number of allowed image members for this image. Maximum: {MEMBERS}"),
        ),
        other => super::records::reworded(other),
    })?;
    Reply::json(&document(&member))
}

async fn found(call: &Call) -> Result<(Image, Member), CloudError> {
    let image = visible(call).await?;
    let project = call.parameter("member");
    match call.state.store.image_member(image.uuid, project).await? {
        Some(member) if may_see(call, &image, project) => Ok((image, member)),
        _ => Err(no_member(call)),
    }
}

async fn show(call: Call) -> Result<Reply, CloudError> {
    Reply::json(&document(&found(&call).await?.1))
}

async fn update(call: Call) -> Result<Reply, CloudError> {
    let body = call.json()?;
    let status = body["status"].as_str().and_then(MemberStatus::parse).ok_or_else(|| {
        CloudError::invalid("A member's \"status\" must be one of pending, accepted, rejected.")
    })?;
    let (image, member) = found(&call).await?;
    // Whoever shares an image can't say that it is wanted.
    if !call.is_operator() && !call.owns(&member.project) {
        return Err(CloudError::forbidden(
            "You are not permitted to modify 'status' on this image member: the member's project is.",
        ));
    }
    let member =
        call.state.store.update_image_member(image.uuid, &member.project, status, call.now()).await?;
    Reply::json(&document(&member))
}

async fn delete(call: Call) -> Result<Reply, CloudError> {
    let image = changeable(&call, "take away members of").await?;
    is_shared(&image)?;
    call.state.store.delete_image_member(image.uuid, call.parameter("member")).await.map_err(|error| {
        match error {
            StoreError::NotFound { .. } => no_member(&call),
            other => other.into(),
        }
    })?;
    Ok(Reply::empty())
}

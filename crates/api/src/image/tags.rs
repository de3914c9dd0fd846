//! Tags of an image, one by one.

use super::fields;
use super::records::{Refused, changeable};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Put};
use axum::http::StatusCode;

/// Rows of the route table.
pub(super) const ROUTES: &[Route] = &[
    Route::new(Put, "/v2/images/{image}/tags/{tag}", Access::Project, handler!(add))
        .success(StatusCode::NO_CONTENT)
        .says("Tags an image."),
    Route::new(Delete, "/v2/images/{image}/tags/{tag}", Access::Project, handler!(remove))
        .success(StatusCode::NO_CONTENT)
        .says("Takes a tag from an image."),
];

async fn add(call: Call) -> Result<Reply, CloudError> {
    let tag = fields::tag(call.parameter("tag"))?;
    let image = changeable(&call, "tag").await?;
    let now = call.now();
    call.state
        .store
        .edit_image::<Refused>(image.uuid, |image| {
            if image.tags.insert(tag) {
                image.updated_at = now;
            }
            Ok(fields::check_counts(image)?)
        })
        .await?;
    Ok(Reply::empty())
}

async fn remove(call: Call) -> Result<Reply, CloudError> {
    let tag = fields::tag(call.parameter("tag"))?;
    let image = changeable(&call, "untag").await?;
    let now = call.now();
    call.state
        .store
        .edit_image::<Refused>(image.uuid, |image| {
            if !image.tags.remove(&tag) {
                return Err(CloudError::not_found(format!("The image has no tag {tag}.")).into());
            }
            image.updated_at = now;
            Ok(())
        })
        .await?;
    Ok(Reply::empty())
}

//! Deactivating an image and back: while it lasts, only operators may have its data, and no machine gets it.

use super::records::{Refused, changeable};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Post;
use axum::http::StatusCode;
use model::image::Status;

/// Rows of the route table.
pub(super) const ROUTES: &[Route] = &[
    Route::new(Post, "/v2/images/{image}/actions/deactivate", Access::Project, handler!(deactivate))
        .success(StatusCode::NO_CONTENT)
        .says("Keeps an image's data from everybody but operators."),
    Route::new(Post, "/v2/images/{image}/actions/reactivate", Access::Project, handler!(reactivate))
        .success(StatusCode::NO_CONTENT)
        .says("Gives an image's data free again."),
];

async fn deactivate(call: Call) -> Result<Reply, CloudError> {
    switch(call, "deactivate", Status::Active, Status::Deactivated).await
}

async fn reactivate(call: Call) -> Result<Reply, CloudError> {
    switch(call, "reactivate", Status::Deactivated, Status::Active).await
}

async fn switch(call: Call, verb: &str, from: Status, to: Status) -> Result<Reply, CloudError> {
    let image = changeable(&call, verb).await?;
    let now = call.now();
    call.state
        .store
        .edit_image::<Refused>(image.uuid, |image| {
            if image.status == to {
                return Ok(());
            }
            if image.status != from {
                return Err(CloudError::forbidden(format!(
                    "Not allowed to {verb} an image in status '{}'.",
                    image.status.as_str()
                ))
                .into());
            }
            image.status = to;
            image.updated_at = now;
            Ok(())
        })
        .await?;
    Ok(Reply::empty())
}

//! Finding images, and who may do what with them.
//!
//! An image that the caller may not see is not there: 404, in the same words as one that does not exist. One that may be seen and not
//! changed is 403.

use crate::cloud::{Call, CloudError};
use axum::http::StatusCode;
use images::Backend;
use model::image::{Image, Visibility};
use store::{Store, StoreError};
use uuid::Uuid;

/// In Glance's words.
pub(super) fn no_image(id: &str) -> CloudError {
    let id: String = id.chars().take(100).collect();
    CloudError::not_found(format!("No image found with ID {id}"))
}

/// Glance's words for a store that does not find an image.
pub(super) fn reworded(error: StoreError) -> CloudError {
    match error {
        StoreError::NotFound { what: "Image", ident } => no_image(&ident),
        other => other.into(),
    }
}

/// Carries either kind of error out of a change in the store.
pub(super) enum Refused {
    Store(StoreError),
    Cloud(CloudError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<CloudError> for Refused {
    fn from(error: CloudError) -> Self {
        Self::Cloud(error)
    }
}

impl From<Refused> for CloudError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Store(error) => reworded(error),
            Refused::Cloud(error) => error,
        }
    }
}

/// The image that the path names, if the caller may see it.
pub(super) async fn visible(call: &Call) -> Result<Image, CloudError> {
    let id = call.parameter("image");
    let uuid = Uuid::try_parse(id).map_err(|_| no_image(id))?;
    let image: Image = call.state.store.get(&uuid.to_string()).await.map_err(reworded)?;
    if may_see(call, &image).await? { Ok(image) } else { Err(no_image(id)) }
}

/// The image that the path names, if the caller may change it.
pub(super) async fn changeable(call: &Call, what: &str) -> Result<Image, CloudError> {
    let image = visible(call).await?;
    if may_change(call, &image) {
        return Ok(image);
    }
    Err(CloudError::forbidden(format!(
        "You are not permitted to {what} this image: it belongs to another project."
    )))
}

async fn may_see(call: &Call, image: &Image) -> Result<bool, CloudError> {
    if call.sees_all() {
        return Ok(true);
    }
    Ok(may_use(&call.state.store, image, call.project().unwrap_or_default()).await?)
}

/// May this project use an image? Public and community images, its own, and those that are shared with it. An empty project is nobody's.
pub(crate) async fn may_use(store: &Store, image: &Image, project: &str) -> Result<bool, StoreError> {
    if matches!(image.visibility, Visibility::Public | Visibility::Community) {
        return Ok(true);
    }
    if project.is_empty() {
        return Ok(false);
    }
    if image.owner.as_deref() == Some(project) {
        return Ok(true);
    }
    Ok(image.visibility == Visibility::Shared && store.image_member(image.uuid, project).await?.is_some())
}

/// Its owner's project, and operators.
pub(super) fn may_change(call: &Call, image: &Image) -> bool {
    call.is_operator() || image.owner.as_deref().is_some_and(|owner| call.owns(owner))
}

/// Where bytes are kept; 503 at a site that keeps none.
pub(super) fn storage(call: &Call) -> Result<&Backend, CloudError> {
    call.state.conductor.storage().ok_or_else(|| {
        CloudError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "This site keeps no images: there is no storage for them in its configuration.",
        )
    })
}

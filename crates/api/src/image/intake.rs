//! Bytes of an image on their way in: stored, hashed, looked at, and only then made the image's.

use super::range::unavailable;
use super::records::{Refused, no_image, reworded};
use crate::ApiState;
use crate::cloud::CloudError;
use axum::http::StatusCode;
use bytes::Bytes;
use disk::{Content, Format, SNIFF_LENGTH, detect};
use futures_util::{Stream, StreamExt};
use images::{Algorithm, Backend, Name, Stored};
use jiff::Timestamp;
use model::image::{Image, Status};
use std::time::Duration;
use store::StoreError;
use uuid::Uuid;

/// The next bytes of an upload must have come within this time.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(60);

/// Stores what comes under the image's name. Errors: 413 for too much, 408 for too slow, 400 for what broke off; nothing is left then.
pub(super) async fn store<E: std::fmt::Display>(
    state: &ApiState,
    storage: &Backend,
    image: Uuid,
    announced: Option<u64>,
    body: impl Stream<Item = Result<Bytes, E>>,
) -> Result<Stored, CloudError> {
    let settings = &state.settings.images;
    let name = Name::image(image);
    let mut upload = storage
        .upload(&name, announced, settings.size_limit, &settings.algorithms())
        .await
        .map_err(unavailable)?;
    let mut body = std::pin::pin!(body);
    loop {
        let next = tokio::time::timeout(IDLE_TIME, body.next()).await.map_err(|_| {
            CloudError::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("No data came for {} seconds; the upload was given up.", IDLE_TIME.as_secs()),
            )
        })?;
        match next {
            Some(Ok(bytes)) => upload.write(bytes).await.map_err(unavailable)?,
            Some(Err(error)) => {
                let came = upload.size();
                return Err(CloudError::invalid(format!(
                    "The image's data broke off after {came} bytes: {error}"
                )));
            }
            None => break,
        }
    }
    if let Some(announced) = announced.filter(|announced| *announced != upload.size()) {
        let error = images::StorageError::WrongLength { announced, came: upload.size() };
        return Err(unavailable(error));
    }
    upload.finish().await.map_err(unavailable)
}

/// Looks at stored bytes: are they what the image's `disk_format` says? Returns the size of the disk that they stand for, where the
/// format tells it. Errors: 400 with the reason.
pub(super) async fn inspect(storage: &Backend, image: &Image) -> Result<Option<u64>, CloudError> {
    let name = Name::image(image.uuid);
    let declared = image.disk_format.as_deref().unwrap_or_default();
    let refused = |reason: String| {
        CloudError::invalid(format!(
            "The data is not what the image's disk_format \"{declared}\" says: {reason}"
        ))
    };
    match declared {
        "raw" | "qcow2" | "iso" | "gpt" => {
            let format = Format::parse(declared).map_err(|error| refused(error.to_string()))?;
            let about = storage.inspect(&name, Some(format)).await.map_err(unavailable)?;
            Ok(about.map_err(|error| refused(error.to_string()))?.virtual_bytes)
        }
        // A kernel or a ramdisk may be compressed, and a file system begins with anything; but what opens other files is none.
        "aki" | "ari" | "ami" => match content(storage, &name).await? {
            Content::Known(Format::Qcow2) | Content::Foreign("vmdk" | "qed" | "qcow" | "vhdx" | "vdi") => {
                Err(refused("it is a disk image of another format by its content".to_owned()))
            }
            _ => Ok(None),
        },
        // Formats that no machine is given here: kept for whoever fetches them, but under their true name.
        other => match content(storage, &name).await? {
            Content::Foreign(found) if found == other => Ok(None),
            Content::Known(Format::Raw) => Ok(None),
            found => Err(refused(format!("it is {} by its content", found.name()))),
        },
    }
}

async fn content(storage: &Backend, name: &Name) -> Result<Content, CloudError> {
    Ok(detect(&storage.head(name, SNIFF_LENGTH as u64).await.map_err(unavailable)?))
}

/// Moves an image from one of these states to another, or says 409.
pub(super) async fn begin(
    state: &ApiState,
    image: Uuid,
    from: &[Status],
    to: Status,
    change: impl FnOnce(&mut Image) -> Result<(), CloudError>,
) -> Result<Image, CloudError> {
    let now = Timestamp::now();
    let image = state
        .store
        .edit_image::<Refused>(image, |image| {
            if !from.contains(&image.status) {
                return Err(CloudError::conflict(format!(
                    "Image status transition from {} to {} is not allowed",
                    image.status.as_str(),
                    to.as_str()
                ))
                .into());
            }
            if image.container_format.is_none() || image.disk_format.is_none() {
                return Err(CloudError::invalid(
                    "Properties disk_format, container_format must be set prior to saving data.",
                )
                .into());
            }
            change(image)?;
            image.status = to;
            image.session = Some(state.conductor.session());
            image.updated_at = now;
            Ok(())
        })
        .await?;
    Ok(image)
}

/// Images whose data was being taken in by a process that has ended, or by an earlier session of this one.
pub(super) async fn given_up(state: &ApiState) -> Result<Vec<Image>, StoreError> {
    let mut images = state.store.images_in(&[Status::Saving, Status::Uploading, Status::Importing]).await?;
    let living: Vec<_> = state.conductor.conductors().await?;
    images.retain(|image| {
        !living.iter().any(|member| member.is_alive && Some(member.session) == image.session)
    });
    Ok(images)
}

/// Makes this process the one that looks after such an image. `false`: another one was quicker, or it is done.
pub(super) async fn take_over(state: &ApiState, image: &Image) -> Result<bool, StoreError> {
    let taken = state.store.edit_image::<StoreError>(image.uuid, |now| {
        if (now.status, now.session) != (image.status, image.session) {
            return Err(StoreError::Aborted);
        }
        now.session = Some(state.conductor.session());
        Ok(())
    });
    match taken.await {
        Ok(_) => Ok(true),
        Err(StoreError::Aborted | StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Is the image's data being taken in by this process?
fn is_ours(state: &ApiState, image: &Image) -> bool {
    image.session == Some(state.conductor.session())
}

/// Writes down what came of an intake that `began` in a state which nothing else leaves: the bytes are the image's now. 410 where the
/// image was deleted meanwhile: then its bytes go too.
pub(super) async fn complete(
    state: &ApiState,
    storage: &Backend,
    image: Uuid,
    began: Status,
    change: impl FnOnce(&mut Image),
) -> Result<(), CloudError> {
    let now = Timestamp::now();
    let done = state
        .store
        .edit_image::<Refused>(image, |image| {
            if image.status != began || !is_ours(state, image) {
                return Err(
                    CloudError::conflict("The image's status was changed while its data came.").into()
                );
            }
            image.data = Some(Name::image(image.uuid).to_string());
            image.updated_at = now;
            change(image);
            Ok(())
        })
        .await;
    match done {
        Ok(_) => Ok(()),
        Err(refused) => {
            discard(storage, image).await;
            Err(match refused {
                Refused::Store(StoreError::NotFound { .. }) => CloudError::new(
                    StatusCode::GONE,
                    format!(
                        "Image {image} could not be found after upload. The image may have been deleted during the upload."
                    ),
                ),
                other => other.into(),
            })
        }
    }
}

/// What an upload came to, in the image's attributes.
pub(super) fn describe(image: &mut Image, stored: &Stored, algorithm: Algorithm) {
    image.size = Some(stored.size);
    image.os_hash_algo = Some(algorithm.name().to_owned());
    image.os_hash_value = stored.digest(algorithm).map(str::to_owned);
    image.checksum = stored.digest(Algorithm::Md5).map(str::to_owned);
}

/// Takes an image back to `queued` after an intake that went wrong, and its bytes with it. An image that is gone is no error.
pub(super) async fn take_back(state: &ApiState, storage: &Backend, image: Uuid, began: Status) {
    // Another process may be at it by now; the bytes have one name.
    match state.store.get::<Image>(&image.to_string()).await {
        Ok(now) if !is_ours(state, &now) => return,
        _ => discard(storage, image).await,
    }
    let now = Timestamp::now();
    let done = state
        .store
        .edit_image::<StoreError>(image, |image| {
            if image.status == began && is_ours(state, image) {
                back_to_queued(image, now);
            }
            Ok(())
        })
        .await;
    match done {
        Ok(_) | Err(StoreError::NotFound { .. }) => {}
        Err(error) => tracing::error!(%image, %error, "an image could not be taken back to queued"),
    }
}

/// As it was before any bytes came.
pub(super) fn back_to_queued(image: &mut Image, now: Timestamp) {
    image.status = Status::Queued;
    image.data = None;
    image.import = None;
    image.session = None;
    image.size = None;
    image.virtual_size = None;
    image.checksum = None;
    image.os_hash_algo = None;
    image.os_hash_value = None;
    image.updated_at = now;
}

async fn discard(storage: &Backend, image: Uuid) {
    if let Err(error) = storage.delete(&Name::image(image)).await {
        tracing::warn!(%image, %error, "data of a refused image could not be deleted; it is tried again at the next start");
    }
}

/// The image as it is now.
pub(super) async fn read(state: &ApiState, image: Uuid) -> Result<Image, CloudError> {
    state.store.get::<Image>(&image.to_string()).await.map_err(|error| match error {
        StoreError::NotFound { .. } => no_image(&image.to_string()),
        other => reworded(other),
    })
}

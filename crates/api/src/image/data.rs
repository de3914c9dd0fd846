//! An image's data: upload, staging, download.

use super::records::{changeable, storage, visible};
use super::{intake, range};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Get, Put};
use axum::body::BodyDataStream;
use axum::http::{HeaderName, StatusCode, header};
use futures_util::StreamExt;
use futures_util::stream::Fuse;
use images::Name;
use model::image::{Image, Status};
use std::time::Duration;

/// Rows of the route table.
pub(super) const ROUTES: &[Route] = &[
    Route::new(Put, "/v2/images/{image}/file", Access::Project, handler!(upload))
        .streams()
        .success(StatusCode::NO_CONTENT)
        .says("Uploads an image's data."),
    Route::new(Get, "/v2/images/{image}/file", Access::Project, handler!(download))
        .says("Downloads an image's data, whole or a range of it."),
    Route::new(Put, "/v2/images/{image}/stage", Access::Project, handler!(stage))
        .streams()
        .success(StatusCode::NO_CONTENT)
        .says("Uploads an image's data for an import."),
];

/// What a refused client still sends is read for so long.
const DRAIN_TIME: Duration = Duration::from_secs(5);
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// A body that may be asked for more after its end.
type Upload = Fuse<BodyDataStream>;

async fn upload(call: Call) -> Result<Reply, CloudError> {
    let mut body = call.stream.take().unwrap_or_default().into_data_stream().fuse();
    let outcome = receive(&call, &mut body, Status::Saving).await;
    answer(outcome, body).await
}

async fn stage(call: Call) -> Result<Reply, CloudError> {
    let mut body = call.stream.take().unwrap_or_default().into_data_stream().fuse();
    let outcome = receive(&call, &mut body, Status::Uploading).await;
    answer(outcome, body).await
}

/// Takes an image's data in, in the state `during`; nothing of it is left where anything is wrong.
async fn receive(call: &Call, body: &mut Upload, during: Status) -> Result<(), CloudError> {
    let (image, announced) = beginning(call).await?;
    let storage = storage(call)?;
    intake::begin(&call.state, image.uuid, &[Status::Queued], during, |_| Ok(())).await?;
    let received = match during {
        Status::Saving => save(call, &image, body, announced).await,
        _ => keep(call, &image, body, announced).await,
    };
    if received.is_err() {
        intake::take_back(&call.state, storage, image.uuid, during).await;
    }
    received
}

/// Stores, looks, and makes the image active.
async fn save(
    call: &Call,
    image: &Image,
    body: &mut Upload,
    announced: Option<u64>,
) -> Result<(), CloudError> {
    let storage = storage(call)?;
    let stored = intake::store(&call.state, storage, image.uuid, announced, body).await?;
    let virtual_size = intake::inspect(storage, image).await?;
    let algorithm = call.state.settings.images.hashing_algorithm;
    intake::complete(&call.state, storage, image.uuid, Status::Saving, |image| {
        intake::describe(image, &stored, algorithm);
        image.virtual_size = virtual_size;
        image.status = Status::Active;
    })
    .await
}

/// Stores; the image stays `uploading`, and is looked at when it is imported.
async fn keep(
    call: &Call,
    image: &Image,
    body: &mut Upload,
    announced: Option<u64>,
) -> Result<(), CloudError> {
    let storage = storage(call)?;
    let stored = intake::store(&call.state, storage, image.uuid, announced, body).await?;
    let algorithm = call.state.settings.images.hashing_algorithm;
    intake::complete(&call.state, storage, image.uuid, Status::Uploading, |image| {
        intake::describe(image, &stored, algorithm);
    })
    .await
}

/// Answers; a client that is refused while it sends reads no answer before it has sent all, so it gets some time for that.
async fn answer(outcome: Result<(), CloudError>, mut body: Upload) -> Result<Reply, CloudError> {
    if outcome.is_err() {
        let rest = async { while let Some(Ok(_)) = body.next().await {} };
        // Past that the connection is cut.
        let _ = tokio::time::timeout(DRAIN_TIME, rest).await;
    }
    outcome.map(|()| Reply::empty())
}

/// What uploads have in common before their first byte: the image, and the data's length where the client says it.
async fn beginning(call: &Call) -> Result<(Image, Option<u64>), CloudError> {
    let media = call.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    if media.split(';').next().unwrap_or_default().trim() != "application/octet-stream" {
        let media: String = media.chars().take(100).collect();
        return Err(CloudError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("An image's data is sent as application/octet-stream, not as \"{media}\"."),
        ));
    }
    let announced = match call.header(header::CONTENT_LENGTH.as_str()) {
        Some(text) => Some(text.parse().map_err(|_| CloudError::invalid("Content-Length is no number."))?),
        // Clients that send in chunks may say it so.
        None => call.header("x-openstack-image-size").and_then(|text| text.parse().ok()),
    };
    Ok((changeable(call, "upload data for").await?, announced))
}

async fn download(call: Call) -> Result<Reply, CloudError> {
    let image = visible(&call).await?;
    if image.status == Status::Deactivated && !call.is_operator() {
        return Err(CloudError::forbidden(
            "The requested image has been deactivated. Image data download is forbidden.",
        ));
    }
    let has_data = matches!(image.status, Status::Active | Status::Deactivated);
    let (Some(size), true) = (image.size, has_data) else {
        // As Glance: there is an image, and nothing in it yet.
        return Ok(Reply::empty().status(StatusCode::NO_CONTENT));
    };
    let tag = image.os_hash_value.as_deref();
    let served =
        range::serve(storage(&call)?, &Name::image(image.uuid), size, tag, &call.method, &call.headers)
            .await?;
    let mut reply = Reply::body(served.body, "application/octet-stream").status(served.status);
    for (name, value) in served.headers {
        if name != header::CONTENT_TYPE {
            reply = reply.with(name, value);
        }
    }
    // In hexadecimal, as Glance has it; clients compare it so.
    if let Some(checksum) = image.checksum.filter(|_| served.status == StatusCode::OK) {
        reply = reply.with(CONTENT_MD5, checksum);
    }
    Ok(reply)
}

//! Bytes of objects, on their way into the backend and out of it.
//!
//! A body is recorded before its first byte is written, and named by an object in the transaction that takes it off the record; see
//! `store::object_store`. So an upload that breaks off leaves nothing, and what a process that died leaves is removed by another.

use crate::ApiState;
use crate::cloud::CloudError;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use images::{Algorithm, Backend, Name, StorageError, Upload};
use jiff::Timestamp;
use std::io;
use std::pin::Pin;
use std::time::Duration;
use uuid::Uuid;

/// A client that sends nothing for so long has gone.
const STALL: Duration = Duration::from_secs(60);

/// Bytes on their way.
pub(super) type Bytestream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A body that has arrived and is no object's yet.
#[derive(Debug)]
pub(super) struct Arrived {
    /// Where its bytes are; none: it has none.
    pub body: Option<Uuid>,
    /// Bytes.
    pub size: i64,
    /// MD5 in hex.
    pub md5: String,
}

/// A stretch of a stored body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub body: Uuid,
    pub start: u64,
    pub length: u64,
}

/// What an answer's body is put together from.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Text(Bytes),
    Stored(Piece),
}

/// Where bytes are kept; 503 at a site that keeps none.
fn backend(state: &ApiState) -> Result<&Backend, CloudError> {
    state.conductor.storage().ok_or_else(|| {
        CloudError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "This site keeps no objects: there is no storage for them in its configuration.",
        )
    })
}

fn name(body: Uuid) -> Result<Name, StorageError> {
    Name::new("objects", &body.to_string())
}

/// The bytes of a request.
pub(super) fn of_request(body: Body) -> Bytestream {
    Box::pin(body.into_data_stream().map_err(io::Error::other))
}

/// Takes in a body of at most `limit` bytes.
pub(super) async fn receive(
    state: &ApiState,
    announced: Option<u64>,
    limit: u64,
    mut bytes: Bytestream,
) -> Result<Arrived, CloudError> {
    let first = loop {
        match next(&mut bytes).await? {
            Some(bytes) if bytes.is_empty() => {}
            Some(bytes) => break bytes,
            None => return finished(announced, 0, None, super::digest::md5(&[b""])),
        }
    };
    let backend = backend(state)?;
    let body = Uuid::new_v4();
    state.store.expect_object_body(body, state.conductor.session(), Timestamp::now()).await?;
    let received = async {
        let upload = backend
            .upload(&name(body).map_err(storage)?, announced, limit, &[Algorithm::Md5])
            .await
            .map_err(storage)?;
        fill(upload, announced, first, bytes).await
    };
    match received.await {
        Ok((size, md5)) => finished(announced, size, Some(body), md5),
        Err(error) => {
            discard(state, body).await;
            Err(error)
        }
    }
}

async fn fill(
    mut upload: Upload,
    announced: Option<u64>,
    first: Bytes,
    mut bytes: Bytestream,
) -> Result<(u64, String), CloudError> {
    upload.write(first).await.map_err(storage)?;
    while let Some(bytes) = next(&mut bytes).await? {
        upload.write(bytes).await.map_err(storage)?;
    }
    // Before anything gets its name.
    finished(announced, upload.size(), None, String::new())?;
    let stored = upload.finish().await.map_err(storage)?;
    let md5 = stored.digest(Algorithm::Md5).unwrap_or_default().to_owned();
    Ok((stored.size, md5))
}

async fn next(bytes: &mut Bytestream) -> Result<Option<Bytes>, CloudError> {
    match tokio::time::timeout(STALL, bytes.next()).await {
        Ok(Some(Ok(bytes))) => Ok(Some(bytes)),
        Ok(Some(Err(error))) => Err(CloudError::invalid(format!(
            "The object's bytes could not be read to their end, nothing of them is kept: {error}"
        ))),
        Ok(None) => Ok(None),
        Err(_) => Err(CloudError::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("No bytes came for {} seconds; nothing of the object is kept.", STALL.as_secs()),
        )),
    }
}

fn finished(
    announced: Option<u64>,
    came: u64,
    body: Option<Uuid>,
    md5: String,
) -> Result<Arrived, CloudError> {
    if announced.is_some_and(|announced| announced != came) {
        return Err(CloudError::invalid(format!(
            "{} bytes were announced and {came} came; nothing of them is kept.",
            announced.unwrap_or_default()
        )));
    }
    Ok(Arrived { body, size: i64::try_from(came).unwrap_or(i64::MAX), md5 })
}

/// Removes a body that no object names. What fails is tried again by the sweeper, which finds it on the record.
pub(super) async fn discard(state: &ApiState, body: Uuid) {
    let removed = async {
        backend(state)?.delete(&name(body).map_err(storage)?).await.map_err(storage)?;
        state.store.forget_object_bodies(&[body]).await.map_err(CloudError::from)
    };
    if let Err(error) = removed.await {
        tracing::warn!(%body, %error, "bytes that no object names could not be removed yet");
    }
}

/// Why there are no bytes to send.
pub(super) enum StreamError {
    /// They are not there: the object that named them may have been written over.
    Gone(StorageError),
    /// Anything else.
    Refused(CloudError),
}

impl From<CloudError> for StreamError {
    fn from(error: CloudError) -> Self {
        StreamError::Refused(error)
    }
}

/// The parts as one stream, each opened when it is its turn; the first at once, so that what is not there is an error and not an
/// answer that breaks off.
pub(super) async fn stream(state: &ApiState, parts: Vec<Part>) -> Result<Body, StreamError> {
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else { return Ok(Body::empty()) };
    let backend = backend(state)?.clone();
    let first = match open(&backend, first).await {
        Ok(first) => first,
        Err(error @ StorageError::NotFound { .. }) => return Err(StreamError::Gone(error)),
        Err(error) => return Err(storage(error).into()),
    };
    let rest = stream::iter(parts)
        .then(move |part| {
            let backend = backend.clone();
            async move { open(&backend, part).await.map_err(io::Error::other) }
        })
        .try_flatten();
    Ok(Body::from_stream(first.chain(rest)))
}

/// The same for whoever reads it here.
pub(super) async fn read(state: &ApiState, parts: Vec<Part>) -> Result<Bytestream, CloudError> {
    match stream(state, parts).await {
        Ok(body) => Ok(of_request(body)),
        Err(StreamError::Gone(error)) => Err(storage(error)),
        Err(StreamError::Refused(error)) => Err(error),
    }
}

async fn open(backend: &Backend, part: Part) -> Result<Bytestream, StorageError> {
    match part {
        Part::Text(text) => Ok(Box::pin(stream::iter([Ok(text)]))),
        Part::Stored(piece) => {
            let range = piece.start..piece.start + piece.length;
            Ok(Box::pin(backend.read(&name(piece.body)?, Some(range)).await?))
        }
    }
}

/// What the backend said, as the client is told.
pub(super) fn storage(error: StorageError) -> CloudError {
    match &error {
        StorageError::TooLarge { .. } => CloudError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("Your request is too large: {error}. Upload it in segments."),
        ),
        StorageError::Full { .. } => CloudError::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string()),
        StorageError::WrongLength { .. } => CloudError::invalid(error.to_string()),
        _ => {
            tracing::error!(%error, "the storage of objects failed");
            CloudError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The storage of objects failed; the log has the details under this request's id.",
            )
        }
    }
}

/// Removes what waits for its removal, in batches, until nothing does or something fails.
pub(super) async fn sweep(state: &ApiState) -> Result<(), CloudError> {
    let Ok(backend) = backend(state) else { return Ok(()) };
    loop {
        let doomed = state.store.doomed_object_bodies().await?;
        if doomed.is_empty() {
            return Ok(());
        }
        for body in &doomed {
            backend.delete(&name(*body).map_err(storage)?).await.map_err(storage)?;
        }
        state.store.forget_object_bodies(&doomed).await?;
    }
}

//! `PUT` of objects: bytes, and manifests of large objects.

use super::account::done;
use super::bodies::{self, Arrived};
use super::conditions::{Verdict, check};
use super::containers;
use super::copy;
use super::digest::{md5, plain_etag};
use super::door::{Deed, Guest, admit};
use super::headers::{metadata_changes, text, with_times};
use super::large::stretch;
use super::lifetime;
use super::objects::{find_at, own_headers};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Put;
use axum::body::Body;
use axum::http::{StatusCode, header};
use model::object_store::{
    MAX_FILE_SIZE, MAX_MANIFEST_SIZE, Manifest, Metadata, Object, Segment, SegmentRequest, check_metadata,
    check_object_name, parse_static,
};

pub(super) const ROUTES: &[Route] =
    &[Route::new(Put, "/v1/{account}/{container}/{object*}", Access::Granted, handler!(put))
        .success(StatusCode::CREATED)
        .streams()
        .says("Stores an object: bytes of any size, a manifest, or a copy of another one.")];

/// Bytes of one object.
pub(super) const LIMIT: u64 = MAX_FILE_SIZE.unsigned_abs();

async fn put(call: Call) -> Result<Reply, CloudError> {
    let guest = admit(&call, Deed::Change).await?;
    check_object_name(call.parameter("object")).map_err(CloudError::invalid)?;
    let stream = call.stream.take().unwrap_or_default();
    if call.headers.contains_key("x-copy-from") {
        return copy::from(&call, &guest).await;
    }
    if call.query.first("multipart-manifest") == Some("put") {
        return put_manifest(&call, &guest, stream).await;
    }
    // Before any byte is taken.
    containers::find(&call, &guest.project, call.parameter("container")).await?;
    let mut object = described(&call)?;
    object.manifest = dynamic(&call, &guest)?;
    let arrived = bodies::receive(&call.state, announced(&call)?, LIMIT, bodies::of_request(stream)).await?;
    let expected = text(&call.headers, "etag")?.map(|etag| plain_etag(etag).to_ascii_lowercase());
    if expected.is_some_and(|expected| !expected.is_empty() && expected != arrived.md5) {
        if let Some(body) = arrived.body {
            bodies::discard(&call.state, body).await;
        }
        return Err(CloudError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!(
                "The ETag that was sent is not the MD5 of the bytes that came, which is {}.",
                arrived.md5
            ),
        ));
    }
    keep(&call, &guest, object, arrived).await
}

/// How many bytes will come, where the client says so.
fn announced(call: &Call) -> Result<Option<u64>, CloudError> {
    let Some(length) = text(&call.headers, "content-length")? else { return Ok(None) };
    let length = length.parse().map_err(|_| CloudError::invalid("The Content-Length is no number."))?;
    if length > LIMIT {
        return Err(CloudError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("Your request is too large: an object has at most {LIMIT} bytes; upload it in segments."),
        ));
    }
    Ok(Some(length))
}

/// An object as the request's headers describe it, without bytes.
pub(super) fn described(call: &Call) -> Result<Object, CloudError> {
    let now = call.now();
    let metadata: Metadata = metadata_changes(&call.headers, "object")?
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect();
    check_metadata(&metadata).map_err(CloudError::invalid)?;
    let content_type = text(&call.headers, "content-type")?.filter(|kind| !kind.is_empty());
    Ok(Object {
        name: call.parameter("object").to_owned(),
        body: None,
        stored_bytes: 0,
        bytes: 0,
        etag: String::new(),
        content_type: content_type.unwrap_or("application/octet-stream").to_owned(),
        headers: own_headers(call)?,
        metadata,
        manifest: None,
        delete_at: lifetime::asked(&call.headers, now)?,
        modified_at: now,
    })
}

/// `X-Object-Manifest`. Not by temporary URL: whoever may write one object could read all of a container by it.
fn dynamic(call: &Call, guest: &Guest) -> Result<Option<Manifest>, CloudError> {
    let Some(value) = text(&call.headers, "x-object-manifest")?.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    if guest.temp_url.is_some() {
        return Err(CloudError::invalid("The header x-object-manifest is not allowed in this tempurl."));
    }
    let (container, prefix) = lifetime::place(value)
        .ok_or_else(|| CloudError::invalid("X-Object-Manifest must be in the format container/prefix"))?;
    Ok(Some(Manifest::Dynamic { container, prefix }))
}

/// Gives a body that has arrived to an object, and the object its name; whatever had the name before is gone then, bytes and all.
pub(super) async fn keep(
    call: &Call,
    guest: &Guest,
    mut object: Object,
    arrived: Arrived,
) -> Result<Reply, CloudError> {
    object.body = arrived.body;
    object.stored_bytes = arrived.size;
    object.bytes = arrived.size;
    object.etag = arrived.md5;
    object.modified_at = call.now();
    match store(call, guest, &object).await {
        Ok(()) => Ok(created(call, &object)),
        Err(error) => {
            if let Some(body) = object.body {
                bodies::discard(&call.state, body).await;
            }
            Err(error)
        }
    }
}

/// Gives an object its name, if the request's conditions allow that.
pub(super) async fn store(call: &Call, guest: &Guest, object: &Object) -> Result<(), CloudError> {
    let allow = |before: Option<&Object>| {
        let before = before.map(|before| (before.etag.as_str(), before.modified_at));
        match check(&call.headers, before) {
            Verdict::Go => Ok(()),
            _ => Err(CloudError::new(
                StatusCode::PRECONDITION_FAILED,
                "A precondition of the request does not hold: there is an object of this name that it excludes, or none.",
            )),
        }
    };
    let container = call.parameter("container");
    let replaced = call.state.store.put_object(&guest.project, container, object, call.now(), allow).await?;
    if let Some(old) = replaced.body {
        bodies::discard(&call.state, old).await;
    }
    Ok(())
}

/// The answer to a `PUT`.
pub(super) fn created(call: &Call, object: &Object) -> Reply {
    let etag = if object.is_static_large() { format!("\"{}\"", object.etag) } else { object.etag.clone() };
    let reply =
        Reply::empty().with(header::ETAG, etag).with(header::CONTENT_TYPE, "text/html; charset=UTF-8");
    done(with_times(reply, object.modified_at), call)
}

/// `PUT ?multipart-manifest=put`
async fn put_manifest(call: &Call, guest: &Guest, stream: Body) -> Result<Reply, CloudError> {
    if guest.temp_url.is_some() {
        return Err(CloudError::invalid("A manifest can't be uploaded by a temporary URL."));
    }
    let body =
        crate::body::read(stream, &call.headers, MAX_MANIFEST_SIZE, &call.state.settings.gates.requests)
            .await?;
    let requests = parse_static(&body).map_err(|error| CloudError::invalid(error.0))?;
    let mut problems = String::new();
    let mut segments = Vec::with_capacity(requests.len());
    let last = requests.len() - 1;
    for (index, request) in requests.iter().enumerate() {
        match segment(call, guest, request, index == last).await? {
            Ok(segment) => segments.push(segment),
            Err(problem) => {
                let path = lifetime::quoted(&format!("/{}/{}", request.container, request.object));
                problems.push_str(&format!("{path}, {problem}\n"));
            }
        }
    }
    if !problems.is_empty() {
        return Err(CloudError::invalid(format!("Errors:\n{problems}")));
    }
    let mut object = described(call)?;
    object.bytes = segments
        .iter()
        .filter_map(stretch)
        .map(|(_, length)| i64::try_from(length).unwrap_or(i64::MAX))
        .fold(0, i64::saturating_add);
    object.etag = manifest_etag(&segments);
    let expected = text(&call.headers, "etag")?.map(|etag| plain_etag(etag).to_ascii_lowercase());
    if expected.is_some_and(|expected| !expected.is_empty() && expected != object.etag) {
        return Err(CloudError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("The ETag that was sent is not the segments' one, which is {}.", object.etag),
        ));
    }
    object.manifest = Some(Manifest::Static(segments));
    store(call, guest, &object).await?;
    Ok(created(call, &object))
}

/// What is there of a segment; the inner error is what is wrong with it.
async fn segment(
    call: &Call,
    guest: &Guest,
    request: &SegmentRequest,
    is_last: bool,
) -> Result<Result<Segment, String>, CloudError> {
    if request.container == call.parameter("container") && request.object == call.parameter("object") {
        return Ok(Err("manifest must not include itself as a segment".to_owned()));
    }
    let object = match find_at(call, &guest.project, &request.container, &request.object).await {
        Ok((_, object)) => object,
        Err(error) if error.status == StatusCode::NOT_FOUND => return Ok(Err("404 Not Found".to_owned())),
        Err(error) => return Err(error),
    };
    if request.etag.as_ref().is_some_and(|etag| *etag != object.etag) {
        return Ok(Err("Etag Mismatch".to_owned()));
    }
    if request.size_bytes.is_some_and(|size| size != object.bytes) {
        return Ok(Err("Size Mismatch".to_owned()));
    }
    let segment = Segment {
        name: format!("/{}/{}", request.container, request.object),
        bytes: object.bytes,
        hash: object.etag.clone(),
        content_type: object.content_type.clone(),
        last_modified: object.modified_at,
        range: request.range.clone(),
        sub_slo: object.is_static_large(),
    };
    let Some((start, length)) = stretch(&segment) else {
        return Ok(Err("Unsatisfiable Range".to_owned()));
    };
    if length < 1 && !is_last {
        return Ok(Err("Too small; each segment must be at least 1 byte.".to_owned()));
    }
    let range = segment.range.as_ref().map(|_| format!("{start}-{}", (start + length).saturating_sub(1)));
    Ok(Ok(Segment { range, ..segment }))
}

/// MD5 of the segments' ETags, and of their ranges where they have some.
fn manifest_etag(segments: &[Segment]) -> String {
    let hashes: Vec<String> = segments
        .iter()
        .map(|segment| match &segment.range {
            Some(range) => format!("{}:{range};", segment.hash),
            None => segment.hash.clone(),
        })
        .collect();
    md5(&hashes.iter().map(|hash| hash.as_bytes()).collect::<Vec<_>>())
}

//! Objects: read, described, deleted. How they come is in `upload` and `copy`.

use super::account::done;
use super::bodies::{self, Part, Piece, StreamError};
use super::bulk;
use super::conditions::{Verdict, check};
use super::containers;
use super::door::{Deed, Guest, admit};
use super::headers::{metadata_changes, named, text, with_metadata, with_times};
use super::large::{self, View};
use super::lifetime;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post};
use axum::body::{Body, Bytes};
use axum::http::{Method, StatusCode, header};
use model::object_store::{
    Container, Manifest, Metadata, Object, Range, RangeError, check_metadata, parse_ranges,
};
use serde_json::json;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/{account}/{container}/{object*}", Access::Granted, handler!(read))
        .says("Reads an object, or parts of it."),
    Route::new(Post, "/v1/{account}/{container}/{object*}", Access::Granted, handler!(update))
        .success(StatusCode::ACCEPTED)
        .says("Replaces an object's metadata."),
    Route::new(Delete, "/v1/{account}/{container}/{object*}", Access::Granted, handler!(delete))
        .success(StatusCode::NO_CONTENT)
        .says("Deletes an object; with multipart-manifest=delete, its segments too."),
];

/// `GET` and `HEAD`
async fn read(call: Call) -> Result<Reply, CloudError> {
    let guest = admit(&call, Deed::Read).await?;
    for attempt in 1.. {
        match read_once(&call, &guest).await {
            // Written over between the look at its row and the look at its bytes: there is another row now.
            Err(StreamError::Gone(_)) if attempt < 3 => {}
            Err(StreamError::Gone(error)) => return Err(bodies::storage(error)),
            Err(StreamError::Refused(error)) => return Err(error),
            Ok(reply) => return Ok(reply),
        }
    }
    unreachable!("the loop ends by returning")
}

async fn read_once(call: &Call, guest: &Guest) -> Result<Reply, StreamError> {
    let (_, object) = find(call, &guest.project).await?;
    if call.query.first("multipart-manifest") == Some("get") {
        if let Some(Manifest::Static(_)) = &object.manifest {
            return Ok(manifest(call, guest, &object)?);
        }
        // Of a dynamic one, what it has of its own.
        let own = View::of_own_bytes(&object);
        return send(call, guest, &Object { manifest: None, ..object }, &own).await;
    }
    let view = large::view(call, guest, &object).await?;
    send(call, guest, &object, &view).await
}

async fn send(call: &Call, guest: &Guest, object: &Object, view: &View) -> Result<Reply, StreamError> {
    match check(&call.headers, Some((&view.etag, object.modified_at))) {
        Verdict::Go => {}
        Verdict::NotModified => {
            let reply = Reply::empty().status(StatusCode::NOT_MODIFIED);
            return Ok(describe(call, guest, object, view, reply));
        }
        Verdict::Failed => {
            return Err(CloudError::new(
                StatusCode::PRECONDITION_FAILED,
                "A precondition of the request does not hold.",
            )
            .into());
        }
    }
    let ranges = wanted(call, object, view)?;
    let is_head = call.method == Method::HEAD;
    let (status, parts, length, content_type) = match ranges.as_slice() {
        [] => {
            let parts = stored(call, guest, object, view, 0, view.size, is_head).await?;
            (StatusCode::OK, parts, view.size, object.content_type.clone())
        }
        [range] => {
            let parts = stored(call, guest, object, view, range.start, range.length, is_head).await?;
            (StatusCode::PARTIAL_CONTENT, parts, range.length, object.content_type.clone())
        }
        ranges => multipart(call, guest, object, view, ranges).await?,
    };
    let body = if is_head { Body::empty() } else { bodies::stream(&call.state, parts).await? };
    let mut reply = Reply::body(body, &content_type).status(status);
    reply = reply.with(header::CONTENT_LENGTH, length.to_string());
    if let [range] = ranges.as_slice() {
        reply = reply.with(header::CONTENT_RANGE, content_range(*range, view.size));
    }
    Ok(describe(call, guest, object, view, reply))
}

/// The ranges that are asked for and may be served; none: the whole. 416 where none of them lies in the object.
fn wanted(call: &Call, object: &Object, view: &View) -> Result<Vec<Range>, CloudError> {
    let Some(asked) = text(&call.headers, "range")? else { return Ok(Vec::new()) };
    if let Some(only_if) = text(&call.headers, "if-range")? {
        let is_same = super::digest::plain_etag(only_if) == view.etag
            || super::headers::parse_http_date(only_if)
                == Some(super::headers::whole_second(object.modified_at));
        if !is_same {
            return Ok(Vec::new());
        }
    }
    match parse_ranges(asked, view.size) {
        Ok(ranges) => Ok(ranges),
        Err(RangeError::Ignored) => Ok(Vec::new()),
        Err(RangeError::Unsatisfiable) => {
            Err(CloudError::new(StatusCode::RANGE_NOT_SATISFIABLE, "The Range requested is not available.")
                .with(header::CONTENT_RANGE, format!("bytes */{}", view.size)))
        }
    }
}

fn content_range(range: Range, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.last())
}

async fn stored(
    call: &Call,
    guest: &Guest,
    object: &Object,
    view: &View,
    start: u64,
    length: u64,
    is_head: bool,
) -> Result<Vec<Part>, CloudError> {
    if is_head {
        return Ok(Vec::new());
    }
    let pieces: Vec<Piece> = large::pieces(call, guest, object, view, start, length).await?;
    Ok(pieces.into_iter().map(Part::Stored).collect())
}

/// Several ranges in one answer (RFC 9110, 14.6).
async fn multipart(
    call: &Call,
    guest: &Guest,
    object: &Object,
    view: &View,
    ranges: &[Range],
) -> Result<(StatusCode, Vec<Part>, u64, String), CloudError> {
    let boundary = call.request_id.trim_start_matches("req-").replace('-', "");
    let is_head = call.method == Method::HEAD;
    let mut parts = Vec::new();
    let mut length = 0;
    let mut say = |parts: &mut Vec<Part>, said: String| {
        length += said.len() as u64;
        parts.push(Part::Text(Bytes::from(said)));
    };
    let mut bytes = 0;
    for range in ranges {
        say(
            &mut parts,
            format!(
                "--{boundary}\r\nContent-Type: {}\r\nContent-Range: {}\r\n\r\n",
                object.content_type,
                content_range(*range, view.size)
            ),
        );
        parts.extend(stored(call, guest, object, view, range.start, range.length, is_head).await?);
        bytes += range.length;
        say(&mut parts, "\r\n".to_owned());
    }
    say(&mut parts, format!("--{boundary}--"));
    let content_type = format!("multipart/byteranges;boundary={boundary}");
    Ok((StatusCode::PARTIAL_CONTENT, parts, length + bytes, content_type))
}

/// Everything that is said about an object beside its bytes.
fn describe(call: &Call, guest: &Guest, object: &Object, view: &View, reply: Reply) -> Reply {
    let etag = if object.manifest.is_some() { format!("\"{}\"", view.etag) } else { view.etag.clone() };
    let mut reply =
        with_times(reply, object.modified_at).with(header::ETAG, etag).with(header::ACCEPT_RANGES, "bytes");
    for (name, value) in &object.headers {
        let is_replaced = guest.temp_url.is_some() && name == "content-disposition";
        if !is_replaced {
            reply = named(reply, name, value);
        }
    }
    // Whoever has a URL alone reads the bytes, and of the metadata what is marked as public (`outgoing_allow_headers`).
    let mut metadata = object.metadata.clone();
    metadata.retain(|key, _| guest.temp_url.is_none() || key.starts_with("public-"));
    reply = with_metadata(reply, "object", &metadata);
    match &object.manifest {
        Some(Manifest::Static(_)) => reply = named(reply, "x-static-large-object", "True"),
        Some(Manifest::Dynamic { container, prefix }) => {
            reply = named(reply, "x-object-manifest", lifetime::quoted(&format!("{container}/{prefix}")));
        }
        None => {}
    }
    if let Some(at) = object.delete_at {
        reply = named(reply, "x-delete-at", at.as_second().to_string());
    }
    if let Some(temp_url) = &guest.temp_url {
        reply = reply.with(header::CONTENT_DISPOSITION, temp_url.disposition(&object.name));
        if let Ok(at) = jiff::Timestamp::from_second(temp_url.expires) {
            reply = reply.with(header::EXPIRES, super::headers::http_date(at));
        }
    }
    done(reply, call)
}

/// The manifest of a static large object, as it is or, with `format=raw`, as it could be uploaded again.
fn manifest(call: &Call, guest: &Guest, object: &Object) -> Result<Reply, CloudError> {
    let Some(Manifest::Static(segments)) = &object.manifest else { return Ok(Reply::empty()) };
    let is_raw = call.query.first("format") == Some("raw");
    let shown: Vec<_> = segments
        .iter()
        .map(|segment| {
            let mut item = if is_raw {
                json!({"path": segment.name, "etag": segment.hash, "size_bytes": segment.bytes})
            } else {
                json!({
                    "name": segment.name,
                    "bytes": segment.bytes,
                    "hash": segment.hash,
                    "content_type": segment.content_type,
                    "last_modified": super::headers::iso(segment.last_modified),
                })
            };
            if let Some(range) = &segment.range {
                item["range"] = json!(range);
            }
            if segment.sub_slo && !is_raw {
                item["sub_slo"] = json!(true);
            }
            item
        })
        .collect();
    let text = serde_json::Value::Array(shown).to_string();
    let view = View::of_text(&text);
    let length = view.size.to_string();
    let content_type = if is_raw { &object.content_type } else { "application/json; charset=utf-8" };
    let reply = Reply::body(Body::from(text), content_type).with(header::CONTENT_LENGTH, length);
    Ok(describe(call, guest, object, &view, reply))
}

/// `POST`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let guest = admit(&call, Deed::Change).await?;
    let changes = metadata_changes(&call.headers, "object")?;
    let metadata: Metadata =
        changes.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
    let removed: Vec<&String> =
        changes.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key).collect();
    let headers = own_headers(&call)?;
    let delete_at = lifetime::asked(&call.headers, call.now())?;
    let content_type = text(&call.headers, "content-type")?.map(str::to_owned);
    let store = &call.state.store;
    store
        .edit_object(
            &guest.project,
            call.parameter("container"),
            call.parameter("object"),
            call.now(),
            |object| {
                if metadata.is_empty() && !removed.is_empty() {
                    // Swift replaces all metadata by whatever comes, so that its clients' "unset" of one item loses every other.
                    object.metadata.retain(|key, _| !removed.contains(&key));
                } else {
                    object.metadata = metadata;
                }
                check_metadata(&object.metadata).map_err(CloudError::invalid)?;
                object.headers = headers;
                object.delete_at = delete_at;
                if let Some(content_type) = content_type {
                    object.content_type = content_type;
                }
                object.modified_at = call.now();
                Ok::<_, CloudError>(())
            },
        )
        .await?;
    Ok(done(Reply::empty(), &call))
}

/// Headers of a request that belong to the object.
pub(super) fn own_headers(call: &Call) -> Result<Metadata, CloudError> {
    let mut headers = Metadata::new();
    for name in Object::HEADERS {
        if let Some(value) = text(&call.headers, name)?.filter(|value| !value.is_empty()) {
            headers.insert((*name).to_owned(), value.to_owned());
        }
    }
    Ok(headers)
}

/// `DELETE`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let guest = admit(&call, Deed::Change).await?;
    let (container, object) = (call.parameter("container"), call.parameter("object"));
    if call.query.first("multipart-manifest") == Some("delete") {
        let (_, found) = find(&call, &guest.project).await?;
        if let Some(Manifest::Static(segments)) = &found.manifest {
            let mut paths: Vec<String> = segments.iter().map(|segment| segment.name.clone()).collect();
            paths.push(format!("/{container}/{object}"));
            return bulk::delete_paths(&call, &guest.project, &paths).await;
        }
    }
    remove(&call, &guest.project, container, object).await?;
    Ok(done(Reply::empty(), &call))
}

/// Deletes an object, then its bytes.
pub(super) async fn remove(
    call: &Call,
    project: &str,
    container: &str,
    object: &str,
) -> Result<(), CloudError> {
    let allow = |found: &Object| match check(&call.headers, Some((&found.etag, found.modified_at))) {
        Verdict::Go => Ok(()),
        _ => Err(CloudError::new(
            StatusCode::PRECONDITION_FAILED,
            "A precondition of the request does not hold.",
        )),
    };
    let gone = call.state.store.delete_object(project, container, object, call.now(), allow).await?;
    if let Some(body) = gone.body {
        bodies::discard(&call.state, body).await;
    }
    Ok(())
}

/// The container and the object that the path names.
pub(super) async fn find(call: &Call, project: &str) -> Result<(Container, Object), CloudError> {
    find_at(call, project, call.parameter("container"), call.parameter("object")).await
}

/// A container and an object in it.
pub(super) async fn find_at(
    call: &Call,
    project: &str,
    container: &str,
    object: &str,
) -> Result<(Container, Object), CloudError> {
    let container = containers::find(call, project, container).await?;
    let object = call.state.store.object(container.uuid, object, call.now()).await?;
    Ok((container, object))
}

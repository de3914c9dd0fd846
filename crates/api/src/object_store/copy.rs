//! Copies: `COPY` with a `Destination`, and `PUT` with `X-Copy-From`.

use super::account::done;
use super::bodies::{self, Part};
use super::door::{Deed, Guest, admit, project_of};
use super::headers::{http_date, named, text};
use super::lifetime::{place, quoted};
use super::objects::find_at;
use super::upload::{LIMIT, created, described, keep, store};
use super::{containers, large};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Copy;
use axum::http::StatusCode;
use model::object_store::{Object, check_metadata, check_object_name};

pub(super) const ROUTES: &[Route] =
    &[Route::new(Copy, "/v1/{account}/{container}/{object*}", Access::Granted, handler!(copy))
        .success(StatusCode::CREATED)
        .says("Copies an object to another name.")];

/// `COPY`: a `PUT` of the destination.
async fn copy(mut call: Call) -> Result<Reply, CloudError> {
    let source = (call.parameter("container").to_owned(), call.parameter("object").to_owned());
    let guest = admit(&call, Deed::Change).await?;
    own_account(&call, &guest, "destination-account")?;
    let destination = text(&call.headers, "destination")?.and_then(place).ok_or_else(|| {
        CloudError::new(
            StatusCode::PRECONDITION_FAILED,
            "Destination header must be of the form <container name>/<object name>",
        )
    })?;
    check_object_name(&destination.1).map_err(CloudError::invalid)?;
    // From here on it is a request to the destination.
    for (name, value) in &mut call.parameters {
        match *name {
            "container" => value.clone_from(&destination.0),
            "object" => value.clone_from(&destination.1),
            _ => {}
        }
    }
    between(&call, &guest, source).await
}

/// `PUT` with `X-Copy-From`.
pub(super) async fn from(call: &Call, guest: &Guest) -> Result<Reply, CloudError> {
    if guest.temp_url.is_some() {
        return Err(CloudError::invalid("The header x-copy-from is not allowed in this tempurl."));
    }
    own_account(call, guest, "x-copy-from-account")?;
    let source = text(&call.headers, "x-copy-from")?.and_then(place).ok_or_else(|| {
        CloudError::new(
            StatusCode::PRECONDITION_FAILED,
            "X-Copy-From header must be of the form <container name>/<object name>",
        )
    })?;
    between(call, guest, source).await
}

/// Copies stay within an account.
fn own_account(call: &Call, guest: &Guest, header: &str) -> Result<(), CloudError> {
    match text(&call.headers, header)? {
        Some(account) if project_of(account) != Some(&guest.project) => Err(CloudError::forbidden(
            "Objects are copied within one account only: download it and upload it there.",
        )),
        _ => Ok(()),
    }
}

async fn between(call: &Call, guest: &Guest, source: (String, String)) -> Result<Reply, CloudError> {
    let (_, original) = find_at(call, &guest.project, &source.0, &source.1).await?;
    containers::find(call, &guest.project, call.parameter("container")).await?;
    let mut object = described(call)?;
    if !is_fresh(call)? {
        inherit(call, &mut object, &original)?;
    }
    let reply = if call.query.first("multipart-manifest") == Some("get") && original.is_static_large() {
        object.manifest = original.manifest.clone();
        object.bytes = original.bytes;
        object.etag = original.etag.clone();
        store(call, guest, &object).await?;
        created(call, &object)
    } else {
        let view = large::view(call, guest, &original).await?;
        if view.size > LIMIT {
            return Err(CloudError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("The object has {} bytes; a copy of bytes has at most {LIMIT}.", view.size),
            ));
        }
        let pieces = large::pieces(call, guest, &original, &view, 0, view.size).await?;
        let bytes = bodies::read(&call.state, pieces.into_iter().map(Part::Stored).collect()).await?;
        let arrived = bodies::receive(&call.state, Some(view.size), LIMIT, bytes).await?;
        keep(call, guest, object, arrived).await?
    };
    let reply = named(reply, "x-copied-from", quoted(&format!("{}/{}", source.0, source.1)));
    let reply = named(reply, "x-copied-from-account", call.parameter("account"));
    Ok(done(named(reply, "x-copied-from-last-modified", http_date(original.modified_at)), call))
}

fn is_fresh(call: &Call) -> Result<bool, CloudError> {
    let value = text(&call.headers, "x-fresh-metadata")?.unwrap_or_default().to_ascii_lowercase();
    Ok(["true", "1", "yes", "on", "t", "y"].contains(&value.as_str()))
}

/// Takes over what is said about the original, but for what the request says anew.
fn inherit(call: &Call, object: &mut Object, original: &Object) -> Result<(), CloudError> {
    for (key, value) in &original.metadata {
        object.metadata.entry(key.clone()).or_insert_with(|| value.clone());
    }
    check_metadata(&object.metadata).map_err(CloudError::invalid)?;
    for (name, value) in &original.headers {
        object.headers.entry(name.clone()).or_insert_with(|| value.clone());
    }
    if text(&call.headers, "content-type")?.is_none_or(str::is_empty) {
        object.content_type.clone_from(&original.content_type);
    }
    object.delete_at = object.delete_at.or(original.delete_at);
    Ok(())
}

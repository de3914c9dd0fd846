//! `/v1/nodes/{node}/vmedia`: images in virtual drives. Attaching and detaching go on behind the answer; what goes wrong there is
//! told in `last_error` alone.

use super::schema::{Property, STRING, check, property};
use crate::args::object;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Verb::{Delete, Get, Post};
use crate::route::{Route, Takes};
use crate::wording::{repr, repr_text};
use axum::http::StatusCode;
use model::errand::Deed;
use model::version::{GET_VIRTUAL_MEDIA, VIRTUAL_MEDIA};
use serde_json::{Map, Value};

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes/{node}/vmedia", "baremetal:node:vmedia:get", handler!(list))
        .says("Lists the node's virtual media.")
        .since(GET_VIRTUAL_MEDIA)
        .query(&[]),
    Route::new(Post, "/v1/nodes/{node}/vmedia", "baremetal:node:vmedia:attach", handler!(attach))
        .says("Attaches virtual media to the node.")
        .since(VIRTUAL_MEDIA)
        .query(&[])
        .takes(Takes::Object(PROPERTIES, REQUIRED))
        .success(StatusCode::NO_CONTENT),
    Route::new(Delete, "/v1/nodes/{node}/vmedia", "baremetal:node:vmedia:detach", handler!(detach))
        .says("Detaches virtual media from the node.")
        .since(VIRTUAL_MEDIA)
        .query(&["device_types"])
        .success(StatusCode::NO_CONTENT),
];

const PROPERTIES: &[Property] = &[
    property("device_type", STRING),
    property("image_url", STRING),
    property("image_download_source", STRING),
];
const REQUIRED: &[&str] = &["device_type", "image_url"];

const DEVICES: &[&str] = &["disk", "cdrom", "floppy"];
const SOURCES: &[&str] = &["http", "local", "swift"];
const SCHEMES: &[&str] = &["http", "https", "nfs", "cifs", "smb"];

/// `GET …/vmedia`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node;
    Reply::json(&call.state.conductor.virtual_media(node.uuid).await?)
}

/// `POST …/vmedia {device_type, image_url, image_download_source}`
pub async fn attach(call: Call) -> Result<Reply, ApiError> {
    let body = object("vmedia", call.json()?)?;
    check("vmedia", &body, PROPERTIES, REQUIRED)?;
    let device_type = word(&body, "device_type", DEVICES)?.unwrap_or_default();
    let source = word(&body, "image_download_source", SOURCES)?.unwrap_or("local");
    let url = body.get("image_url").and_then(Value::as_str).unwrap_or_default();
    let scheme = scheme(url);
    if !SCHEMES.contains(&scheme.as_str()) {
        return Err(ApiError::invalid(format!("Unsupported or missing URL scheme: {scheme}")));
    }
    let node = call.node().await?.node;
    let deed = Deed::AttachMedia {
        device_type: device_type.to_owned(),
        image_url: url.to_owned(),
        download_source: source.to_owned(),
    };
    call.state.conductor.errand(node.uuid, deed, call.caller.user.clone()).await?;
    Ok(Reply::empty())
}

/// `DELETE …/vmedia?device_types=cdrom,disk`
pub async fn detach(call: Call) -> Result<Reply, ApiError> {
    let types = call.query.list("device_types")?;
    let invalid: Vec<String> = types
        .iter()
        .flatten()
        .filter(|kind| !DEVICES.contains(&kind.as_str()))
        .map(|kind| kind.chars().take(crate::limits::QUOTED_CHARACTERS).collect())
        .collect();
    if !invalid.is_empty() {
        return Err(ApiError::invalid(format!(
            "Invalid device type(s) {} (valid are {})",
            invalid.join(", "),
            DEVICES.join(", ")
        )));
    }
    let node = call.node().await?.node;
    call.state.conductor.errand(node.uuid, Deed::DetachMedia(types), call.caller.user.clone()).await?;
    Ok(Reply::empty())
}

/// A text that must be one of a list.
fn word<'a>(body: &'a Map<String, Value>, name: &str, known: &[&str]) -> Result<Option<&'a str>, ApiError> {
    match body.get(name).and_then(Value::as_str) {
        Some(text) if !known.contains(&text) => Err(ApiError::invalid(format!(
            "Schema error for vmedia: {} is not one of {}",
            repr_text(text),
            repr(&serde_json::json!(known))
        ))),
        other => Ok(other),
    }
}

/// The scheme of a URL in small letters, as Python's `urlparse` finds it; empty if there is none.
fn scheme(url: &str) -> String {
    let Some((scheme, _)) = url.split_once(':') else { return String::new() };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(plain) {
        return String::new();
    }
    scheme.to_ascii_lowercase().chars().take(crate::limits::QUOTED_CHARACTERS).collect()
}

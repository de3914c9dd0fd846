//! `/servers/{server}/tags`: a tenant's own words for a server (from 2.26 on).

use super::body::{Fields, text};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Put};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/servers/{server}/tags", Access::Project, handler!(index))
        .says("Lists a server's tags."),
    Route::new(Put, "/v2.1/servers/{server}/tags", Access::Project, handler!(replace))
        .says("Replaces a server's tags."),
    Route::new(Delete, "/v2.1/servers/{server}/tags", Access::Project, handler!(clear))
        .says("Removes all of a server's tags.")
        .success(StatusCode::NO_CONTENT),
    Route::new(Get, "/v2.1/servers/{server}/tags/{tag}", Access::Project, handler!(show))
        .says("Tells whether a server has a tag.")
        .success(StatusCode::NO_CONTENT),
    Route::new(Put, "/v2.1/servers/{server}/tags/{tag}", Access::Project, handler!(add))
        .says("Adds a tag to a server.")
        .success(StatusCode::NO_CONTENT),
    Route::new(Delete, "/v2.1/servers/{server}/tags/{tag}", Access::Project, handler!(remove))
        .says("Removes a tag from a server.")
        .success(StatusCode::NO_CONTENT),
];

/// Tags of one server.
const TAGS: usize = 50;
/// Characters of a tag.
const LENGTH: usize = 60;

/// The tags of a body.
pub(super) fn parsed(list: &[Value]) -> Result<BTreeSet<String>, CloudError> {
    let tags = list.iter().map(checked).collect::<Result<BTreeSet<_>, _>>()?;
    check_count(&tags)?;
    Ok(tags)
}

fn checked(value: &Value) -> Result<String, CloudError> {
    let tag = text("tags", value, 1..=LENGTH)?;
    if tag.contains(['/', ',']) {
        return Err(super::body::refused("tags", value, "A tag has no '/' and no ','."));
    }
    Ok(tag.to_owned())
}

fn check_count(tags: &BTreeSet<String>) -> Result<(), CloudError> {
    if tags.len() <= TAGS {
        return Ok(());
    }
    Err(CloudError::invalid(format!("The number of tags exceeded the per-server limit {TAGS}")))
}

/// `GET /servers/{server}/tags`
async fn index(call: Call) -> Result<Reply, CloudError> {
    call.since(26)?;
    Reply::json(&json!({"tags": call.server().await?.tags}))
}

/// `PUT /servers/{server}/tags`
async fn replace(call: Call) -> Result<Reply, CloudError> {
    call.since(26)?;
    let server = call.server().await?;
    let body = call.json()?;
    let fields = Fields::new("the request's body", &body)?;
    fields.only(&["tags"])?;
    let tags = parsed(fields.list("tags")?.ok_or_else(|| fields.missing("tags"))?)?;
    let edited = call.edit_server(&server, |edit| {
        edit.server.tags = tags;
        Ok(())
    });
    Reply::json(&json!({"tags": edited.await?.1.tags}))
}

/// `DELETE /servers/{server}/tags`
async fn clear(call: Call) -> Result<Reply, CloudError> {
    call.since(26)?;
    let server = call.server().await?;
    let edited = call.edit_server(&server, |edit| {
        edit.server.tags.clear();
        Ok(())
    });
    edited.await.map(|_| Reply::empty())
}

fn missing(call: &Call) -> CloudError {
    CloudError::not_found(format!(
        "Server {} has no tag '{}'.",
        call.parameter("server"),
        call.parameter("tag")
    ))
}

/// `GET /servers/{server}/tags/{tag}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    call.since(26)?;
    if call.server().await?.tags.contains(call.parameter("tag")) {
        Ok(Reply::empty())
    } else {
        Err(missing(&call))
    }
}

/// `PUT /servers/{server}/tags/{tag}`
async fn add(call: Call) -> Result<Reply, CloudError> {
    call.since(26)?;
    let server = call.server().await?;
    let tag = checked(&Value::from(call.parameter("tag")))?;
    let edited = call.edit_server(&server, |edit| {
        let is_new = edit.server.tags.insert(tag);
        check_count(&edit.server.tags)?;
        Ok(is_new)
    });
    if !edited.await?.0 {
        return Ok(Reply::empty());
    }
    let place = format!("/v2.1/servers/{}/tags/{}", server.uuid, call.parameter("tag"));
    Ok(Reply::empty().status(StatusCode::CREATED).at(call.url(&place)))
}

/// `DELETE /servers/{server}/tags/{tag}`
async fn remove(call: Call) -> Result<Reply, CloudError> {
    call.since(26)?;
    let server = call.server().await?;
    let tag = call.parameter("tag").to_owned();
    let edited =
        call.edit_server(
            &server,
            |edit| {
                if edit.server.tags.remove(&tag) { Ok(()) } else { Err(missing(&call)) }
            },
        );
    edited.await.map(|_| Reply::empty())
}

//! `/servers/{server}/metadata`: a tenant's own pairs, which the machine reads too.

use super::body::{Fields, only, pairs};
use super::server_create::check_metadata;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post, Put};
use axum::http::StatusCode;
use model::compute::Server;
use serde_json::json;
use std::collections::BTreeMap;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/servers/{server}/metadata", Access::Project, handler!(index))
        .says("Lists a server's metadata."),
    Route::new(Post, "/v2.1/servers/{server}/metadata", Access::Project, handler!(merge))
        .says("Adds pairs to a server's metadata."),
    Route::new(Put, "/v2.1/servers/{server}/metadata", Access::Project, handler!(replace))
        .says("Replaces a server's metadata."),
    Route::new(Get, "/v2.1/servers/{server}/metadata/{key}", Access::Project, handler!(show))
        .says("Shows one pair."),
    Route::new(Put, "/v2.1/servers/{server}/metadata/{key}", Access::Project, handler!(update))
        .says("Sets one pair."),
    Route::new(Delete, "/v2.1/servers/{server}/metadata/{key}", Access::Project, handler!(delete))
        .says("Removes one pair.")
        .success(StatusCode::NO_CONTENT),
];

/// `GET /servers/{server}/metadata`
async fn index(call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({"metadata": call.server().await?.metadata}))
}

/// `POST /servers/{server}/metadata`
async fn merge(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let body = call.json()?;
    let new = pairs(&only(&body, "metadata")?)?;
    let server = write(&call, &server, |metadata| metadata.extend(new)).await?;
    Reply::json(&json!({"metadata": server.metadata}))
}

/// `PUT /servers/{server}/metadata`
async fn replace(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let body = call.json()?;
    let new = pairs(&only(&body, "metadata")?)?;
    let server = write(&call, &server, |metadata| *metadata = new).await?;
    Reply::json(&json!({"metadata": server.metadata}))
}

/// Changes the pairs, within the quota.
async fn write(
    call: &Call,
    server: &Server,
    change: impl FnOnce(&mut BTreeMap<String, String>),
) -> Result<Server, CloudError> {
    let limits = call.state.store.compute_limits(Some(&server.project_id)).await?;
    let edited = call.edit_server(server, |edit| {
        change(&mut edit.server.metadata);
        check_metadata(&limits, &edit.server.metadata)
    });
    edited.await.map(|(_, server)| server)
}

fn missing() -> CloudError {
    CloudError::not_found("Metadata item was not found")
}

/// `GET /servers/{server}/metadata/{key}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let key = call.parameter("key");
    let value = server.metadata.get(key).ok_or_else(missing)?;
    Reply::json(&json!({"meta": {key: value}}))
}

/// `PUT /servers/{server}/metadata/{key}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let body = call.json()?;
    let outer = Fields::new("the request's body", &body)?;
    outer.only(&["meta"])?;
    let new = outer.pairs("meta")?;
    let key = call.parameter("key");
    if new.len() != 1 || !new.contains_key(key) {
        return Err(CloudError::invalid("Request body and URI mismatch"));
    }
    write(&call, &server, |metadata| metadata.extend(new.clone())).await?;
    Reply::json(&json!({"meta": new}))
}

/// `DELETE /servers/{server}/metadata/{key}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let key = call.parameter("key").to_owned();
    let edited =
        call.edit_server(&server, |edit| edit.server.metadata.remove(&key).map(|_| ()).ok_or_else(missing));
    edited.await.map(|_| Reply::empty())
}

/// The pairs that a body gives a server in place of its own, within the quota.
pub(super) async fn checked_pairs(
    call: &Call,
    server: &Server,
    fields: &Fields<'_>,
) -> Result<Option<BTreeMap<String, String>>, CloudError> {
    if !fields.has("metadata") {
        return Ok(None);
    }
    let metadata = fields.pairs("metadata")?;
    let limits = call.state.store.compute_limits(Some(&server.project_id)).await?;
    check_metadata(&limits, &metadata)?;
    Ok(Some(metadata))
}

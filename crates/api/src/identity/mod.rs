//! The identity service (Keystone's API v3).
//!
//! Tokens are signed texts that say who and for what ([`token_key`]); what that means is looked up each time ([`validated`]), and
//! remembered by [`crate::auth::Own`] for as long as no identity data changes.

mod application_credentials;
mod auth_scopes;
mod authenticate;
pub mod bootstrap;
mod catalog;
mod credential_request;
mod document;
mod domains;
mod endpoints;
mod error;
mod grants;
mod groups;
mod immutable;
pub mod lost_password;
pub(crate) mod password;
mod project_tree;
mod projects;
mod reach;
mod regions;
mod role_assignments;
mod role_inferences;
mod roles;
mod services;
mod tags;
mod token_document;
pub(crate) mod token_key;
mod tokens;
mod users;
pub(crate) mod validated;

use crate::cloud::{Access, Call, CloudError, ErrorBody, Reply, Route, Service};
use crate::handler;
use crate::route::Table;
use crate::route::Verb::Get;
use axum::http::StatusCode;
use serde_json::json;
use std::sync::LazyLock;

/// The service.
pub static SERVICE: Service =
    Service { prefix: "identity", kind: "identity", table: &TABLE, versions: None, error_body };

static TABLE: LazyLock<Table<Route>> = LazyLock::new(|| Table::new(ROUTES));

/// The lists of all resources.
const ROUTES: &[&[Route]] = &[
    DISCOVERY,
    tokens::ROUTES,
    auth_scopes::ROUTES,
    users::ROUTES,
    application_credentials::ROUTES,
    groups::ROUTES,
    projects::ROUTES,
    tags::ROUTES,
    domains::ROUTES,
    roles::ROUTES,
    role_inferences::ROUTES,
    role_assignments::ROUTES,
    grants::OF_USERS_ON_PROJECTS,
    grants::OF_GROUPS_ON_PROJECTS,
    grants::OF_USERS_ON_DOMAINS,
    grants::OF_GROUPS_ON_DOMAINS,
    grants::OF_USERS_ON_THE_SYSTEM,
    grants::OF_GROUPS_ON_THE_SYSTEM,
    grants::INHERITED_BY_USERS_FROM_PROJECTS,
    grants::INHERITED_BY_GROUPS_FROM_PROJECTS,
    grants::INHERITED_BY_USERS_FROM_DOMAINS,
    grants::INHERITED_BY_GROUPS_FROM_DOMAINS,
    services::ROUTES,
    endpoints::ROUTES,
    regions::ROUTES,
];

const DISCOVERY: &[Route] = &[
    Route::new(Get, "/", Access::Public, handler!(versions))
        .success(StatusCode::MULTIPLE_CHOICES)
        .says("Lists the API's versions."),
    Route::new(Get, "/v3", Access::Public, handler!(version)).says("Describes version 3."),
];

/// Keystone's shape.
fn error_body(error: &CloudError, _request: &str) -> ErrorBody {
    ErrorBody::json(&json!({
        "error": {"code": error.status.as_u16(), "title": error.title(), "message": error.text}
    }))
}

fn described(call: &Call) -> serde_json::Value {
    json!({
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": call.url("/v3/")}],
        "media-types": [
            {"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}
        ],
    })
}

/// `GET /`
async fn versions(call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({"versions": {"values": [described(&call)]}}))
}

/// `GET /v3`
async fn version(call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({"version": described(&call)}))
}

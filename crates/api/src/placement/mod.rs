//! The placement service: what there is to be had, and what is taken.
//!
//! Nothing is stored for it. Each node is a resource provider, with one of its resource class in its inventory, as Nova's driver for
//! Ironic reports them; a node that is some server's is allocated to it. So nothing can be written here either ([`derived`]): what
//! would change is the node.

mod aggregates;
mod allocations;
mod candidates;
mod derived;
mod filters;
mod inventories;
mod provider;
mod providers;
mod resource_classes;
mod traits;
mod usages;

use crate::cloud::{Access, Call, CloudError, ErrorBody, Reply, Route, Service, Versions};
use crate::handler;
use crate::route::Table;
use crate::route::Verb::Get;
use axum::http::StatusCode;
use serde_json::json;
use std::sync::LazyLock;

/// The service.
pub static SERVICE: Service = Service {
    prefix: "placement",
    kind: "placement",
    table: &TABLE,
    versions: Some(Versions { name: "placement", own_header: None, major: 1, min: 0, max: 39 }),
    error_body,
};

static TABLE: LazyLock<Table<Route>> = LazyLock::new(|| Table::new(ROUTES));

/// The lists of all resources.
const ROUTES: &[&[Route]] = &[
    DISCOVERY,
    providers::ROUTES,
    inventories::ROUTES,
    usages::ROUTES,
    traits::ROUTES,
    aggregates::ROUTES,
    allocations::ROUTES,
    resource_classes::ROUTES,
    candidates::ROUTES,
    derived::ROUTES,
];

const DISCOVERY: &[Route] =
    &[Route::new(Get, "/", Access::Public, handler!(versions)).says("Lists the API's versions.")];

/// Placement's shape.
fn error_body(error: &CloudError, request: &str) -> ErrorBody {
    let code = if error.kind.is_empty() { "placement.undefined_code" } else { error.kind };
    ErrorBody::json(&json!({
        "errors": [{
            "status": error.status.as_u16(),
            "title": error.title(),
            "detail": error.text,
            "code": code,
            "request_id": request,
        }]
    }))
}

/// `GET /`
async fn versions(call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({
        "versions": [{
            "id": "v1.0",
            "status": "CURRENT",
            "min_version": "1.0",
            "max_version": "1.39",
            "links": [{"rel": "self", "href": call.url("")}],
        }]
    }))
}

/// Refuses a route that came with a later microversion, as Placement does: it is not there.
fn since(call: &Call, minor: u16) -> Result<(), CloudError> {
    if call.minor >= minor {
        return Ok(());
    }
    Err(CloudError::new(
        StatusCode::NOT_FOUND,
        format!(
            "The resource could not be found: it came with microversion 1.{minor}, and 1.{} was asked for.",
            call.minor
        ),
    ))
}

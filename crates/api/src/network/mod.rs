//! The network service (Neutron's API v2.0).

use crate::cloud::{Access, Call, CloudError, ErrorBody, Reply, Route, Service};
use crate::handler;
use crate::route::Table;
use crate::route::Verb::Get;
use serde_json::json;
use std::sync::LazyLock;

/// The service.
pub static SERVICE: Service =
    Service { prefix: "networking", kind: "network", table: &TABLE, versions: None, error_body };

static TABLE: LazyLock<Table<Route>> = LazyLock::new(|| Table::new(ROUTES));

/// The lists of all resources.
const ROUTES: &[&[Route]] = &[DISCOVERY];

const DISCOVERY: &[Route] = &[
    Route::new(Get, "/", Access::Public, handler!(versions)).says("Lists the API's versions."),
    Route::new(Get, "/v2.0", Access::Public, handler!(resources)).says("Lists the collections."),
];

/// Neutron's shape; the name of the error is what clients look at.
fn error_body(error: &CloudError, _request: &str) -> ErrorBody {
    let kind = match (error.kind, error.status.as_u16()) {
        ("", 400) => "HTTPBadRequest",
        ("", 401) => "HTTPUnauthorized",
        ("", 403) => "PolicyNotAuthorized",
        ("", 404) => "HTTPNotFound",
        ("", 409) => "HTTPConflict",
        ("", _) => "HTTPInternalServerError",
        (kind, _) => kind,
    };
    ErrorBody::json(&json!({"NeutronError": {"type": kind, "message": error.text, "detail": ""}}))
}

/// `GET /`
async fn versions(call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({
        "versions": [
            {"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": call.url("/v2.0/")}]}
        ]
    }))
}

/// `GET /v2.0`
async fn resources(call: Call) -> Result<Reply, CloudError> {
    let mut collections: Vec<&str> = TABLE
        .routes()
        .filter_map(|route| route.path.strip_prefix("/v2.0/")?.split(['/', '{']).next())
        .collect();
    collections.sort_unstable();
    collections.dedup();
    let resources: Vec<_> = collections
        .into_iter()
        .map(|collection| {
            json!({
                "name": collection.trim_end_matches('s'),
                "collection": collection,
                "links": [{"rel": "self", "href": call.url(&format!("/v2.0/{collection}"))}],
            })
        })
        .collect();
    Reply::json(&json!({"resources": resources}))
}

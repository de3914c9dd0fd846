//! The image service (Glance's API v2).

use crate::cloud::{Access, Call, CloudError, ErrorBody, Reply, Route, Service};
use crate::handler;
use crate::route::Table;
use crate::route::Verb::Get;
use axum::http::StatusCode;
use serde_json::json;
use std::sync::LazyLock;

/// The service.
pub static SERVICE: Service =
    Service { prefix: "image", kind: "image", table: &TABLE, versions: None, error_body };

static TABLE: LazyLock<Table<Route>> = LazyLock::new(|| Table::new(ROUTES));

/// The lists of all resources.
const ROUTES: &[&[Route]] = &[DISCOVERY];

const DISCOVERY: &[Route] = &[
    Route::new(Get, "/", Access::Public, handler!(versions))
        .success(StatusCode::MULTIPLE_CHOICES)
        .says("Lists the API's versions."),
    Route::new(Get, "/versions", Access::Public, handler!(versions)).says("Lists the API's versions."),
];

/// As Glance's clients read it.
fn error_body(error: &CloudError, _request: &str) -> ErrorBody {
    ErrorBody::json(&json!({
        "code": format!("{} {}", error.status.as_u16(), error.title()),
        "title": error.title(),
        "message": error.text,
    }))
}

/// `GET /`, `GET /versions`
async fn versions(call: Call) -> Result<Reply, CloudError> {
    let versions: Vec<_> = (0..=17)
        .rev()
        .filter(|minor| ![10, 11, 12, 14].contains(minor))
        .map(|minor| {
            json!({
                "id": format!("v2.{minor}"),
                "status": if minor == 17 { "CURRENT" } else { "SUPPORTED" },
                "links": [{"rel": "self", "href": call.url("/v2/")}],
            })
        })
        .collect();
    Reply::json(&json!({"versions": versions}))
}

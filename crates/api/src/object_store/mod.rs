//! The object store (Swift's API v1).

use crate::cloud::{Access, Call, CloudError, ErrorBody, Reply, Route, Service};
use crate::handler;
use crate::route::Table;
use crate::route::Verb::Get;
use serde_json::json;
use std::sync::LazyLock;

/// The service.
pub static SERVICE: Service =
    Service { prefix: "object-store", kind: "object-store", table: &TABLE, versions: None, error_body };

static TABLE: LazyLock<Table<Route>> = LazyLock::new(|| Table::new(ROUTES));

/// The lists of all resources.
const ROUTES: &[&[Route]] = &[DISCOVERY];

const DISCOVERY: &[Route] =
    &[Route::new(Get, "/info", Access::Public, handler!(info)).says("Tells what the store can do.")];

/// Swift's clients show the text as it is.
fn error_body(error: &CloudError, _request: &str) -> ErrorBody {
    ErrorBody {
        content_type: "text/plain; charset=utf-8",
        text: format!("{}: {}\n", error.title(), error.text),
    }
}

/// `GET /info`
async fn info(_call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({"swift": {"version": "2.33.0"}}))
}

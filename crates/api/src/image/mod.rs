//! The image service (Glance's API v2).
//!
//! Records are in the store, bytes in the conductor's storage (`images`). What a caller may see and do is asked in one place
//! (`records.rs`); bytes come in by `data.rs` (uploads) and `import.rs`, both of which end in `intake.rs`, where an image is looked at
//! before it becomes active. Machines fetch images by signed links, from `machines.rs`.

mod actions;
mod data;
mod document;
mod download;
mod fields;
mod filters;
mod images;
mod import;
mod info;
mod intake;
pub mod machines;
mod members;
mod patch;
mod range;
mod records;
mod schemas;
pub mod settings;
mod tags;
mod tasks;

pub use import::resume;
pub(crate) use records::may_use;
pub use settings::ImageSettings;

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
const ROUTES: &[&[Route]] = &[
    DISCOVERY,
    images::ROUTES,
    data::ROUTES,
    import::ROUTES,
    members::ROUTES,
    tags::ROUTES,
    actions::ROUTES,
    tasks::ROUTES,
    info::ROUTES,
    schemas::ROUTES,
];

const DISCOVERY: &[Route] = &[
    Route::new(Get, "/", Access::Public, handler!(versions))
        .success(StatusCode::MULTIPLE_CHOICES)
        .says("Lists the API's versions."),
    Route::new(Get, "/versions", Access::Public, handler!(versions)).says("Lists the API's versions."),
];

/// As Glance's clients read it: those of old look for a `message` within the body's values.
fn error_body(error: &CloudError, _request: &str) -> ErrorBody {
    ErrorBody::json(&json!({
        "error": {"code": error.status.as_u16(), "title": error.title(), "message": error.text},
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

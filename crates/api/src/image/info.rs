//! What this site offers: ways of importing, stores, usage.

use super::import::METHODS;
use super::records::storage;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use axum::http::StatusCode;
use serde_json::json;

/// Rows of the route table.
pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v2/info/import", Access::User, handler!(import)).says("Lists the ways of importing."),
    Route::new(Get, "/v2/info/stores", Access::User, handler!(stores)).says("Lists where images are kept."),
    Route::new(Get, "/v2/cache", Access::Operator, handler!(cache)).says("Says that there is no cache."),
    Route::new(Get, "/v2/metadefs/namespaces", Access::User, handler!(namespaces))
        .says("Says that no catalogue of properties is kept."),
];

async fn import(_: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({
        "import-methods": {
            "description": "Import methods available.",
            "type": "array",
            "value": METHODS,
        },
    }))
}

/// One store, whatever it is: a client has nothing to choose.
async fn stores(call: Call) -> Result<Reply, CloudError> {
    let is_directory = storage(&call)?.path(&images::Name::image(uuid::Uuid::nil())).is_some();
    let (id, description) =
        if is_directory { ("file", "a directory of this host") } else { ("s3", "S3-compatible storage") };
    Reply::json(&json!({"stores": [{"id": id, "description": description, "default": "true"}]}))
}

/// In Glance's words for a site without one.
async fn cache(_: Call) -> Result<Reply, CloudError> {
    Err(CloudError::new(
        StatusCode::NOT_FOUND,
        "Caching via API is not supported at this site: images are read where they are kept, so there is no cache in between.",
    ))
}

async fn namespaces(_: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({
        "namespaces": [],
        "first": "/v2/metadefs/namespaces",
        "schema": "/v2/schemas/metadefs/namespaces",
    }))
}

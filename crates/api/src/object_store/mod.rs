//! The object store (Swift's API v1).
//!
//! An account is a project's. Whoever has a role in the project may read or change it, operators too; beside them whoever holds a
//! temporary URL, and everybody where a container is open to the public ([`door`]). Rows of objects are in the database, their bytes in
//! the backend of images ([`bodies`]).

mod account;
mod bodies;
mod bulk;
mod conditions;
mod containers;
mod copy;
mod digest;
mod door;
mod headers;
mod large;
mod lifetime;
mod listings;
mod objects;
mod sweeper;
mod temp_url;
mod upload;

pub use sweeper::{recover, round};

use crate::cloud::{Access, Call, CloudError, ErrorBody, Reply, Route, Service};
use crate::handler;
use crate::route::Table;
use crate::route::Verb::Get;
use model::object_store as bounds;
use serde_json::json;
use std::sync::LazyLock;

/// The service.
pub static SERVICE: Service =
    Service { prefix: "object-store", kind: "object-store", table: &TABLE, versions: None, error_body };

static TABLE: LazyLock<Table<Route>> = LazyLock::new(|| Table::new(ROUTES));

/// The lists of all resources.
const ROUTES: &[&[Route]] =
    &[DISCOVERY, account::ROUTES, containers::ROUTES, objects::ROUTES, upload::ROUTES, copy::ROUTES];

const DISCOVERY: &[Route] = &[
    Route::new(Get, "/info", Access::Public, handler!(info)).says("Tells what the store can do."),
    Route::new(Get, "/v1/info", Access::Public, handler!(info)).says("Tells what the store can do."),
];

/// Swift's clients show the text as it is.
fn error_body(error: &CloudError, _request: &str) -> ErrorBody {
    ErrorBody {
        content_type: "text/plain; charset=utf-8",
        text: format!("{}: {}\n", error.title(), error.text),
    }
}

/// `GET /info`. Clients ask for it beside the account's root, which they find by cutting the endpoint at `/v1`.
async fn info(_call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({
        "swift": {
            "version": "2.33.0",
            "max_file_size": bounds::MAX_FILE_SIZE,
            "max_meta_name_length": bounds::MAX_META_NAME_LENGTH,
            "max_meta_value_length": bounds::MAX_META_VALUE_LENGTH,
            "max_meta_count": bounds::MAX_META_COUNT,
            "max_meta_overall_size": bounds::MAX_META_OVERALL_SIZE,
            "max_header_size": bounds::MAX_HEADER_SIZE,
            "max_object_name_length": bounds::MAX_OBJECT_NAME_LENGTH,
            "container_listing_limit": bounds::LISTING_LIMIT,
            "account_listing_limit": bounds::LISTING_LIMIT,
            "max_account_name_length": bounds::MAX_ACCOUNT_NAME_LENGTH,
            "max_container_name_length": bounds::MAX_CONTAINER_NAME_LENGTH,
            "strict_cors_mode": true,
            "allow_account_management": false,
            "account_autocreate": true,
            "policies": [{"name": containers::STORAGE_POLICY, "default": true, "aliases": containers::STORAGE_POLICY}],
        },
        "bulk_delete": {
            "max_deletes_per_request": bounds::MAX_DELETES_PER_REQUEST,
            "max_failed_deletes": bounds::MAX_DELETES_PER_REQUEST,
        },
        "slo": {
            "max_manifest_segments": bounds::MAX_MANIFEST_SEGMENTS,
            "max_manifest_size": bounds::MAX_MANIFEST_SIZE,
            "min_segment_size": 1,
        },
        "dlo": {"max_segments": bounds::LISTING_LIMIT},
        "tempurl": {
            "methods": temp_url::METHODS,
            "allowed_digests": temp_url::DIGESTS,
            "deprecated_digests": ["sha1"],
            "incoming_remove_headers": ["x-timestamp"],
            "incoming_allow_headers": [],
            "outgoing_remove_headers": ["x-object-meta-*"],
            "outgoing_allow_headers": ["x-object-meta-public-*"],
        },
    }))
}

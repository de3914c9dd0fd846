//! `/`, `/v1` and `/healthcheck`.

use super::TABLE;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::gate::Class;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::Get;
use axum::http::StatusCode;
use model::version::{CONTINUE_INSPECTION, Microversion};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/", "public_api", handler!(root))
        .says("Shows the versions of the API.")
        .public()
        .class(Class::Free)
        .ramdisk(),
    Route::new(Get, "/v1", "public_api", handler!(v1))
        .says("Shows what there is below /v1.")
        .public()
        .class(Class::Free)
        .ramdisk(),
    Route::new(Get, "/healthcheck", "public_api", handler!(health))
        .says("Says whether the database answers.")
        .public()
        .class(Class::Free),
    Route::new(Get, "/openapi.json", "public_api", handler!(crate::openapi::show))
        .says("Describes this API as an OpenAPI document.")
        .query(&[])
        .public(),
];

fn version(base: &str) -> Value {
    json!({
        "id": "v1",
        "links": [{"href": format!("{base}/v1/"), "rel": "self"}],
        "status": "CURRENT",
        "min_version": Microversion::MIN.to_string(),
        "version": Microversion::MAX.to_string(),
    })
}

/// `GET /`
pub async fn root(call: Call) -> Result<Reply, ApiError> {
    let version = version(&call.base_url);
    Reply::json(&json!({
        "name": "OpenStack Ironic API",
        "description": "Billet: a bare-metal cloud that speaks the OpenStack Bare Metal API.",
        "default_version": version.clone(),
        "versions": [version],
    }))
}

/// `GET /v1`: one pair of links for each collection that the route table has at this microversion.
pub async fn v1(call: Call) -> Result<Reply, ApiError> {
    let base = &call.base_url;
    let mut body = Map::new();
    body.insert("id".into(), "v1".into());
    body.insert(
        "links".into(),
        json!([
            {"href": format!("{base}/v1/"), "rel": "self"},
            {
                "href": "https://docs.openstack.org//ironic/latest/contributor//webapi.html",
                "rel": "describedby",
                "type": "text/html",
            },
        ]),
    );
    body.insert(
        "media_types".into(),
        json!({"base": "application/json", "type": "application/vnd.openstack.ironic.v1+json"}),
    );
    body.insert("version".into(), version(base));
    for (name, since) in collections() {
        if call.version.has(since) {
            body.insert(
                name.into(),
                json!([
                    {"href": format!("{base}/v1/{name}/"), "rel": "self"},
                    {"href": format!("{base}/{name}/"), "rel": "bookmark"},
                ]),
            );
        }
    }
    Reply::json(&body)
}

/// The collections below `/v1` and the microversion that each came with.
fn collections() -> BTreeMap<&'static str, Microversion> {
    let mut found: BTreeMap<&'static str, Microversion> = BTreeMap::new();
    for route in TABLE.routes() {
        if let Some(name) = route.path.strip_prefix("/v1/").and_then(|rest| rest.split('/').next()) {
            let since = found.entry(name).or_insert(route.since);
            *since = (*since).min(route.since);
        }
    }
    // It is served at 1.1, too, for ramdisks that know no versions; it is told from its own on.
    found.insert("continue_inspection", CONTINUE_INSPECTION);
    found
}

/// `GET /healthcheck`: does the database answer?
pub async fn health(call: Call) -> Result<Reply, ApiError> {
    let (status, text) = match call.state.store.ping().await {
        Ok(()) => (StatusCode::OK, "OK"),
        Err(error) => {
            tracing::error!(%error, "the database does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer")
        }
    };
    Ok(Reply { text: Some(text.to_owned()), status: Some(status), ..Reply::empty() })
}

//! The compute service (Nova's API v2.1): servers on bare metal, and what belongs to them.
//!
//! A file a resource. Microversions that change little things are numbers in the handlers (`call.minor >= 61`), as in Nova's own history of
//! them; what came or went as a whole says `call.since(55)?`, `call.until(88, …)?` in its first line.

mod aggregates;
mod attach_interfaces;
mod availability_zones;
mod body;
mod flavor_access;
mod flavor_extra_specs;
mod flavors;
mod hypervisors;
mod instance_actions;
mod keypairs;
mod limits;
mod paging;
mod quota_sets;
mod server_actions;
mod server_addresses;
mod server_console;
mod server_create;
mod server_document;
mod server_groups;
mod server_image;
mod server_list;
mod server_metadata;
mod server_networks;
mod server_place;
mod server_security_groups;
mod server_tags;
mod servers;
mod services;
mod usages;

use crate::cloud::{Access, Call, CloudError, ErrorBody, Reply, Route, Service, Versions};
use crate::handler;
use crate::route::Table;
use crate::route::Verb::Get;
use model::compute::Server;
use model::compute::scheduler::DEFAULT_ZONE;
use serde_json::{Value, json};
use std::sync::LazyLock;
use uuid::Uuid;

/// The service.
pub static SERVICE: Service = Service {
    prefix: "compute",
    kind: "compute",
    table: &TABLE,
    versions: Some(Versions {
        name: "compute",
        own_header: Some("x-openstack-nova-api-version"),
        major: 2,
        min: 1,
        max: 96,
    }),
    error_body,
};

static TABLE: LazyLock<Table<Route>> = LazyLock::new(|| Table::new(ROUTES));

/// The lists of all resources.
const ROUTES: &[&[Route]] = &[
    DISCOVERY,
    flavors::ROUTES,
    flavor_extra_specs::ROUTES,
    flavor_access::ROUTES,
    keypairs::ROUTES,
    quota_sets::ROUTES,
    limits::ROUTES,
    server_groups::ROUTES,
    aggregates::ROUTES,
    hypervisors::ROUTES,
    services::ROUTES,
    availability_zones::ROUTES,
    usages::ROUTES,
    servers::ROUTES,
    server_actions::ROUTES,
    server_metadata::ROUTES,
    server_tags::ROUTES,
    server_addresses::ROUTES,
    server_security_groups::ROUTES,
    attach_interfaces::ROUTES,
    instance_actions::ROUTES,
    server_console::ROUTES,
];

const DISCOVERY: &[Route] = &[
    Route::new(Get, "/", Access::Public, handler!(versions)).says("Lists the API's versions."),
    Route::new(Get, "/v2.1", Access::Public, handler!(version)).says("Describes version 2.1."),
];

/// Nova's shape: the key says what kind of fault it is.
fn error_body(error: &CloudError, _request: &str) -> ErrorBody {
    let key = match error.status.as_u16() {
        400 => "badRequest",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        406 => "notAcceptable",
        409 => "conflictingRequest",
        413 => "overLimit",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        _ => "computeFault",
    };
    ErrorBody::json(&json!({key: {"code": error.status.as_u16(), "message": error.text}}))
}

fn described(call: &Call) -> serde_json::Value {
    json!({
        "id": "v2.1",
        "status": "CURRENT",
        "version": "2.96",
        "min_version": "2.1",
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": call.url("/v2.1/")}],
    })
}

/// `GET /`
async fn versions(call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({"versions": [described(&call)]}))
}

/// `GET /v2.1`
async fn version(call: Call) -> Result<Reply, CloudError> {
    let mut version = described(&call);
    version["media-types"] =
        json!([{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}]);
    Reply::json(&json!({"version": version}))
}

/// The `self` and `bookmark` links of a resource.
fn links(call: &Call, collection: &str, id: &str) -> Value {
    json!([
        {"rel": "self", "href": call.url(&format!("/v2.1/{collection}/{id}"))},
        {"rel": "bookmark", "href": call.url(&format!("/{collection}/{id}"))},
    ])
}

/// The number that stands for a thing where old microversions number things: its own, though nothing counts them.
fn number(uuid: Uuid) -> u32 {
    u32::try_from(uuid.as_u128() & 0x7fff_ffff).unwrap_or(0)
}

/// What Nova calls a server on its hypervisor (`instance-0000002a`).
fn instance_name(server: &Server) -> String {
    format!("instance-{:08x}", number(server.uuid))
}

//! The network service (Neutron's API v2.0).
//!
//! Tenants see their own networks, subnets and ports, and those that are shared; what is another's is not there (404). Attributes that are
//! the cloud's own (`provider:…`, `binding:host_id`) are neither shown to them nor taken from them. Rules of addresses are `model::network`'s,
//! and what must not race is one transaction of the store.

mod absent;
mod agents;
mod attributes;
mod error;
mod extensions;
mod ip_availabilities;
mod listing;
mod networks;
mod port_attributes;
mod ports;
mod quotas;
mod security_group_rules;
mod security_groups;
mod subnets;
mod tags;

use crate::cloud::{Access, Call, CloudError, Reply, Route, Service};
use crate::handler;
use crate::route::Table;
use crate::route::Verb::Get;
use jiff::Timestamp;
use serde_json::json;
use std::sync::LazyLock;

/// The service.
pub static SERVICE: Service = Service {
    prefix: "networking",
    kind: "network",
    table: &TABLE,
    versions: None,
    error_body: error::error_body,
};

static TABLE: LazyLock<Table<Route>> = LazyLock::new(|| Table::new(ROUTES));

/// The lists of all resources.
const ROUTES: &[&[Route]] = &[
    DISCOVERY,
    networks::ROUTES,
    subnets::ROUTES,
    ports::ROUTES,
    security_groups::ROUTES,
    security_group_rules::ROUTES,
    tags::NETWORKS,
    tags::SUBNETS,
    tags::PORTS,
    tags::SECURITY_GROUPS,
    quotas::ROUTES,
    agents::ROUTES,
    extensions::ROUTES,
    ip_availabilities::ROUTES,
    absent::ROUTERS,
    absent::FLOATING_IPS,
    absent::SUBNET_POOLS,
    absent::ADDRESS_SCOPES,
    absent::SERVICE_PROVIDERS,
];

const DISCOVERY: &[Route] = &[
    Route::new(Get, "/", Access::Public, handler!(versions)).says("Lists the API's versions."),
    Route::new(Get, "/v2.0", Access::Public, handler!(resources)).says("Lists the collections."),
];

/// A time as Neutron writes it.
fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time as Neutron's agents have it.
fn agent_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
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

//! What Neutron has and bare-metal networks here do not: routers, floating addresses, subnet pools, address scopes. Their lists are empty,
//! so that clients that look everywhere go on; whoever wants one is told.

use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Get, Post};
use serde_json::json;

/// The rows of one collection.
macro_rules! rows {
    ($all:literal, $one:literal, $list:ident) => {
        [
            Route::new(Get, $all, Access::Project, handler!($list)).says("An empty list."),
            Route::new(Post, $all, Access::Project, handler!(create)).says("Says that there can be none."),
            Route::new(Get, $one, Access::Project, handler!(show)).says("Says that there is none."),
        ]
    };
}

/// Rows of the route table.
pub const ROUTERS: &[Route] = &rows!("/v2.0/routers", "/v2.0/routers/{router}", routers);
/// Rows of the route table.
pub const FLOATING_IPS: &[Route] = &rows!("/v2.0/floatingips", "/v2.0/floatingips/{address}", floating_ips);
/// Rows of the route table.
pub const SUBNET_POOLS: &[Route] = &rows!("/v2.0/subnetpools", "/v2.0/subnetpools/{pool}", subnet_pools);
/// Rows of the route table.
pub const ADDRESS_SCOPES: &[Route] =
    &rows!("/v2.0/address-scopes", "/v2.0/address-scopes/{scope}", address_scopes);

/// Rows of the route table: who provides load balancers, VPNs and the like. Nobody, which is no error.
pub const SERVICE_PROVIDERS: &[Route] =
    &[Route::new(Get, "/v2.0/service-providers", Access::Project, handler!(service_providers))
        .says("An empty list.")];

async fn service_providers(_call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({"service_providers": []}))
}

async fn routers(_call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({"routers": []}))
}

async fn floating_ips(_call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({"floatingips": []}))
}

async fn subnet_pools(_call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({"subnetpools": []}))
}

async fn address_scopes(_call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({"address_scopes": []}))
}

async fn create(_call: Call) -> Result<Reply, CloudError> {
    Err(none())
}

async fn show(_call: Call) -> Result<Reply, CloudError> {
    Err(none())
}

fn none() -> CloudError {
    CloudError::not_found(
        "There is none here: machines hang on networks directly, and what routes between networks is the site's own equipment.",
    )
    .kind("HTTPNotFound")
}

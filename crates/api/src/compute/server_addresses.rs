//! `/servers/{server}/ips`: a server's addresses by the names of its networks.

use super::server_document::addresses;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use serde_json::{Value, json};

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/servers/{server}/ips", Access::Project, handler!(index))
        .says("Lists a server's addresses."),
    Route::new(Get, "/v2.1/servers/{server}/ips/{network}", Access::Project, handler!(show))
        .says("Lists a server's addresses on one network."),
];

/// The addresses without what only a server's own document tells of them.
async fn plain(call: &Call) -> Result<Value, CloudError> {
    let mut all = addresses(&call.server().await?.ports);
    if let Value::Object(networks) = &mut all {
        for address in networks.values_mut().filter_map(Value::as_array_mut).flatten() {
            if let Value::Object(address) = address {
                address.retain(|name, _| name == "addr" || name == "version");
            }
        }
    }
    Ok(all)
}

/// `GET /servers/{server}/ips`
async fn index(call: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({"addresses": plain(&call).await?}))
}

/// `GET /servers/{server}/ips/{network}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let all = plain(&call).await?;
    let name = call.parameter("network");
    match all.get(name) {
        Some(own) => Reply::json(&json!({name: own})),
        None => Err(CloudError::not_found(format!("Instance is not a member of network {name}"))),
    }
}

//! `/v2.0/network-ip-availabilities`: how many addresses networks have, and have left.

use super::error::not_found;
use super::listing::{Collection, no_own_filter, one};
use super::networks;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use model::network::{Network, NetworkPort, Subnet};
use serde_json::{Value, json};
use std::collections::HashMap;
use store::Query;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.0/network-ip-availabilities", Access::Operator, handler!(list))
        .says("Counts the addresses of networks."),
    Route::new(Get, "/v2.0/network-ip-availabilities/{network}", Access::Operator, handler!(show))
        .says("Counts the addresses of a network."),
];

const COLLECTION: Collection = Collection {
    name: "network_ip_availabilities",
    what: "Network",
    fields: &["network_id", "network_name", "tenant_id", "project_id", "ip_version"],
    columns: &[],
    own: no_own_filter,
};

/// Every network's count.
async fn all(call: &Call) -> Result<Vec<Value>, CloudError> {
    let store = &call.state.store;
    let subnets: Vec<Subnet> = store.list(&Query::default()).await?;
    let mut used: HashMap<Uuid, u64> = HashMap::new();
    for fixed in store.list::<NetworkPort>(&Query::default()).await?.iter().flat_map(|port| &port.fixed_ips) {
        *used.entry(fixed.subnet_id).or_default() += 1;
    }
    let networks: Vec<Network> = store.list(&Query::default()).await?;
    Ok(networks
        .iter()
        .map(|network| {
            let own: Vec<Value> = subnets
                .iter()
                .filter(|subnet| subnet.network_id == network.id)
                .map(|subnet| count(subnet, used.get(&subnet.id).copied().unwrap_or(0)))
                .collect();
            let sum = |key: &str| own.iter().filter_map(|subnet| subnet[key].as_f64()).sum::<f64>();
            json!({
                "network_id": network.id,
                "network_name": network.name,
                "tenant_id": network.project_id,
                "project_id": network.project_id,
                "total_ips": sum("total_ips"),
                "used_ips": sum("used_ips"),
                "subnet_ip_availability": own,
            })
        })
        .collect())
}

/// The addresses that ports may get unasked, and those that they have.
fn count(subnet: &Subnet, used: u64) -> Value {
    // As a float, since an IPv6 subnet has more than a JSON number tells exactly.
    let total: f64 = subnet.allocation_pools.iter().map(|pool| pool.size()).sum();
    json!({
        "subnet_id": subnet.id,
        "subnet_name": subnet.name,
        "cidr": subnet.cidr,
        "ip_version": subnet.ip_version(),
        "total_ips": total,
        "used_ips": used,
    })
}

/// `GET /v2.0/network-ip-availabilities`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let version = call.query.number("ip_version")?;
    let mut items = all(&call).await?;
    for item in &mut items {
        // Filtered by what its subnets are.
        let subnets = item["subnet_ip_availability"].as_array().map_or(&[][..], Vec::as_slice);
        let is_matching = |subnet: &Value| subnet["ip_version"].as_i64() == version;
        let matching = version.is_some() && subnets.iter().any(is_matching);
        item["ip_version"] = if matching { json!(version) } else { Value::Null };
    }
    COLLECTION.answer(&call, items)
}

/// `GET /v2.0/network-ip-availabilities/{network}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let network = networks::named(&call).await?;
    let found = all(&call).await?.into_iter().find(|item| item["network_id"] == json!(network.id));
    let found = found.ok_or_else(|| not_found("Network", call.parameter("network")))?;
    one(&call, "network_ip_availability", found)
}

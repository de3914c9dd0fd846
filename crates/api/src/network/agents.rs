//! `/v2.0/agents` and `/v2.0/availability_zones`: the DHCP servers of the processes that serve an interface, and the one zone.

use super::error::not_found;
use super::listing::{Collection, no_own_filter, one};
use super::networks;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use model::network::{Network, Subnet};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::Query;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.0/agents", Access::Operator, handler!(list)).says("Lists the DHCP servers."),
    Route::new(Get, "/v2.0/agents/{agent}", Access::Operator, handler!(show)).says("Shows a DHCP server."),
    Route::new(Get, "/v2.0/agents/{agent}/dhcp-networks", Access::Operator, handler!(networks_of))
        .says("Lists the networks that a DHCP server answers for."),
    Route::new(Get, "/v2.0/networks/{network}/dhcp-agents", Access::Operator, handler!(of_network))
        .says("Lists the DHCP servers that answer for a network."),
    Route::new(Get, "/v2.0/availability_zones", Access::Project, handler!(zones))
        .says("Lists the availability zones."),
];

const AGENTS: Collection = Collection {
    name: "agents",
    what: "Agent",
    fields: &[
        "id",
        "agent_type",
        "binary",
        "host",
        "topic",
        "alive",
        "admin_state_up",
        "availability_zone",
        "description",
        "created_at",
        "started_at",
        "heartbeat_timestamp",
    ],
    columns: &[],
    own: no_own_filter,
};

const ZONES: Collection = Collection {
    name: "availability_zones",
    what: "Availability zone",
    fields: &["name", "resource", "state"],
    columns: &[],
    own: no_own_filter,
};

/// The DHCP servers of the processes that serve an interface.
async fn agents(call: &Call) -> Result<Vec<Value>, CloudError> {
    let store = &call.state.store;
    let mut served: BTreeMap<String, serde_json::Map<String, Value>> = BTreeMap::new();
    for (host, interface, address) in store.own_addresses().await? {
        served.entry(host).or_default().insert(interface, json!(address));
    }
    if served.is_empty() {
        return Ok(Vec::new());
    }
    let members = call.state.conductor.conductors().await?;
    let subnets: Vec<Subnet> = store.list(&Query::default()).await?;
    let with_dhcp = subnets.iter().filter(|subnet| subnet.enable_dhcp && subnet.ip_version() == 4).count();
    let agents = served.into_iter().filter_map(|(host, interfaces)| {
        // One that was not seen for long is no agent any more.
        let member = members.iter().find(|member| member.presence.hostname == host)?;
        let started = super::agent_time(member.created_at);
        Some(json!({
            "id": agent_id(&host),
            "agent_type": "DHCP agent",
            "binary": "billet",
            "host": host,
            "topic": "dhcp_agent",
            "alive": member.is_alive,
            "admin_state_up": true,
            "availability_zone": "nova",
            "description": "",
            "resources_synced": null,
            "created_at": started,
            "started_at": started,
            "heartbeat_timestamp": super::agent_time(member.seen_at),
            "configurations": {"interfaces": interfaces, "subnets": with_dhcp},
        }))
    });
    Ok(agents.collect())
}

/// The identity of a host's DHCP server: always the same for a name (FNV-1a, on the bits that a UUID has free).
fn agent_id(host: &str) -> Uuid {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = host.bytes().fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    uuid::Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid()
}

/// `GET /v2.0/agents`
async fn list(call: Call) -> Result<Reply, CloudError> {
    AGENTS.answer(&call, agents(&call).await?)
}

/// The agent that a path names.
async fn find(call: &Call) -> Result<Value, CloudError> {
    let ident = call.parameter("agent");
    let agent = agents(call).await?.into_iter().find(|agent| agent["id"].as_str() == Some(ident));
    agent.ok_or_else(|| not_found("Agent", ident))
}

/// `GET /v2.0/agents/{agent}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    one(&call, "agent", find(&call).await?)
}

/// `GET /v2.0/agents/{agent}/dhcp-networks`
async fn networks_of(call: Call) -> Result<Reply, CloudError> {
    find(&call).await?;
    let mut shown = Vec::new();
    for network in call.state.store.list::<Network>(&Query::default()).await? {
        if has_dhcp(&call, &network).await? {
            shown.push(networks::rendered(&call, &network).await?);
        }
    }
    Reply::json(&json!({"networks": shown}))
}

/// `GET /v2.0/networks/{network}/dhcp-agents`
async fn of_network(call: Call) -> Result<Reply, CloudError> {
    let network = networks::named(&call).await?;
    let agents = if has_dhcp(&call, &network).await? { agents(&call).await? } else { Vec::new() };
    Reply::json(&json!({"agents": agents.into_iter().collect::<Vec<_>>()}))
}

async fn has_dhcp(call: &Call, network: &Network) -> Result<bool, CloudError> {
    let subnets = call.state.store.subnets_of_network(network.id).await?;
    Ok(subnets.iter().any(|subnet| subnet.enable_dhcp && subnet.ip_version() == 4))
}

/// `GET /v2.0/availability_zones`
async fn zones(call: Call) -> Result<Reply, CloudError> {
    ZONES.answer(&call, vec![json!({"name": "nova", "resource": "network", "state": "available"})])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_identity() {
        assert_eq!(agent_id("seed"), agent_id("seed"));
        assert_ne!(agent_id("seed"), agent_id("seee"));
    }
}

//! `/os-hypervisors`: each node is a hypervisor, as Nova's ironic driver has it.
//!
//! Sizes are those that the node's properties tell, where Nova stopped to tell any: of a node that nobody can have at the moment
//! (in maintenance, not available, without an instance) they are 0, as they were there.

use crate::args::parse_uuid;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use axum::http::StatusCode;
use model::compute::Server;
use model::node::Node;
use model::state::ProvisionState;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::IpAddr;
use store::{NodeQuery, Query, StoreError};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/os-hypervisors", Access::Operator, handler!(index))
        .says("Lists nodes as hypervisors."),
    Route::new(Get, "/v2.1/os-hypervisors/detail", Access::Operator, handler!(detail))
        .says("Lists nodes as hypervisors in full."),
    Route::new(Get, "/v2.1/os-hypervisors/statistics", Access::Operator, handler!(statistics))
        .says("Sums up all nodes (below 2.88)."),
    Route::new(Get, "/v2.1/os-hypervisors/{hypervisor}", Access::Operator, handler!(show))
        .says("Shows a node as a hypervisor."),
    Route::new(Get, "/v2.1/os-hypervisors/{hypervisor}/uptime", Access::Operator, handler!(uptime))
        .says("Refuses to tell how long a node has been up (below 2.88)."),
    Route::new(Get, "/v2.1/os-hypervisors/{hypervisor}/search", Access::Operator, handler!(search))
        .says("Lists nodes whose UUID has a text in it (below 2.53)."),
    Route::new(Get, "/v2.1/os-hypervisors/{hypervisor}/servers", Access::Operator, handler!(servers))
        .says("Lists nodes whose UUID has a text in it, with their servers (below 2.53)."),
];

/// What a machine offers, and whether it is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sizes {
    vcpus: i64,
    memory_mb: i64,
    local_gb: i64,
    used: bool,
}

impl Sizes {
    fn of(node: &Node) -> Self {
        let used = node.instance_uuid.is_some();
        let can_be_had =
            node.provision_state == ProvisionState::Available && !node.maintenance && !node.retired;
        if !used && !can_be_had {
            return Self::default();
        }
        let number = |name: &str| match node.properties.get(name) {
            Some(Value::String(text)) => text.trim().parse().unwrap_or(0),
            Some(value) => value.as_i64().unwrap_or(0),
            None => 0,
        };
        Self { vcpus: number("cpus"), memory_mb: number("memory_mb"), local_gb: number("local_gb"), used }
    }

    fn taken(self, size: i64) -> i64 {
        if self.used { size } else { 0 }
    }
}

/// Servers by their nodes.
type Guests = HashMap<Uuid, Server>;

fn document(call: &Call, node: &Node, is_full: bool, guests: Option<&Guests>) -> Value {
    let own_id = if call.minor >= 53 { json!(node.uuid) } else { json!(super::number(node.uuid)) };
    let mut own = json!({
        "id": own_id,
        "hypervisor_hostname": node.uuid,
        "state": "up",
        "status": "enabled",
    });
    if is_full {
        let service = super::services::compute(call);
        own["hypervisor_type"] = json!("ironic");
        own["hypervisor_version"] = json!(1);
        own["host_ip"] = json!(address(call));
        own["service"] = json!({
            "id": service.id(call),
            "host": service.host,
            "disabled_reason": null,
        });
        if call.minor >= 88 {
            own["uptime"] = Value::Null;
        } else {
            add_sizes(&mut own, Sizes::of(node));
            own["cpu_info"] = if call.minor >= 28 { json!({}) } else { json!("") };
        }
    }
    if let Some(guests) = guests {
        match guests.get(&node.uuid) {
            Some(server) => {
                own["servers"] = json!([{"name": super::instance_name(server), "uuid": server.uuid}])
            }
            None if call.minor >= 75 => own["servers"] = json!([]),
            None => {}
        }
    }
    own
}

fn add_sizes(own: &mut Value, sizes: Sizes) {
    for (name, size) in [("vcpus", sizes.vcpus), ("memory_mb", sizes.memory_mb), ("local_gb", sizes.local_gb)]
    {
        own[name] = json!(size);
        own[format!("{name}_used")] = json!(sizes.taken(size));
    }
    own["free_ram_mb"] = json!(sizes.memory_mb - sizes.taken(sizes.memory_mb));
    own["free_disk_gb"] = json!(sizes.local_gb - sizes.taken(sizes.local_gb));
    own["disk_available_least"] = own["free_disk_gb"].clone();
    own["running_vms"] = json!(i64::from(sizes.used));
    own["current_workload"] = json!(0);
}

/// The address by which the caller reached the conductor, which is where the "hypervisor" is run.
fn address(call: &Call) -> String {
    let host = call.base_url.split_once("://").map_or(call.base_url.as_str(), |(_, rest)| rest);
    let host = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let host = host.map_or("", |(host, _)| host).trim_matches(['[', ']']);
    host.parse::<IpAddr>().map_or_else(|_| "127.0.0.1".to_owned(), |address| address.to_string())
}

/// Nodes in the order of their registration.
async fn nodes(call: &Call, marker: Option<Uuid>, limit: i64) -> Result<Vec<Node>, CloudError> {
    let query = NodeQuery { include_children: true, marker, limit, ..NodeQuery::default() };
    Ok(call.state.store.nodes(&query).await?.into_iter().map(|row| row.node).collect())
}

/// Nodes whose name as a hypervisor, which is their UUID, has this text in it; 404 where none has.
async fn matching(call: &Call, text: &str) -> Result<Vec<Node>, CloudError> {
    let wanted = text.to_ascii_lowercase();
    let mut found = nodes(call, None, i64::MAX).await?;
    found.retain(|node| node.uuid.to_string().contains(&wanted));
    if found.is_empty() {
        return Err(CloudError::not_found(format!("No hypervisor matching '{text}' could be found.")));
    }
    Ok(found)
}

async fn guests(call: &Call, nodes: &[Node]) -> Result<Guests, CloudError> {
    let wanted: Vec<_> =
        nodes.iter().filter(|node| node.instance_uuid.is_some()).map(|node| node.uuid.to_string()).collect();
    if wanted.is_empty() {
        return Ok(Guests::new());
    }
    let query = Query { one_of: vec![("node_uuid", wanted)], ..Query::default() };
    let servers: Vec<Server> = call.state.store.list(&query).await?;
    Ok(servers.into_iter().filter_map(|server| Some((server.node?, server))).collect())
}

/// `GET /os-hypervisors`
async fn index(call: Call) -> Result<Reply, CloudError> {
    list(&call, "/v2.1/os-hypervisors", false).await
}

/// `GET /os-hypervisors/detail`
async fn detail(call: Call) -> Result<Reply, CloudError> {
    list(&call, "/v2.1/os-hypervisors/detail", true).await
}

async fn list(call: &Call, path: &str, is_full: bool) -> Result<Reply, CloudError> {
    call.only_query(&["limit", "marker", "hypervisor_hostname_pattern", "with_servers"])?;
    let with_servers = call.minor >= 53 && call.query.flag("with_servers")?.unwrap_or(false);
    let pattern = call.query.first("hypervisor_hostname_pattern").filter(|_| call.minor >= 53);
    let pages = call.minor >= 33;
    let limit = if pages { call.page_limit()? } else { usize::MAX };
    let mut found = match pattern {
        Some(_) if call.query.has("limit") || call.query.has("marker") => {
            return Err(CloudError::invalid(
                "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported.",
            ));
        }
        Some(pattern) => matching(call, pattern).await?,
        None => {
            let marker = if pages { marker(call).await? } else { None };
            // One more than is shown tells whether there is another page.
            nodes(call, marker, i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)).await?
        }
    };
    let more = pattern.is_none() && limit > 0 && found.len() > limit;
    if pattern.is_none() {
        found.truncate(limit);
    }
    let guests = if with_servers { Some(guests(call, &found).await?) } else { None };
    let rows: Vec<_> = found.iter().map(|node| document(call, node, is_full, guests.as_ref())).collect();
    let mut body = json!({"hypervisors": rows});
    if let Some(last) = found.last().filter(|_| more) {
        let key = if call.minor >= 53 { last.uuid.to_string() } else { super::number(last.uuid).to_string() };
        body["hypervisors_links"] = call.next_link(path, &key);
    }
    Reply::json(&body)
}

async fn marker(call: &Call) -> Result<Option<Uuid>, CloudError> {
    let Some(marker) = call.query.first("marker") else { return Ok(None) };
    match find(call, marker).await {
        Ok(node) => Ok(Some(node.uuid)),
        Err(error) if error.status.is_client_error() => {
            Err(CloudError::invalid(format!("marker [{marker}] not found")))
        }
        Err(error) => Err(error),
    }
}

/// A node by its UUID, or, below 2.53, by the number that stands for it.
async fn find(call: &Call, id: &str) -> Result<Node, CloudError> {
    let missing = || CloudError::not_found(format!("Hypervisor with ID '{id}' could not be found."));
    if call.minor < 53 {
        let number: u32 = id.parse().map_err(|_| missing())?;
        let glimpses = call.state.store.glimpses().await?;
        let found =
            glimpses.iter().find(|glimpse| super::number(glimpse.uuid) == number).ok_or_else(missing)?;
        return Ok(call.state.store.node(&found.uuid.to_string()).await?.node);
    }
    let uuid = parse_uuid(id).ok_or_else(|| CloudError::invalid(format!("Invalid uuid {id}")))?;
    match call.state.store.node(&uuid.to_string()).await {
        Err(StoreError::NotFound { .. }) => Err(missing()),
        other => Ok(other?.node),
    }
}

/// `GET /os-hypervisors/{hypervisor}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let node = find(&call, call.parameter("hypervisor")).await?;
    let with_servers = call.minor >= 53 && call.query.flag("with_servers")?.unwrap_or(false);
    let nodes = std::slice::from_ref(&node);
    let guests = if with_servers { Some(guests(&call, nodes).await?) } else { None };
    Reply::json(&json!({"hypervisor": document(&call, &node, true, guests.as_ref())}))
}

/// `GET /os-hypervisors/statistics`
async fn statistics(call: Call) -> Result<Reply, CloudError> {
    call.until(88, "ask the placement service for what there is.")?;
    let nodes = nodes(&call, None, i64::MAX).await?;
    let mut sum = json!({"count": nodes.len()});
    let mut row = json!({});
    for node in &nodes {
        add_sizes(&mut row, Sizes::of(node));
        if let Value::Object(row) = &row {
            for (name, value) in row {
                let so_far = sum.get(name).and_then(Value::as_i64).unwrap_or(0);
                sum[name] = json!(so_far.saturating_add(value.as_i64().unwrap_or(0)));
            }
        }
    }
    if nodes.is_empty() {
        add_sizes(&mut sum, Sizes::default());
    }
    Reply::json(&json!({"hypervisor_statistics": sum}))
}

/// `GET /os-hypervisors/{hypervisor}/uptime`
async fn uptime(call: Call) -> Result<Reply, CloudError> {
    call.until(88, "the hypervisor itself has the field uptime.")?;
    find(&call, call.parameter("hypervisor")).await?;
    Err(CloudError::new(
        StatusCode::NOT_IMPLEMENTED,
        "A node does not tell how long it has been up: its operating system is its user's.",
    ))
}

/// `GET /os-hypervisors/{hypervisor}/search`
async fn search(call: Call) -> Result<Reply, CloudError> {
    call.until(53, "give hypervisor_hostname_pattern in the query of /os-hypervisors.")?;
    let found = matching(&call, call.parameter("hypervisor")).await?;
    let rows: Vec<_> = found.iter().map(|node| document(&call, node, false, None)).collect();
    Reply::json(&json!({"hypervisors": rows}))
}

/// `GET /os-hypervisors/{hypervisor}/servers`
async fn servers(call: Call) -> Result<Reply, CloudError> {
    call.until(53, "give with_servers in the query of /os-hypervisors.")?;
    let found = matching(&call, call.parameter("hypervisor")).await?;
    let guests = guests(&call, &found).await?;
    let rows: Vec<_> = found.iter().map(|node| document(&call, node, false, Some(&guests))).collect();
    Reply::json(&json!({"hypervisors": rows}))
}

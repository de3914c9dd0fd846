//! A thousand servers, asked for at once, on a thousand and a few fake machines.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Admin;
use crate::bench::connection::Connection;
use crate::bench::server::{Server, pause};
use crate::bench::table::{Bar, Table};
use crate::bench::{CLIENTS, crowd};
use crate::error::{Error, Result};

/// Servers asked for.
const SERVERS: usize = 1000;
/// Machines that there are: some requests must be refused.
const MACHINES: usize = 990;
/// Limit for machines to become available, and for servers to come to an end of their building.
const LIMIT: Duration = Duration::from_secs(600);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Servers or nodes of one page.
const PAGE: usize = 1000;

/// Enrols the machines, asks for the servers, waits for all of them, and counts.
pub(super) fn measure(
    server: &Server,
    admin: &Admin,
    table: &mut Table,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    let mut connection = server.connect()?;
    let token = admin.enter(&mut connection)?;
    progress("enrolling machines");
    enrol(server, &token, &mut connection)?;
    let request = prepare(&mut connection)?;
    progress("asking for servers");
    let asked = Mutex::new(Vec::with_capacity(SERVERS));
    let took = crowd::share(server, CLIENTS, SERVERS, |connection, number| {
        connection.authenticate(&token);
        let mut body = request.clone();
        body["server"]["name"] = json!(format!("server-{number}"));
        let made =
            connection.succeed("POST", "/compute/v2.1/servers", body.to_string().as_bytes())?.json()?;
        let id = made["server"]["id"].as_str().unwrap_or_default().to_owned();
        asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(id);
        Ok(())
    })?;
    table.push(format!("{SERVERS} servers accepted"), took.as_secs_f64(), "s", Bar::Below(10.0));
    let began = Instant::now();
    let servers = settle(&mut connection)?;
    table.push("  until the last is ACTIVE or refused", began.elapsed().as_secs_f64(), "s", Bar::None);
    let asked = asked.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    count(&mut connection, &asked, &servers, table)
}

fn enrol(server: &Server, token: &str, connection: &mut Connection) -> Result<()> {
    crowd::share(server, CLIENTS, MACHINES, |connection, number| {
        connection.authenticate(token);
        let node = json!({
            "name": format!("machine-{number}"), "driver": "fake-hardware", "resource_class": "gold",
            "properties": {"cpus": 8, "memory_mb": 16384, "local_gb": 100, "cpu_arch": "x86_64"},
        });
        let made = connection.succeed("POST", "/v1/nodes", node.to_string().as_bytes())?.json()?;
        let [high, low] = u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
        let port = json!({"node_uuid": made["uuid"], "address": format!("52:54:00:99:{high:02x}:{low:02x}")});
        connection.succeed("POST", "/v1/ports", port.to_string().as_bytes())?;
        Ok(())
    })?;
    for (verb, state) in [("manage", "manageable"), ("provide", "available")] {
        // The conductor takes so many cleanings at a time; who is told to come back comes back.
        crowd::share(server, CLIENTS, MACHINES, |connection, number| {
            connection.authenticate(token);
            let path = format!("/v1/nodes/machine-{number}/states/provision");
            let deadline = Instant::now() + LIMIT;
            loop {
                let answer =
                    connection.ask("PUT", &path, format!("{{\"target\": \"{verb}\"}}").as_bytes())?;
                if !matches!(answer.status, 409 | 503) || Instant::now() > deadline {
                    return answer.success(&path).map(|_| ());
                }
                pause(LOOK_AGAIN);
            }
        })?;
        let path = format!("/v1/nodes?limit={PAGE}&fields=uuid&provision_state={state}");
        until(&format!("{MACHINES} nodes {state}"), || {
            let page = connection.succeed("GET", &path, b"")?.json()?;
            Ok(page["nodes"].as_array().is_some_and(|nodes| nodes.len() == MACHINES))
        })?;
    }
    Ok(())
}

/// Network, image, flavor and quotas; out comes the request for a server.
fn prepare(connection: &mut Connection) -> Result<Value> {
    let mut post = |path: &str, body: Value, key: &str| -> Result<Value> {
        let answer = connection.succeed("POST", path, body.to_string().as_bytes())?.json()?;
        Ok(if key.is_empty() { answer["id"].clone() } else { answer[key]["id"].clone() })
    };
    let network = json!({"network": {"name": "bench", "shared": true, "provider:network_type": "flat",
        "provider:physical_network": "physnet1"}});
    let network = post("/networking/v2.0/networks", network, "network")?;
    let subnet = json!({"subnet": {"network_id": network, "ip_version": 4, "cidr": "10.64.0.0/16"}});
    post("/networking/v2.0/subnets", subnet, "subnet")?;
    let image =
        json!({"name": "small", "disk_format": "raw", "container_format": "bare", "visibility": "public"});
    let image = post("/image/v2/images", image, "")?;
    let flavor = json!({"flavor": {"name": "gold", "ram": 16384, "vcpus": 8, "disk": 100}});
    let flavor = post("/compute/v2.1/flavors", flavor, "flavor")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let specs = json!({"extra_specs": {"resources:CUSTOM_GOLD": "1", "resources:VCPU": "0",
        "resources:MEMORY_MB": "0", "resources:DISK_GB": "0"}});
    let path = format!("/compute/v2.1/flavors/{}/os-extra_specs", text(&flavor));
    connection.succeed("POST", &path, specs.to_string().as_bytes())?;
    let path = format!("/image/v2/images/{}/file", text(&image));
    connection.succeed_with("PUT", &path, "application/octet-stream", &[7; 4096])?;
    let projects = connection.succeed("GET", "/identity/v3/projects?name=admin", b"")?.json()?;
    let project = text(&projects["projects"][0]["id"]);
    let quota = json!({"quota_set": {"instances": -1, "cores": -1, "ram": -1}}).to_string();
    connection.succeed("PUT", &format!("/compute/v2.1/os-quota-sets/{project}"), quota.as_bytes())?;
    let quota = json!({"quota": {"port": -1}}).to_string();
    connection.succeed("PUT", &format!("/networking/v2.0/quotas/{project}"), quota.as_bytes())?;
    Ok(json!({"server": {"imageRef": image, "flavorRef": flavor, "networks": [{"uuid": network}]}}))
}

/// Waits until none is being built any more; all of them.
fn settle(connection: &mut Connection) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    until(&format!("{SERVERS} servers built or refused"), || {
        let path = format!("/compute/v2.1/servers/detail?limit={PAGE}");
        let page = connection.succeed("GET", &path, b"")?.json()?;
        found = page["servers"].as_array().cloned().unwrap_or_default();
        let is_building = |server: &Value| !matches!(server["status"].as_str(), Some("ACTIVE" | "ERROR"));
        Ok(found.len() >= SERVERS && !found.iter().any(is_building))
    })?;
    Ok(found)
}

/// Everybody is ACTIVE or has a reason; nobody shares an address or a node with another.
fn count(connection: &mut Connection, asked: &[String], servers: &[Value], table: &mut Table) -> Result<()> {
    let wanted: HashSet<&str> = asked.iter().map(String::as_str).collect();
    let (mut active, mut refused, mut addresses) = (0, 0, HashMap::new());
    for server in servers.iter().filter(|server| server["id"].as_str().is_some_and(|id| wanted.contains(id)))
    {
        let id = server["id"].as_str().unwrap_or_default();
        if server["status"] == "ACTIVE" {
            active += 1;
        } else if server["fault"]["message"].as_str().is_some_and(|reason| reason.len() > 20) {
            refused += 1;
        } else {
            return Err(Error::Invalid(format!(
                "server {id} is refused without a reason: {}",
                server["fault"]
            )));
        }
        let networks = server["addresses"].as_object().into_iter().flat_map(|networks| networks.values());
        for entry in networks.filter_map(Value::as_array).flatten() {
            let address = entry["addr"].as_str().unwrap_or_default().to_owned();
            if let Some(other) = addresses.insert(address.clone(), id) {
                return Err(Error::Invalid(format!("{address} was given to {other} and to {id}")));
            }
        }
    }
    let path = format!("/v1/nodes?limit={PAGE}&fields=uuid,instance_uuid&provision_state=active");
    let nodes = connection.succeed("GET", &path, b"")?.json()?;
    let instances: Vec<&str> = nodes["nodes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|node| node["instance_uuid"].as_str())
        .collect();
    let distinct: HashSet<&str> = instances.iter().copied().collect();
    if distinct.len() != instances.len() || instances.len() != active {
        let (nodes, servers) = (instances.len(), distinct.len());
        return Err(Error::Invalid(format!(
            "{active} servers are ACTIVE, on {nodes} nodes with {servers} instances"
        )));
    }
    if active + refused != SERVERS {
        return Err(Error::Invalid(format!("{active} are ACTIVE and {refused} refused: some are missing")));
    }
    table.push(format!("  ACTIVE, of {MACHINES} machines"), active as f64, "", Bar::AtLeast(MACHINES as f64));
    table.push("  refused with a reason", refused as f64, "", Bar::None);
    Ok(())
}

/// Looks until the check holds.
fn until(what: &str, mut check: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while !check()? {
        if Instant::now() > deadline {
            let hint = "the server's log".to_owned();
            return Err(Error::Timeout { what: what.to_owned(), seconds: LIMIT.as_secs(), hint });
        }
        pause(LOOK_AGAIN);
    }
    Ok(())
}

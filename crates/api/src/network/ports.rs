//! `/v2.0/ports`.

use super::attributes::{Attributes, Wanted, check_revision};
use super::error::{not_authorized, not_found};
use super::listing::{Collection, one};
use super::networks;
use super::port_attributes::{self, NETWORK_OWNER, OPERATOR};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post, Put};
use axum::http::StatusCode;
use model::network::{Network, NetworkPort};
use serde_json::{Value, json};
use store::{AddressWish, Scope, StoreError};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.0/ports", Access::Project, handler!(list)).says("Lists ports."),
    Route::new(Post, "/v2.0/ports", Access::Project, handler!(create))
        .says("Creates one or several ports.")
        .success(StatusCode::CREATED),
    Route::new(Get, "/v2.0/ports/{port}", Access::Project, handler!(show)).says("Shows a port."),
    Route::new(Put, "/v2.0/ports/{port}", Access::Project, handler!(update)).says("Changes a port."),
    Route::new(Delete, "/v2.0/ports/{port}", Access::Project, handler!(delete))
        .says("Deletes a port.")
        .success(StatusCode::NO_CONTENT),
];

const COLLECTION: Collection = Collection {
    name: "ports",
    what: "Port",
    fields: &[
        "id",
        "name",
        "description",
        "tenant_id",
        "project_id",
        "network_id",
        "mac_address",
        "admin_state_up",
        "status",
        "device_id",
        "device_owner",
        "security_groups",
        "allowed_address_pairs",
        "extra_dhcp_opts",
        "port_security_enabled",
        "dns_name",
        "ip_allocation",
        "binding:vnic_type",
        "binding:host_id",
        "binding:vif_type",
        "binding:vif_details",
        "binding:profile",
        "revision_number",
        "created_at",
        "updated_at",
    ],
    columns: &[
        ("id", "uuid"),
        ("name", "name"),
        ("network_id", "network_uuid"),
        ("device_id", "device_id"),
        ("device_owner", "device_owner"),
    ],
    own: address_filter,
};

/// Attributes that stay as they are.
const FIXED: &[&str] = &[
    "id",
    "tenant_id",
    "project_id",
    "network_id",
    "status",
    "dns_assignment",
    "ip_allocation",
    "binding:vif_type",
    "binding:vif_details",
    "revision_number",
    "created_at",
    "updated_at",
];

/// `fixed_ips=ip_address=10.0.0.9`, `fixed_ips=subnet_id=…` and what clients make of it; `mac_address` in any case of letters. Several
/// addresses are any of them, and so are subnets, but address and subnet must both fit.
fn address_filter(name: &str, values: &[&str], item: &Value) -> Option<bool> {
    let part = |part: &str| -> Vec<String> {
        let each = values.iter().flat_map(|value| value.split(','));
        each.filter_map(|value| value.trim().split_once('='))
            .filter(|(key, _)| *key == part)
            .map(|(_, value)| value.to_owned())
            .collect()
    };
    let whole = || values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let wanted = match name {
        "fixed_ips" => [part("ip_address"), part("subnet_id"), part("ip_address_substr")],
        "ip_address" => [whole(), vec![], vec![]],
        "subnet_id" => [vec![], whole(), vec![]],
        "mac_address" => {
            let own = item["mac_address"].as_str().unwrap_or_default();
            return Some(values.iter().any(|value| value.eq_ignore_ascii_case(own)));
        }
        _ => return None,
    };
    let [addresses, subnets, within] = wanted;
    if addresses.is_empty() && subnets.is_empty() && within.is_empty() {
        return Some(false);
    }
    let fits = |fixed: &Value| {
        let is = |key: &str, wanted: &[String]| {
            wanted.is_empty() || wanted.iter().any(|value| fixed[key].as_str() == Some(value))
        };
        let has = |wanted: &String| fixed["ip_address"].as_str().is_some_and(|own| own.contains(wanted));
        is("ip_address", &addresses)
            && is("subnet_id", &subnets)
            && (within.is_empty() || within.iter().any(has))
    };
    Some(item["fixed_ips"].as_array().is_some_and(|all| all.iter().any(fits)))
}

/// The port that a path names, if the caller may see it: its own, or one on its network.
pub async fn named(call: &Call) -> Result<NetworkPort, CloudError> {
    let ident = call.parameter("port");
    let missing = || not_found("Port", ident);
    if Uuid::try_parse(ident).is_err() {
        return Err(missing());
    }
    match call.state.store.get::<NetworkPort>(ident).await {
        Ok(port) if call.may_see(&port.project_id) || call.owns(&port.network_owner) => Ok(port),
        Ok(_) | Err(StoreError::NotFound { .. }) => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

/// The port that a path names, if the caller may change it.
pub async fn own(call: &Call) -> Result<NetworkPort, CloudError> {
    let port = named(call).await?;
    if call.is_operator() || call.owns(&port.project_id) || call.owns(&port.network_owner) {
        return Ok(port);
    }
    Err(not_authorized("Changing another project's port", OPERATOR))
}

/// What a list of ports is confined to.
pub fn scope(call: &Call) -> Result<Option<Scope>, CloudError> {
    Ok(if call.sees_all() { None } else { Some(Scope::OwnedThere(call.project()?.to_owned())) })
}

/// A port as the caller may see it.
pub fn render(call: &Call, port: &NetworkPort) -> Value {
    let assignment: Vec<Value> = port
        .fixed_ips
        .iter()
        .filter(|_| !port.dns_name.is_empty())
        .map(
            |fixed| json!({"ip_address": fixed.ip_address, "hostname": port.dns_name, "fqdn": port.dns_name}),
        )
        .collect();
    let mut pairs = port.allowed_address_pairs.clone();
    for pair in pairs.iter_mut().filter(|pair| pair.mac_address.is_empty()) {
        pair.mac_address.clone_from(&port.mac_address);
    }
    let mut out = json!({
        "id": port.id,
        "name": port.name,
        "description": port.description,
        "tenant_id": port.project_id,
        "project_id": port.project_id,
        "network_id": port.network_id,
        "mac_address": port.mac_address,
        "fixed_ips": port.fixed_ips,
        "admin_state_up": port.admin_state_up,
        "status": port.status,
        "device_id": port.device_id,
        "device_owner": port.device_owner,
        "security_groups": port.security_groups,
        "allowed_address_pairs": pairs,
        "extra_dhcp_opts": port.extra_dhcp_opts,
        "port_security_enabled": port.port_security_enabled,
        "dns_name": port.dns_name,
        "dns_assignment": assignment,
        "ip_allocation": if port.fixed_ips.is_empty() { "none" } else { "immediate" },
        "binding:vnic_type": port.binding.vnic_type,
        "tags": port.tags,
        "revision_number": port.revision_number,
        "created_at": super::time(port.created_at),
        "updated_at": super::time(port.updated_at),
    });
    if call.sees_all() {
        out["binding:host_id"] = json!(port.binding.host_id);
        out["binding:profile"] = json!(port.binding.profile);
        // As Neutron's driver for bare metal says it: no virtual switch has a part in it.
        out["binding:vif_type"] = json!(if port.binding.host_id.is_empty() { "unbound" } else { "other" });
        out["binding:vif_details"] = json!({});
    }
    out
}

/// `GET /v2.0/ports`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let ports: Vec<NetworkPort> = call.state.store.list(&COLLECTION.query(&call, scope(&call)?)).await?;
    COLLECTION.answer(&call, ports.iter().map(|port| render(&call, port)).collect())
}

/// `GET /v2.0/ports/{port}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    one(&call, "port", render(&call, &named(&call).await?))
}

/// `POST /v2.0/ports`
async fn create(call: Call) -> Result<Reply, CloudError> {
    match Wanted::read(&call, "port", "ports")? {
        Wanted::One(attributes) => {
            let (port, wishes) = read_new(&call, attributes).await?;
            let port = call.state.store.create_network_port(port, wishes.as_deref(), call.now()).await?;
            one(&call, "port", render(&call, &port))
        }
        Wanted::Many(all) => {
            let mut read = Vec::with_capacity(all.len());
            for attributes in all {
                read.push(read_new(&call, attributes).await?);
            }
            let made = call.state.store.create_network_ports(read, call.now()).await?;
            Reply::json(&json!({"ports": made.iter().map(|port| render(&call, port)).collect::<Vec<_>>()}))
        }
    }
}

/// A new port of a request's attributes, and what addresses it wishes for.
async fn read_new(
    call: &Call,
    mut attributes: Attributes,
) -> Result<(NetworkPort, Option<Vec<AddressWish>>), CloudError> {
    let network = attributes.needed_uuid("network_id")?;
    let network: Network = networks::find(call, &network.to_string()).await?;
    let project = attributes.project(call)?;
    let mut port = NetworkPort::new(Uuid::new_v4(), network.id, project, call.now());
    port.network_owner.clone_from(&network.project_id);
    port.port_security_enabled = network.port_security_enabled;
    let gives_groups = attributes.has("security_groups");
    port_attributes::check_who_may(call, &attributes, &network.project_id)?;
    let wishes = port_attributes::read(call, &mut attributes, &mut port).await?;
    attributes.finish(&[])?;
    let is_machines = !port.device_owner.starts_with("network:");
    if !gives_groups && is_machines && port.port_security_enabled {
        let group = call.state.store.default_security_group(&port.project_id, call.now()).await?;
        port.security_groups = vec![group.id];
    }
    Ok((port, wishes))
}

/// `PUT /v2.0/ports/{port}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let before = own(&call).await?;
    let mut attributes = Attributes::read(&call, "port")?;
    port_attributes::check_who_may(&call, &attributes, &before.network_owner)?;
    let mut changed = before.clone();
    let wishes = port_attributes::read(&call, &mut attributes, &mut changed).await?;
    attributes.finish(FIXED)?;
    let now = call.now();
    let done = call.state.store.edit_network_port(before.id, wishes.as_deref(), now, |port| {
        check_revision(&call, port.revision_number)?;
        // What was read may have been changed by another since.
        if port.revision_number != before.revision_number {
            let text = format!("Port {} was changed at the same time: try again.", port.id);
            return Err(CloudError::conflict(text).kind("RevisionNumberConstraintFailed"));
        }
        *port = changed;
        port.revision_number += 1;
        port.updated_at = now;
        Ok(())
    });
    one(&call, "port", render(&call, &done.await?))
}

/// `DELETE /v2.0/ports/{port}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let port = own(&call).await?;
    let is_network_owner = call.is_operator() || call.owns(&port.network_owner);
    if port.device_owner.starts_with("network:") && !is_network_owner {
        return Err(not_authorized("Deleting a port of the network's own", NETWORK_OWNER));
    }
    call.state.store.delete_network_port(port.id, |port| check_revision(&call, port.revision_number)).await?;
    Ok(Reply::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_subnets_must_both_fit() {
        let item = json!({"fixed_ips": [
            {"subnet_id": "s1", "ip_address": "10.0.0.9"},
            {"subnet_id": "s2", "ip_address": "10.1.0.9"},
        ]});
        let fits = |values: &[&str]| address_filter("fixed_ips", values, &item).unwrap();
        assert!(fits(&["ip_address=10.0.0.9"]));
        assert!(fits(&["ip_address=10.0.0.9", "subnet_id=s1"]));
        assert!(!fits(&["ip_address=10.0.0.9", "subnet_id=s2"]));
        assert!(fits(&["subnet_id=s2", "subnet_id=s3"]));
        assert!(fits(&["subnet_id=s2,ip_address=10.1.0.9"]));
        assert!(fits(&["ip_address_substr=10.1."]));
        assert!(!fits(&["nonsense"]));
        assert_eq!(address_filter("name", &["x"], &item), None);
    }
}

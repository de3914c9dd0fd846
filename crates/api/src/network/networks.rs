//! `/v2.0/networks`.

use super::attributes::{Attributes, Wanted, check_revision, wrong};
use super::error::{invalid_input, not_found};
use super::listing::{Collection, no_own_filter, one};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post, Put};
use axum::http::StatusCode;
use jiff::Timestamp;
use model::network::{Network, NetworkType, Subnet, VLANS};
use serde_json::{Value, json};
use std::collections::HashMap;
use store::{Query, Scope, StoreError};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.0/networks", Access::Project, handler!(list)).says("Lists networks."),
    Route::new(Post, "/v2.0/networks", Access::Project, handler!(create))
        .says("Creates one or several networks.")
        .success(StatusCode::CREATED),
    Route::new(Get, "/v2.0/networks/{network}", Access::Project, handler!(show)).says("Shows a network."),
    Route::new(Put, "/v2.0/networks/{network}", Access::Project, handler!(update)).says("Changes a network."),
    Route::new(Delete, "/v2.0/networks/{network}", Access::Project, handler!(delete))
        .says("Deletes a network with its subnets.")
        .success(StatusCode::NO_CONTENT),
];

const COLLECTION: Collection = Collection {
    name: "networks",
    what: "Network",
    fields: &[
        "id",
        "name",
        "description",
        "tenant_id",
        "project_id",
        "admin_state_up",
        "status",
        "shared",
        "router:external",
        "is_default",
        "mtu",
        "dns_domain",
        "port_security_enabled",
        "subnets",
        "availability_zones",
        "availability_zone_hints",
        "ipv4_address_scope",
        "ipv6_address_scope",
        "provider:network_type",
        "provider:physical_network",
        "provider:segmentation_id",
        "revision_number",
        "created_at",
        "updated_at",
    ],
    columns: &[("id", "uuid"), ("name", "name")],
    own: no_own_filter,
};

/// The attributes that only operators give and see.
const PROVIDER: [&str; 3] =
    ["provider:network_type", "provider:physical_network", "provider:segmentation_id"];
/// The attributes that only operators give.
const OPERATORS_OWN: [&str; 3] = ["shared", "router:external", "is_default"];
const OPERATOR: &str = "an admin of the cloud";
/// Attributes that stay as they are.
const FIXED: &[&str] = &[
    "id",
    "tenant_id",
    "project_id",
    "status",
    "subnets",
    "availability_zones",
    "ipv4_address_scope",
    "ipv6_address_scope",
    "revision_number",
    "created_at",
    "updated_at",
];
/// IPv6 asks for 1280 at least (RFC 8200), IPv4 for 68 (RFC 791).
const MTU: std::ops::RangeInclusive<i64> = 68..=65535;

/// What a list of networks is confined to.
pub fn scope(call: &Call) -> Result<Option<Scope>, CloudError> {
    Ok(if call.sees_all() { None } else { Some(Scope::OwnedOrPublic(call.project()?.to_owned())) })
}

/// The network that a path or a body names, if the caller may see it.
pub async fn find(call: &Call, ident: &str) -> Result<Network, CloudError> {
    let missing = || not_found("Network", ident);
    if Uuid::try_parse(ident).is_err() {
        return Err(missing());
    }
    match call.state.store.get::<Network>(ident).await {
        Ok(network) if is_seen(call, &network) => Ok(network),
        Ok(_) | Err(StoreError::NotFound { .. }) => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

fn is_seen(call: &Call, network: &Network) -> bool {
    call.may_see(&network.project_id) || network.is_visible_to("")
}

/// The network that a path names, if the caller may see it.
pub async fn named(call: &Call) -> Result<Network, CloudError> {
    find(call, call.parameter("network")).await
}

/// The network that a path names, if the caller may change it.
pub async fn own(call: &Call) -> Result<Network, CloudError> {
    let network = named(call).await?;
    if call.is_operator() || call.owns(&network.project_id) {
        return Ok(network);
    }
    Err(super::error::not_authorized("Changing another project's network", OPERATOR))
}

/// A network as the caller may see it.
fn render(call: &Call, network: &Network, subnets: &[Uuid]) -> Value {
    let mut out = json!({
        "id": network.id,
        "name": network.name,
        "description": network.description,
        "tenant_id": network.project_id,
        "project_id": network.project_id,
        "admin_state_up": network.admin_state_up,
        "status": if network.admin_state_up { "ACTIVE" } else { "DOWN" },
        "shared": network.shared,
        "router:external": network.is_external,
        "mtu": network.mtu,
        "dns_domain": network.dns_domain,
        "port_security_enabled": network.port_security_enabled,
        "subnets": subnets,
        "availability_zones": ["nova"],
        "availability_zone_hints": network.availability_zone_hints,
        "ipv4_address_scope": null,
        "ipv6_address_scope": null,
        "tags": network.tags,
        "revision_number": network.revision_number,
        "created_at": super::time(network.created_at),
        "updated_at": super::time(network.updated_at),
    });
    if network.is_external {
        out["is_default"] = json!(network.is_default);
    }
    if call.sees_all() {
        out["provider:network_type"] = json!(network.network_type);
        out["provider:physical_network"] = json!(network.physical_network);
        out["provider:segmentation_id"] = json!(network.segmentation_id);
    }
    out
}

/// A network with the subnets that it has now.
pub async fn rendered(call: &Call, network: &Network) -> Result<Value, CloudError> {
    let subnets = call.state.store.subnets_of_network(network.id).await?;
    let ids: Vec<Uuid> = subnets.iter().map(|subnet| subnet.id).collect();
    Ok(render(call, network, &ids))
}

/// `GET /v2.0/networks`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let store = &call.state.store;
    let networks: Vec<Network> = store.list(&COLLECTION.query(&call, scope(&call)?)).await?;
    let mut subnets: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for subnet in store.list::<Subnet>(&Query::default()).await? {
        subnets.entry(subnet.network_id).or_default().push(subnet.id);
    }
    let subnets_of = |network: &Network| subnets.get(&network.id).map_or(&[][..], Vec::as_slice);
    let items = networks.iter().map(|network| render(&call, network, subnets_of(network)));
    COLLECTION.answer(&call, items.collect())
}

/// `GET /v2.0/networks/{network}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let network = named(&call).await?;
    one(&call, "network", rendered(&call, &network).await?)
}

/// `POST /v2.0/networks`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let store = &call.state.store;
    match Wanted::read(&call, "network", "networks")? {
        Wanted::One(attributes) => {
            let network = store.create_network(read_new(&call, attributes)?).await?;
            one(&call, "network", render(&call, &network, &[]))
        }
        Wanted::Many(all) => {
            let all = all.into_iter().map(|attributes| read_new(&call, attributes));
            let mut made: Vec<Network> = Vec::new();
            for network in all.collect::<Result<Vec<_>, _>>()? {
                match store.create_network(network).await {
                    Ok(network) => made.push(network),
                    Err(error) => {
                        for network in made {
                            store.delete_network(network.id).await?;
                        }
                        return Err(error.into());
                    }
                }
            }
            let items: Vec<_> = made.iter().map(|network| render(&call, network, &[])).collect();
            Reply::json(&json!({"networks": items}))
        }
    }
}

/// A new network of a request's attributes.
fn read_new(call: &Call, mut attributes: Attributes) -> Result<Network, CloudError> {
    let project = attributes.project(call)?;
    let mut network = Network::new(Uuid::new_v4(), project, call.now());
    attributes.only_if(call.is_operator(), OPERATOR, &PROVIDER)?;
    if let Some(word) = attributes.text("provider:network_type", 64)?.filter(|word| !word.is_empty()) {
        network.network_type = word.parse().map_err(|_| {
            invalid_input(format!(
                "networks of the provider's type '{}' are not served here: flat and vlan are",
                word.chars().take(40).collect::<String>()
            ))
        })?;
    }
    if let Some(name) = attributes.text("provider:physical_network", 64)?.filter(|name| !name.is_empty()) {
        network.physical_network = name;
    }
    let vlan = attributes.number("provider:segmentation_id", i64::MIN..=i64::MAX)?;
    network.segmentation_id = match (network.network_type, vlan) {
        (_, None) => None,
        (NetworkType::Flat, Some(_)) => {
            return Err(invalid_input("provider:segmentation_id can't be given for a flat network"));
        }
        (NetworkType::Vlan, Some(vlan)) => {
            let within = u16::try_from(vlan).ok().filter(|vlan| VLANS.contains(vlan));
            Some(within.ok_or_else(|| invalid_input(format!("{vlan} is no VLAN: they are 1 to 4094")))?)
        }
    };
    read_common(call, &mut attributes, &mut network)?;
    attributes.finish(&[])?;
    Ok(network)
}

/// The attributes that may be given and changed.
fn read_common(call: &Call, attributes: &mut Attributes, network: &mut Network) -> Result<(), CloudError> {
    let current = [network.shared, network.is_external, network.is_default];
    for (name, current) in OPERATORS_OWN.into_iter().zip(current) {
        // Clients send the value that it has anyway.
        if !attributes.is_flag(name, current) {
            attributes.only_if(call.is_operator(), OPERATOR, &[name])?;
        }
    }
    attributes.set_text("name", &mut network.name)?;
    attributes.set_text("description", &mut network.description)?;
    attributes.set_flag("admin_state_up", &mut network.admin_state_up)?;
    attributes.set_flag("shared", &mut network.shared)?;
    attributes.set_flag("router:external", &mut network.is_external)?;
    attributes.set_flag("is_default", &mut network.is_default)?;
    attributes.set_flag("port_security_enabled", &mut network.port_security_enabled)?;
    attributes.set_text("dns_domain", &mut network.dns_domain)?;
    if let Some(mtu) = attributes.number("mtu", 0..=*MTU.end())?.filter(|mtu| *mtu != 0) {
        if !MTU.contains(&mtu) {
            return Err(wrong("mtu", &format!("{mtu} is less than {}", MTU.start())));
        }
        network.mtu = u32::try_from(mtu).unwrap_or(network.mtu);
    }
    if let Some(hints) = attributes.texts("availability_zone_hints", 10)? {
        if let Some(unknown) = hints.iter().find(|hint| *hint != "nova") {
            let text = format!("AvailabilityZone {unknown} could not be found: there is nova.");
            return Err(CloudError::not_found(text).kind("AvailabilityZoneNotFound"));
        }
        network.availability_zone_hints = hints;
    }
    Ok(())
}

/// `PUT /v2.0/networks/{network}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let id = own(&call).await?.id;
    let mut attributes = Attributes::read(&call, "network")?;
    attributes.only_if(call.is_operator(), OPERATOR, &PROVIDER)?;
    let now = call.now();
    let network = call
        .state
        .store
        .edit_network(id, |network| {
            check_revision(&call, network.revision_number)?;
            keep_provider(&mut attributes, network)?;
            let mut changed = network.clone();
            read_common(&call, &mut attributes, &mut changed)?;
            attributes.finish(FIXED)?;
            touch(network, changed, now);
            Ok::<_, CloudError>(())
        })
        .await?;
    one(&call, "network", rendered(&call, &network).await?)
}

/// A network's wire stays what it is: its machines are plugged into it.
fn keep_provider(attributes: &mut Attributes, network: &Network) -> Result<(), CloudError> {
    let segment = network.segmentation_id.map(|vlan| vlan.to_string()).unwrap_or_default();
    let now = [network.network_type.as_str(), &network.physical_network, &segment];
    for (name, now) in PROVIDER.into_iter().zip(now) {
        let Some(value) = attributes.take(name) else { continue };
        let text = match &value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if text != now {
            return Err(invalid_input(format!("{name} can't be changed: create another network")));
        }
    }
    Ok(())
}

fn touch(network: &mut Network, changed: Network, now: Timestamp) {
    *network = changed;
    network.revision_number += 1;
    network.updated_at = now;
}

/// `DELETE /v2.0/networks/{network}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let network = own(&call).await?;
    check_revision(&call, network.revision_number)?;
    call.state.store.delete_network(network.id).await?;
    Ok(Reply::empty())
}

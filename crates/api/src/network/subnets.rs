//! `/v2.0/subnets`.

use super::attributes::{Attributes, Wanted, address_of, check_revision, missing, wrong};
use super::error::{invalid_input, not_authorized, not_found};
use super::listing::{Collection, no_own_filter, one};
use super::networks;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post, Put};
use axum::http::StatusCode;
use model::network::{AllocationPool, Cidr, HostRoute, Ipv6Mode, Subnet};
use model::wording::repr;
use serde_json::{Value, json};
use std::net::IpAddr;
use store::StoreError;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.0/subnets", Access::Project, handler!(list)).says("Lists subnets."),
    Route::new(Post, "/v2.0/subnets", Access::Project, handler!(create))
        .says("Creates one or several subnets.")
        .success(StatusCode::CREATED),
    Route::new(Get, "/v2.0/subnets/{subnet}", Access::Project, handler!(show)).says("Shows a subnet."),
    Route::new(Put, "/v2.0/subnets/{subnet}", Access::Project, handler!(update)).says("Changes a subnet."),
    Route::new(Delete, "/v2.0/subnets/{subnet}", Access::Project, handler!(delete))
        .says("Deletes a subnet.")
        .success(StatusCode::NO_CONTENT),
];

const COLLECTION: Collection = Collection {
    name: "subnets",
    what: "Subnet",
    fields: &[
        "id",
        "name",
        "description",
        "tenant_id",
        "project_id",
        "network_id",
        "ip_version",
        "cidr",
        "gateway_ip",
        "enable_dhcp",
        "allocation_pools",
        "dns_nameservers",
        "host_routes",
        "ipv6_ra_mode",
        "ipv6_address_mode",
        "subnetpool_id",
        "segment_id",
        "service_types",
        "dns_publish_fixed_ip",
        "shared",
        "revision_number",
        "created_at",
        "updated_at",
    ],
    columns: &[("id", "uuid"), ("name", "name"), ("network_id", "network_uuid")],
    own: no_own_filter,
};

/// Attributes that stay as they are.
const FIXED: &[&str] = &[
    "id",
    "tenant_id",
    "project_id",
    "network_id",
    "ip_version",
    "cidr",
    "subnetpool_id",
    "prefixlen",
    "ipv6_ra_mode",
    "ipv6_address_mode",
    "shared",
    "revision_number",
    "created_at",
    "updated_at",
];
/// Neutron's `max_dns_nameservers`.
const NAMESERVERS: usize = 5;
/// Neutron's `max_subnet_host_routes`; they fit into one option of DHCP.
const ROUTE_COUNT: usize = 20;
/// Allocation pools of one subnet.
const POOLS: usize = 100;

/// The subnet that a path names, if the caller may see it.
pub async fn find(call: &Call) -> Result<Subnet, CloudError> {
    let ident = call.parameter("subnet");
    let missing = || not_found("Subnet", ident);
    if Uuid::try_parse(ident).is_err() {
        return Err(missing());
    }
    match call.state.store.get::<Subnet>(ident).await {
        Ok(subnet) if subnet.shared || call.may_see(&subnet.project_id) => Ok(subnet),
        Ok(_) | Err(StoreError::NotFound { .. }) => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

/// The subnet that a path names, if the caller may change it.
pub async fn own(call: &Call) -> Result<Subnet, CloudError> {
    let subnet = find(call).await?;
    if call.is_operator() || call.owns(&subnet.project_id) {
        return Ok(subnet);
    }
    Err(not_authorized("Changing another project's subnet", "an admin of the cloud"))
}

fn render(subnet: &Subnet) -> Value {
    json!({
        "id": subnet.id,
        "name": subnet.name,
        "description": subnet.description,
        "tenant_id": subnet.project_id,
        "project_id": subnet.project_id,
        "network_id": subnet.network_id,
        "ip_version": subnet.ip_version(),
        "cidr": subnet.cidr,
        "gateway_ip": subnet.gateway_ip,
        "enable_dhcp": subnet.enable_dhcp,
        "allocation_pools": subnet.allocation_pools,
        "dns_nameservers": subnet.dns_nameservers,
        "host_routes": subnet.host_routes,
        "ipv6_ra_mode": subnet.ipv6_ra_mode,
        "ipv6_address_mode": subnet.ipv6_address_mode,
        "subnetpool_id": null,
        "segment_id": null,
        "service_types": subnet.service_types,
        "dns_publish_fixed_ip": subnet.dns_publish_fixed_ip,
        "shared": subnet.shared,
        "tags": subnet.tags,
        "revision_number": subnet.revision_number,
        "created_at": super::time(subnet.created_at),
        "updated_at": super::time(subnet.updated_at),
    })
}

/// `GET /v2.0/subnets`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let query = COLLECTION.query(&call, networks::scope(&call)?);
    let subnets: Vec<Subnet> = call.state.store.list(&query).await?;
    COLLECTION.answer(&call, subnets.iter().map(render).collect())
}

/// `GET /v2.0/subnets/{subnet}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    one(&call, "subnet", render(&find(&call).await?))
}

/// `POST /v2.0/subnets`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let store = &call.state.store;
    match Wanted::read(&call, "subnet", "subnets")? {
        Wanted::One(attributes) => {
            let subnet = store.create_subnet(read_new(&call, attributes).await?).await?;
            one(&call, "subnet", render(&subnet))
        }
        Wanted::Many(all) => {
            let mut read = Vec::with_capacity(all.len());
            for attributes in all {
                read.push(read_new(&call, attributes).await?);
            }
            let mut made: Vec<Subnet> = Vec::new();
            for subnet in read {
                match store.create_subnet(subnet).await {
                    Ok(subnet) => made.push(subnet),
                    Err(error) => {
                        for subnet in made {
                            store.delete_subnet(subnet.id).await?;
                        }
                        return Err(error.into());
                    }
                }
            }
            Reply::json(&json!({"subnets": made.iter().map(render).collect::<Vec<_>>()}))
        }
    }
}

/// A new subnet of a request's attributes.
async fn read_new(call: &Call, mut attributes: Attributes) -> Result<Subnet, CloudError> {
    let network = attributes.needed_uuid("network_id")?;
    let network = networks::find(call, &network.to_string()).await?;
    if !call.is_operator() && !call.owns(&network.project_id) {
        return Err(not_authorized("A subnet of another project's network", "an admin of the cloud"));
    }
    let project = attributes.project(call)?;
    for pooled in ["subnetpool_id", "prefixlen", "use_default_subnetpool"] {
        let value = attributes.take(pooled).unwrap_or_default();
        if !matches!(value, Value::Null | Value::Bool(false)) {
            return Err(invalid_input(format!(
                "{pooled}: there are no subnet pools here, give the subnet's cidr"
            )));
        }
    }
    let text =
        attributes.text("cidr", 100)?.filter(|text| !text.is_empty()).ok_or_else(|| missing("cidr"))?;
    let cidr: Cidr = text.parse().map_err(|error| wrong("cidr", &format!("{error}")))?;
    let version = attributes.number("ip_version", 4..=6)?.ok_or_else(|| missing("ip_version"))?;
    if version != i64::from(cidr.version()) {
        return Err(invalid_input(format!("cidr '{cidr}' does not match the ip_version '{version}'")));
    }
    if cidr.prefix() == 0 {
        return Err(invalid_input(
            "a subnet with a prefix of 0 bits is everything, and leaves nothing outside",
        ));
    }
    let mut subnet = Subnet::new(Uuid::new_v4(), network.id, project, cidr, call.now());
    for (name, place) in
        [("ipv6_ra_mode", &mut subnet.ipv6_ra_mode), ("ipv6_address_mode", &mut subnet.ipv6_address_mode)]
    {
        *place = read_mode(&mut attributes, name)?;
    }
    if let Some(gateway) = read_gateway(&mut attributes)? {
        subnet.gateway_ip = gateway;
    }
    subnet.allocation_pools = Subnet::default_pools(&subnet.cidr, subnet.gateway_ip);
    read_common(&mut attributes, &mut subnet)?;
    attributes.finish(&[])?;
    subnet.check().map_err(invalid_input)?;
    Ok(subnet)
}

fn read_mode(attributes: &mut Attributes, name: &str) -> Result<Option<Ipv6Mode>, CloudError> {
    let Some(word) = attributes.text(name, 40)?.filter(|word| !word.is_empty()) else { return Ok(None) };
    let words = Ipv6Mode::WORDS.join(", ");
    word.parse().map(Some).map_err(|_| wrong(name, &format!("'{word}' is not in [{words}]")))
}

/// The router, if the request says anything of it; null is a subnet without one.
fn read_gateway(attributes: &mut Attributes) -> Result<Option<Option<IpAddr>>, CloudError> {
    match attributes.take("gateway_ip") {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(Value::String(text)) if text.is_empty() => Ok(Some(None)),
        Some(value) => address_of("gateway_ip", &value).map(|address| Some(Some(address))),
    }
}

/// The attributes that may be given and changed, but for the router.
fn read_common(attributes: &mut Attributes, subnet: &mut Subnet) -> Result<(), CloudError> {
    attributes.set_text("name", &mut subnet.name)?;
    attributes.set_text("description", &mut subnet.description)?;
    attributes.set_flag("enable_dhcp", &mut subnet.enable_dhcp)?;
    attributes.set_flag("dns_publish_fixed_ip", &mut subnet.dns_publish_fixed_ip)?;
    if let Some(pools) = attributes.list("allocation_pools", POOLS)?.filter(|pools| !pools.is_empty()) {
        subnet.allocation_pools = pools.into_iter().map(read_pool).collect::<Result<_, _>>()?;
    }
    if let Some(servers) = attributes.list("dns_nameservers", NAMESERVERS)? {
        let mut read: Vec<IpAddr> = Vec::new();
        for server in servers {
            let address = address_of("dns_nameservers", &server)?;
            if read.contains(&address) {
                return Err(wrong("dns_nameservers", &format!("{address} comes twice")));
            }
            read.push(address);
        }
        subnet.dns_nameservers = read;
    }
    if let Some(routes) = attributes.list("host_routes", ROUTE_COUNT)? {
        subnet.host_routes = routes.into_iter().map(read_route).collect::<Result<_, _>>()?;
    }
    if let Some(types) = attributes.texts("service_types", 20)? {
        subnet.service_types = types;
    }
    Ok(())
}

fn read_pool(value: Value) -> Result<AllocationPool, CloudError> {
    let mut parts = Attributes::part("allocation_pools", value)?;
    let mut end = |name: &str| match parts.take(name) {
        Some(value) => address_of("allocation_pools", &value),
        None => {
            Err(wrong("allocation_pools", &format!("a pool has a start and an end, and this has no {name}")))
        }
    };
    let pool = AllocationPool { start: end("start")?, end: end("end")? };
    parts.finish(&[])?;
    Ok(pool)
}

fn read_route(value: Value) -> Result<HostRoute, CloudError> {
    let shown = repr(&value);
    let mut parts = Attributes::part("host_routes", value)?;
    let destination = parts.text("destination", 100)?.and_then(|text| text.parse().ok());
    let nexthop = parts.take("nexthop").map(|value| address_of("host_routes", &value)).transpose()?;
    parts.finish(&[])?;
    match (destination, nexthop) {
        (Some(destination), Some(nexthop)) => Ok(HostRoute { destination, nexthop }),
        _ => Err(wrong("host_routes", &format!("{shown} has not a destination (a CIDR) and a nexthop"))),
    }
}

/// `PUT /v2.0/subnets/{subnet}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let id = own(&call).await?.id;
    let mut attributes = Attributes::read(&call, "subnet")?;
    let now = call.now();
    let subnet = call
        .state
        .store
        .edit_subnet(id, |subnet| {
            check_revision(&call, subnet.revision_number)?;
            if let Some(gateway) = read_gateway(&mut attributes)? {
                subnet.gateway_ip = gateway;
            }
            read_common(&mut attributes, subnet)?;
            attributes.finish(FIXED)?;
            subnet.check().map_err(invalid_input)?;
            subnet.revision_number += 1;
            subnet.updated_at = now;
            Ok::<_, CloudError>(())
        })
        .await?;
    one(&call, "subnet", render(&subnet))
}

/// `DELETE /v2.0/subnets/{subnet}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let subnet = own(&call).await?;
    check_revision(&call, subnet.revision_number)?;
    call.state.store.delete_subnet(subnet.id).await?;
    Ok(Reply::empty())
}

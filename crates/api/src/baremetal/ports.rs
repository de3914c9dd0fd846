//! `/v1/ports`, and the ports of one node.

use super::fields::{Chosen, Page, unknown_field};
use super::patch::{self, Operation};
use super::port_fields::{DEFAULT, FIELDS, shown};
use super::schema::{BAG, BOOLEAN, FLAG, NULL, Property, STRING, TEXT, check, limited, property};
use crate::args::{Args, boolean, is_logical_name, mac, normal_mac, object, parse_uuid, uuid};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::{Delete, Get, Patch, Post};
use crate::wording::{display, repr};
use axum::http::StatusCode;
use model::node::{Node, Object};
use model::port::Port;
use model::state::ProvisionState as S;
use model::version as v;
use serde_json::{Map, Value, json};
use store::Record;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes/{node}/ports", "baremetal:port:list", handler!(list_of_node)),
    Route::new(Get, "/v1/nodes/{node}/ports/detail", "baremetal:port:list", handler!(detail_of_node)),
    Route::new(Get, "/v1/ports", "baremetal:port:list", handler!(list)),
    Route::new(Post, "/v1/ports", "baremetal:port:create", handler!(create)).success(StatusCode::CREATED),
    Route::new(Get, "/v1/ports/detail", "baremetal:port:list", handler!(detail)),
    Route::new(Get, "/v1/ports/{port}", "baremetal:port:get", handler!(show)),
    Route::new(Patch, "/v1/ports/{port}", "baremetal:port:update", handler!(patch)),
    Route::new(Delete, "/v1/ports/{port}", "baremetal:port:delete", handler!(delete))
        .success(StatusCode::NO_CONTENT),
];

const PROPERTIES: &[Property] = &[
    property("address", STRING),
    property("extra", BAG),
    property("is_smartnic", FLAG),
    property("local_link_connection", BAG),
    property("node_ident", STRING),
    property("node_uuid", STRING),
    limited("physical_network", TEXT, 0, 64),
    property("portgroup_uuid", TEXT),
    property("pxe_enabled", FLAG),
    property("uuid", TEXT),
    limited("name", TEXT, 0, 255),
    limited("description", TEXT, 0, 255),
    limited("vendor", TEXT, 0, 32),
    limited("category", TEXT, 0, 80),
    property("available_for_dynamic_portgroup", BOOLEAN.or(NULL)),
];

const PATCHABLE: &[&str] = &[
    "address",
    "extra",
    "is_smartnic",
    "local_link_connection",
    "node_ident",
    "node_uuid",
    "physical_network",
    "portgroup_uuid",
    "pxe_enabled",
    "name",
    "description",
    "vendor",
    "category",
    "available_for_dynamic_portgroup",
];

const FILTERS: &[&str] = &[
    "node",
    "node_uuid",
    "address",
    "marker",
    "limit",
    "sort_key",
    "sort_dir",
    "portgroup",
    "shard",
    "description_contains",
    "conductor_groups",
];

/// `GET /v1/ports`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let args = call.query.clone();
    args.only(&[FILTERS, &["fields", "detail"]].concat())?;
    let chosen = Chosen::of_list(&args, call.version, FIELDS, DEFAULT, unknown_field)?;
    let node = node_filter(&call, &args).await?;
    page(&call, &args, node, &chosen, "ports").await
}

/// `GET /v1/ports/detail`
pub async fn detail(call: Call) -> Result<Reply, ApiError> {
    let args = call.query.clone();
    args.only(FILTERS)?;
    let node = node_filter(&call, &args).await?;
    page(&call, &args, node, &Chosen::All, "ports/detail").await
}

/// `GET /v1/nodes/{node}/ports`
pub async fn list_of_node(call: Call) -> Result<Reply, ApiError> {
    let args = call.query.clone();
    args.only(&[FILTERS, &["fields", "detail"]].concat())?;
    let chosen = Chosen::of_list(&args, call.version, FIELDS, DEFAULT, unknown_field)?;
    let node = call.node().await?.node.uuid;
    page(&call, &args, Some(node), &chosen, "ports").await
}

/// `GET /v1/nodes/{node}/ports/detail`
pub async fn detail_of_node(call: Call) -> Result<Reply, ApiError> {
    let args = call.query.clone();
    args.only(FILTERS)?;
    let node = call.node().await?.node.uuid;
    page(&call, &args, Some(node), &Chosen::All, "ports/detail").await
}

/// The node that `node_uuid` or `node` asks for.
async fn node_filter(call: &Call, args: &Args) -> Result<Option<Uuid>, ApiError> {
    if let Some(uuid) = args.uuid("node_uuid")? {
        return Ok(Some(call.find_node(&uuid.to_string()).await?.node.uuid));
    }
    match args.uuid_or_name("node")? {
        None => Ok(None),
        Some(name) if parse_uuid(name).is_none() && !call.version.has(v::NODE_NAME) => {
            Err(ApiError::not_acceptable())
        }
        Some(ident) => Ok(Some(call.find_node(ident).await?.node.uuid)),
    }
}

async fn page(
    call: &Call,
    args: &Args,
    node: Option<Uuid>,
    chosen: &Chosen,
    url: &str,
) -> Result<Reply, ApiError> {
    let page = Page::read(call, args, FIELDS, Port::SORT_COLUMNS)?;
    let (portgroup, shard) = (args.uuid_or_name("portgroup")?, args.list("shard")?);
    if portgroup.is_some() && !call.version.has(v::PORTGROUP_LISTS) {
        return Err(ApiError::not_acceptable());
    }
    if shard.is_some() && !call.version.has(v::SHARD) {
        return Err(ApiError::needs(v::SHARD));
    }
    if usize::from(node.is_some()) + usize::from(portgroup.is_some()) + usize::from(shard.is_some()) > 1 {
        return Err(ApiError::forbidden("Operation not permitted."));
    }
    if let Some(group) = portgroup {
        return Err(ApiError::not_found(format!("Portgroup {group} could not be found.")));
    }
    let groups = args.list("conductor_groups")?;
    if groups.is_some() && !call.version.has(v::PORT_CONDUCTOR_GROUPS) {
        return Err(ApiError::needs(v::PORT_CONDUCTOR_GROUPS));
    }
    let address = args.mac("address")?;
    if groups.is_some() && (node.is_some() || address.is_some()) {
        return Err(ApiError::invalid(
            "Filtering by conductor_groups cannot be combined with node_ident, portgroup_ident, or node address filters.",
        ));
    }
    let description = args.text("description_contains")?;
    if shard.is_some() || groups.is_some() || description.is_some() {
        return Err(ApiError::invalid(
            "Filtering ports by shard, conductor_groups or description_contains is not served by this version of Billet; list \
             the ports of each node instead.",
        ));
    }
    if let Some(marker) = page.marker {
        call.state.store.get::<Port>(&marker.to_string()).await?;
    }
    let mut query = page.query();
    if let Some(node) = node {
        query = query.and("node_uuid", node.to_string());
    }
    if let Some(address) = address {
        query = query.and("address", address);
    }
    let ports: Vec<Port> = call.state.store.list(&query).await?;
    let detail = args.boolean("detail")?.map(|detail| ("detail", detail));
    let next =
        page.next(call, url, chosen, detail.as_slice(), ports.len(), ports.last().map(|port| port.uuid));
    let rows: Vec<_> = ports.iter().map(|port| shown(call, port, chosen)).collect();
    let mut body = json!({"ports": rows});
    if let Some(next) = next {
        body["next"] = next.into();
    }
    Reply::json(&body)
}

/// The port that the path names: by UUID, or by name where the microversion has names.
async fn find(call: &Call) -> Result<Port, ApiError> {
    let ident = call.parameter("port");
    let by_uuid = parse_uuid(ident).map(|uuid| uuid.to_string());
    if by_uuid.is_none() && !is_logical_name(ident) {
        let shown: String = ident.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
        return Err(ApiError::invalid(format!("Expected UUID or name for port_ident: {shown}")));
    }
    if by_uuid.is_none() && !call.version.has(v::PORT_NAME) {
        return Err(ApiError::not_found(format!("Port {ident} could not be found.")));
    }
    Ok(call.state.store.get(by_uuid.as_deref().unwrap_or(ident)).await?)
}

/// `GET /v1/ports/{port}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    call.query.only(&["fields"])?;
    let port = find(&call).await?;
    let chosen = Chosen::of_one(&call.query, call.version, FIELDS, unknown_field)?;
    Reply::json(&shown(&call, &port, &chosen))
}

/// `POST /v1/ports`
pub async fn create(call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let body = object("port", call.json()?)?;
    check("port", &body, PROPERTIES, &["address"])?;
    let ident = match (body.get("node_ident"), body.get("node_uuid")) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(format!(
                "Schema error for port: {} is valid under each of {{'required': ['node_uuid']}}, {{'required': ['node_ident']}}",
                repr(&Value::Object(body))
            )));
        }
        (Some(ident), None) => {
            if !call.version.has(v::PORT_NODE_IDENT) {
                return Err(ApiError::not_acceptable());
            }
            ident.as_str().unwrap_or_default().to_owned()
        }
        (None, Some(value)) => uuid("node_uuid", value)?.to_string(),
        (None, None) => {
            return Err(ApiError::invalid(format!(
                "Schema error for port: {} is not valid under any of the given schemas. Possible root cause: 'node_uuid' is a \
                 required property",
                repr(&Value::Object(body))
            )));
        }
    };
    refuse_newer(&call, body.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.as_str()))?;
    let node = call.find_node(&ident).await.map_err(ApiError::in_body)?.node;
    let own =
        body.get("uuid").filter(|value| !value.is_null()).map(|value| uuid("uuid", value)).transpose()?;
    let mut port = Port::new(own.unwrap_or_else(Uuid::new_v4), node.uuid, String::new(), call.now());
    apply(&mut port, &body)?;
    if port.is_smartnic
        && !["port_id", "hostname"].iter().all(|key| port.local_link_connection.contains_key(*key))
    {
        return Err(ApiError::invalid(
            "Smart NIC port must have port_id and hostname in local_link_connection",
        ));
    }
    check_port(&port, &call)?;
    call.state.store.create(&port).await?;
    let location = call.url(&format!("ports/{}", port.uuid));
    Ok(Reply::json(&shown(&call, &port, &Chosen::All))?.at(location))
}

fn refuse_newer<'a>(call: &Call, mut keys: impl Iterator<Item = &'a str>) -> Result<(), ApiError> {
    let newer = |key: &str| FIELDS.iter().any(|(name, since)| *name == key && !call.version.has(*since));
    if keys.any(newer) { Err(ApiError::not_acceptable()) } else { Ok(()) }
}

/// Writes a checked document into a port; `null` is the field's default.
fn apply(port: &mut Port, body: &Map<String, Value>) -> Result<(), ApiError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let bag = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let flag = |key: &str, value: &Value, default: bool| {
        if value.is_null() { Ok(default) } else { boolean(key, value) }
    };
    for (key, value) in body {
        match key.as_str() {
            "address" => port.address = mac(key, value)?,
            "extra" => port.extra = bag(value),
            "is_smartnic" => port.is_smartnic = flag(key, value, false)?,
            "local_link_connection" => port.local_link_connection = local_link(bag(value))?,
            "physical_network" => port.physical_network = text(value),
            "portgroup_uuid" if !value.is_null() => {
                let group = uuid(key, value)?;
                return Err(ApiError::invalid(format!("Portgroup {group} could not be found.")));
            }
            "pxe_enabled" => port.pxe_enabled = flag(key, value, true)?,
            "name" => port.name = text(value),
            "description" => port.description = text(value),
            "vendor" => port.vendor = text(value),
            "category" => port.category = text(value),
            "available_for_dynamic_portgroup" => port.available_for_dynamic_portgroup = value.as_bool(),
            _ => {}
        }
    }
    Ok(())
}

/// Checks and normalises a `local_link_connection`: switch and port, smart NIC, unmanaged, OVN, or nothing.
fn local_link(mut link: Object) -> Result<Object, ApiError> {
    const KNOWN: &[&str] = &[
        "port_id",
        "switch_id",
        "hostname",
        "switch_info",
        "network_type",
        "vtep-logical-switch",
        "vtep-physical-switch",
    ];
    if link.is_empty() {
        return Ok(link);
    }
    let has = |key: &str| link.contains_key(key);
    let cause = if let Some(key) = link.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        Some(format!(
            "Additional properties are not allowed ({} was unexpected)",
            crate::wording::repr_text(key)
        ))
    } else if let Some(value) = link.values().find(|value| !value.is_string()) {
        Some(format!("{} is not of type 'string'", repr(value)))
    } else if let Some(kind) =
        link.get("network_type").filter(|kind| *kind != "managed" && *kind != "unmanaged")
    {
        Some(format!("{} is not one of ['managed', 'unmanaged']", repr(kind)))
    } else if has("vtep-logical-switch") != has("vtep-physical-switch") {
        Some("'vtep-physical-switch' and 'vtep-logical-switch' depend on each other".to_owned())
    } else {
        let fits = (has("port_id") && (has("switch_id") || has("hostname") || has("vtep-logical-switch")))
            || link.get("network_type").is_some_and(|kind| kind == "unmanaged");
        (!fits).then(|| "'port_id' and 'switch_id' are required properties".to_owned())
    };
    if let Some(cause) = cause {
        return Err(ApiError::invalid(format!(
            "Schema error for local_link_connection: {} is not valid under any of the given schemas. Possible root cause: {cause}",
            repr(&Value::Object(link))
        )));
    }
    if let Some(Value::String(switch)) = link.get_mut("switch_id") {
        let datapath = switch.strip_prefix("0x").unwrap_or(switch);
        let is_datapath = datapath.len() == 16 && datapath.bytes().all(|byte| byte.is_ascii_hexdigit());
        *switch = match normal_mac(switch) {
            Some(mac) => mac,
            None if is_datapath => switch.to_ascii_lowercase(),
            None => {
                return Err(ApiError::invalid(format!(
                    "Expected a MAC address or OpenFlow datapath ID but received {}.",
                    switch.chars().take(crate::limits::QUOTED_CHARACTERS).collect::<String>()
                )));
            }
        };
    }
    Ok(link)
}

fn check_port(port: &Port, call: &Call) -> Result<(), ApiError> {
    if let Some(name) = &port.name
        && (!is_logical_name(name) || parse_uuid(name).is_some())
    {
        return Err(ApiError::invalid(format!(
            "Cannot use '{name}' as the name of a port: it may have letters, digits, \
             '-', '.', '_' and '~', and may not be a UUID"
        )));
    }
    if port.physical_network.as_deref() == Some("") {
        return Err(ApiError::invalid("A non-empty value is required when setting physical_network"));
    }
    if port.local_link_connection.contains_key("network_type") && !call.version.has(v::LINK_NETWORK_TYPE) {
        return Err(ApiError::not_acceptable());
    }
    Ok(())
}

/// `PATCH /v1/ports/{port}`
pub async fn patch(call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let operations = patch::read(call.json()?, call.version)?;
    if let Some(other) = operations.iter().find(|operation| !PATCHABLE.contains(&operation.root())) {
        return Err(ApiError::invalid(format!(
            "Cannot patch {}. Only the following can be updated: {}",
            other.path,
            PATCHABLE.join(", ")
        )));
    }
    // As in Ironic, a patch is held against the microversion only for these.
    const CHECKED: &[&str] =
        &["pxe_enabled", "local_link_connection", "portgroup_uuid", "physical_network", "is_smartnic"];
    refuse_newer(&call, operations.iter().map(Operation::root).filter(|root| CHECKED.contains(root)))?;
    let before = find(&call).await?;
    let claim = call.claim_node(before.node_uuid).await?;
    let outcome = change(&call, &operations).await;
    call.state.store.release(&claim).await?;
    Reply::json(&shown(&call, &outcome?, &Chosen::All))
}

/// Changes a port whose node is held.
async fn change(call: &Call, operations: &[Operation]) -> Result<Port, ApiError> {
    let before = find(call).await?;
    let node = call.find_node(&before.node_uuid.to_string()).await?.node;
    if node.provision_state == S::Inspecting && call.version.has(v::INSPECT_WAIT) {
        return Err(ApiError::conflict(format!(
            "Cannot update port \"{}\" on \"{}\" while it is in state \"{}\".",
            before.uuid, node.uuid, node.provision_state
        )));
    }
    let mut document = document(&before);
    patch::apply(&mut document, operations)?;
    let target = document.remove("node_uuid");
    check("patch", &document, PROPERTIES, &["address"])?;
    for name in PATCHABLE.iter().filter(|name| !name.starts_with("node_")) {
        document.entry(*name).or_insert(Value::Null);
    }
    let mut after = before.clone();
    apply(&mut after, &document)?;
    if let Some(target) = target {
        let found = match &target {
            Value::String(ident) => call.find_node(ident).await.ok(),
            _ => None,
        };
        let Some(found) = found else {
            return Err(ApiError::invalid(format!(
                "Unable to apply the requested node_uuid '{}'. Requested value was invalid.",
                display(&target)
            )));
        };
        after.node_uuid = found.node.uuid;
    }
    let renamed = operations.iter().any(|operation| operation.is_of("physical_network"));
    if !renamed && after.physical_network.as_deref() == Some("") {
        after.physical_network = None;
    }
    check_port(&after, call)?;
    check_connectivity(&before, &after, &node)?;
    if after != before {
        after.updated_at = Some(call.now());
        call.state.store.update(&after).await?;
    }
    Ok(after)
}

fn document(port: &Port) -> Map<String, Value> {
    let rows = [
        ("address", json!(port.address)),
        ("extra", json!(port.extra)),
        ("is_smartnic", json!(port.is_smartnic)),
        ("local_link_connection", json!(port.local_link_connection)),
        ("node_uuid", json!(port.node_uuid)),
        ("physical_network", json!(port.physical_network)),
        ("portgroup_uuid", json!(port.portgroup_uuid)),
        ("pxe_enabled", json!(port.pxe_enabled)),
        ("name", json!(port.name)),
        ("description", json!(port.description)),
        ("vendor", json!(port.vendor)),
        ("category", json!(port.category)),
        ("available_for_dynamic_portgroup", json!(port.available_for_dynamic_portgroup)),
    ];
    rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// What connects a node to its networks changes only while nobody relies on it.
fn check_connectivity(before: &Port, after: &Port, node: &Node) -> Result<(), ApiError> {
    let in_use = node.provision_state == S::Active || node.instance_uuid.is_some();
    if in_use && before.address != after.address && !node.maintenance {
        return Err(ApiError::conflict(format!(
            "Cannot update hardware address for port {} as node {} is active or has instance UUID assigned",
            before.uuid, node.uuid
        )));
    }
    const ALLOWED: &[S] = &[S::Enroll, S::Inspecting, S::InspectWait, S::Manageable];
    let changed = before.portgroup_uuid != after.portgroup_uuid
        || before.pxe_enabled != after.pxe_enabled
        || before.local_link_connection != after.local_link_connection
        || before.physical_network != after.physical_network;
    if changed && !node.maintenance && !ALLOWED.contains(&node.provision_state) {
        let allowed: Vec<_> = ALLOWED.iter().map(|state| state.as_str()).collect();
        return Err(ApiError::conflict(format!(
            "Port {} can not have any connectivity attributes (portgroup_id, pxe_enabled, local_link_connection, \
             physical_network) updated unless node {} is in a {} state or in maintenance mode. The current state is {}.",
            before.uuid,
            node.uuid,
            allowed.join(", "),
            node.provision_state
        )));
    }
    Ok(())
}

/// `DELETE /v1/ports/{port}`, by UUID only.
pub async fn delete(call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let ident = call.parameter("port");
    if parse_uuid(ident).is_none() {
        let shown: String = ident.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
        return Err(ApiError::new(StatusCode::BAD_REQUEST, format!("Expected UUID for port_uuid: {shown}")));
    }
    let port = find(&call).await?;
    let claim = call.claim_node(port.node_uuid).await?;
    let outcome = remove(&call, &port).await;
    call.state.store.release(&claim).await?;
    outcome.map(|()| Reply::empty())
}

/// Forgets a port whose node is held; one that carries a VIF of an instance stays.
async fn remove(call: &Call, port: &Port) -> Result<(), ApiError> {
    let node = call.find_node(&port.node_uuid.to_string()).await?.node;
    let has_vif = port.internal_info.get("tenant_vif_port_id").is_some_and(Value::is_string);
    if has_vif && node.instance_uuid.is_some() && !node.maintenance {
        return Err(ApiError::conflict(format!(
            "Cannot delete the port {} as VIF {} is attached to it, node {} is in use and not in maintenance mode.",
            port.uuid,
            port.internal_info["tenant_vif_port_id"].as_str().unwrap_or_default(),
            node.uuid
        )));
    }
    Ok(call.state.store.delete::<Port>(port.uuid).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(value: Value) -> Result<Value, String> {
        local_link(value.as_object().cloned().unwrap()).map(Value::Object).map_err(|error| error.text)
    }

    #[test]
    fn local_links_have_their_five_forms() {
        for good in [
            json!({}),
            json!({"port_id": "p", "switch_id": "52:54:00:aa:bb:cc", "switch_info": "s"}),
            json!({"port_id": "p", "hostname": "h"}),
            json!({"network_type": "unmanaged"}),
            json!({"port_id": "p", "vtep-logical-switch": "l", "vtep-physical-switch": "q"}),
        ] {
            assert_eq!(link(good.clone()), Ok(good));
        }
        for bad in [
            json!({"a": 1}),
            json!({"port_id": "p"}),
            json!({"network_type": "managed"}),
            json!({"network_type": "x"}),
            json!({"port_id": 1, "switch_id": "x"}),
            json!({"port_id": "p", "vtep-logical-switch": "l"}),
            json!({"port_id": "p", "switch_id": "nonsense"}),
        ] {
            assert!(link(bad.clone()).is_err(), "{bad}");
        }
        assert_eq!(
            link(json!({"port_id": "p", "switch_id": "52:54:00:AA:BB:CC"})).unwrap()["switch_id"],
            "52:54:00:aa:bb:cc"
        );
    }

    #[test]
    fn every_patchable_attribute_is_in_the_document() {
        let port =
            Port::new(Uuid::nil(), Uuid::nil(), "52:54:00:aa:bb:cc".into(), jiff::Timestamp::UNIX_EPOCH);
        let document = document(&port);
        for name in PATCHABLE {
            // `node_ident` may be named, and is then refused as a new attribute: so in Ironic.
            assert_eq!(document.contains_key(*name), *name != "node_ident", "{name}");
        }
        assert!(PATCHABLE.iter().all(|name| PROPERTIES.iter().any(|property| property.name == *name)));
        assert!(document.values().all(|value| !value.is_number()));
    }
}

//! A server as clients see it. What only operators see is written for them alone.

use super::body::{fine_time, time};
use crate::cloud::Call;
use model::compute::scheduler::DEFAULT_ZONE;
use model::compute::{Server, ServerFault, ServerPort};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// What is known of a server beside itself, where a list does not look it up.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Groups that it is in, from 2.71 on.
    pub groups: Option<Vec<Uuid>>,
    /// User data, for operators.
    pub user_data: Option<String>,
    /// The zone of its machine.
    pub zone: Option<String>,
}

/// Identifier and links: what lists show.
pub(super) fn brief(call: &Call, server: &Server) -> Value {
    json!({"id": server.uuid, "name": server.name, "links": links(call, server)})
}

pub(super) fn links(call: &Call, server: &Server) -> Value {
    super::links(call, "servers", &server.uuid.to_string())
}

/// Everything.
pub(super) fn full(call: &Call, server: &Server, beside: &Beside) -> Value {
    let mut own = json!({
        "id": server.uuid,
        "name": server.name,
        "status": server.status(),
        "tenant_id": server.project_id,
        "user_id": server.user_id,
        "metadata": server.metadata,
        "hostId": host_id(server),
        "image": image(call, server),
        "flavor": flavor(call, server),
        "created": time(server.created_at),
        "updated": time(server.updated_at.unwrap_or(server.created_at)),
        "addresses": addresses(&server.ports),
        "accessIPv4": "",
        "accessIPv6": "",
        "links": links(call, server),
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": zone(server, beside),
        "config_drive": if server.config_drive { "True" } else { "" },
        "key_name": server.key.as_ref().map(|key| &key.name),
        "OS-SRV-USG:launched_at": server.launched_at.map(fine_time),
        "OS-SRV-USG:terminated_at": null,
        "OS-EXT-STS:task_state": server.task_state,
        "OS-EXT-STS:vm_state": server.vm_state,
        "OS-EXT-STS:power_state": server.power.number(),
        "os-extended-volumes:volumes_attached": [],
        "security_groups": security_groups(server),
    });
    if let Some(progress) = server.progress() {
        own["progress"] = json!(progress);
    }
    if let Some(fault) = server.fault.as_ref().filter(|_| server.status() == "ERROR") {
        own["fault"] = self::fault(call, fault);
    }
    add_newer(call, server, beside, &mut own);
    if call.sees_all() {
        add_operators(call, server, beside, &mut own);
    } else if call.minor >= 90 {
        own["OS-EXT-SRV-ATTR:hostname"] = json!(server.hostname);
    }
    own
}

/// What came with later microversions.
fn add_newer(call: &Call, server: &Server, beside: &Beside, own: &mut Value) {
    let lock = server.locked.as_ref();
    let since: [(u16, &str, Value); 7] = [
        (9, "locked", json!(lock.is_some())),
        (19, "description", json!(server.description)),
        (26, "tags", json!(server.tags)),
        (63, "trusted_image_certificates", Value::Null),
        (71, "server_groups", json!(beside.groups)),
        (73, "locked_reason", json!(lock.and_then(|lock| lock.reason.as_ref()))),
        (96, "pinned_availability_zone", json!(server.availability_zone)),
    ];
    for (minor, name, value) in since {
        // Lists have no groups.
        if call.minor >= minor && (name != "server_groups" || beside.groups.is_some()) {
            own[name] = value;
        }
    }
}

/// What tells of the machine behind the server.
fn add_operators(call: &Call, server: &Server, beside: &Beside, own: &mut Value) {
    let mut attributes = vec![
        ("host", json!(server.host)),
        ("hypervisor_hostname", json!(server.node)),
        ("instance_name", json!(super::instance_name(server))),
    ];
    if call.minor >= 3 {
        let property = |name: &str| server.image.as_ref().and_then(|image| image.properties.get(name));
        attributes.extend([
            ("hostname", json!(server.hostname)),
            ("kernel_id", json!(property("kernel_id").map_or("", String::as_str))),
            ("ramdisk_id", json!(property("ramdisk_id").map_or("", String::as_str))),
            ("launch_index", json!(server.launch_index)),
            ("reservation_id", json!(server.reservation_id)),
            ("root_device_name", json!("/dev/sda")),
            ("user_data", json!(beside.user_data)),
        ]);
    }
    for (name, value) in attributes {
        own[format!("OS-EXT-SRV-ATTR:{name}")] = value;
    }
    if call.minor >= 16 {
        own["host_status"] = json!(if server.host.is_some() { "UP" } else { "" });
    }
}

/// The zone that the machine is in, or that was asked for while there is none.
fn zone(server: &Server, beside: &Beside) -> String {
    let asked = server.availability_zone.clone();
    match (&beside.zone, server.node) {
        (Some(zone), _) => zone.clone(),
        (None, Some(_)) => asked.unwrap_or_else(|| DEFAULT_ZONE.to_owned()),
        (None, None) => asked.unwrap_or_default(),
    }
}

/// A word for the host that tells tenants whether two servers of theirs are on the same, and nothing else.
pub(super) fn host_id(server: &Server) -> String {
    let Some(host) = &server.host else { return String::new() };
    let hashed = digest(&SHA256, format!("{}{host}", server.project_id).as_bytes());
    // As long as Nova's, which is a SHA-224.
    hashed.as_ref().iter().take(28).map(|byte| format!("{byte:02x}")).collect()
}

fn image(call: &Call, server: &Server) -> Value {
    let Some(image) = &server.image else { return json!("") };
    json!({
        "id": image.id,
        "links": [{"rel": "bookmark", "href": call.url(&format!("/images/{}", image.id))}],
    })
}

fn flavor(call: &Call, server: &Server) -> Value {
    let flavor = &server.flavor;
    if call.minor < 47 {
        return json!({
            "id": flavor.id,
            "links": [{"rel": "bookmark", "href": call.url(&format!("/flavors/{}", flavor.id))}],
        });
    }
    json!({
        "original_name": flavor.name,
        "vcpus": flavor.vcpus,
        "ram": flavor.ram_mb,
        "disk": flavor.disk_gb,
        "ephemeral": flavor.ephemeral_gb,
        "swap": flavor.swap_mb,
        "extra_specs": flavor.extra_specs,
    })
}

/// Addresses by the names of their networks.
pub(super) fn addresses(ports: &[ServerPort]) -> Value {
    let mut by_network: Map<String, Value> = Map::new();
    for port in ports {
        let row = by_network.entry(port.network_name.clone()).or_insert_with(|| json!([]));
        if let Value::Array(row) = row {
            row.extend(port.addresses.iter().map(|address| {
                json!({
                    "version": if address.is_ipv4() { 4 } else { 6 },
                    "addr": address,
                    "OS-EXT-IPS:type": "fixed",
                    "OS-EXT-IPS-MAC:mac_addr": port.mac,
                })
            }));
        }
    }
    Value::Object(by_network)
}

/// The names that were asked for, or `default`.
pub(super) fn security_groups(server: &Server) -> Value {
    if server.security_groups.is_empty() {
        return json!([{"name": "default"}]);
    }
    server.security_groups.iter().map(|name| json!({"name": name})).collect::<Vec<_>>().into()
}

/// Why the server is in error: the tenant reads all of the message, operators the details too.
fn fault(call: &Call, fault: &ServerFault) -> Value {
    let mut own = json!({
        "code": fault.code,
        "created": time(fault.created_at),
        "message": fault.message,
    });
    if let Some(details) = fault.details.as_ref().filter(|_| call.sees_all()) {
        own["details"] = json!(details);
    }
    own
}

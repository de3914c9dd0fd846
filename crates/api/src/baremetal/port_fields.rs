//! A port as the API shows it.

use super::fields::{Chosen, Field, maybe_time, time};
use super::records;
use crate::call::Call;
use model::port::Port;
use model::version::{self as v, Microversion};
use serde_json::{Map, Value, json};

/// Fields of a port, and the microversion of each.
pub const FIELDS: &[Field] = &[
    ("uuid", v::BASE),
    ("created_at", v::BASE),
    ("updated_at", v::BASE),
    ("address", v::BASE),
    ("extra", v::BASE),
    ("internal_info", v::PORT_INTERNAL_INFO),
    ("is_smartnic", v::SMARTNIC),
    ("local_link_connection", v::PORT_LINKS),
    ("physical_network", v::PHYSICAL_NETWORK),
    ("pxe_enabled", v::PORT_LINKS),
    ("node_uuid", v::BASE),
    ("name", v::PORT_NAME),
    ("description", v::PORT_DESCRIPTION),
    ("vendor", v::PORT_VENDOR),
    ("category", v::PORT_CATEGORY),
    ("available_for_dynamic_portgroup", v::DYNAMIC_PORTGROUPS),
    ("portgroup_uuid", v::PORTGROUP_LISTS),
    ("links", v::BASE),
];

/// Fields of a list without `detail`.
pub const DEFAULT: &[&str] = &["uuid", "address"];

/// A port as JSON.
pub fn shown(call: &Call, port: &Port, chosen: &Chosen) -> Map<String, Value> {
    let path = format!("ports/{}", port.uuid);
    records::fields(call, FIELDS, chosen, &path, |name| value(call, port, name))
}

/// Does the microversion have OVN VTEP in `local_link_connection`? It came, and went again.
pub fn has_vtep(version: Microversion) -> bool {
    version.has(v::OVN_VTEP) && !version.has(v::NO_VTEP)
}

fn value(call: &Call, port: &Port, name: &str) -> Value {
    match name {
        "uuid" => json!(port.uuid),
        "created_at" => json!(time(port.created_at)),
        "updated_at" => json!(maybe_time(port.updated_at)),
        "address" => json!(port.address),
        "extra" => json!(port.extra),
        "internal_info" => json!(port.internal_info),
        "is_smartnic" => json!(port.is_smartnic),
        "local_link_connection" => {
            // Clients without these keys expect the field, and nothing that they can't read in it.
            let vtep = ["vtep-logical-switch", "vtep-physical-switch"];
            if !has_vtep(call.version) && vtep.iter().any(|key| port.local_link_connection.contains_key(*key))
            {
                json!({})
            } else {
                json!(port.local_link_connection)
            }
        }
        "physical_network" => json!(port.physical_network),
        "pxe_enabled" => json!(port.pxe_enabled),
        "node_uuid" => json!(port.node_uuid),
        "name" => json!(port.name),
        "description" => json!(port.description),
        "vendor" => json!(port.vendor),
        "category" => json!(port.category),
        "available_for_dynamic_portgroup" => json!(port.available_for_dynamic_portgroup.unwrap_or(true)),
        _ => json!(port.portgroup_uuid),
    }
}

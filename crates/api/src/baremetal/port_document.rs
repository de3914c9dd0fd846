//! A port as clients write it: what a body may carry, and how it becomes a port.

use super::port_rules::local_link;
use super::schema::{BAG, BOOLEAN, FLAG, Property, STRING, TEXT, limited, property};
use crate::args::{boolean, mac, uuid};
use crate::error::ApiError;
use model::port::Port;
use model::version as v;
use serde_json::{Map, Value, json};

/// What a body may carry when a port is created.
pub const PROPERTIES: &[Property] = &[
    property("address", STRING),
    property("extra", BAG),
    property("is_smartnic", FLAG).since(v::SMARTNIC),
    property("local_link_connection", BAG).since(v::PORT_LINKS),
    property("node_ident", STRING).since(v::PORT_NODE_IDENT),
    property("node_uuid", STRING).format("uuid"),
    limited("physical_network", TEXT, 0, 64).since(v::PHYSICAL_NETWORK),
    property("portgroup_uuid", TEXT).format("uuid").since(v::PORTGROUP_LISTS),
    property("pxe_enabled", FLAG).since(v::PORT_LINKS),
    property("uuid", TEXT).format("uuid"),
    limited("name", TEXT, 0, 255).since(v::PORT_NAME),
    limited("description", TEXT, 0, 255).since(v::PORT_DESCRIPTION),
    limited("vendor", TEXT, 0, 32).since(v::PORT_VENDOR),
    limited("category", TEXT, 0, 80).since(v::PORT_CATEGORY),
    property("available_for_dynamic_portgroup", BOOLEAN).since(v::DYNAMIC_PORTGROUPS),
];

/// What it must carry, beside one of `node_uuid` and `node_ident`.
pub const REQUIRED: &[&str] = &["address"];

/// Attributes that a patch may change, in the order in which refusals list them.
pub const PATCHABLE: &[&str] = &[
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

/// Writes a checked document into a port; `null` is the field's default. `uuid`, the node, and whether the group is there, are
/// the caller's.
pub fn apply(port: &mut Port, body: &Map<String, Value>) -> Result<(), ApiError> {
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
            "portgroup_uuid" if value.is_null() => port.portgroup_uuid = None,
            "portgroup_uuid" => port.portgroup_uuid = Some(uuid(key, value)?),
            "pxe_enabled" => port.pxe_enabled = flag(key, value, true)?,
            "name" => port.name = text(value),
            "description" => port.description = text(value),
            "vendor" => port.vendor = text(value),
            "category" => port.category = text(value),
            // What nobody chose counts as true; to say so once more is no change.
            "available_for_dynamic_portgroup"
                if value.as_bool() != Some(port.available_for_dynamic_portgroup.unwrap_or(true)) =>
            {
                port.available_for_dynamic_portgroup = value.as_bool();
            }
            _ => {}
        }
    }
    Ok(())
}

/// The attributes that a patch may change, as a document.
pub fn document(port: &Port) -> Map<String, Value> {
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
        ("available_for_dynamic_portgroup", json!(port.available_for_dynamic_portgroup.unwrap_or(true))),
    ];
    rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

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

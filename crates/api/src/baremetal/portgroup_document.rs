//! A port group as clients see it and write it.

use super::fields::{Chosen, Field, maybe_time, time};
use super::schema::{BAG, FLAG, Property, STRING, TEXT, limited, property};
use super::{query_schema, records};
use crate::args::{boolean, mac};
use crate::call::Call;
use crate::error::ApiError;
use model::portgroup::{DEFAULT_MODE, Portgroup};
use model::version as v;
use serde_json::{Map, Value, json};

/// Fields of a port group, and the microversion of each.
pub const FIELDS: &[Field] = &[
    ("uuid", v::PORTGROUPS),
    ("created_at", v::PORTGROUPS),
    ("updated_at", v::PORTGROUPS),
    ("address", v::PORTGROUPS),
    ("extra", v::PORTGROUPS),
    ("internal_info", v::PORTGROUPS),
    ("mode", v::PORTGROUP_MODE),
    ("name", v::PORTGROUPS),
    ("node_uuid", v::PORTGROUPS),
    ("ports", v::PORTGROUPS),
    ("properties", v::PORTGROUP_MODE),
    ("standalone_ports_supported", v::PORTGROUPS),
    ("physical_network", v::PORTGROUP_PHYSICAL_NETWORK),
    ("category", v::PORTGROUP_CATEGORY),
    ("dynamic_portgroup", v::DYNAMIC_PORTGROUPS),
    ("links", v::PORTGROUPS),
];

/// Fields of a list without `detail`.
pub const DEFAULT: &[&str] = &["uuid", "address", "name"];

/// How an unknown name in `fields` is refused.
pub fn unknown_field(name: &str) -> String {
    query_schema::unknown_field(name, FIELDS)
}

/// What a body may carry when a port group is created.
pub const PROPERTIES: &[Property] = &[
    property("address", TEXT),
    limited("category", TEXT, 0, 80),
    property("extra", BAG),
    property("mode", TEXT).since(v::PORTGROUP_MODE),
    property("name", TEXT),
    property("node_uuid", STRING).format("uuid"),
    limited("physical_network", TEXT, 0, 64),
    property("properties", BAG).since(v::PORTGROUP_MODE),
    property("standalone_ports_supported", FLAG),
    property("uuid", TEXT).format("uuid"),
];

/// What it must carry.
pub const REQUIRED: &[&str] = &["node_uuid"];

/// Attributes that a patch may change, in the order in which refusals list them.
pub const PATCHABLE: &[&str] = &[
    "address",
    "extra",
    "mode",
    "name",
    "node_uuid",
    "properties",
    "standalone_ports_supported",
    "physical_network",
    "category",
];

/// A port group as JSON.
pub fn shown(call: &Call, group: &Portgroup, chosen: &Chosen) -> Map<String, Value> {
    let path = format!("portgroups/{}", group.uuid);
    records::fields(call, FIELDS, chosen, &path, |name| match name {
        "uuid" => json!(group.uuid),
        "created_at" => json!(time(group.created_at)),
        "updated_at" => json!(maybe_time(group.updated_at)),
        "internal_info" => json!(group.internal_info),
        "dynamic_portgroup" => json!(group.dynamic_portgroup),
        "ports" => json!(call.links(&format!("{path}/ports"))),
        other => attribute(group, other),
    })
}

/// An attribute that clients may write.
fn attribute(group: &Portgroup, name: &str) -> Value {
    match name {
        "address" => json!(group.address),
        "extra" => json!(group.extra),
        "mode" => json!(group.mode),
        "name" => json!(group.name),
        "properties" => json!(group.properties),
        "standalone_ports_supported" => json!(group.standalone_ports_supported),
        "physical_network" => json!(group.physical_network),
        "category" => json!(group.category),
        _ => json!(group.node_uuid),
    }
}

/// The attributes that a patch may change, as a document.
pub fn document(group: &Portgroup) -> Map<String, Value> {
    PATCHABLE.iter().map(|name| ((*name).to_owned(), attribute(group, name))).collect()
}

/// Writes a checked document into a port group; `null` is the field's default. `uuid` and `node_uuid` are the caller's.
pub fn apply(group: &mut Portgroup, body: &Map<String, Value>) -> Result<(), ApiError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let bag = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for (key, value) in body {
        match key.as_str() {
            "address" if value.is_null() => group.address = None,
            "address" => group.address = Some(mac(key, value)?),
            "extra" => group.extra = bag(value),
            "mode" => group.mode = text(value),
            "name" => group.name = text(value),
            "properties" => group.properties = bag(value),
            "standalone_ports_supported" if value.is_null() => group.standalone_ports_supported = true,
            "standalone_ports_supported" => group.standalone_ports_supported = boolean(key, value)?,
            "physical_network" => group.physical_network = text(value),
            "category" => group.category = text(value),
            _ => {}
        }
    }
    Ok(())
}

/// Gives a new port group the mode that it has unless another one is asked for.
pub fn set_default_mode(group: &mut Portgroup) {
    if group.mode.as_deref().is_none_or(str::is_empty) {
        group.mode = Some(DEFAULT_MODE.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use uuid::Uuid;

    #[test]
    fn a_document_makes_the_group_that_it_was_made_of() {
        let mut group = Portgroup::new(Uuid::nil(), Uuid::nil(), Timestamp::UNIX_EPOCH);
        group.address = Some("52:54:00:aa:bb:cc".into());
        group.mode = None;
        group.properties.insert("miimon".into(), json!(100));
        group.standalone_ports_supported = false;
        group.category = Some("c".into());
        let mut copy = Portgroup::new(Uuid::nil(), Uuid::nil(), Timestamp::UNIX_EPOCH);
        apply(&mut copy, &document(&group)).unwrap();
        assert_eq!(copy, group);
        assert!(PATCHABLE.iter().all(|name| PROPERTIES.iter().any(|property| property.name == *name)));
    }

    #[test]
    fn null_is_the_default() {
        let mut group = Portgroup::new(Uuid::nil(), Uuid::nil(), Timestamp::UNIX_EPOCH);
        group.standalone_ports_supported = false;
        let nulls = PATCHABLE.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        apply(&mut group, &nulls).unwrap();
        set_default_mode(&mut group);
        assert_eq!(group, Portgroup::new(Uuid::nil(), Uuid::nil(), Timestamp::UNIX_EPOCH));
    }
}

//! Attributes of nodes and ports that actions may change, by a path like `/properties/cpus` or `driver_info.ipmi_address`.
//!
//! A node is changed as a JSON document and read back, so that a value of the wrong type is refused in place of stored.

use crate::node::{InterfaceKind, Interfaces, Node};
use crate::port::Port;
use crate::secret::{MASK, is_secret_key};
use crate::wording::text;
use serde_json::{Map, Value};

/// What kind of value an attribute has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Flag,
    Bag,
}

/// Attributes of a node that rules may change. Identity, states and what the conductor itself keeps are not among them.
const OF_NODE: &[(&str, Kind)] = &[
    ("name", Kind::Text),
    ("driver", Kind::Text),
    ("driver_info", Kind::Bag),
    ("driver_internal_info", Kind::Bag),
    ("properties", Kind::Bag),
    ("instance_info", Kind::Bag),
    ("extra", Kind::Bag),
    ("network_data", Kind::Bag),
    ("raid_config", Kind::Bag),
    ("target_raid_config", Kind::Bag),
    ("conductor_group", Kind::Text),
    ("description", Kind::Text),
    ("owner", Kind::Text),
    ("lessee", Kind::Text),
    ("shard", Kind::Text),
    ("resource_class", Kind::Text),
    ("instance_name", Kind::Text),
    ("maintenance", Kind::Flag),
    ("maintenance_reason", Kind::Text),
    ("automated_clean", Kind::Flag),
    ("protected", Kind::Flag),
    ("protected_reason", Kind::Text),
    ("retired", Kind::Flag),
    ("retired_reason", Kind::Text),
    ("disable_power_off", Kind::Flag),
];

/// Attributes of a port that rules may change.
const OF_PORT: &[(&str, Kind)] = &[
    ("name", Kind::Text),
    ("description", Kind::Text),
    ("extra", Kind::Bag),
    ("local_link_connection", Kind::Bag),
    ("pxe_enabled", Kind::Flag),
    ("physical_network", Kind::Text),
    ("is_smartnic", Kind::Flag),
    ("vendor", Kind::Text),
    ("category", Kind::Text),
];

/// What becomes of the attribute that a path names.
pub enum Change {
    /// It is set.
    Set(Value),
    /// The value is appended to the list that it is; only if it isn't there, where `unique`.
    Extend { value: Value, unique: bool },
    /// It is removed.
    Remove,
}

/// A path's parts.
fn parts(path: &str) -> Vec<&str> {
    if path.contains('/') { path.trim_matches('/').split('/').collect() } else { path.split('.').collect() }
}

/// Refuses, when a rule is made, a path that can never be changed.
pub fn check_path(op: &str, path: &str) -> Result<(), String> {
    let root = parts(path).first().copied().unwrap_or_default();
    let known = match op {
        "set-attribute" | "extend-attribute" | "del-attribute" => {
            kind_of(root, OF_NODE).is_some() || interface(root).is_some()
        }
        "set-port-attribute" | "extend-port-attribute" | "del-port-attribute" => {
            kind_of(root, OF_PORT).is_some()
        }
        _ => true,
    };
    if known { Ok(()) } else { Err(unknown(root, op.contains("port"))) }
}

fn unknown(root: &str, of_port: bool) -> String {
    let (what, list) = if of_port { ("port", OF_PORT) } else { ("node", OF_NODE) };
    let names: Vec<_> = list.iter().map(|(name, _)| *name).collect();
    let interfaces = if of_port { "" } else { ", and each *_interface" };
    format!(
        "'{root}' is no attribute of a {what} that a rule may change; these are: {}{interfaces}",
        names.join(", ")
    )
}

fn kind_of(root: &str, list: &[(&str, Kind)]) -> Option<Kind> {
    list.iter().find(|(name, _)| *name == root).map(|(_, kind)| *kind)
}

fn interface(root: &str) -> Option<InterfaceKind> {
    root.strip_suffix("_interface").and_then(|kind| kind.parse().ok())
}

/// Changes an attribute of a node. The error is why it can't be; the node is then as it was.
pub fn change_node(node: &mut Node, path: &str, change: Change) -> Result<(), String> {
    let parts = parts(path);
    let root = parts.first().copied().unwrap_or_default();
    if let Some(kind) = interface(root) {
        return change_interface(&mut node.interfaces, kind, &parts, change);
    }
    let kind = kind_of(root, OF_NODE).ok_or_else(|| unknown(root, false))?;
    let document = node.document().map_err(|error| error.to_string())?;
    *node = changed(Value::Object(document), kind, &parts, change)?;
    Ok(())
}

/// Changes an attribute of a port.
pub fn change_port(port: &mut Port, path: &str, change: Change) -> Result<(), String> {
    let parts = parts(path);
    let root = parts.first().copied().unwrap_or_default();
    let kind = kind_of(root, OF_PORT).ok_or_else(|| unknown(root, true))?;
    let document = serde_json::to_value(&*port).map_err(|error| error.to_string())?;
    *port = changed(document, kind, &parts, change)?;
    Ok(())
}

fn change_interface(
    interfaces: &mut Interfaces,
    kind: InterfaceKind,
    parts: &[&str],
    change: Change,
) -> Result<(), String> {
    match change {
        Change::Set(Value::String(name)) if parts.len() == 1 => {
            interfaces.set(kind, name);
            Ok(())
        }
        _ => Err("an interface can only be set to a text".to_owned()),
    }
}

/// The object of a document in which one attribute is changed.
fn changed<T: serde::de::DeserializeOwned>(
    mut document: Value,
    kind: Kind,
    parts: &[&str],
    change: Change,
) -> Result<T, String> {
    match parts {
        [root] => match change {
            Change::Set(value) => document[*root] = fitted(value, kind)?,
            Change::Extend { .. } => return Err("it is no list".to_owned()),
            // What is missing has its default; what has none is refused when it is read back.
            Change::Remove => drop(document.as_object_mut().and_then(|map| map.remove(*root))),
        },
        [root, rest @ ..] => change_at(&mut document[*root], rest, change)?,
        [] => return Err("the path is empty".to_owned()),
    }
    serde_json::from_value(document).map_err(|error| error.to_string())
}

/// A value as an attribute of that kind takes it: texts stand for booleans, and numbers for texts, as in Ironic.
fn fitted(value: Value, kind: Kind) -> Result<Value, String> {
    match (kind, value) {
        (_, Value::Null) => Ok(Value::Null),
        (Kind::Bag, value @ Value::Object(_)) | (Kind::Flag, value @ Value::Bool(_)) => Ok(value),
        (Kind::Text, value @ Value::String(_)) => Ok(value),
        (Kind::Text, value @ (Value::Number(_) | Value::Bool(_))) => Ok(text(&value).into()),
        (Kind::Flag, value) => match text(&value).to_lowercase().as_str() {
            "1" | "t" | "true" | "on" | "y" | "yes" => Ok(true.into()),
            "0" | "f" | "false" | "off" | "n" | "no" => Ok(false.into()),
            other => Err(format!("'{other}' is no boolean")),
        },
        (Kind::Bag, other) => Err(format!("'{}' is no object", text(&other))),
        (Kind::Text, other) => Err(format!("'{}' is no text", text(&other))),
    }
}

/// Changes what is at the end of a way through objects. Setting and extending make the objects that are missing.
pub fn change_at(place: &mut Value, way: &[&str], change: Change) -> Result<(), String> {
    let Some((last, above)) = way.split_last() else { return Err("the path is empty".to_owned()) };
    let removes = matches!(change, Change::Remove);
    let mut place = place;
    for part in above {
        let map = object(place, part)?;
        if removes && !map.contains_key(*part) {
            return Err(format!("'{part}' is not there"));
        }
        place = map.entry(*part).or_insert_with(|| Value::Object(Map::new()));
    }
    let map = object(place, last)?;
    match change {
        Change::Set(value) => {
            map.insert((*last).to_owned(), value);
        }
        Change::Remove => {
            map.remove(*last).ok_or_else(|| format!("'{last}' is not there"))?;
        }
        Change::Extend { value, unique } => {
            let Value::Array(list) = map.entry(*last).or_insert_with(|| Value::Array(Vec::new())) else {
                return Err(format!("'{last}' is no list"));
            };
            if !unique || !list.iter().any(|other| super::conditions::equal(&value, other)) {
                list.push(value);
            }
        }
    }
    Ok(())
}

fn object<'a>(place: &'a mut Value, part: &str) -> Result<&'a mut Map<String, Value>, String> {
    place.as_object_mut().ok_or_else(|| format!("there is no object to find '{part}' in"))
}

/// The node as rules see it: what the API shows of it, secrets masked.
pub fn view(node: &Node) -> Map<String, Value> {
    let mut view = node.document().unwrap_or_default();
    for internal in ["work", "agent", "due", "nudges", "interfaces"] {
        view.remove(internal);
    }
    for kind in InterfaceKind::ALL {
        let name = node.interfaces.get(*kind).map_or(Value::Null, Value::from);
        view.insert(format!("{kind}_interface"), name);
    }
    for bag in ["driver_info", "driver_internal_info", "instance_info"] {
        if let Some(bag) = view.get_mut(bag) {
            mask(bag);
        }
    }
    view
}

fn mask(value: &mut Value) {
    let Value::Object(map) = value else { return };
    for (key, inner) in map {
        if is_secret_key(key) && !inner.is_null() {
            *inner = Value::from(MASK);
        } else {
            mask(inner);
        }
    }
}

//! RAID configurations: what may be asked for, and what it changes on a node once it is there.
//!
//! The rules and the refusals are those of Ironic's `drivers/raid_config_schema.json` as its validator words them, since people and
//! clients read them; which of several refusals is told follows that validator too.

use crate::node::{Node, Object};
use crate::wording::{repr, repr_text};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The properties of a logical disk, each with a sentence.
pub const LOGICAL_DISK_PROPERTIES: &[(&str, &str)] = &[
    ("raid_level", "RAID level: 'JBOD', '0', '1', '2', '5', '6', '1+0', '5+0' or '6+0'. Required."),
    (
        "size_gb",
        "Size in GiB as an integer, or 'MAX' for all the room that is left on the physical disks. Required.",
    ),
    ("volume_name", "Name of the volume; the controller makes one up without it. Optional."),
    ("is_root_volume", "Whether this volume is the root disk; at most one is. False by default. Optional."),
    (
        "share_physical_disks",
        "Whether other volumes may use this one's physical disks too. False by default. Optional.",
    ),
    ("disk_type", "Take only physical disks of this type: 'hdd' or 'ssd'. Optional."),
    ("interface_type", "Take only physical disks with this interface: 'sata', 'scsi' or 'sas'. Optional."),
    (
        "number_of_physical_disks",
        "How many physical disks to use; the fewest that the RAID level needs by default. Optional.",
    ),
    ("controller", "RAID controller to use; a suitable one is chosen without it. Optional."),
    (
        "physical_disks",
        "Physical disks to use, which needs the controller too; suitable ones are chosen without it. Optional.",
    ),
];

const LEVELS: &[&str] = &["JBOD", "0", "1", "2", "5", "6", "1+0", "5+0", "6+0"];

/// Checks a target configuration; the error is Ironic's text.
pub fn check(config: &Object) -> Result<(), String> {
    if let Some(problem) = problem(config) {
        return Err(format!("RAID config validation error: {problem}"));
    }
    root_disk(config).map(|_| ())
}

/// The refusal that Ironic's validator would tell: the one closest to the root, and there the one furthest back in the document.
fn problem(config: &Object) -> Option<String> {
    let Some(disks) = config.get("logical_disks") else {
        return Some("'logical_disks' is a required property".to_owned());
    };
    if let Some(text) = unexpected(config, &["logical_disks"]) {
        return Some(text);
    }
    let Value::Array(disks) = disks else { return Some(wrong_type(disks, "array")) };
    if disks.is_empty() {
        return Some("[] should be non-empty".to_owned());
    }
    let of_disks = || disks.iter().rev().filter_map(problem_of_disk).next();
    let of_properties = || {
        disks.iter().rev().filter_map(Value::as_object).find_map(|disk| {
            // The document keeps its keys sorted.
            disk.iter().rev().find_map(|(name, value)| problem_of_property(name, value))
        })
    };
    of_disks().or_else(of_properties)
}

fn problem_of_disk(disk: &Value) -> Option<String> {
    let Value::Object(disk) = disk else { return Some(wrong_type(disk, "object")) };
    if let Some(missing) = ["raid_level", "size_gb"].iter().find(|key| !disk.contains_key(**key)) {
        return Some(format!("'{missing}' is a required property"));
    }
    let known: Vec<_> = LOGICAL_DISK_PROPERTIES.iter().map(|(name, _)| *name).collect();
    unexpected(disk, &known).or_else(|| {
        (disk.contains_key("physical_disks") && !disk.contains_key("controller"))
            .then(|| "'controller' is a dependency of 'physical_disks'".to_owned())
    })
}

fn problem_of_property(name: &str, value: &Value) -> Option<String> {
    match name {
        "raid_level" => one_of(value, LEVELS),
        "disk_type" => one_of(value, &["hdd", "ssd"]),
        "interface_type" => one_of(value, &["sata", "scsi", "sas"]),
        "volume_name" | "controller" => (!value.is_string()).then(|| wrong_type(value, "string")),
        "is_root_volume" | "share_physical_disks" => {
            (!value.is_boolean()).then(|| wrong_type(value, "boolean"))
        }
        "number_of_physical_disks" => match value {
            value if !is_integer(value) => Some(wrong_type(value, "integer")),
            value if value.as_u64().is_some_and(|number| number > 0) => None,
            value => Some(format!("{value} is less than or equal to the minimum of 0")),
        },
        "size_gb" => match value {
            Value::String(text) if text == "MAX" => None,
            Value::String(_) => Some(format!("{} is not one of ['MAX']", repr(value))),
            value if !is_integer(value) => Some(fits_none(value)),
            value if value.is_u64() => None,
            value => Some(format!("{value} is less than the minimum of 0")),
        },
        "physical_disks" => problem_of_physical_disks(value),
        _ => None,
    }
}

/// Names, or at least two objects.
fn problem_of_physical_disks(value: &Value) -> Option<String> {
    let Value::Array(disks) = value else { return Some(fits_none(value)) };
    let objects = disks.len() >= 2 && disks.iter().all(Value::is_object);
    if objects || disks.iter().all(Value::is_string) {
        return None;
    }
    Some(match disks.first() {
        Some(disk @ Value::Object(_)) => wrong_type(disk, "string"),
        Some(disk @ Value::String(_)) => wrong_type(disk, "object"),
        _ => fits_none(value),
    })
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

fn one_of(value: &Value, words: &[&str]) -> Option<String> {
    let Value::String(text) = value else { return Some(wrong_type(value, "string")) };
    (!words.contains(&text.as_str()))
        .then(|| format!("{} is not one of {}", repr(value), repr(&json!(words))))
}

fn wrong_type(value: &Value, wanted: &str) -> String {
    format!("{} is not of type '{wanted}'", repr(value))
}

fn fits_none(value: &Value) -> String {
    format!("{} is not valid under any of the given schemas", repr(value))
}

fn unexpected(object: &Object, known: &[&str]) -> Option<String> {
    let extra: Vec<_> = object
        .keys()
        .filter(|key| !known.contains(&key.as_str()))
        .take(16)
        .map(|key| repr_text(key))
        .collect();
    let verb = if extra.len() == 1 { "was" } else { "were" };
    (!extra.is_empty())
        .then(|| format!("Additional properties are not allowed ({} {verb} unexpected)", extra.join(", ")))
}

/// The logical disk that is the root disk, if one is said to be; two are refused.
fn root_disk(config: &Object) -> Result<Option<&Object>, String> {
    let is_root = |disk: &&Object| disk.get("is_root_volume") == Some(&Value::Bool(true));
    let mut roots = logical_disks(config).filter(is_root);
    let first = roots.next();
    match roots.count() {
        0 => Ok(first),
        more => Err(format!(
            "Raid config cannot have more than one root volume. {} root volumes were specified",
            more + 1
        )),
    }
}

fn logical_disks(config: &Object) -> impl Iterator<Item = &Object> {
    config.get("logical_disks").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// The part of a node's target that is to be created: the root volume, the others, or both. The error is Ironic's text.
pub fn wanted(node: &Node, root: bool, others: bool) -> Result<Object, String> {
    if node.target_raid_config.is_empty() {
        return Err(format!("Node {} has no target RAID configuration.", node.uuid));
    }
    let is_root = |disk: &Object| disk.get("is_root_volume") == Some(&Value::Bool(true));
    let disks: Vec<_> = logical_disks(&node.target_raid_config)
        .filter(|disk| if is_root(disk) { root } else { others })
        .cloned()
        .collect();
    if disks.is_empty() {
        let skipped: Vec<_> = [(root, "skipping root volume"), (others, "skipping non-root volumes")]
            .into_iter()
            .filter(|(kept, _)| !kept)
            .map(|(_, text)| text)
            .collect();
        return Err(format!(
            "Node {} has empty target RAID configuration after {}.",
            node.uuid,
            skipped.join(" and ")
        ));
    }
    let mut config = node.target_raid_config.clone();
    config.insert("logical_disks".into(), json!(disks));
    Ok(config)
}

/// Writes a configuration that is there now into the node: `raid_config`, and what follows from the root volume for `properties`.
pub fn record(node: &mut Node, mut config: Object, now: Timestamp) -> Result<(), String> {
    if let Some(root) = root_disk(&config)? {
        if let Some(size) = root.get("size_gb").filter(|size| is_integer(size)) {
            node.properties.insert("local_gb".into(), size.clone());
        }
        if let Some(hint) = root.get("root_device_hint") {
            node.properties.insert("root_device".into(), hint.clone());
        }
        if let Some(level) = root.get("raid_level").and_then(Value::as_str) {
            set_capability(&mut node.properties, "raid_level", level);
        }
    }
    let time = now.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string();
    config.insert("last_updated".into(), time.into());
    node.raid_config = config;
    Ok(())
}

/// Sets one pair in `properties.capabilities`, which is a text of pairs (or, from some clients, an object).
fn set_capability(properties: &mut Object, name: &str, value: &str) {
    if let Some(Value::Object(map)) = properties.get_mut("capabilities") {
        map.insert(name.to_owned(), value.into());
        return;
    }
    let stored = properties.get("capabilities").and_then(Value::as_str).unwrap_or_default();
    let kept = stored.split(',').filter(|pair| {
        let own = pair.split(':').next().unwrap_or_default().trim();
        !own.is_empty() && own != name
    });
    let new = format!("{name}:{value}");
    let all: Vec<&str> = kept.chain([new.as_str()]).collect();
    properties.insert("capabilities".into(), all.join(",").into());
}

#[cfg(test)]
mod tests;

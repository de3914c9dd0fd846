//! Hooks that write the node's properties.

use super::findings::Findings;
use super::settings::Settings;
use model::agent::Disk;
use model::hints::{RootHints, choose};
use model::node::Object;
use model::wording::repr;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// `properties.cpu_arch`
pub fn architecture(found: &mut Findings) -> Result<(), String> {
    match found.found("cpu/architecture").and_then(Value::as_str) {
        Some(name) => {
            found.node.properties.insert("cpu_arch".into(), name.into());
            Ok(())
        }
        None => Err(invalid(
            found,
            &format!(
                "Inventory has malformed or missing CPU architecture information: {} for node {}.",
                repr(found.found("cpu").unwrap_or(&Value::Null)),
                found.node.uuid
            ),
        )),
    }
}

/// Ironic's InvalidNodeInventory.
pub fn invalid(found: &Findings, reason: &str) -> String {
    format!("Inventory for node {} is invalid: {reason}", found.node.uuid)
}

/// `properties.cpus`
pub fn cpus(found: &mut Findings) {
    if let Some(count) = found.found("cpu/count").and_then(Value::as_u64).filter(|count| *count > 0) {
        found.node.properties.insert("cpus".into(), count.into());
    }
}

/// `properties.memory_mb`
pub fn memory(found: &mut Findings) -> Result<(), String> {
    match found.found("memory/physical_mb").cloned() {
        Some(size) => {
            found.node.properties.insert("memory_mb".into(), size);
            Ok(())
        }
        None => Err(invalid(
            found,
            &format!(
                "Inventory has missing memory information: {} for node {}.",
                repr(found.found("memory").unwrap_or(&Value::Null)),
                found.node.uuid
            ),
        )),
    }
}

/// The capability `boot_mode`.
pub fn boot_mode(found: &mut Findings) {
    if let Some(mode) = found.found("boot/current_boot_mode").and_then(Value::as_str) {
        let mode = mode.to_owned();
        found.set_capabilities(&[("boot_mode".to_owned(), mode)]);
    }
}

/// Capabilities after CPU flags.
pub fn cpu_capabilities(found: &mut Findings, settings: &Settings) {
    let Some(flags) = found.found("cpu/flags").and_then(Value::as_array) else { return };
    let flags: BTreeSet<_> = flags.iter().filter_map(Value::as_str).collect();
    let capabilities: Vec<_> = settings
        .cpu_capabilities
        .iter()
        .filter(|(flag, _)| flags.contains(flag.as_str()))
        .map(|(_, name)| (name.clone(), "true".to_owned()))
        .collect();
    if !flags.is_empty() {
        found.set_capabilities(&capabilities);
    }
}

const GIB: u64 = 1 << 30;

/// `properties.local_gb`: of the disk that the root device hints choose, or of the one that the ramdisk chose.
pub fn root_device(found: &mut Findings, settings: &Settings) -> Result<(), String> {
    if let Some(Value::Object(hints)) = found.node.properties.get("root_device").cloned()
        && !hints.is_empty()
    {
        let disk = by_hints(found, &hints)?;
        found.data.insert("root_disk".into(), disk);
    }
    let size = found.data.get("root_disk").and_then(|disk| disk["size"].as_u64()).unwrap_or(0);
    let mut gib = size / GIB;
    if gib > 0 && settings.disk_partitioning_spacing {
        gib -= 1;
    }
    found.data.insert("local_gb".into(), gib.into());
    found.node.properties.insert("local_gb".into(), gib.into());
    Ok(())
}

fn by_hints(found: &Findings, hints: &Object) -> Result<Value, String> {
    let shown = || repr(&Value::Object(hints.clone()));
    let uuid = found.node.uuid;
    let malformed = |error: String| {
        format!(
            "No disks could be found using root device hints {} for node {uuid} because they failed to validate. Error: {error}",
            shown()
        )
    };
    let parsed = RootHints::parse(hints).map_err(|error| malformed(error.to_string()))?;
    let listed = found.found("disks").cloned().unwrap_or_else(|| json!([]));
    let disks: Vec<Disk> = serde_json::from_value(listed).map_err(|error| malformed(error.to_string()))?;
    let disks: Vec<_> = disks.into_iter().filter(|disk| !is_skipped(found, disk)).collect();
    let choice = choose(Some(&parsed), &disks)
        .map_err(|_| format!("No disks satisfied root device hints for node {uuid}"))?;
    // As the agent wrote it, with whatever it says beside what is known here.
    let listed = found.found("disks").and_then(Value::as_array);
    let own = listed.into_iter().flatten().find(|disk| disk["name"] == choice.disk.name.as_str());
    Ok(own.cloned().unwrap_or_else(|| json!(choice.disk)))
}

/// Is it among the disks that `properties.skip_block_devices` takes out?
fn is_skipped(found: &Findings, disk: &Disk) -> bool {
    let list = found.node.properties.get("skip_block_devices").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .filter_map(|hints| RootHints::parse(hints).ok())
        .any(|hints| hints.check(disk).is_ok())
}

/// `properties.root_device`: the disk that was not there at the last inspection, if there is exactly one.
pub fn raid_device(found: &mut Findings) {
    if found.node.properties.contains_key("root_device") {
        return;
    }
    let Some(previous) = &found.previous else { return };
    let (known, current) = (serials(previous), serials(&found.inventory));
    let mut new = current.iter().filter(|serial| !known.contains(serial));
    if let (Some(serial), None) = (new.next(), new.next()) {
        let hint = json!({"serial": serial});
        found.node.properties.insert("root_device".into(), hint);
    }
}

fn serials(inventory: &Object) -> Vec<String> {
    let disks = inventory.get("disks").and_then(Value::as_array);
    disks
        .into_iter()
        .flatten()
        .filter_map(|disk| disk["serial"].as_str())
        .filter(|serial| !serial.is_empty())
        .map(str::to_owned)
        .collect()
}

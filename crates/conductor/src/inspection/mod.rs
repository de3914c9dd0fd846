//! Inspection through the ramdisk: who it is that reports, and what is made of the report (`conductor.md` §7).

mod findings;
mod interfaces;
mod lldp;
mod pci;
mod properties;
mod receive;
mod settings;

pub use receive::{BMC_ADDRESSES, bmc_addresses};
pub use settings::{AddPorts, Hook, KeepPorts, SettingError, Settings};

use crate::outcome::Failure;
use crate::visit::Visit;
use findings::Findings;
use model::event::{EventKind, LogEvent};
use model::inspection_rule;
use model::node::Node;
use model::port::Port;
use serde_json::Value;
use store::{Inventory, StoreError};

/// Makes of the ramdisk's report what the site's hooks and rules say: properties, ports, the inventory. Nothing is stored unless
/// all of them agree; doing it again after a crash comes to the same.
pub async fn conclude(visit: &mut Visit<'_>) -> Result<(), Failure> {
    let store = visit.conductor.store().clone();
    let uuid = visit.node.uuid;
    let Some(received) = store.findings(uuid).await? else {
        return Err(Failure::last("Failed to finish inspection: the data that the ramdisk sent is gone"));
    };
    let previous = match store.inventory(uuid).await {
        Ok(found) => Some(found.inventory),
        Err(StoreError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let before = store.ports_of_node(uuid).await?;
    let mut found = Findings {
        node: visit.node.clone(),
        ports: before.clone(),
        inventory: received.inventory,
        data: received.plugin_data,
        previous,
        now: visit.now(),
    };
    run_hooks(&mut found, &visit.conductor.settings().inspection).map_err(|reason| {
        const FAILED: &str = "Failed to inspect hardware. Reason: ";
        Failure::last(format!(
            "Failed to finish inspection: {FAILED}failed to run inspection hooks: {FAILED}{reason}"
        ))
    })?;
    apply_rules(visit, &mut found).await?;
    store_ports(visit, &before, &found.ports).await?;
    found.data.remove("logs");
    let start = visit.node.clone();
    let mut carried = Ok(());
    visit
        .edit(|edit| {
            carried = carry_over(&mut edit.node, &start, &found.node);
            edit.node.driver_internal_info.remove(receive::BMC_ADDRESSES);
        })
        .await?;
    carried.map_err(|error| Failure::last(format!("Failed to finish inspection: {error}")))?;
    // Last, since a hook compares with what was found before: doing it all again must compare with the same.
    store.put_inventory(uuid, &Inventory { inventory: found.inventory, plugin_data: found.data }).await?;
    Ok(())
}

/// Applies the site's inspection rules; what they say goes into the event log.
async fn apply_rules(visit: &Visit<'_>, found: &mut Findings) -> Result<(), Failure> {
    let rules = visit.conductor.store().inspection_rules("main").await?;
    if rules.is_empty() {
        return Ok(());
    }
    let inventory = Value::Object(found.inventory.clone());
    let mut data = Value::Object(std::mem::take(&mut found.data));
    let applied = inspection_rule::apply(&rules, &mut found.node, &mut found.ports, &inventory, &mut data);
    if let Value::Object(data) = data {
        found.data = data;
    }
    let log = applied.map_err(|error| Failure::last(format!("Failed to finish inspection: {error}")))?;
    for line in log.lines {
        let now = visit.now();
        let mut event =
            LogEvent::new(Some(visit.node.uuid), now, EventKind::Step, "inspection rule", line.text);
        event.ok = !matches!(line.level, "error" | "critical");
        visit.note(event);
    }
    Ok(())
}

/// Takes over what hooks and rules changed, attribute by attribute: heartbeats may have changed others meanwhile.
fn carry_over(own: &mut Node, before: &Node, after: &Node) -> Result<(), serde_json::Error> {
    let before = before.document()?;
    let mut merged = own.document()?;
    for (key, value) in after.document()? {
        if before.get(&key) != Some(&value) {
            merged.insert(key, value);
        }
    }
    *own = serde_json::from_value(Value::Object(merged))?;
    Ok(())
}

/// Runs the hooks in the site's order: first those that check, then those that write.
fn run_hooks(found: &mut Findings, settings: &Settings) -> Result<(), String> {
    let failures: Vec<_> = settings
        .hooks
        .iter()
        .filter_map(|hook| {
            let checked = match hook {
                Hook::RamdiskError => ramdisk_error(found),
                Hook::ValidateInterfaces => interfaces::validate(found, settings),
                _ => Ok(()),
            };
            checked.err().map(|error| format!("Error in preprocess hook {}: {error}", hook.as_str()))
        })
        .collect();
    if !failures.is_empty() {
        return Err(format!(
            "The following failures happened while running preprocess hooks for node {}:\n{}",
            found.node.uuid,
            failures.join("\n")
        ));
    }
    for hook in &settings.hooks {
        match hook {
            Hook::RamdiskError | Hook::ValidateInterfaces => {}
            Hook::Ports => interfaces::ports(found, settings),
            Hook::Architecture => properties::architecture(found)?,
            Hook::Cpus => properties::cpus(found),
            Hook::Memory => properties::memory(found)?,
            Hook::RootDevice => properties::root_device(found, settings)?,
            Hook::BootMode => properties::boot_mode(found),
            Hook::CpuCapabilities => properties::cpu_capabilities(found, settings),
            Hook::RaidDevice => properties::raid_device(found),
            Hook::PciDevices => pci::pci_devices(found, settings),
            Hook::Accelerators => pci::accelerators(found),
            Hook::PhysicalNetwork => interfaces::physical_network(found, settings),
            Hook::LocalLinkConnection => lldp::local_link_connection(found),
            Hook::ParseLldp => lldp::parse(found),
        }
    }
    Ok(())
}

fn ramdisk_error(found: &Findings) -> Result<(), String> {
    match findings::text(&found.data, "error") {
        Some(error) => Err(format!("Failed to inspect hardware. Reason: Ramdisk reported error: {error}")),
        None => Ok(()),
    }
}

/// Writes the ports as they are to be. A MAC address that another node's port has is left there, with an event.
async fn store_ports(visit: &Visit<'_>, before: &[Port], wanted: &[Port]) -> Result<(), Failure> {
    let store = visit.conductor.store();
    let now = visit.now();
    for port in before.iter().filter(|port| !wanted.iter().any(|other| other.uuid == port.uuid)) {
        match store.delete::<Port>(port.uuid).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for port in wanted {
        let written = match before.iter().find(|known| known.uuid == port.uuid) {
            Some(known) if known == port => continue,
            Some(_) => {
                let mut port = port.clone();
                port.updated_at = Some(now);
                store.update(&port).await
            }
            None => store.create(port).await,
        };
        match written {
            Ok(()) => {}
            Err(StoreError::Duplicate { .. }) => {
                let detail = format!("a port of another node has the MAC address {}", port.address);
                let event = LogEvent::new(Some(visit.node.uuid), now, EventKind::Step, "port", detail);
                visit.note(event.failed());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

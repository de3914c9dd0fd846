//! Hooks that look at network interfaces: which count, and what becomes of the ports.

use super::findings::{Findings, mac, text};
use super::properties::invalid;
use super::settings::{AddPorts, KeepPorts, Settings};
use model::node::Object;
use model::port::Port;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;
use uuid::Uuid;

/// Finds the interfaces with a name and a MAC address (`all_interfaces`), and those of them that become ports
/// (`valid_interfaces`, `macs`).
pub fn validate(found: &mut Findings, settings: &Settings) -> Result<(), String> {
    if !found.inventory.contains_key("interfaces") {
        return Err(invalid(found, "no interfaces present in inventory"));
    }
    let pxe = pxe_mac(found);
    let mut all = Object::new();
    for interface in found.interfaces() {
        let (Some(name), Some(address)) =
            (text(interface, "name"), text(interface, "mac_address").and_then(mac))
        else {
            continue;
        };
        let mut interface = interface.clone();
        interface.insert("pxe_enabled".into(), (Some(&address) == pxe.as_ref()).into());
        // An address without its scope, which is the ramdisk's own name for the interface.
        let ipv6 = text(&interface, "ipv6_address")
            .map(|address| address.split('%').next().unwrap_or_default().to_owned());
        interface.insert("ipv6_address".into(), json!(ipv6));
        all.insert(name.to_owned(), interface.into());
    }
    if all.is_empty() {
        return Err(invalid(found, "no valid network interfaces"));
    }
    let valid: Object = all
        .iter()
        .filter(|(name, interface)| counts(name, interface, pxe.is_some(), settings.add_ports))
        .map(|(name, interface)| (name.clone(), interface.clone()))
        .collect();
    if valid.is_empty() {
        let how = settings.add_ports.as_str();
        return Err(invalid(
            found,
            &format!("no network interfaces match the configuration (add_ports set to \"{how}\")"),
        ));
    }
    let macs: Vec<_> = valid.values().map(|interface| interface["mac_address"].clone()).collect();
    found.data.insert("all_interfaces".into(), all.into());
    found.data.insert("valid_interfaces".into(), valid.into());
    found.data.insert("macs".into(), macs.into());
    Ok(())
}

fn counts(name: &str, interface: &Value, pxe_is_known: bool, add: AddPorts) -> bool {
    let address = ["ipv4_address", "ipv6_address"]
        .iter()
        .find_map(|key| interface[*key].as_str().filter(|text| !text.is_empty()));
    let is_loopback = address.and_then(|text| text.parse().ok()).is_some_and(|ip: IpAddr| ip.is_loopback());
    if name == "lo" || is_loopback {
        return false;
    }
    match add {
        AddPorts::Pxe => !pxe_is_known || interface["pxe_enabled"] == true,
        AddPorts::Active => address.is_some(),
        AddPorts::All | AddPorts::Disabled => true,
    }
}

/// The MAC address that the ramdisk was booted through, from `BOOTIF` or as it is.
fn pxe_mac(found: &Findings) -> Option<String> {
    let text = found.found("boot/pxe_interface").and_then(Value::as_str)?;
    let address = match text.split_once('-') {
        // PXELINUX puts the hardware type first.
        Some((kind, address)) if kind.len() == 2 && address.matches('-').count() == 5 => address,
        _ => text,
    };
    mac(&address.replace('-', ":"))
}

/// The interfaces that a hook before put into the data, by MAC address.
fn listed(found: &Findings, key: &str) -> Vec<(String, Object)> {
    let list = found.data.get(key).and_then(Value::as_object);
    list.into_iter()
        .flat_map(Object::values)
        .filter_map(|interface| {
            let interface = interface.as_object()?;
            Some((text(interface, "mac_address").and_then(mac)?, interface.clone()))
        })
        .collect()
}

/// Makes ports of what counts, and brings those that are there up to date.
pub fn ports(found: &mut Findings, settings: &Settings) {
    let (all, valid) = (listed(found, "all_interfaces"), listed(found, "valid_interfaces"));
    if settings.add_ports != AddPorts::Disabled {
        for (address, interface) in &valid {
            if found.ports.iter().any(|port| port.address == *address) {
                continue;
            }
            let mut port = Port::new(Uuid::new_v4(), found.node.uuid, address.clone(), found.now);
            port.pxe_enabled = interface.get("pxe_enabled") == Some(&Value::Bool(true));
            if let Some(client) = text(interface, "client_id") {
                port.extra.insert("client-id".into(), client.into());
            }
            found.ports.push(port);
        }
    }
    let expected: Option<BTreeSet<&String>> = match settings.keep_ports {
        KeepPorts::All => None,
        KeepPorts::Present => Some(all.iter().map(|(address, _)| address).collect()),
        KeepPorts::Added => Some(valid.iter().map(|(address, _)| address).collect()),
    };
    if let Some(expected) = expected.filter(|expected| !expected.is_empty()) {
        found.ports.retain(|port| expected.contains(&port.address));
    }
    for port in &mut found.ports {
        let interface = all.iter().find(|(address, _)| *address == port.address).map(|(_, found)| found);
        if settings.update_pxe_enabled {
            port.pxe_enabled =
                interface.is_some_and(|interface| interface.get("pxe_enabled") == Some(&Value::Bool(true)));
        }
        if let Some(client) = interface.and_then(|interface| text(interface, "client_id")) {
            port.extra.insert("client-id".into(), client.into());
        }
    }
}

/// Ports' physical networks, by the addresses that their interfaces had.
pub fn physical_network(found: &mut Findings, settings: &Settings) {
    for (address, interface) in listed(found, "all_interfaces") {
        let network = ["ipv4_address", "ipv6_address"]
            .iter()
            .filter_map(|key| text(&interface, key)?.parse::<IpAddr>().ok())
            .find_map(|ip| settings.physical_networks.iter().find(|(network, _)| network.contains(&ip)));
        let port = found.ports.iter_mut().find(|port| port.address == address);
        if let (Some(port), Some((_, name))) = (port, network) {
            port.physical_network = Some(name.clone());
        }
    }
}

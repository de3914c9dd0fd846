//! Network interfaces from `/sys/class/net`, and their addresses from the kernel.

use super::{number, target_name, text};
use crate::network::addresses;
use model::agent::Interface;
use std::net::IpAddr;
use std::path::Path;

/// ARPHRD_ETHER and ARPHRD_INFINIBAND.
const KINDS: [u64; 2] = [1, 32];

pub(super) fn list(root: &Path) -> Vec<Interface> {
    let Ok(entries) = std::fs::read_dir(root.join("sys/class/net")) else { return Vec::new() };
    let (mut real, mut others) = (Vec::new(), Vec::new());
    let addresses = addresses();
    for entry in entries.flatten() {
        let sys = entry.path();
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !number(&sys.join("type")).is_some_and(|kind| KINDS.contains(&kind)) {
            continue;
        }
        let interface = interface(&sys, name, &addresses);
        if interface.mac_address.is_some() {
            if sys.join("device").exists() { &mut real } else { &mut others }.push(interface);
        }
    }
    let mut found = if real.is_empty() { others } else { real };
    found.sort_by(|a, b| (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name)));
    found
}

fn interface(sys: &Path, name: String, addresses: &[(String, IpAddr)]) -> Interface {
    let own = || addresses.iter().filter(|(interface, _)| *interface == name).map(|(_, address)| *address);
    let ipv4 = own().find(IpAddr::is_ipv4).map(|address| address.to_string());
    let ipv6 = own().find(IpAddr::is_ipv6).map(|address| address.to_string());
    // virtio puts a device of its own between the interface and its PCI function.
    let pci = [sys.join("device"), sys.join("device/..")]
        .iter()
        .filter_map(|path| target_name(path))
        .find(|name| name.len() == 12 && name.contains('.'));
    Interface {
        mac_address: text(&sys.join("address")).filter(|mac| mac.bytes().any(|b| !matches!(b, b'0' | b':'))),
        ipv4_address: ipv4,
        ipv6_address: ipv6,
        // Reading it fails while the interface is down.
        has_carrier: Some(number(&sys.join("carrier")) == Some(1)),
        vendor: text(&sys.join("device/vendor")),
        product: text(&sys.join("device/device")),
        speed_mbps: text(&sys.join("speed")).and_then(|speed| speed.parse().ok()).filter(|speed| *speed > 0),
        pci_address: pci,
        driver: target_name(&sys.join("device/driver")),
        name,
        ..Interface::default()
    }
}

//! Hooks that look at PCI devices.

use super::findings::Findings;
use super::settings::Settings;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Accelerators that are known by name: vendor, device, what it is. The list is Ironic's.
const ACCELERATORS: &[(&str, &str, &str)] = &[
    ("10de", "1eb8", "NVIDIA Corporation Tesla T4"),
    ("10de", "1df6", "NVIDIA Corporation GV100GL"),
    ("10de", "2236", "NVIDIA Corporation A10"),
    ("10de", "2235", "NVIDIA Corporation A40"),
    ("10de", "26b9", "NVIDIA Corporation L40S"),
    ("10de", "26ba", "NVIDIA Corporation L20"),
];

fn devices(found: &Findings) -> Vec<Value> {
    found.data.get("pci_devices").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Capabilities that count the devices of a site's list.
pub fn pci_devices(found: &mut Findings, settings: &Settings) {
    let mut counts: BTreeMap<&String, u64> = BTreeMap::new();
    for device in devices(found) {
        let (Some(vendor), Some(product)) = (device["vendor_id"].as_str(), device["product_id"].as_str())
        else {
            continue;
        };
        if let Some(name) = settings.pci_aliases.get(&(vendor.to_owned(), product.to_owned())) {
            *counts.entry(name).or_default() += 1;
        }
    }
    if !counts.is_empty() {
        let counts: Vec<_> =
            counts.into_iter().map(|(name, count)| (name.clone(), count.to_string())).collect();
        found.set_capabilities(&counts);
    }
}

/// `properties.accelerators`
pub fn accelerators(found: &mut Findings) {
    let devices = devices(found);
    if devices.is_empty() {
        return;
    }
    let known: Vec<_> = devices
        .iter()
        .filter_map(|device| {
            let (vendor, product, name) = ACCELERATORS.iter().find(|(vendor, product, _)| {
                device["vendor_id"] == *vendor && device["product_id"] == *product
            })?;
            Some(json!({
                "vendor_id": vendor,
                "device_id": product,
                "type": "GPU",
                "device_info": name,
                "pci_address": device["bus"],
            }))
        })
        .collect();
    found.node.properties.insert("accelerators".into(), known.into());
}

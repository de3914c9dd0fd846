//! Nodes as a site has them: about 2.7 KB of JSON each in a detailed list.

use serde_json::{Value, json};

/// The body that registers node `number` (with fake hardware, so that it can be moved without a machine).
pub(super) fn node(number: usize) -> Value {
    let rack = number / 40;
    json!({
        "name": name(number),
        "driver": "fake-hardware",
        "resource_class": "baremetal.large",
        "owner": "6f1c3b0a3a5e4b0c9b1d7e2f8a4c5d60",
        "driver_info": {
            "ipmi_address": format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255),
            "ipmi_username": "operator",
            "ipmi_password": format!("a secret of node {number}"),
        },
        "properties": {
            "cpus": 64,
            "cpu_arch": "x86_64",
            "memory_mb": 524_288,
            "local_gb": 1786,
            "capabilities": "boot_mode:uefi,secure_boot:false",
            "root_device": {"serial": format!("S4EVNX0R{number:06}")},
        },
        "extra": {
            "asset_tag": format!("BM-{number:06}"),
            "location": {"rack": rack, "unit": number % 40},
        },
    })
}

/// What node `number` is called.
pub(super) fn name(number: usize) -> String {
    format!("node-{number:06}")
}

/// The body that sets a node's traits.
pub(super) fn traits() -> Value {
    json!({"traits": ["HW_CPU_X86_AVX2", "HW_CPU_X86_VMX", "CUSTOM_NVME"]})
}

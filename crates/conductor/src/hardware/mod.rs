//! From a node's interfaces to the code that serves them.

pub mod bios;
pub mod firmware;
mod management;
pub mod raid;
pub mod vendor;

use crate::Conductor;
use crate::partition_image;
use crate::wording::unsupported;
use bmc::Bmc;
use bmc::ipmi::Settings as IpmiSettings;
use model::node::{InterfaceKind, Node, PowerState};
use std::sync::Arc;

/// The implementation of an interface that the node uses, or the generic one where none is set.
pub fn implementation(node: &Node, kind: InterfaceKind) -> &str {
    node.interfaces.get(kind).unwrap_or(match kind {
        InterfaceKind::Network | InterfaceKind::Storage => "noop",
        _ => "",
    })
}

/// Do cleaning and service of this node go through the ramdisk?
pub fn boots_ramdisk(node: &Node) -> bool {
    !matches!(implementation(node, InterfaceKind::Deploy), "fake" | "noop" | "")
}

/// Is the instance of this node itself a kernel and a ramdisk, booted over the network?
pub fn instance_is_ramdisk(node: &Node) -> bool {
    implementation(node, InterfaceKind::Deploy) == "ramdisk"
}

/// Does the instance of this node boot over the network on every start?
pub fn boots_over_network(node: &Node) -> bool {
    instance_is_ramdisk(node) || partition_image::netboot_root(node).is_some()
}

/// Key of `driver_internal_info` under which the interface is kept that `autodetect` was replaced by.
const ORIGINAL_DEPLOY: &str = "original_deploy_interface";

/// Chooses the deploy interface where that is left to be detected: `ramdisk` for an instance that says that it is one and names
/// what to boot, else `direct`. What was there is remembered until cleaning gives it back.
pub fn detect_deploy_interface(node: &mut Node) {
    if implementation(node, InterfaceKind::Deploy) != "autodetect" {
        return;
    }
    let info = &node.instance_info;
    let says = ["instance_info", "properties"];
    let is_ramdisk = says.iter().any(|object| {
        let object = if *object == "properties" { &node.properties } else { info };
        object.get("ironic_ramdisk_deploy").is_some_and(is_true)
    });
    let named =
        |key: &str| info.get(key).and_then(|value| value.as_str()).is_some_and(|text| !text.is_empty());
    let chosen = if is_ramdisk && (named("boot_iso") || named("kernel") && named("ramdisk")) {
        "ramdisk"
    } else {
        "direct"
    };
    node.driver_internal_info.insert(ORIGINAL_DEPLOY.into(), "autodetect".into());
    node.interfaces.set(InterfaceKind::Deploy, chosen);
}

/// Gives a node back the deploy interface that detection replaced.
pub fn restore_deploy_interface(node: &mut Node) {
    if let Some(original) = node.driver_internal_info.remove(ORIGINAL_DEPLOY)
        && let Some(name) = original.as_str()
    {
        node.interfaces.set(InterfaceKind::Deploy, name);
    }
}

fn is_true(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Bool(flag) => *flag,
        serde_json::Value::String(text) => {
            matches!(text.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on" | "t" | "y")
        }
        _ => false,
    }
}

/// The BMC of a node; the error is what is wrong with its `driver_info`.
pub fn bmc_of(conductor: &Conductor, node: &Node) -> Result<Arc<dyn Bmc>, String> {
    match implementation(node, InterfaceKind::Power) {
        "ipmitool" => {
            let settings = IpmiSettings::parse(&node.driver_info).map_err(|error| error.to_string())?;
            Ok(conductor.bmcs().ipmi(&settings))
        }
        "fake" => {
            // What pretends to be a BMC forgets with the process; the node remembers.
            let power = match node.power_state {
                Some(PowerState::On) => bmc::PowerState::On,
                _ => bmc::PowerState::Off,
            };
            Ok(conductor.bmcs().fake(&node.uuid.to_string(), power))
        }
        "" => Err(format!("node {} has no power interface; set one with --power-interface", node.label())),
        other => Err(format!(
            "power interface \"{other}\" of node {} can't be driven by this version of Billet; use ipmitool or fake",
            node.label()
        )),
    }
}

/// What is wrong with an interface of the node, or with the settings that it needs. Asks nobody.
pub fn problem(node: &Node, kind: InterfaceKind) -> Option<String> {
    match implementation(node, kind) {
        "ipmitool" | "intel-ipmitool" => {
            IpmiSettings::parse(&node.driver_info).err().map(|error| error.to_string())
        }
        name if name.is_empty() || name.starts_with("no-") => Some(unsupported(node, kind.as_str())),
        _ => None,
    }
}

/// Which firmware mode the node is to boot in: `capabilities.boot_mode` of the instance, then of the node, then the default.
pub fn wants_uefi(node: &Node, default: bool) -> bool {
    match node.capability("boot_mode").as_deref() {
        Some("bios") => false,
        Some("uefi") => true,
        _ => node
            .instance_info
            .get("deploy_boot_mode")
            .and_then(|mode| mode.as_str())
            .map_or(default, |mode| mode == "uefi"),
    }
}

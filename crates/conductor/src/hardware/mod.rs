//! From a node's interfaces to the code that serves them.

pub mod bios;
pub mod firmware;
mod management;
pub mod raid;
pub mod vendor;

use crate::Conductor;
use crate::wording::unsupported;
use bmc::Bmc;
use bmc::ipmi::Settings as IpmiSettings;
use model::node::{InterfaceKind, Node};
use std::sync::Arc;

/// The implementation of an interface that the node uses, or the generic one where none is set.
pub fn implementation(node: &Node, kind: InterfaceKind) -> &str {
    node.interfaces.get(kind).unwrap_or(match kind {
        InterfaceKind::Network | InterfaceKind::Storage => "noop",
        _ => "",
    })
}

/// Does the deployment of this node go through the ramdisk?
pub fn uses_ramdisk(node: &Node) -> bool {
    matches!(implementation(node, InterfaceKind::Deploy), "direct" | "autodetect")
}

/// The BMC of a node; the error is what is wrong with its `driver_info`.
pub fn bmc_of(conductor: &Conductor, node: &Node) -> Result<Arc<dyn Bmc>, String> {
    match implementation(node, InterfaceKind::Power) {
        "ipmitool" => {
            let settings = IpmiSettings::parse(&node.driver_info).map_err(|error| error.to_string())?;
            Ok(conductor.bmcs().ipmi(&settings))
        }
        "fake" => Ok(conductor.bmcs().fake(&node.uuid.to_string())),
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

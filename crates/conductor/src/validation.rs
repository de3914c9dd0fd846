//! `GET …/validate`: what would go wrong, interface by interface, in the contract's words (`conductor.md` §10) and without touching
//! the machine.

use crate::hardware;
use crate::image;
use crate::provision::power_reason;
use crate::request::{RequestError, Validation};
use crate::wording::unsupported;
use crate::{Conductor, Settings};
use model::driver;
use model::node::{InterfaceKind, Node};
use uuid::Uuid;

/// The interfaces that `validate` shows; `vendor` is not among them.
const SHOWN: &[InterfaceKind] = &[
    InterfaceKind::Bios,
    InterfaceKind::Boot,
    InterfaceKind::Console,
    InterfaceKind::Deploy,
    InterfaceKind::Firmware,
    InterfaceKind::Inspect,
    InterfaceKind::Management,
    InterfaceKind::Network,
    InterfaceKind::Power,
    InterfaceKind::Raid,
    InterfaceKind::Rescue,
    InterfaceKind::Storage,
];

impl Conductor {
    /// Checks every interface of a node.
    pub async fn validate(&self, uuid: Uuid) -> Result<Vec<Validation>, RequestError> {
        let node = self.store().node_with_secrets(uuid).await?.node;
        self.check_served(&node).await?;
        let ports = self.store().ports_of_node(uuid).await?;
        let has_ports = !ports.is_empty();
        let ramdisks = self.check_ramdisk_images(&node).await;
        let resolved = self.with_images(&node, None).await;
        // What its images say counts as said of the node; where one can't be had, that is the reason.
        let (node, missing) = match resolved {
            Ok(node) => (node, None),
            Err(reason) => (node, Some(reason)),
        };
        let reason = |kind: InterfaceKind| match kind {
            InterfaceKind::Boot if boots_ramdisks(&node) => {
                self.reason(&node, kind, has_ports).or_else(|| ramdisks.clone().err())
            }
            InterfaceKind::Deploy if takes_images(&node) => ramdisks
                .clone()
                .err()
                .or_else(|| missing.clone())
                .or_else(|| self.reason(&node, kind, has_ports)),
            _ => self.reason(&node, kind, has_ports),
        };
        Ok(SHOWN.iter().map(|kind| Validation { interface: *kind, reason: reason(*kind) }).collect())
    }

    /// What would keep every instance from being deployed on a node, if anything does.
    pub(crate) fn obstacle(&self, node: &Node, has_ports: bool) -> Option<String> {
        // An instance brings what a classic driver misses before there is one.
        power_reason(node).or_else(|| self.boot_reason(node, has_ports))
    }

    /// What keeps a node from being booted, whatever the image.
    fn boot_reason(&self, node: &Node, has_ports: bool) -> Option<String> {
        if !boots_ramdisks(node) {
            return None;
        }
        if !has_ports {
            return Some(format!("Node {} does not have any port associated with it", node.uuid));
        }
        boot_files(self.settings(), node).err()
    }

    fn reason(&self, node: &Node, kind: InterfaceKind, has_ports: bool) -> Option<String> {
        let implementation = hardware::implementation(node, kind);
        if implementation.starts_with("no-") || implementation.is_empty() {
            return Some(unsupported(node, kind.as_str()));
        }
        match (kind, implementation) {
            (InterfaceKind::Power | InterfaceKind::Management, "ipmitool") => power_reason(node),
            (InterfaceKind::Boot, _) => {
                // 2017's drivers looked for the instance's files here too.
                let classic = || boots_ramdisks(node).then(|| classic_reason(node)).flatten();
                self.boot_reason(node, has_ports).or_else(classic)
            }
            (InterfaceKind::Deploy, "direct" | "autodetect") => {
                // What can't boot can't be deployed. The walk-throughs of the classic drivers look for the image's reasons.
                let boot = if driver::classic(&node.driver).is_some() {
                    classic_reason(node)
                } else {
                    self.reason(node, InterfaceKind::Boot, has_ports)
                };
                boot.or_else(|| image::info(node, self.settings().uefi_by_default).err())
            }
            (InterfaceKind::Inspect, "agent") if !has_ports => Some(format!(
                "Insufficient information provided for managed inspection: Node {} does not have any port associated with it",
                node.uuid
            )),
            _ => None,
        }
    }
}

fn boots_ramdisks(node: &Node) -> bool {
    matches!(hardware::implementation(node, InterfaceKind::Boot), "ipxe" | "pxe" | "http" | "http-ipxe")
}

fn takes_images(node: &Node) -> bool {
    matches!(hardware::implementation(node, InterfaceKind::Deploy), "direct" | "autodetect" | "ramdisk")
}

/// What a node of a classic driver misses before an instance is assigned.
fn classic_reason(node: &Node) -> Option<String> {
    driver::classic(&node.driver).and_then(|_| image::classic_reason(node))
}

/// Is there a kernel and a ramdisk to boot for this node?
pub fn boot_files(settings: &Settings, node: &Node) -> Result<(), String> {
    let named = |key: &str| {
        node.driver_info.get(key).and_then(|value| value.as_str()).is_some_and(|text| !text.is_empty())
    };
    let missing: Vec<_> = [("deploy_kernel", "vmlinuz"), ("deploy_ramdisk", "initramfs")]
        .into_iter()
        .filter(|(key, file)| !named(key) && !settings.ramdisk_dir.join(file).is_file())
        .map(|(key, _)| format!("'{key}'"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "Cannot validate PXE bootloader. Some parameters were missing in node's driver_info and configuration. \
         Missing are: [{}]. Set them, or make the default ramdisk with: billet ramdisk build --output {}",
        missing.join(", "),
        settings.ramdisk_dir.display()
    ))
}

//! `GET …/validate`: what would go wrong, interface by interface, in the contract's words (`conductor.md` §10) and without touching
//! the machine.

use crate::hardware;
use crate::image;
use crate::provision::power_reason;
use crate::request::{BootDevice, RequestError, Validation};
use crate::{Conductor, Settings};
use bmc::{BootOverride, FirmwareMode};
use jiff::Timestamp;
use model::event::{EventKind, LogEvent};
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
        let ports = self.store().ports_of_node(uuid).await?;
        let has_ports = !ports.is_empty();
        Ok(SHOWN
            .iter()
            .map(|kind| Validation { interface: *kind, reason: self.reason(&node, *kind, has_ports) })
            .collect())
    }

    fn reason(&self, node: &Node, kind: InterfaceKind, has_ports: bool) -> Option<String> {
        let implementation = hardware::implementation(node, kind);
        if implementation.starts_with("no-") || implementation.is_empty() {
            return Some(format!(
                "Driver {} does not support {kind} (disabled or not implemented).",
                node.driver
            ));
        }
        match (kind, implementation) {
            (InterfaceKind::Power | InterfaceKind::Management, "ipmitool") => power_reason(node),
            (InterfaceKind::Boot, "ipxe" | "pxe" | "http" | "http-ipxe") => {
                if !has_ports {
                    return Some(format!("Node {} does not have any port associated with it", node.uuid));
                }
                boot_files(self.settings(), node).err()
            }
            (InterfaceKind::Deploy, "direct" | "autodetect") => {
                image::info(node, self.settings().uefi_by_default).err()
            }
            (InterfaceKind::Inspect, "agent") if !has_ports => {
                Some(format!("Node {} does not have any port associated with it", node.uuid))
            }
            _ => None,
        }
    }

    /// `GET …/management/boot_device`: asks the BMC, under a claim.
    pub async fn boot_device(&self, uuid: Uuid) -> Result<BootDevice, RequestError> {
        let node = self.store().node_with_secrets(uuid).await?.node;
        let bmc = hardware::bmc_of(self, &node).map_err(RequestError::Invalid)?;
        let claim = self.claim(uuid).await?;
        let answer = bmc.boot_override().await;
        self.store().release(&claim).await?;
        let found = answer?;
        let device = (found.device != bmc::BootDevice::None).then(|| found.device.to_string());
        let persistent = device.as_ref().map(|_| found.persistent);
        Ok(BootDevice { device, persistent })
    }

    /// `PUT …/management/boot_device`: tells the BMC, under a claim.
    pub async fn set_boot_device(
        &self,
        uuid: Uuid,
        device: &str,
        persistent: bool,
    ) -> Result<(), RequestError> {
        let node = self.store().node_with_secrets(uuid).await?.node;
        let known = hardware::boot_devices(&node);
        let wanted = match device {
            "pxe" => bmc::BootDevice::Pxe,
            "disk" => bmc::BootDevice::Disk,
            "cdrom" => bmc::BootDevice::Cdrom,
            "bios" => bmc::BootDevice::Bios,
            "safe" => bmc::BootDevice::Safe,
            _ => bmc::BootDevice::None,
        };
        if wanted == bmc::BootDevice::None || !known.contains(&device) {
            return Err(RequestError::Invalid(format!(
                "Invalid boot device {device} specified. Node {} takes: {}.",
                node.label(),
                known.join(", ")
            )));
        }
        let bmc = hardware::bmc_of(self, &node).map_err(RequestError::Invalid)?;
        let mode = if hardware::wants_uefi(&node, self.settings().uefi_by_default) {
            FirmwareMode::Uefi
        } else {
            FirmwareMode::Bios
        };
        let started = Timestamp::now();
        let claim = self.claim(uuid).await?;
        let answer =
            bmc.set_boot_override(BootOverride { device: wanted, persistent, mode: Some(mode) }).await;
        self.store().release(&claim).await?;
        let detail = answer.as_ref().map_or_else(ToString::to_string, |()| device.to_owned());
        let mut event = LogEvent::new(Some(uuid), started, EventKind::Bmc, "set boot device", detail)
            .until(Timestamp::now());
        event.ok = answer.is_ok();
        self.store().record(&[event]).await?;
        Ok(answer?)
    }

    /// What `boot_device` may be set to.
    pub fn supported_boot_devices(&self, node: &Node) -> Vec<&'static str> {
        hardware::boot_devices(node)
    }

    async fn claim(&self, uuid: Uuid) -> Result<store::Claim, RequestError> {
        let settings = self.settings();
        Ok(self.store().claim(uuid, &settings.hostname, Timestamp::now(), settings.lease * 2).await?)
    }
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

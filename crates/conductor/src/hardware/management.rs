//! The calls to the `management` interface that by contract are answered when they are done: boot device, NMI, indicators,
//! virtual media.

use super::{bmc_of, implementation, problem, wants_uefi};
use crate::Conductor;
use crate::measure;
use crate::request::{BootDevice, Indicator, RequestError, VirtualMedia};
use crate::wording::unsupported;
use bmc::{Bmc, BmcError, BootOverride, FirmwareMode, PowerAction};
use jiff::Timestamp;
use model::event::{EventKind, LogEvent};
use model::node::{InterfaceKind, Node, Object};
use std::future::Future;
use std::sync::Arc;
use uuid::Uuid;

/// The LEDs that pretended hardware has; they are always on.
const FAKE_INDICATORS: &[Indicator] = &[
    Indicator { component: "chassis", name: "led-0", read_only: true, states: &["off", "on"] },
    Indicator { component: "system", name: "led", read_only: false, states: &["blinking", "off", "on"] },
];

impl Conductor {
    /// `GET …/management/boot_device`: asks the BMC, under a claim.
    pub async fn boot_device(&self, uuid: Uuid) -> Result<BootDevice, RequestError> {
        let node = self.managed(uuid).await?;
        if implementation(&node, InterfaceKind::Management) == "noop" {
            return Ok(BootDevice { device: Some("pxe".to_owned()), persistent: Some(true) });
        }
        let bmc = bmc_of(self, &node).map_err(RequestError::Invalid)?;
        let found = self.holding(uuid, measure::bmc(&node, "boot device", bmc.boot_override())).await??;
        if found.device == bmc::BootDevice::None && implementation(&node, InterfaceKind::Management) == "fake"
        {
            // Pretended hardware has nothing but a network to boot from.
            return Ok(BootDevice { device: Some("pxe".to_owned()), persistent: Some(false) });
        }
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
        let node = self.managed(uuid).await?;
        let known = boot_devices(&node);
        let is_noop = implementation(&node, InterfaceKind::Management) == "noop";
        if !known.contains(&device) {
            let supported =
                if is_noop { format!(", supported are {}", known.join(", ")) } else { String::new() };
            return Err(RequestError::Invalid(format!("Invalid boot device {device} specified{supported}.")));
        }
        if is_noop {
            return Ok(());
        }
        let wanted = match device {
            "pxe" => bmc::BootDevice::Pxe,
            "disk" => bmc::BootDevice::Disk,
            "cdrom" => bmc::BootDevice::Cdrom,
            "bios" => bmc::BootDevice::Bios,
            _ => bmc::BootDevice::Safe,
        };
        let uefi = wants_uefi(&node, self.settings().uefi_by_default);
        let mode = Some(if uefi { FirmwareMode::Uefi } else { FirmwareMode::Bios });
        let bmc = bmc_of(self, &node).map_err(RequestError::Invalid)?;
        let call = bmc.set_boot_override(BootOverride { device: wanted, persistent, mode });
        self.tell(&node, "set boot device", device, call).await
    }

    /// What `boot_device` may be set to.
    pub fn supported_boot_devices(&self, node: &Node) -> Vec<&'static str> {
        boot_devices(node)
    }

    /// `PUT …/management/inject_nmi`: pulses the diagnostic interrupt, under a claim.
    pub async fn inject_nmi(&self, uuid: Uuid) -> Result<(), RequestError> {
        let node = self.managed(uuid).await?;
        if !matches!(implementation(&node, InterfaceKind::Management), "ipmitool" | "intel-ipmitool") {
            return Err(RequestError::Invalid(unsupported(&node, "inject_nmi")));
        }
        let bmc: Arc<dyn Bmc> = bmc_of(self, &node).map_err(RequestError::Invalid)?;
        self.tell(&node, "inject NMI", "", bmc.set_power(PowerAction::Nmi)).await
    }

    /// `GET …/management/indicators`: what a node has.
    pub async fn indicators(&self, uuid: Uuid) -> Result<&'static [Indicator], RequestError> {
        let node = self.store().node(&uuid.to_string()).await?.node;
        indicators(&node).ok_or_else(|| RequestError::Invalid(unsupported(&node, "get_supported_indicators")))
    }

    /// `GET …/management/indicators/{name@component}`: its state.
    pub async fn indicator(
        &self,
        uuid: Uuid,
        component: &str,
        name: &str,
    ) -> Result<&'static str, RequestError> {
        let node = self.managed(uuid).await?;
        let known = indicators(&node)
            .ok_or_else(|| RequestError::Invalid(unsupported(&node, "get_indicator_state")))?;
        if !known.iter().any(|indicator| indicator.component == component) {
            return Err(RequestError::Invalid(format!("Invalid component {component} specified.")));
        }
        if !known.iter().any(|indicator| indicator.component == component && indicator.name == name) {
            return Err(RequestError::Invalid(format!("Invalid indicator {name} specified.")));
        }
        Ok("on")
    }

    /// `PUT …/management/indicators/{name@component}`: no hardware that is served today lets its LEDs be set.
    pub async fn set_indicator(&self, uuid: Uuid) -> Result<(), RequestError> {
        let node = self.managed(uuid).await?;
        Err(RequestError::Invalid(unsupported(&node, "set_indicator_state")))
    }

    /// `GET …/vmedia`: no hardware that is served today has virtual media.
    pub async fn virtual_media(&self, uuid: Uuid) -> Result<Vec<VirtualMedia>, RequestError> {
        let node = self.managed(uuid).await?;
        Err(RequestError::Invalid(unsupported(&node, "get_virtual_media")))
    }

    /// `GET …/states/console` of a node whose console runs: how to reach it. A pretended one can't be reached.
    pub async fn console(&self, uuid: Uuid) -> Result<Object, RequestError> {
        let node = self.store().node(&uuid.to_string()).await?.node;
        match implementation(&node, InterfaceKind::Console) {
            "fake" => Ok(Object::new()),
            _ => Err(RequestError::Invalid(unsupported(&node, "console"))),
        }
    }

    /// The node with its secrets, if its management interface can be used.
    async fn managed(&self, uuid: Uuid) -> Result<Node, RequestError> {
        let node = self.store().node_with_secrets(uuid).await?.node;
        self.check_served(&node).await?;
        match problem(&node, InterfaceKind::Management) {
            Some(reason) => Err(RequestError::Invalid(reason)),
            None => Ok(node),
        }
    }

    /// Tells the BMC something under a claim, and leaves an event.
    async fn tell(
        &self,
        node: &Node,
        doing: &'static str,
        detail: &str,
        call: impl Future<Output = Result<(), BmcError>>,
    ) -> Result<(), RequestError> {
        let started = Timestamp::now();
        let uuid = node.uuid;
        let answer = self.holding(uuid, measure::bmc(node, doing, call)).await?;
        let detail = answer.as_ref().map_or_else(ToString::to_string, |()| detail.to_owned());
        let mut event =
            LogEvent::new(Some(uuid), started, EventKind::Bmc, doing, detail).until(Timestamp::now());
        event.ok = answer.is_ok();
        self.store().record(&[event]).await?;
        Ok(answer?)
    }
}

/// What the node's boot device may be set to.
fn boot_devices(node: &Node) -> Vec<&'static str> {
    match implementation(node, InterfaceKind::Management) {
        "ipmitool" | "intel-ipmitool" => vec!["pxe", "disk", "cdrom", "bios", "safe"],
        "noop" => vec!["pxe", "disk"],
        "fake" => vec!["pxe"],
        _ => Vec::new(),
    }
}

fn indicators(node: &Node) -> Option<&'static [Indicator]> {
    (implementation(node, InterfaceKind::Management) == "fake").then_some(FAKE_INDICATORS)
}

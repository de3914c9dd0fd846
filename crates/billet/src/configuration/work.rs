//! What is done to machines: `[deploy]`, `[inspector]` and `[fake]`, with Ironic's names.

use anyhow::{Context, Result};
use conductor::fake::{Delay, Delays};
use conductor::inspection::Settings;
use model::node::InterfaceKind;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `[deploy]`: priorities of the ramdisk's clean steps; 0 leaves a step out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deploy {
    /// Of `deploy.erase_devices`.
    pub erase_devices_priority: Option<u32>,
    /// Of `deploy.erase_devices_metadata`.
    pub erase_devices_metadata_priority: Option<u32>,
    /// Of `raid.create_configuration`.
    pub create_configuration_priority: Option<u32>,
    /// Of `raid.delete_configuration`.
    pub delete_configuration_priority: Option<u32>,
}

impl Deploy {
    /// The priorities that are set, by step.
    pub fn priorities(&self) -> BTreeMap<String, i64> {
        [
            ("deploy.erase_devices", self.erase_devices_priority),
            ("deploy.erase_devices_metadata", self.erase_devices_metadata_priority),
            ("raid.create_configuration", self.create_configuration_priority),
            ("raid.delete_configuration", self.delete_configuration_priority),
        ]
        .into_iter()
        .filter_map(|(step, priority)| Some((step.to_owned(), priority?.into())))
        .collect()
    }
}

/// `[inspector]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inspector {
    /// Hooks, in their order.
    pub hooks: Option<Vec<String>>,
    /// `pxe`, `active`, `all` or `disabled`.
    pub add_ports: Option<String>,
    /// `all`, `present` or `added`.
    pub keep_ports: Option<String>,
    /// Ports follow the inventory in whether the ramdisk boots through them.
    pub update_pxe_enabled: Option<bool>,
    /// Leave a GiB of the root disk out of `local_gb`.
    pub disk_partitioning_spacing: Option<bool>,
    /// CPU flags and the capability of each.
    pub cpu_capabilities: Option<BTreeMap<String, String>>,
    /// PCI devices that are counted.
    pub pci_device_alias: Vec<PciAlias>,
    /// `network:physical network`, such as `10.10.10.0/24:physnet_a`.
    pub physical_network_cidr_map: Vec<String>,
}

/// A PCI device that is counted as a capability.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PciAlias {
    vendor_id: String,
    product_id: String,
    name: String,
}

impl Inspector {
    /// The defaults with what the file says over them.
    pub fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::default();
        if let Some(hooks) = &self.hooks {
            let hooks = hooks.iter().map(|hook| hook.parse()).collect::<Result<_, _>>();
            hooks.and_then(|hooks| settings.set_hooks(hooks)).context("inspector.hooks")?;
        }
        if let Some(word) = &self.add_ports {
            settings.add_ports = word.parse().context("inspector.add_ports")?;
        }
        if let Some(word) = &self.keep_ports {
            settings.keep_ports = word.parse().context("inspector.keep_ports")?;
        }
        settings.update_pxe_enabled = self.update_pxe_enabled.unwrap_or(settings.update_pxe_enabled);
        settings.disk_partitioning_spacing =
            self.disk_partitioning_spacing.unwrap_or(settings.disk_partitioning_spacing);
        if let Some(capabilities) = &self.cpu_capabilities {
            settings.cpu_capabilities.clone_from(capabilities);
        }
        settings.pci_aliases = self
            .pci_device_alias
            .iter()
            .map(|alias| ((alias.vendor_id.clone(), alias.product_id.clone()), alias.name.clone()))
            .collect();
        for network in &self.physical_network_cidr_map {
            settings.add_physical_network(network).context("inspector.physical_network_cidr_map")?;
        }
        Ok(settings)
    }
}

/// `[fake]`: how slow fake hardware pretends to be.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fake {
    power_delay: Option<Seconds>,
    boot_delay: Option<Seconds>,
    deploy_delay: Option<Seconds>,
    vendor_delay: Option<Seconds>,
    management_delay: Option<Seconds>,
    inspect_delay: Option<Seconds>,
    raid_delay: Option<Seconds>,
    bios_delay: Option<Seconds>,
    storage_delay: Option<Seconds>,
    rescue_delay: Option<Seconds>,
    firmware_delay: Option<Seconds>,
}

/// A number of seconds, or `"a,b"`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
}

impl Fake {
    /// The delays that are set.
    pub fn delays(&self) -> Result<Delays> {
        use InterfaceKind as I;
        let mut delays = Delays::default();
        for (name, kind, value) in [
            ("power", I::Power, &self.power_delay),
            ("boot", I::Boot, &self.boot_delay),
            ("deploy", I::Deploy, &self.deploy_delay),
            ("vendor", I::Vendor, &self.vendor_delay),
            ("management", I::Management, &self.management_delay),
            ("inspect", I::Inspect, &self.inspect_delay),
            ("raid", I::Raid, &self.raid_delay),
            ("bios", I::Bios, &self.bios_delay),
            ("storage", I::Storage, &self.storage_delay),
            ("rescue", I::Rescue, &self.rescue_delay),
            ("firmware", I::Firmware, &self.firmware_delay),
        ] {
            let delay: Delay = match value {
                None => continue,
                Some(Seconds::Number(seconds)) => seconds.to_string().parse(),
                Some(Seconds::Text(text)) => text.parse(),
            }
            .with_context(|| format!("fake.{name}_delay"))?;
            delays.set(kind, delay);
        }
        Ok(delays)
    }
}

//! Hardware types, the interface implementations that each supports, and how a node gets its thirteen interfaces.
//!
//! Everything here is a table (source: Ironic's `drivers/generic.py`, `ipmi.py`, `redfish.py`, `drac.py`, `intel_ipmi.py`,
//! `fake_hardware.py`) and one function over it, [`resolve`] (its `common/driver_factory.py`). A hardware type says what would
//! fit, [`Enabled`] says what this site offers, and a node may choose among what is in both.

mod properties;

pub use properties::properties;

use crate::node::{InterfaceKind, Interfaces};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A hardware type: for each interface kind the implementations that fit, the preferred first.
#[derive(Debug)]
pub struct HardwareType {
    /// Name that users give as `driver`.
    pub name: &'static str,
    /// Ironic's class; its refusals name it.
    pub class: &'static str,
    supported: [&'static [&'static str]; 13],
}

impl HardwareType {
    /// The implementations that fit, the preferred first.
    pub fn supported(&self, kind: InterfaceKind) -> &'static [&'static str] {
        self.supported[kind as usize]
    }

    /// `fake-hardware` takes any enabled implementation, so that any combination can be tried.
    pub fn takes_any(&self) -> bool {
        self.name == FAKE
    }
}

/// Name of the hardware type that only pretends.
pub const FAKE: &str = "fake-hardware";

// Each list is in the order of preference. The rows of the table are in the order of `InterfaceKind`:
// bios, boot, console, deploy, firmware, inspect, management, network, power, raid, rescue, storage, vendor.
const BOOT: &[&str] = &["ipxe", "pxe", "http-ipxe", "http"];
const CONSOLE_IPMI: &[&str] = &["ipmitool-socat", "no-console", "fake-graphical"];
const CONSOLE_REDFISH: &[&str] = &["redfish-graphical", "ipmitool-socat", "no-console", "fake-graphical"];
const DEPLOY: &[&str] = &["autodetect", "direct", "ansible", "ramdisk", "anaconda", "bootc", "custom-agent"];
const NETWORK: &[&str] = &["flat", "neutron", "ironic-networking", "noop"];
const RAID: &[&str] = &["no-raid", "agent"];
const RESCUE: &[&str] = &["no-rescue", "agent"];
const STORAGE: &[&str] = &["noop", "cinder", "external"];
const INSPECT: &[&str] = &["agent", "no-inspect"];

/// Every hardware type that Billet knows.
pub const HARDWARE_TYPES: &[HardwareType] = &[
    HardwareType {
        name: "ipmi",
        class: "IPMIHardware",
        supported: [
            &["no-bios"],
            BOOT,
            CONSOLE_IPMI,
            DEPLOY,
            &["no-firmware"],
            INSPECT,
            &["ipmitool", "noop"],
            NETWORK,
            &["ipmitool"],
            RAID,
            RESCUE,
            STORAGE,
            &["ipmitool", "no-vendor"],
        ],
    },
    HardwareType {
        name: "redfish",
        class: "RedfishHardware",
        supported: [
            &["redfish", "no-bios"],
            &["ipxe", "pxe", "http-ipxe", "http", "redfish-virtual-media", "redfish-https"],
            CONSOLE_REDFISH,
            DEPLOY,
            &["redfish", "no-firmware"],
            &["redfish", "agent", "no-inspect"],
            &["redfish", "noop"],
            NETWORK,
            &["redfish"],
            &["redfish", "no-raid", "agent"],
            RESCUE,
            STORAGE,
            &["redfish", "no-vendor"],
        ],
    },
    HardwareType {
        name: "idrac",
        class: "IDRACHardware",
        supported: [
            &["idrac-redfish", "redfish", "no-bios"],
            &["ipxe", "pxe", "http-ipxe", "http", "idrac-redfish-virtual-media", "redfish-https"],
            CONSOLE_REDFISH,
            DEPLOY,
            &["redfish", "no-firmware"],
            &["idrac-redfish", "agent", "no-inspect"],
            &["idrac-redfish"],
            NETWORK,
            &["idrac-redfish", "redfish"],
            &["idrac-redfish", "no-raid", "agent"],
            RESCUE,
            STORAGE,
            &["idrac-redfish", "redfish", "no-vendor"],
        ],
    },
    HardwareType {
        name: "intel-ipmi",
        class: "IntelIPMIHardware",
        supported: [
            &["no-bios"],
            BOOT,
            CONSOLE_IPMI,
            DEPLOY,
            &["no-firmware"],
            INSPECT,
            &["intel-ipmitool"],
            NETWORK,
            &["ipmitool"],
            RAID,
            RESCUE,
            STORAGE,
            &["ipmitool", "no-vendor"],
        ],
    },
    HardwareType {
        name: FAKE,
        class: "FakeHardware",
        supported: [
            &["fake", "no-bios"],
            &["fake", "ipxe", "pxe", "http-ipxe", "http"],
            &["fake", "no-console", "fake-graphical"],
            &["fake", "autodetect", "direct", "ansible", "ramdisk", "anaconda", "bootc", "custom-agent"],
            &["fake", "no-firmware"],
            &["fake", "agent", "no-inspect"],
            &["fake"],
            NETWORK,
            &["fake"],
            &["fake", "no-raid", "agent"],
            &["fake", "no-rescue", "agent"],
            &["fake", "noop", "cinder", "external"],
            &["fake", "no-vendor"],
        ],
    },
    HardwareType {
        name: "manual-management",
        class: "ManualManagementHardware",
        supported: [
            &["no-bios"],
            BOOT,
            &["no-console", "fake-graphical"],
            &["autodetect", "direct", "ansible", "ramdisk", "anaconda", "bootc", "custom-agent", "noop"],
            &["no-firmware"],
            INSPECT,
            &["noop", "fake"],
            NETWORK,
            &["agent", "fake"],
            RAID,
            RESCUE,
            STORAGE,
            &["no-vendor"],
        ],
    },
];

/// A driver name of 2017 and what it stands for today.
#[derive(Debug)]
pub struct ClassicDriver {
    /// The old name; a node keeps it as its `driver`.
    pub name: &'static str,
    /// The hardware type that serves it.
    pub hardware_type: &'static str,
    /// Implementations that go before the hardware type's own defaults.
    pub prefers: &'static [(InterfaceKind, &'static str)],
}

/// The classic drivers that are still offered as names.
pub const CLASSIC_DRIVERS: &[ClassicDriver] = &[
    ClassicDriver {
        name: "agent_ipmitool",
        hardware_type: "ipmi",
        prefers: &[(InterfaceKind::Deploy, "direct"), (InterfaceKind::Boot, "pxe")],
    },
    ClassicDriver {
        name: "pxe_ipmitool",
        hardware_type: "ipmi",
        prefers: &[(InterfaceKind::Deploy, "direct"), (InterfaceKind::Boot, "pxe")],
    },
    ClassicDriver { name: "fake", hardware_type: FAKE, prefers: &[] },
];

/// The classic driver of that name.
pub fn classic(name: &str) -> Option<&'static ClassicDriver> {
    CLASSIC_DRIVERS.iter().find(|driver| driver.name == name)
}

/// The hardware type of that name; classic names are looked through.
pub fn hardware_type(driver: &str) -> Option<&'static HardwareType> {
    let name = classic(driver).map_or(driver, |driver| driver.hardware_type);
    HARDWARE_TYPES.iter().find(|hardware| hardware.name == name)
}

/// What a site offers: Ironic's `[DEFAULT] enabled_…` and `default_…_interface`.
#[derive(Debug, Clone)]
pub struct Enabled {
    hardware_types: Vec<&'static HardwareType>,
    interfaces: BTreeMap<InterfaceKind, Vec<String>>,
    defaults: BTreeMap<InterfaceKind, String>,
}

/// Lists that are wrong in themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnabledError {
    /// No such hardware type.
    #[error("unknown hardware type \"{name}\"; there are {}", hardware_names())]
    HardwareType {
        /// What was given.
        name: String,
    },
    /// No implementation of that kind has the name.
    #[error("unknown {kind} interface \"{name}\"; there are {}", known(*.kind).join(", "))]
    Interface {
        /// Kind.
        kind: InterfaceKind,
        /// What was given.
        name: String,
    },
}

fn hardware_names() -> String {
    HARDWARE_TYPES.iter().map(|hardware| hardware.name).collect::<Vec<_>>().join(", ")
}

/// Every implementation of a kind, sorted.
pub fn known(kind: InterfaceKind) -> Vec<&'static str> {
    let mut names: Vec<_> =
        HARDWARE_TYPES.iter().flat_map(|hardware| hardware.supported(kind)).copied().collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl Default for Enabled {
    /// Ironic's defaults. They let `ipmi` deploy with `direct`, boot by `ipxe` and use the `flat` network without configuration.
    fn default() -> Self {
        const LISTS: &[(InterfaceKind, &[&str])] = &[
            (InterfaceKind::Bios, &["no-bios", "redfish"]),
            (InterfaceKind::Boot, &["ipxe", "pxe", "redfish-virtual-media"]),
            (InterfaceKind::Console, &["no-console"]),
            (InterfaceKind::Deploy, &["autodetect", "direct", "ramdisk", "bootc"]),
            (InterfaceKind::Firmware, &["no-firmware"]),
            (InterfaceKind::Inspect, &["no-inspect", "redfish"]),
            (InterfaceKind::Network, &["flat", "noop"]),
            (InterfaceKind::Raid, &["agent", "no-raid", "redfish"]),
            (InterfaceKind::Rescue, &["no-rescue"]),
            (InterfaceKind::Storage, &["cinder", "noop"]),
            (InterfaceKind::Vendor, &["ipmitool", "redfish", "no-vendor"]),
        ];
        let mut enabled = Self {
            hardware_types: Vec::new(),
            interfaces: LISTS
                .iter()
                .map(|(kind, names)| (*kind, names.iter().map(|name| (*name).to_owned()).collect()))
                .collect(),
            defaults: BTreeMap::from([(InterfaceKind::Storage, "noop".to_owned())]),
        };
        enabled.push(&HARDWARE_TYPES[0]);
        enabled.push(&HARDWARE_TYPES[1]);
        enabled
    }
}

impl Enabled {
    /// The default lists with these hardware types in place of the default ones.
    pub fn with_hardware_types(names: &[impl AsRef<str>]) -> Result<Self, EnabledError> {
        let mut enabled = Self { hardware_types: Vec::new(), ..Self::default() };
        enabled.interfaces.remove(&InterfaceKind::Power);
        enabled.interfaces.remove(&InterfaceKind::Management);
        for name in names {
            let hardware = HARDWARE_TYPES
                .iter()
                .find(|hardware| hardware.name == name.as_ref())
                .ok_or_else(|| EnabledError::HardwareType { name: name.as_ref().to_owned() })?;
            enabled.push(hardware);
        }
        Ok(enabled)
    }

    /// Adds a hardware type. Power and management follow from the hardware types, as in Ironic; `fake-hardware` brings every
    /// `fake` implementation along, since without them it is of no use.
    fn push(&mut self, hardware: &'static HardwareType) {
        if self.hardware_types.iter().any(|there| there.name == hardware.name) {
            return;
        }
        self.hardware_types.push(hardware);
        for kind in InterfaceKind::ALL {
            let follows = matches!(kind, InterfaceKind::Power | InterfaceKind::Management);
            let list = self.interfaces.entry(*kind).or_default();
            for name in hardware.supported(*kind) {
                let wanted = follows || (hardware.takes_any() && *name == "fake");
                if wanted && !list.iter().any(|there| there == name) {
                    list.push((*name).to_owned());
                }
            }
        }
    }

    /// Replaces the list of one kind (`enabled_X_interfaces`).
    pub fn set_interfaces(&mut self, kind: InterfaceKind, names: Vec<String>) -> Result<(), EnabledError> {
        let there = known(kind);
        if let Some(name) = names.iter().find(|name| !there.contains(&name.as_str())) {
            return Err(EnabledError::Interface { kind, name: name.clone() });
        }
        self.interfaces.insert(kind, names);
        Ok(())
    }

    /// Sets the default of one kind (`default_X_interface`); it goes before the hardware type's order.
    pub fn set_default(&mut self, kind: InterfaceKind, name: String) -> Result<(), EnabledError> {
        if !known(kind).contains(&name.as_str()) {
            return Err(EnabledError::Interface { kind, name });
        }
        self.defaults.insert(kind, name);
        Ok(())
    }

    /// The enabled hardware types, sorted by name.
    pub fn hardware_types(&self) -> Vec<&'static HardwareType> {
        let mut types = self.hardware_types.clone();
        types.sort_unstable_by_key(|hardware| hardware.name);
        types
    }

    /// The hardware type that serves a driver name, if it is enabled.
    pub fn serves(&self, driver: &str) -> Option<&'static HardwareType> {
        let hardware = hardware_type(driver)?;
        self.hardware_types.iter().any(|there| there.name == hardware.name).then_some(hardware)
    }

    /// Every enabled implementation of a kind, sorted.
    pub fn interfaces(&self, kind: InterfaceKind) -> Vec<&str> {
        let mut names: Vec<_> =
            self.interfaces.get(&kind).into_iter().flatten().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    fn has(&self, kind: InterfaceKind, name: &str) -> bool {
        self.interfaces.get(&kind).is_some_and(|list| list.iter().any(|there| there == name))
    }

    /// The implementations of a kind that a hardware type supports and the site enables, sorted.
    pub fn usable(&self, hardware: &HardwareType, kind: InterfaceKind) -> Vec<&'static str> {
        let mut names: Vec<_> =
            hardware.supported(kind).iter().copied().filter(|name| self.has(kind, name)).collect();
        names.sort_unstable();
        names
    }

    /// The implementation that a node gets when it chooses none.
    pub fn default_of(&self, hardware: &HardwareType, kind: InterfaceKind) -> Option<String> {
        if let Some(name) = self.defaults.get(&kind) {
            let fits = hardware.takes_any() || hardware.supported(kind).contains(&name.as_str());
            return (fits && self.has(kind, name)).then(|| name.clone());
        }
        hardware.supported(kind).iter().find(|name| self.has(kind, name)).map(|name| (*name).to_owned())
    }
}

/// Why a node can't have the driver or the interfaces that were asked for. The texts are Ironic's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InterfaceError {
    /// Unknown or not enabled driver.
    #[error(
        "No valid host was found. Reason: No conductor service registered which supports driver {driver} for conductor group \
         \"{group}\". Ensure the driver is valid and enabled."
    )]
    Driver {
        /// What was asked for.
        driver: String,
        /// The node's conductor group.
        group: String,
    },
    /// Unknown or not enabled implementation.
    #[error(
        "Could not find the following interface in the 'ironic.hardware.interfaces.{kind}' entrypoint: {name}. \
         Valid interfaces are [{}].",
        valid.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
    )]
    NotEnabled {
        /// Kind.
        kind: InterfaceKind,
        /// What was asked for.
        name: String,
        /// What is enabled.
        valid: Vec<String>,
    },
    /// Enabled, but not for this hardware type.
    #[error("{kind} interface implementation '{name}' is not supported by hardware type {class}.")]
    Incompatible {
        /// Kind.
        kind: InterfaceKind,
        /// What was asked for.
        name: String,
        /// Ironic's class of the hardware type.
        class: &'static str,
    },
    /// Nothing was asked for and nothing fits.
    #[error(
        "For{} hardware type '{driver}', no default value found for {kind} interface could be determined. \
         Please ensure the interfaces are enabled.",
        node.map(|uuid| format!(" node {uuid} with")).unwrap_or_default()
    )]
    NoDefault {
        /// Kind.
        kind: InterfaceKind,
        /// Driver as the user named it.
        driver: String,
        /// Node.
        node: Option<Uuid>,
    },
}

/// Gives a node its thirteen interfaces: those in `chosen` are checked, the others get their defaults.
///
/// `group` is the node's conductor group, `node` its UUID; both only go into errors.
pub fn resolve(
    driver: &str,
    chosen: &Interfaces,
    enabled: &Enabled,
    group: &str,
    node: Option<Uuid>,
) -> Result<Interfaces, InterfaceError> {
    let hardware = enabled
        .serves(driver)
        .ok_or_else(|| InterfaceError::Driver { driver: driver.to_owned(), group: group.to_owned() })?;
    let preferred = classic(driver).map_or(&[][..], |driver| driver.prefers);
    let mut resolved = Interfaces::default();
    for kind in InterfaceKind::ALL.iter().copied() {
        if let Some(name) = chosen.get(kind) {
            check(hardware, kind, name, enabled)?;
            resolved.set(kind, name);
            continue;
        }
        let wish = preferred.iter().find(|(of, name)| *of == kind && enabled.has(kind, name));
        let name = match wish {
            Some((_, name)) => (*name).to_owned(),
            None => enabled.default_of(hardware, kind).ok_or_else(|| InterfaceError::NoDefault {
                kind,
                driver: driver.to_owned(),
                node,
            })?,
        };
        resolved.set(kind, name);
    }
    Ok(resolved)
}

fn check(
    hardware: &HardwareType,
    kind: InterfaceKind,
    name: &str,
    enabled: &Enabled,
) -> Result<(), InterfaceError> {
    if !enabled.has(kind, name) {
        return Err(InterfaceError::NotEnabled {
            kind,
            name: name.to_owned(),
            valid: enabled.interfaces(kind).into_iter().map(str::to_owned).collect(),
        });
    }
    if !hardware.takes_any() && !hardware.supported(kind).contains(&name) {
        return Err(InterfaceError::Incompatible { kind, name: name.to_owned(), class: hardware.class });
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! What can be set of inspections (Ironic's section `[inspector]`).

use ipnet::IpNet;
use std::collections::BTreeMap;
use std::str::FromStr;

macro_rules! named {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$vmeta:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// The word as the configuration has it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl FromStr for $name {
            type Err = SettingError;

            fn from_str(text: &str) -> Result<Self, SettingError> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(SettingError::Unknown {
                        what: $what,
                        text: text.to_owned(),
                        known: [$($text,)+].join(", "),
                    }),
                }
            }
        }
    };
}

named! {
    /// Which interfaces become ports.
    AddPorts, "add_ports" {
        /// Those with an address.
        Active => "active",
        /// All of them.
        All => "all",
        /// The one that the ramdisk was booted through; those with an address if that is not known.
        Pxe => "pxe",
        /// None.
        Disabled => "disabled",
    }
}

named! {
    /// Which ports a node keeps.
    KeepPorts, "keep_ports" {
        /// All of them.
        All => "all",
        /// Those whose MAC address was found.
        Present => "present",
        /// Those that would have been added.
        Added => "added",
    }
}

named! {
    /// What is made of what was found, in steps that a site chooses.
    Hook, "inspection hook" {
        /// Fails the inspection if the ramdisk reports an error.
        RamdiskError => "ramdisk-error",
        /// Finds the network interfaces that count.
        ValidateInterfaces => "validate-interfaces",
        /// Makes, changes and deletes ports.
        Ports => "ports",
        /// `properties.cpu_arch`
        Architecture => "architecture",
        /// `properties.cpus`
        Cpus => "cpus",
        /// `properties.memory_mb`
        Memory => "memory",
        /// `properties.local_gb`, by the root device hints.
        RootDevice => "root-device",
        /// The capability `boot_mode`.
        BootMode => "boot-mode",
        /// Capabilities after CPU flags.
        CpuCapabilities => "cpu-capabilities",
        /// `properties.root_device` of a disk that was not there the last time.
        RaidDevice => "raid-device",
        /// Capabilities that count PCI devices.
        PciDevices => "pci-devices",
        /// `properties.accelerators`
        Accelerators => "accelerators",
        /// Ports' `physical_network`, by their addresses.
        PhysicalNetwork => "physical-network",
        /// Ports' `local_link_connection`, by LLDP.
        LocalLinkConnection => "local-link-connection",
        /// `parsed_lldp` for people to read.
        ParseLldp => "parse-lldp",
    }
}

/// A setting that can't be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Not one of the words.
    #[error("\"{text}\" is not a known {what}; there are {known}")]
    Unknown {
        /// What was to be set.
        what: &'static str,
        /// What came.
        text: String,
        /// The words.
        known: String,
    },
    /// A hook needs another one before it.
    #[error("Hook {hook} requires these missing hooks to be enabled before it: {missing}")]
    Order {
        /// The hook.
        hook: &'static str,
        /// What it needs.
        missing: &'static str,
    },
    /// A network that can't be read.
    #[error("\"{0}\" is not a network and a name, such as 10.10.10.0/24:physnet_a")]
    Network(String),
}

/// Settings of inspections.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Hooks, in their order.
    pub hooks: Vec<Hook>,
    /// Which interfaces become ports.
    pub add_ports: AddPorts,
    /// Which ports are kept.
    pub keep_ports: KeepPorts,
    /// Ports follow the inventory in whether the ramdisk boots through them.
    pub update_pxe_enabled: bool,
    /// Leave a GiB of the root disk out of `local_gb`, for partitioning.
    pub disk_partitioning_spacing: bool,
    /// CPU flags and the capabilities that they give.
    pub cpu_capabilities: BTreeMap<String, String>,
    /// PCI devices that count, by vendor and product identifier, and the capability of each.
    pub pci_aliases: BTreeMap<(String, String), String>,
    /// Networks and the physical network that a port with an address in one is on.
    pub physical_networks: Vec<(IpNet, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        let flags = [
            ("vmx", "cpu_vt"),
            ("svm", "cpu_vt"),
            ("aes", "cpu_aes"),
            ("pse", "cpu_hugepages"),
            ("pdpe1gb", "cpu_hugepages_1g"),
            ("smx", "cpu_txt"),
        ];
        Self {
            hooks: vec![Hook::RamdiskError, Hook::ValidateInterfaces, Hook::Ports, Hook::Architecture],
            add_ports: AddPorts::Pxe,
            keep_ports: KeepPorts::All,
            update_pxe_enabled: true,
            disk_partitioning_spacing: true,
            cpu_capabilities: flags.map(|(flag, name)| (flag.to_owned(), name.to_owned())).into(),
            pci_aliases: BTreeMap::new(),
            physical_networks: Vec::new(),
        }
    }
}

impl Settings {
    /// Takes over a list of hooks; each must come behind those that it builds upon.
    pub fn set_hooks(&mut self, hooks: Vec<Hook>) -> Result<(), SettingError> {
        const OF_INTERFACES: &[Hook] = &[Hook::Ports, Hook::PhysicalNetwork, Hook::LocalLinkConnection];
        let validated = hooks.iter().position(|hook| *hook == Hook::ValidateInterfaces);
        for (place, hook) in hooks.iter().enumerate() {
            if OF_INTERFACES.contains(hook) && validated.is_none_or(|validated| validated > place) {
                return Err(SettingError::Order {
                    hook: hook.as_str(),
                    missing: Hook::ValidateInterfaces.as_str(),
                });
            }
        }
        self.hooks = hooks;
        Ok(())
    }

    /// Adds a `network:name`.
    pub fn add_physical_network(&mut self, text: &str) -> Result<(), SettingError> {
        let wrong = || SettingError::Network(text.to_owned());
        let (network, name) = text.rsplit_once(':').ok_or_else(wrong)?;
        if name.is_empty() {
            return Err(wrong());
        }
        self.physical_networks.push((network.parse().map_err(|_| wrong())?, name.to_owned()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_that_need_interfaces_come_behind_those_that_find_them() {
        let mut settings = Settings::default();
        assert!(settings.set_hooks(vec![Hook::Ports, Hook::ValidateInterfaces]).is_err());
        assert!(settings.set_hooks(vec![Hook::ValidateInterfaces, Hook::PhysicalNetwork]).is_ok());
        assert!("nonsense".parse::<Hook>().unwrap_err().to_string().contains("parse-lldp"));
        assert!(settings.add_physical_network("2001:db8::/64:b").is_ok());
        assert!(settings.add_physical_network("10.0.0.0/99:b").is_err());
    }
}

//! The steps that the conductor itself can carry out, by interface and implementation: one table.
//!
//! The ramdisk's own steps are not in it; the agent lists them (`agent_side.rs`).

use crate::hardware;
use model::agent::Phase;
use model::node::{InterfaceKind, Node};
use model::step::Step;
use serde_json::{Map, Value, json};

/// An argument of a step.
struct Argument {
    name: &'static str,
    description: &'static str,
    is_required: bool,
}

/// A step of one implementation. For each phase: its priority there, if it is offered there.
struct Offer {
    interface: InterfaceKind,
    implementation: &'static str,
    step: &'static str,
    clean: Option<i64>,
    deploy: Option<i64>,
    service: Option<i64>,
    requires_ramdisk: bool,
    arguments: &'static [Argument],
}

impl Offer {
    const fn new(interface: InterfaceKind, implementation: &'static str, step: &'static str) -> Self {
        Self {
            interface,
            implementation,
            step,
            clean: None,
            deploy: None,
            service: None,
            requires_ramdisk: true,
            arguments: &[],
        }
    }

    const fn clean(mut self, priority: i64) -> Self {
        self.clean = Some(priority);
        self
    }

    const fn deploy(mut self, priority: i64) -> Self {
        self.deploy = Some(priority);
        self
    }

    const fn service(mut self, priority: i64) -> Self {
        self.service = Some(priority);
        self
    }

    const fn without_ramdisk(mut self) -> Self {
        self.requires_ramdisk = false;
        self
    }

    const fn takes(mut self, arguments: &'static [Argument]) -> Self {
        self.arguments = arguments;
        self
    }
}

const fn required(name: &'static str, description: &'static str) -> Argument {
    Argument { name, description, is_required: true }
}

const fn optional(name: &'static str, description: &'static str) -> Argument {
    Argument { name, description, is_required: false }
}

const BIOS_SETTINGS: &[Argument] = &[required(
    "settings",
    "List of BIOS settings, each item needs to contain a dictionary with name/value pairs",
)];
const FIRMWARE_SETTINGS: &[Argument] = &[required(
    "settings",
    "List of Firmware components, each item needs to contain a dictionary with name/value pairs",
)];
const RAID_VOLUMES: &[Argument] = &[
    optional("create_root_volume", "Whether to create the root volume. Defaults to `True`."),
    optional("create_nonroot_volumes", "Whether to create the other volumes. Defaults to `True`."),
];
const RAID_CONFIG: &[Argument] = &[
    required("raid_config", "The RAID configuration to apply."),
    optional("create_root_volume", "Whether to create the root volume. Defaults to `True`."),
    optional("create_nonroot_volumes", "Whether to create the other volumes. Defaults to `True`."),
    optional("delete_existing", "Whether to delete what is there first. Defaults to `True`."),
];
const RAW_BYTES: &[Argument] =
    &[required("raw_bytes", "A string of raw bytes to convey the request to transmit to the remote BMC.")];

use InterfaceKind as I;

/// Every step of the conductor's own. Verify steps would be here too; no implementation that is served has one.
const TABLE: &[Offer] = &[
    Offer::new(I::Vendor, "fake", "log_passthrough").clean(1),
    Offer::new(I::Vendor, "fake", "log_passthrough").service(0).without_ramdisk(),
    Offer::new(I::Vendor, "fake", "trigger_servicewait").service(0),
    Offer::new(I::Vendor, "ipmitool", "send_raw")
        .clean(0)
        .deploy(0)
        .service(0)
        .without_ramdisk()
        .takes(RAW_BYTES),
    Offer::new(I::Firmware, "fake", "update").clean(0).takes(FIRMWARE_SETTINGS),
    Offer::new(I::Bios, "fake", "apply_configuration").clean(0).takes(BIOS_SETTINGS),
    Offer::new(I::Bios, "fake", "factory_reset").clean(0),
    Offer::new(I::Bios, "fake", "cache_bios_settings").clean(0),
    // Ironic's fake has these as methods and offers none of them.
    Offer::new(I::Raid, "fake", "create_configuration").clean(0).takes(RAID_VOLUMES),
    Offer::new(I::Raid, "fake", "delete_configuration").clean(0),
    Offer::new(I::Raid, "fake", "apply_configuration").deploy(0).service(0).takes(RAID_CONFIG),
    Offer::new(I::Deploy, "fake", "deploy").deploy(100),
    Offer::new(I::Deploy, "ramdisk", "deploy").deploy(100),
    Offer::new(I::Deploy, "direct", "deploy").deploy(100),
    Offer::new(I::Deploy, "direct", "write_image").deploy(80),
    Offer::new(I::Deploy, "direct", "prepare_instance_boot").deploy(60),
    Offer::new(I::Deploy, "direct", "tear_down_agent").deploy(40),
    Offer::new(I::Deploy, "direct", "switch_to_tenant_network").deploy(30),
    Offer::new(I::Deploy, "direct", "boot_instance").deploy(20),
];

/// The steps that the node's interfaces offer in a phase, out of band. Priorities are those of the implementations.
pub fn offered(node: &Node, phase: Phase) -> Vec<Step> {
    TABLE
        .iter()
        .filter(|offer| hardware::implementation(node, offer.interface) == offer.implementation)
        .filter_map(|offer| {
            let priority = match phase {
                Phase::Clean => offer.clean?,
                Phase::Deploy => offer.deploy?,
                Phase::Service => offer.service?,
            };
            let mut step = Step::core(offer.interface.as_str(), offer.step, priority);
            step.requires_ramdisk = Some(offer.requires_ramdisk);
            step.argsinfo = (!offer.arguments.is_empty()).then(|| described(offer.arguments));
            Some(step)
        })
        .collect()
}

fn described(arguments: &[Argument]) -> Map<String, Value> {
    arguments
        .iter()
        .map(|argument| {
            let info = json!({"description": argument.description, "required": argument.is_required});
            (argument.name.to_owned(), info)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn names(node: &Node, phase: Phase) -> Vec<String> {
        offered(node, phase).iter().map(Step::full_name).collect()
    }

    #[test]
    fn a_node_offers_what_its_interfaces_have() {
        let mut node = Node::new(uuid::Uuid::nil(), "fake-hardware", Timestamp::UNIX_EPOCH);
        assert_eq!(names(&node, Phase::Clean), Vec::<String>::new());
        node.interfaces.set(I::Vendor, "ipmitool");
        node.interfaces.set(I::Bios, "fake");
        assert_eq!(
            names(&node, Phase::Clean),
            ["vendor.send_raw", "bios.apply_configuration", "bios.factory_reset", "bios.cache_bios_settings"]
        );
        assert_eq!(names(&node, Phase::Service), ["vendor.send_raw"]);
    }
}

//! The node: a physical machine, and the row that is its workflow.

use crate::errand::Errand;
use crate::secret::Secret;
use crate::state::{ProvisionState, words};
use crate::step::Step;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A JSON object that is stored and returned exactly as it came.
pub type Object = Map<String, Value>;

words! {
    /// Power as recorded; `error` when the BMC could not say.
    PowerState, "power state" {
        /// On.
        On => "power on",
        /// Off.
        Off => "power off",
        /// Unknown, the last question failed.
        Error => "error",
    }
}

words! {
    /// A power change that was asked for.
    PowerTarget, "power target" {
        /// Switch on.
        On => "power on",
        /// Switch off at once.
        Off => "power off",
        /// Off, then on.
        Reboot => "rebooting",
        /// Ask the operating system, then on.
        SoftReboot => "soft rebooting",
        /// Ask the operating system.
        SoftOff => "soft power off",
    }
}

impl PowerTarget {
    /// The state the machine is in when the change is done.
    pub const fn outcome(self) -> PowerState {
        match self {
            PowerTarget::On | PowerTarget::Reboot | PowerTarget::SoftReboot => PowerState::On,
            PowerTarget::Off | PowerTarget::SoftOff => PowerState::Off,
        }
    }
}

words! {
    /// Why the conductor set maintenance by itself.
    Fault, "fault" {
        /// Power could not be read or set, again and again.
        Power => "power failure",
        /// A clean step failed.
        Clean => "clean failure",
        /// Leaving rescue failed on an abort.
        RescueAbort => "rescue abort failure",
        /// A service step failed.
        Service => "service failure",
    }
}

words! {
    /// A driver interface kind; a node may override the implementation of each.
    InterfaceKind, "driver interface" {
        /// BIOS settings.
        Bios => "bios",
        /// How the ramdisk boots.
        Boot => "boot",
        /// Serial or graphical console.
        Console => "console",
        /// How an instance gets onto the disk.
        Deploy => "deploy",
        /// Firmware updates.
        Firmware => "firmware",
        /// Inspection.
        Inspect => "inspect",
        /// Boot device, boot mode, sensors.
        Management => "management",
        /// Network.
        Network => "network",
        /// Power.
        Power => "power",
        /// RAID.
        Raid => "raid",
        /// Rescue.
        Rescue => "rescue",
        /// Remote volumes.
        Storage => "storage",
        /// Vendor specific calls.
        Vendor => "vendor",
    }
}

/// The implementation of each interface, by name (`ipmitool`, `direct` …).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Interfaces(std::collections::BTreeMap<InterfaceKind, String>);

impl Interfaces {
    /// The implementation in use, if one is set.
    pub fn get(&self, kind: InterfaceKind) -> Option<&str> {
        self.0.get(&kind).map(String::as_str)
    }

    /// Sets or replaces an implementation.
    pub fn set(&mut self, kind: InterfaceKind, implementation: impl Into<String>) {
        self.0.insert(kind, implementation.into());
    }
}

/// A deployment's, cleaning's or other long work's progress: all that a process needs to go on where another one died.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Work {
    /// What is to be done, in order. Filled once the steps are known; grows when the agent offers its own.
    pub steps: Vec<Step>,
    /// The agent's own steps are merged into `steps`.
    pub agent_steps_known: bool,
    /// Index in `steps` of the step that runs or runs next.
    pub next: usize,
    /// When the step at `next` was started; it is recorded before the conductor acts, so a restart knows to look before it acts again.
    pub started_at: Option<Timestamp>,
    /// Identifier of the agent command that carries the step out.
    pub command: Option<String>,
    /// Agent commands of this boot whose results have been dealt with.
    pub finished_commands: Vec<String>,
    /// When the BMC or the agent began to fail us, while we are still patient.
    pub failing_since: Option<Timestamp>,
    /// The work failed or was aborted: the machine is still to be switched off and its traces removed.
    pub tear_down: bool,
    /// The boot that is under way.
    pub boot: Option<BootAttempt>,
    /// The wait state fails at this time.
    pub deadline: Option<Timestamp>,
    /// An abort was asked for while a step that can't be cut short ran.
    pub abort_requested: bool,
    /// Steps that the user gave with the verb (manual cleaning, `deploy_steps`, service).
    pub user_steps: Option<Vec<Step>>,
    /// The work goes on without the ramdisk: the user asked for that, or no step needs it.
    pub disable_ramdisk: bool,
    /// `steps` is decided, apart from what the agent adds.
    pub is_planned: bool,
    /// Pretended delays under way and behind us.
    pub pauses: Vec<Pause>,
    /// Children on which the step at `next` has run.
    pub children_done: Vec<Uuid>,
    /// The ramdisk has sent what it found; it is to be looked at.
    pub has_findings: bool,
    /// The power change under way was not asked for by a user: the machine was found in another state than is recorded.
    pub power_sync: bool,
}

/// A delay that was begun. It stays listed when it is over, so that the work that it delayed is not delayed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// What is delayed.
    pub label: String,
    /// When it goes on.
    pub until: Timestamp,
}

/// One attempt to get the ramdisk to call back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BootAttempt {
    /// 1 for the first.
    pub attempt: u32,
    /// When the machine was switched on for it; none while the conductor is still at that.
    pub powered_at: Option<Timestamp>,
    /// The last thing seen of the machine, for people: `DHCP offer 10.77.0.130`, `initramfs sent`.
    pub last_seen: Option<String>,
    /// When that was.
    pub last_seen_at: Option<Timestamp>,
    /// The initramfs was sent whole: from here on only the kernel and the agent are between us and a call.
    pub ramdisk_sent_at: Option<Timestamp>,
    /// The ramdisk's work is done and the power was cut: what boots next is the instance.
    #[serde(default)]
    pub is_over: bool,
}

/// The ramdisk agent of a node, as far as it has made itself known.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentLink {
    /// Handed out once, at the first lookup of a boot.
    pub token: Option<Secret>,
    /// `https://address:9999`, from the heartbeat.
    pub url: Option<String>,
    /// The address of this host that the heartbeat was sent to, as a URL: by it the machine reaches us.
    #[serde(default)]
    pub server: Option<String>,
    /// PEM certificate that the agent serves with.
    pub verify_ca: Option<String>,
    /// Version that it reports.
    pub version: Option<String>,
    /// `start`, `end` or `error`, from the heartbeat.
    pub status: Option<String>,
    /// Message beside the status.
    pub status_message: Option<String>,
    /// When it was last heard of.
    pub last_heartbeat: Option<Timestamp>,
}

/// Is there nothing to write? A node's progress and its agent are empty most of the time.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Attributes that are objects: left out where they are empty when a node is written.
const BAGS: &[&str] = &[
    "driver_info",
    "driver_internal_info",
    "properties",
    "instance_info",
    "extra",
    "network_data",
    "raid_config",
    "target_raid_config",
];

/// Attributes that may be missing: left out then.
const OPTIONAL: &[&str] = &[
    "name",
    "updated_at",
    "chassis_uuid",
    "description",
    "owner",
    "lessee",
    "shard",
    "parent_node",
    "resource_class",
    "instance_uuid",
    "instance_name",
    "allocation_uuid",
    "power_state",
    "target_power_state",
    "power_timeout_seconds",
    "target_provision_state",
    "provision_updated_at",
    "last_error",
    "maintenance_reason",
    "fault",
    "health",
    "clean_step",
    "deploy_step",
    "service_step",
    "inspection_started_at",
    "inspection_finished_at",
    "automated_clean",
    "protected_reason",
    "retired_reason",
    "boot_mode",
    "secure_boot",
    "due",
];

/// The request that work came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its identifier, as its client was told: `req-…`.
    pub request_id: String,
    /// Its span, in the words of W3C's header `traceparent`; none where traces go nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// A node as stored. Field names are the API's wherever the API has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Identity.
    pub uuid: Uuid,
    /// Unique name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// Hardware type.
    pub driver: String,
    /// How to reach its BMC, and what to boot. Secrets in it are sealed at rest.
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    pub driver_info: Object,
    /// What Ironic's clients and agents look for in the bag of that name; the workflow itself is in `work`.
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    pub driver_internal_info: Object,
    /// What the machine is: cpus, memory, capabilities, root device hints.
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    pub properties: Object,
    /// What is to be put on it. Secrets in it are sealed at rest.
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    pub instance_info: Object,
    /// Free for the operator.
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    pub extra: Object,
    /// Static network configuration for the ramdisk.
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    pub network_data: Object,
    /// RAID as it is.
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    pub raid_config: Object,
    /// RAID as it should be.
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    pub target_raid_config: Object,
    /// Chassis that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chassis_uuid: Option<Uuid>,
    /// Which conductors may manage it; lower case, empty is the default group.
    #[serde(default)]
    pub conductor_group: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Project that owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Project that uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lessee: Option<String>,
    /// Shard key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Node that contains this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_node: Option<Uuid>,
    /// What a scheduler asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_class: Option<String>,
    /// Traits, standard or `CUSTOM_…`.
    #[serde(default)]
    pub traits: BTreeSet<String>,
    /// Instance that it carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_uuid: Option<String>,
    /// Name of that instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<String>,
    /// Allocation that chose it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocation_uuid: Option<Uuid>,
    /// Power as last read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_state: Option<PowerState>,
    /// Power change under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_power_state: Option<PowerTarget>,
    /// Seconds that the change may take, if the user said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_timeout_seconds: Option<u64>,
    /// Provision state.
    pub provision_state: ProvisionState,
    /// Where the work under way, or the work that failed, is heading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_provision_state: Option<ProvisionState>,
    /// When `provision_state` last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provision_updated_at: Option<Timestamp>,
    /// Why the last operation failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Nothing is done to the machine by itself.
    #[serde(default)]
    pub maintenance: bool,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_reason: Option<String>,
    /// Set where the conductor itself set maintenance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// As the BMC sums it up (`OK`, `Warning`, `Critical`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// Clean step under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clean_step: Option<Step>,
    /// Deploy step under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy_step: Option<Step>,
    /// Service step under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_step: Option<Step>,
    /// Inspection began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inspection_started_at: Option<Timestamp>,
    /// Inspection ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inspection_finished_at: Option<Timestamp>,
    /// Overrides the configuration where set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automated_clean: Option<bool>,
    /// Refuses deletion and rebuild.
    #[serde(default)]
    pub protected: bool,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected_reason: Option<String>,
    /// Not offered any more.
    #[serde(default)]
    pub retired: bool,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_reason: Option<String>,
    /// `bios` or `uefi`, as the BMC reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_mode: Option<String>,
    /// As the BMC reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure_boot: Option<bool>,
    /// Never switched off, only reset.
    #[serde(default)]
    pub disable_power_off: bool,
    /// Serial console runs.
    #[serde(default)]
    pub console_enabled: bool,
    /// What a user asked of the hardware and is not done yet.
    #[serde(default)]
    pub errand: Option<Errand>,
    /// Interfaces in use.
    #[serde(default)]
    pub interfaces: Interfaces,
    /// When the conductor is to look at the node next; none while only a user can move it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Counts wishes and heartbeats: a conductor that is about to wait sees by it that something came in between.
    #[serde(default)]
    pub nudges: u64,
    /// The request that asked for what is under way, or was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Progress of the work under way.
    #[serde(default, skip_serializing_if = "is_default")]
    pub work: Work,
    /// The ramdisk agent, while there is one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub agent: AgentLink,
}

impl Node {
    /// A node as it is first registered: state `enroll`, everything else empty.
    pub fn new(uuid: Uuid, driver: impl Into<String>, now: Timestamp) -> Self {
        Self {
            uuid,
            name: None,
            created_at: now,
            updated_at: None,
            driver: driver.into(),
            driver_info: Object::new(),
            driver_internal_info: Object::new(),
            properties: Object::new(),
            instance_info: Object::new(),
            extra: Object::new(),
            network_data: Object::new(),
            raid_config: Object::new(),
            target_raid_config: Object::new(),
            chassis_uuid: None,
            conductor_group: String::new(),
            description: None,
            owner: None,
            lessee: None,
            shard: None,
            parent_node: None,
            resource_class: None,
            traits: BTreeSet::new(),
            instance_uuid: None,
            instance_name: None,
            allocation_uuid: None,
            power_state: None,
            target_power_state: None,
            power_timeout_seconds: None,
            provision_state: ProvisionState::Enroll,
            target_provision_state: None,
            provision_updated_at: None,
            last_error: None,
            maintenance: false,
            maintenance_reason: None,
            fault: None,
            health: None,
            clean_step: None,
            deploy_step: None,
            service_step: None,
            inspection_started_at: None,
            inspection_finished_at: None,
            automated_clean: None,
            protected: false,
            protected_reason: None,
            retired: false,
            retired_reason: None,
            boot_mode: None,
            secure_boot: None,
            disable_power_off: false,
            console_enabled: false,
            errand: None,
            interfaces: Interfaces::default(),
            due: None,
            nudges: 0,
            origin: None,
            work: Work::default(),
            agent: AgentLink::default(),
        }
    }

    /// The node as a JSON object that has every attribute, be it empty or null. Errors: none that a node can cause.
    pub fn document(&self) -> serde_json::Result<Object> {
        let mut document = match serde_json::to_value(self)? {
            Value::Object(map) => map,
            _ => Object::new(),
        };
        for (names, empty) in [(BAGS, Value::Object(Object::new())), (OPTIONAL, Value::Null)] {
            for name in names {
                document.entry(*name).or_insert_with(|| empty.clone());
            }
        }
        Ok(document)
    }

    /// Applies an event of the state machine: state, target and time change together or not at all.
    pub fn apply(
        &mut self,
        event: crate::state::Event,
        now: Timestamp,
    ) -> Result<&'static crate::state::Transition, crate::state::Refused> {
        let row = self.provision_state.apply(event)?;
        self.provision_state = row.to;
        self.provision_updated_at = Some(now);
        match row.target {
            crate::state::Target::Keep => {}
            crate::state::Target::Clear => self.target_provision_state = None,
            crate::state::Target::Set(state) => self.target_provision_state = Some(state),
        }
        Ok(row)
    }

    /// Makes the conductor look at the node at once.
    pub fn nudge(&mut self, now: Timestamp) {
        self.nudges = self.nudges.wrapping_add(1);
        self.due = Some(now);
    }

    /// The name if it has one, else the UUID: what people read in errors.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.uuid.to_string())
    }

    /// Reads `key` from a `capabilities` value: Ironic's `"k:v,k:v"` text in properties, or the map in instance_info.
    pub fn capability(&self, key: &str) -> Option<String> {
        capability_in(self.instance_info.get("capabilities"), key)
            .or_else(|| capability_in(self.properties.get("capabilities"), key))
    }
}

fn capability_in(value: Option<&Value>, key: &str) -> Option<String> {
    match value? {
        Value::String(text) => text
            .split(',')
            .filter_map(|pair| pair.split_once(':'))
            .find(|(name, _)| name.trim() == key)
            .map(|(_, value)| value.trim().to_owned()),
        Value::Object(map) => map.get(key).and_then(Value::as_str).map(str::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Event;

    fn node() -> Node {
        Node::new(Uuid::nil(), "fake-hardware", Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_document_has_what_a_stored_node_leaves_out() {
        let document = node().document().unwrap();
        assert_eq!((&document["extra"], &document["name"]), (&serde_json::json!({}), &Value::Null));
        let stored = serde_json::to_value(node()).unwrap();
        assert!(stored.get("extra").is_none() && stored.get("name").is_none());
        assert_eq!(serde_json::from_value::<Node>(Value::Object(document)).unwrap(), node());
    }

    #[test]
    fn a_refused_event_changes_nothing() {
        let mut node = node();
        let before = node.clone();
        assert!(node.apply(Event::Deploy, Timestamp::UNIX_EPOCH).is_err());
        assert_eq!(node, before);
    }

    #[test]
    fn a_failed_manual_clean_still_aims_at_manageable() {
        let mut node = node();
        let now = Timestamp::UNIX_EPOCH;
        for event in [Event::Manage, Event::Done, Event::Clean, Event::Wait, Event::Fail] {
            node.apply(event, now).unwrap();
        }
        assert_eq!(node.provision_state, ProvisionState::CleanFailed);
        assert_eq!(node.target_provision_state, Some(ProvisionState::Manageable));
    }

    #[test]
    fn capabilities_come_as_text_or_map_and_the_instance_wins() {
        let mut node = node();
        node.properties.insert("capabilities".into(), "boot_mode:bios, x:y".into());
        assert_eq!(node.capability("boot_mode").as_deref(), Some("bios"));
        node.instance_info.insert("capabilities".into(), serde_json::json!({"boot_mode": "uefi"}));
        assert_eq!(node.capability("boot_mode").as_deref(), Some("uefi"));
        assert_eq!(node.capability("x").as_deref(), Some("y"));
    }

    #[test]
    fn a_node_survives_the_trip_through_json() {
        let mut node = node();
        node.interfaces.set(InterfaceKind::Deploy, "direct");
        let text = serde_json::to_string(&node).unwrap();
        assert_eq!(serde_json::from_str::<Node>(&text).unwrap(), node);
    }
}

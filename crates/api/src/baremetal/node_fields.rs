//! A node as the API shows it: which fields there are, since when, and their values.

use super::fields::{Chosen, Field, Masked, masked_instance_info, maybe_time, time};
use super::redaction::{redacted, viewer};
use crate::call::{Call, links};
use crate::policy::Credentials;
use conductor::Share;
use model::node::{InterfaceKind, Node};
use model::secret::MASK;
use model::state::ProvisionState;
use model::step::Step;
use model::version::{self as v, Microversion};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::LazyLock;
use store::listed::Carried;
use store::{ListedNode, NodeRow};

/// Fields that `fields=` may name, and the microversion of each.
pub const FIELDS: &[Field] = &[
    ("uuid", v::BASE),
    ("automated_clean", v::AUTOMATED_CLEAN),
    ("bios_interface", v::BIOS),
    ("boot_interface", v::INTERFACES),
    ("boot_mode", v::BOOT_MODE),
    ("clean_step", v::CLEAN_STEP),
    ("conductor_group", v::CONDUCTOR_GROUP),
    ("console_enabled", v::BASE),
    ("console_interface", v::INTERFACES),
    ("disable_power_off", v::DISABLE_POWER_OFF),
    ("deploy_interface", v::INTERFACES),
    ("deploy_step", v::DEPLOY_STEP),
    ("description", v::DESCRIPTION),
    ("driver", v::BASE),
    ("driver_info", v::BASE),
    ("driver_internal_info", v::DRIVER_INTERNAL_INFO),
    ("extra", v::BASE),
    ("fault", v::FAULT),
    ("firmware_interface", v::FIRMWARE),
    ("health", v::HEALTH),
    ("inspection_finished_at", v::INSPECT),
    ("inspection_started_at", v::INSPECT),
    ("inspect_interface", v::INTERFACES),
    ("instance_info", v::BASE),
    ("instance_name", v::INSTANCE_NAME),
    ("instance_uuid", v::BASE),
    ("last_error", v::BASE),
    ("lessee", v::LESSEE),
    ("maintenance", v::BASE),
    ("maintenance_reason", v::BASE),
    ("management_interface", v::INTERFACES),
    ("name", v::NODE_NAME),
    ("network_data", v::NETWORK_DATA),
    ("network_interface", v::NETWORK_INTERFACE),
    ("owner", v::OWNER),
    ("parent_node", v::PARENT_NODE),
    ("power_interface", v::INTERFACES),
    ("power_state", v::BASE),
    ("properties", v::BASE),
    ("protected", v::PROTECTED),
    ("protected_reason", v::PROTECTED),
    ("provision_state", v::BASE),
    ("provision_updated_at", v::BASE),
    ("raid_config", v::RAID),
    ("raid_interface", v::INTERFACES),
    ("rescue_interface", v::RESCUE),
    ("reservation", v::BASE),
    ("resource_class", v::RESOURCE_CLASS),
    ("retired", v::RETIRED),
    ("retired_reason", v::RETIRED),
    ("secure_boot", v::BOOT_MODE),
    ("service_step", v::SERVICE),
    ("shard", v::SHARD),
    ("storage_interface", v::STORAGE_INTERFACE),
    ("target_power_state", v::BASE),
    ("target_provision_state", v::BASE),
    ("target_raid_config", v::RAID),
    ("traits", v::TRAITS),
    ("vendor_interface", v::INTERFACES),
    ("conductor", v::CONDUCTORS),
    ("allocation_uuid", v::ALLOCATIONS),
    ("chassis_uuid", v::BASE),
];

/// Fields that are not in a node's document; they stand behind those that are.
pub const BESIDE: &[&str] = &["reservation", "conductor"];

/// Fields that only a whole node has.
const WHOLE_ONLY: &[Field] = &[("created_at", v::BASE), ("updated_at", v::BASE)];

/// Links to what is below a node; only a whole node has them.
pub const SUBRESOURCES: &[Field] = &[
    ("ports", v::BASE),
    ("states", v::STATE_LINKS),
    ("portgroups", v::PORTGROUP_LISTS),
    ("volume", v::VOLUMES),
];

/// All that a whole node has but its own links.
pub const ALL: &[&[Field]] = &[FIELDS, WHOLE_ONLY, SUBRESOURCES, &[("links", v::BASE)]];

/// Fields of a list without `detail`.
pub const DEFAULT: &[&str] =
    &["instance_uuid", "maintenance", "power_state", "provision_state", "uuid", "name"];

/// The microversion that a field of a node came with, if there is such a field.
pub fn since(field: &str) -> Option<Microversion> {
    FIELDS.iter().chain(WHOLE_ONLY).find(|(name, _)| *name == field).map(|(_, since)| *since)
}

/// What a view of nodes needs beside the node.
#[derive(Debug)]
pub struct Context<'a> {
    /// Microversion.
    pub version: Microversion,
    /// Fields.
    pub chosen: &'a Chosen,
    /// How links begin.
    pub base_url: &'a str,
    /// Who conducts which node.
    pub share: Share,
    /// Who looks, if not all is shown to everybody.
    pub viewer: Option<&'a Credentials>,
}

impl<'a> Context<'a> {
    /// What a call asks for.
    pub fn of(call: &'a Call, chosen: &'a Chosen) -> Self {
        Self {
            version: call.version,
            chosen,
            base_url: &call.base_url,
            share: call.state.conductor.share(),
            viewer: viewer(call),
        }
    }

    /// The fields that are shown, those that only a whole node has aside.
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> {
        FIELDS.iter().filter(|(name, since)| self.version.has(*since) && self.chosen.has(name))
    }
}

/// A node, ready to be written as JSON.
pub struct NodeView<'a> {
    /// The node; whether its secrets are masked already doesn't matter.
    pub node: &'a Node,
    /// What of it was not read because it is written as it is, secrets as masks.
    pub carried: Option<&'a Carried>,
    /// Who holds it.
    pub reservation: Option<&'a str>,
    /// The rest.
    pub context: &'a Context<'a>,
}

impl<'a> NodeView<'a> {
    /// A view of a row.
    pub fn of(row: &'a NodeRow, context: &'a Context<'a>) -> Self {
        Self { node: &row.node, carried: None, reservation: row.reservation.as_deref(), context }
    }

    /// A view of a row of a list.
    pub fn of_listed(row: &'a ListedNode, context: &'a Context<'a>) -> Self {
        Self {
            node: &row.node,
            carried: Some(&row.carried),
            reservation: row.reservation.as_deref(),
            context,
        }
    }
}

impl Serialize for NodeView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let context = self.context;
        let mut map = serializer.serialize_map(None)?;
        self.document(&mut map)?;
        for (name, _) in self.context.fields().filter(|(name, _)| BESIDE.contains(name)) {
            self.field(name, &mut map)?;
        }
        let path = format!("nodes/{}", self.node.uuid);
        map.serialize_entry("links", &links(context.base_url, &path))?;
        if matches!(context.chosen, Chosen::All) {
            for (name, since) in SUBRESOURCES {
                if context.version.has(*since) {
                    map.serialize_entry(name, &links(context.base_url, &[&path, "/", name].concat()))?;
                }
            }
        }
        map.end()
    }
}

/// What a view shows of the document alone: not who holds the node, nor who conducts it, nor links.
pub struct DocumentView<'a>(pub NodeView<'a>);

impl Serialize for DocumentView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.0.document(&mut map)?;
        map.end()
    }
}

impl NodeView<'_> {
    /// Writes the fields that are chosen, of those that the document has.
    fn document<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        for (name, _) in self.context.fields().filter(|(name, _)| !BESIDE.contains(name)) {
            self.field(name, map)?;
        }
        if matches!(self.context.chosen, Chosen::All) {
            map.serialize_entry("created_at", &time(self.node.created_at))?;
            map.serialize_entry("updated_at", &maybe_time(self.node.updated_at))?;
        }
        Ok(())
    }

    /// Writes one field.
    fn field<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        let node = self.node;
        // Before anything else: what is carried is no less secret.
        if let Some(text) = redacted(self.context.viewer, node, name) {
            return map.serialize_entry(name, &text);
        }
        if let Some(raw) = self.carried.and_then(|carried| carried.get(name)) {
            return map.serialize_entry(name, raw);
        }
        match name {
            "uuid" => map.serialize_entry(name, &node.uuid),
            "automated_clean" => map.serialize_entry(name, &node.automated_clean),
            "boot_mode" => map.serialize_entry(name, &node.boot_mode),
            "clean_step" => map.serialize_entry(name, &step(node.clean_step.as_ref())),
            "conductor_group" => map.serialize_entry(name, &node.conductor_group),
            "console_enabled" => map.serialize_entry(name, &node.console_enabled),
            "disable_power_off" => map.serialize_entry(name, &node.disable_power_off),
            "deploy_step" => map.serialize_entry(name, &step(node.deploy_step.as_ref())),
            "description" => map.serialize_entry(name, &node.description),
            "driver" => map.serialize_entry(name, &node.driver),
            "driver_info" => map.serialize_entry(name, &Masked(&node.driver_info)),
            "driver_internal_info" => map.serialize_entry(name, &internal_info(node)),
            "extra" => map.serialize_entry(name, &node.extra),
            "fault" => map.serialize_entry(name, &node.fault),
            "health" => map.serialize_entry(name, &node.health),
            "inspection_finished_at" => map.serialize_entry(name, &maybe_time(node.inspection_finished_at)),
            "inspection_started_at" => map.serialize_entry(name, &maybe_time(node.inspection_started_at)),
            "instance_info" => map.serialize_entry(name, &masked_instance_info(&node.instance_info)),
            "instance_name" => map.serialize_entry(name, &node.instance_name),
            "instance_uuid" => map.serialize_entry(name, &node.instance_uuid),
            "last_error" => map.serialize_entry(name, &node.last_error),
            "lessee" => map.serialize_entry(name, &node.lessee),
            "maintenance" => map.serialize_entry(name, &node.maintenance),
            "maintenance_reason" => map.serialize_entry(name, &node.maintenance_reason),
            "name" => map.serialize_entry(name, &node.name),
            "network_data" => map.serialize_entry(name, &node.network_data),
            "owner" => map.serialize_entry(name, &node.owner),
            "parent_node" => map.serialize_entry(name, &node.parent_node),
            "power_state" => map.serialize_entry(name, &node.power_state),
            "properties" => map.serialize_entry(name, &node.properties),
            "protected" => map.serialize_entry(name, &node.protected),
            "protected_reason" => map.serialize_entry(name, &node.protected_reason),
            "provision_state" => {
                map.serialize_entry(name, &provision_state(node.provision_state, self.context.version))
            }
            "provision_updated_at" => map.serialize_entry(name, &maybe_time(node.provision_updated_at)),
            "raid_config" => map.serialize_entry(name, &node.raid_config),
            "reservation" => map.serialize_entry(name, &self.reservation),
            "resource_class" => map.serialize_entry(name, &node.resource_class),
            "retired" => map.serialize_entry(name, &node.retired),
            "retired_reason" => map.serialize_entry(name, &node.retired_reason),
            "secure_boot" => map.serialize_entry(name, &node.secure_boot),
            "service_step" => map.serialize_entry(name, &step(node.service_step.as_ref())),
            "shard" => map.serialize_entry(name, &node.shard),
            "target_power_state" => {
                map.serialize_entry(name, &node.target_power_state.map(|target| target.outcome()))
            }
            "target_provision_state" => map.serialize_entry(name, &node.target_provision_state),
            "target_raid_config" => map.serialize_entry(name, &node.target_raid_config),
            "traits" => map.serialize_entry(name, &node.traits),
            "conductor" => {
                let share = &self.context.share;
                map.serialize_entry(name, &share.conductor_of(node.uuid, &node.conductor_group, &node.driver))
            }
            "allocation_uuid" => map.serialize_entry(name, &node.allocation_uuid),
            "chassis_uuid" => map.serialize_entry(name, &node.chassis_uuid),
            // What is left are the interfaces.
            _ => map.serialize_entry(name, &interface(name).and_then(|kind| node.interfaces.get(kind))),
        }
    }
}

/// The interface kind of a field `X_interface`. By a table: a list asks for every interface of every node.
pub fn interface(field: &str) -> Option<InterfaceKind> {
    static KINDS: LazyLock<HashMap<String, InterfaceKind>> = LazyLock::new(|| {
        InterfaceKind::ALL.iter().map(|kind| (format!("{kind}_interface"), *kind)).collect()
    });
    KINDS.get(field).copied()
}

/// A state as older clients know it.
pub fn provision_state(state: ProvisionState, version: Microversion) -> Option<&'static str> {
    match state {
        ProvisionState::Available if !version.has(v::AVAILABLE_STATE) => None,
        ProvisionState::InspectWait if !version.has(v::INSPECT_WAIT) => {
            Some(ProvisionState::Inspecting.as_str())
        }
        other => Some(other.as_str()),
    }
}

fn step(step: Option<&Step>) -> Value {
    step.map_or_else(|| json!({}), Step::shown)
}

/// `driver_internal_info`: the stored bag, and what tools look for in it (`conductor.md` §15) from where Billet keeps it.
pub fn internal_info(node: &Node) -> Map<String, Value> {
    let mut info = match json!(Masked(&node.driver_internal_info)) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    let agent = &node.agent;
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            info.insert(key.to_owned(), value);
        }
    };
    set("agent_secret_token", agent.token.as_ref().map(|_| Value::from(MASK)));
    set("agent_url", agent.url.clone().map(Value::from));
    set("agent_verify_ca", agent.verify_ca.clone().map(Value::from));
    set("agent_version", agent.version.clone().map(Value::from));
    set("agent_status", agent.status.clone().map(Value::from));
    set("agent_status_message", agent.status_message.clone().map(Value::from));
    set("agent_last_heartbeat", maybe_time(agent.last_heartbeat).map(Value::from));
    info
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use uuid::Uuid;

    fn view(node: &Node, version: Microversion) -> Value {
        let context = Context {
            version,
            chosen: &Chosen::All,
            base_url: "http://h",
            share: Share::of_one("seed"),
            viewer: None,
        };
        json!(NodeView { node, carried: None, reservation: None, context: &context })
    }

    #[test]
    fn a_whole_node_has_the_contracts_69_keys_at_the_newest_version() {
        let node = Node::new(Uuid::nil(), "ipmi", Timestamp::UNIX_EPOCH);
        let shown = view(&node, Microversion::MAX);
        assert_eq!(shown.as_object().map(Map::len), Some(69));
        assert_eq!(shown["clean_step"], json!({}));
        assert_eq!(shown["conductor"], "seed");
    }

    #[test]
    fn fields_appear_with_their_microversion() {
        let node = Node::new(Uuid::nil(), "ipmi", Timestamp::UNIX_EPOCH);
        for minor in 1..=Microversion::MAX.minor() {
            let version = Microversion::new(minor).unwrap();
            let shown = view(&node, version);
            for (name, since) in FIELDS.iter().chain(SUBRESOURCES) {
                assert_eq!(shown.get(*name).is_some(), version.has(*since), "{name} at {version}");
            }
        }
    }

    #[test]
    fn old_clients_see_old_words() {
        let at = |minor| Microversion::new(minor).unwrap();
        assert_eq!(provision_state(ProvisionState::Available, at(1)), None);
        assert_eq!(provision_state(ProvisionState::Available, at(2)), Some("available"));
        assert_eq!(provision_state(ProvisionState::InspectWait, at(38)), Some("inspecting"));
        assert_eq!(provision_state(ProvisionState::InspectWait, at(39)), Some("inspect wait"));
    }

    #[test]
    fn a_token_never_shows() {
        let mut node = Node::new(Uuid::nil(), "ipmi", Timestamp::UNIX_EPOCH);
        node.agent.token = Some(model::Secret::new("s3cr3t"));
        node.driver_info.insert("ipmi_password".into(), "s3cr3t".into());
        let shown = view(&node, Microversion::MAX);
        assert!(!shown.to_string().contains("s3cr3t"));
        assert_eq!(shown["driver_internal_info"]["agent_secret_token"], MASK);
    }
}

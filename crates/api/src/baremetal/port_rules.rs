//! Rules of ports: what may stand in one, and when it may change.

use super::vifs::attached;
use crate::args::{is_logical_name, normal_mac, parse_uuid};
use crate::error::ApiError;
use crate::wording::{display, repr, repr_text};
use model::node::{InterfaceKind, Node, Object};
use model::port::Port;
use model::portgroup::Portgroup;
use model::state::ProvisionState as S;
use model::version::{self as v, Microversion};
use serde_json::Value;

/// Checks and normalises a `local_link_connection`: switch and port, smart NIC, unmanaged, OVN, or nothing.
pub fn local_link(mut link: Object) -> Result<Object, ApiError> {
    const KNOWN: &[&str] = &[
        "port_id",
        "switch_id",
        "hostname",
        "switch_info",
        "network_type",
        "vtep-logical-switch",
        "vtep-physical-switch",
    ];
    if link.is_empty() {
        return Ok(link);
    }
    let has = |key: &str| link.contains_key(key);
    let cause = if let Some(key) = link.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        Some(format!("Additional properties are not allowed ({} was unexpected)", repr_text(key)))
    } else if let Some(value) = link.values().find(|value| !value.is_string()) {
        Some(format!("{} is not of type 'string'", repr(value)))
    } else if has("vtep-logical-switch") != has("vtep-physical-switch") {
        Some("'vtep-physical-switch' and 'vtep-logical-switch' depend on each other".to_owned())
    } else if link.get("network_type").is_some_and(|kind| kind == "unmanaged") {
        None
    } else if !has("port_id") {
        Some("'port_id' is a required property".to_owned())
    } else if !(has("switch_id") || has("hostname") || has("vtep-logical-switch")) {
        Some("'switch_id' is a required property".to_owned())
    } else {
        link.get("network_type")
            .filter(|kind| *kind != "managed")
            .map(|kind| format!("{} is not one of ['managed', 'unmanaged']", repr(kind)))
    };
    if let Some(cause) = cause {
        return Err(ApiError::invalid(format!(
            "Schema error for local_link_connection: {} is not valid under any of the given schemas. Possible root cause: {cause}",
            repr(&Value::Object(link))
        )));
    }
    if let Some(Value::String(switch)) = link.get_mut("switch_id") {
        let datapath = switch.strip_prefix("0x").unwrap_or(switch);
        let is_datapath = datapath.len() == 16 && datapath.bytes().all(|byte| byte.is_ascii_hexdigit());
        *switch = match normal_mac(switch) {
            Some(mac) => mac,
            None if is_datapath => switch.to_ascii_lowercase(),
            None => {
                return Err(ApiError::invalid(format!(
                    "Expected a MAC address or OpenFlow datapath ID but received {}.",
                    switch.chars().take(crate::limits::QUOTED_CHARACTERS).collect::<String>()
                )));
            }
        };
    }
    Ok(link)
}

/// Checks what the schema doesn't know of a port.
pub fn check_name(port: &Port) -> Result<(), ApiError> {
    match &port.name {
        Some(name) if !is_logical_name(name) || parse_uuid(name).is_some() => {
            Err(ApiError::invalid(format!(
                "Cannot use '{}' as the name of a port: it may have letters, digits, '-', '.', '_' and '~', and may not be a UUID",
                display(&Value::from(name.as_str()))
            )))
        }
        _ => Ok(()),
    }
}

/// A physical network that is set has a name.
pub fn check_physical_network(port: &Port) -> Result<(), ApiError> {
    if port.physical_network.as_deref() == Some("") {
        return Err(ApiError::invalid("A non-empty value is required when setting physical_network"));
    }
    Ok(())
}

/// States in which what connects a node to its networks may change.
pub const CONNECTABLE: [S; 4] = [S::Enroll, S::Inspecting, S::InspectWait, S::Manageable];

/// May what connects the node to its networks change now? In maintenance always.
pub fn is_connectable(node: &Node) -> bool {
    node.maintenance || CONNECTABLE.contains(&node.provision_state)
}

/// Is the node under inspection, so that only the inspection changes its ports? Old clients don't know of such a state.
pub fn is_inspecting(node: &Node, version: Microversion) -> bool {
    node.provision_state == S::Inspecting && version.has(v::INSPECT_WAIT)
}

/// What connects a node to its networks changes only while nobody relies on it.
pub fn check_connectivity(before: &Port, after: &Port, node: &Node) -> Result<(), ApiError> {
    let in_use = node.provision_state == S::Active || node.instance_uuid.is_some();
    if in_use && before.address != after.address && !node.maintenance {
        return Err(ApiError::conflict(format!(
            "Cannot update hardware address for port {} as node {} is active or has instance UUID assigned",
            before.uuid, node.uuid
        )));
    }
    let changed = before.portgroup_uuid != after.portgroup_uuid
        || before.pxe_enabled != after.pxe_enabled
        || before.local_link_connection != after.local_link_connection
        || before.physical_network != after.physical_network;
    if changed && !is_connectable(node) {
        return Err(ApiError::conflict(format!(
            "Port {} can not have any connectivity attributes (portgroup_id, pxe_enabled, local_link_connection, \
             physical_network) updated unless node {} is in a {} state or in maintenance mode. The current state is {}.",
            before.uuid,
            node.uuid,
            CONNECTABLE.map(S::as_str).join(", "),
            node.provision_state
        )));
    }
    Ok(())
}

/// All ports of a group are on one physical network: that of `others`, the group's other ports, else the group's own.
///
/// Out comes the network that the group takes from this port, its first one.
pub fn join(port: &Port, group: &Portgroup, others: &[Port]) -> Result<Option<String>, ApiError> {
    let name = |network: &Option<String>| network.clone().unwrap_or_else(|| "None".to_owned());
    let network = match others.first() {
        Some(other) => &other.physical_network,
        None if group.physical_network.is_some() => &group.physical_network,
        None => return Ok(port.physical_network.clone()),
    };
    if let Some(other) = others.iter().find(|other| other.physical_network != *network) {
        return Err(ApiError::conflict(format!(
            "Port group {} has member ports with inconsistent physical networks ({}, {}). All ports in a port group must have \
             the same physical network.",
            group.uuid,
            name(network),
            name(&other.physical_network)
        )));
    }
    if port.physical_network != *network {
        return Err(ApiError::conflict(format!(
            "Port with physical network {} cannot become a member of port group {} which has ports in physical network {}.",
            name(&port.physical_network),
            group.uuid,
            name(network)
        )));
    }
    Ok(None)
}

/// Does the node's network interface look after VIFs? `noop` doesn't, so they put no rules on its ports.
fn minds_vifs(node: &Node) -> bool {
    node.interfaces.get(InterfaceKind::Network) != Some("noop")
}

/// The VIF that keeps a port from being deleted.
pub fn binding_vif<'a>(port: &'a Port, node: &Node) -> Option<&'a str> {
    attached(&port.internal_info).filter(|_| minds_vifs(node) && !node.maintenance)
}

/// Why a port is more than a part of its group, in the words that follow "because of": `verb` is "was" or "is".
fn standing_alone(port: &Port, verb: &str, place: &str) -> Option<String> {
    let boots = port.pxe_enabled.then(|| format!("'pxe_enabled' {verb} set to True"));
    let vif = attached(&port.internal_info).map(|vif| format!("VIF {vif} is attached to {place} port"));
    let reasons: Vec<_> = boots.into_iter().chain(vif).collect();
    (!reasons.is_empty()).then(|| reasons.join(", "))
}

/// A port of a group whose ports can't be used by themselves neither boots nor has a VIF of its own.
pub fn check_standalone(before: &Port, after: &Port, group: &Portgroup, node: &Node) -> Result<(), ApiError> {
    let touched = before.pxe_enabled != after.pxe_enabled
        || before.portgroup_uuid != after.portgroup_uuid
        || attached(&after.internal_info).is_some();
    if group.standalone_ports_supported || !touched || !minds_vifs(node) {
        return Ok(());
    }
    match standing_alone(after, "was", "the") {
        Some(reasons) => Err(ApiError::conflict(format!(
            "Port group {} doesn't support standalone ports. This port {} cannot be  a member of that port group because of: \
             {reasons}",
            group.uuid, after.uuid
        ))),
        None => Ok(()),
    }
}

/// The same of all ports of a group that shall become such a one.
pub fn check_members_standalone(group: &Portgroup, node: &Node, members: &[Port]) -> Result<(), ApiError> {
    if !minds_vifs(node) {
        return Ok(());
    }
    match members.iter().find_map(|port| standing_alone(port, "is", "this")) {
        Some(reasons) => Err(ApiError::conflict(format!(
            "standalone_ports_supported can not be set to False, because the port group {} contains port with {reasons}",
            group.uuid
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use serde_json::json;
    use uuid::Uuid;

    fn link(value: Value) -> Result<Value, String> {
        local_link(value.as_object().cloned().unwrap()).map(Value::Object).map_err(|error| error.text)
    }

    #[test]
    fn local_links_have_their_five_forms() {
        for good in [
            json!({}),
            json!({"port_id": "p", "switch_id": "52:54:00:aa:bb:cc", "switch_info": "s"}),
            json!({"port_id": "p", "hostname": "h"}),
            json!({"network_type": "unmanaged"}),
            json!({"port_id": "p", "vtep-logical-switch": "l", "vtep-physical-switch": "q"}),
        ] {
            assert_eq!(link(good.clone()), Ok(good));
        }
        for bad in [
            json!({"a": 1}),
            json!({"port_id": "p"}),
            json!({"network_type": "managed"}),
            json!({"network_type": "x"}),
            json!({"port_id": 1, "switch_id": "x"}),
            json!({"port_id": "p", "vtep-logical-switch": "l"}),
            json!({"port_id": "p", "switch_id": "nonsense"}),
        ] {
            assert!(link(bad.clone()).is_err(), "{bad}");
        }
        assert_eq!(
            link(json!({"port_id": "p", "switch_id": "52:54:00:AA:BB:CC"})).unwrap()["switch_id"],
            "52:54:00:aa:bb:cc"
        );
    }

    fn port(network: Option<&str>) -> Port {
        let mut port =
            Port::new(Uuid::new_v4(), Uuid::nil(), "52:54:00:aa:bb:cc".into(), Timestamp::UNIX_EPOCH);
        port.physical_network = network.map(str::to_owned);
        port
    }

    #[test]
    fn a_group_is_on_one_physical_network() {
        let mut group = Portgroup::new(Uuid::nil(), Uuid::nil(), Timestamp::UNIX_EPOCH);
        assert_eq!(join(&port(None), &group, &[]), Ok(None));
        assert_eq!(join(&port(Some("a")), &group, &[]), Ok(Some("a".into())), "the group takes it");
        assert_eq!(join(&port(Some("a")), &group, &[port(Some("a"))]), Ok(None));
        let text = |one, others: &[Port]| join(&port(one), &group, others).unwrap_err().text;
        assert!(text(Some("a"), &[port(None)]).contains("has ports in physical network None"));
        assert!(text(None, &[port(Some("b"))]).contains("physical network None cannot become"));
        assert!(
            text(None, &[port(None), port(Some("b"))]).contains("inconsistent physical networks (None, b)")
        );
        group.physical_network = Some("g".into());
        assert_eq!(join(&port(Some("g")), &group, &[]), Ok(None));
        assert!(join(&port(None), &group, &[]).is_err());
    }

    #[test]
    fn ports_of_a_group_without_standalone_ports_are_parts_of_it_only() {
        let mut node = Node::new(Uuid::nil(), "ipmi", Timestamp::UNIX_EPOCH);
        let mut group = Portgroup::new(Uuid::nil(), Uuid::nil(), Timestamp::UNIX_EPOCH);
        group.standalone_ports_supported = false;
        let before = port(None);
        let mut after = before.clone();
        after.portgroup_uuid = Some(group.uuid);
        let refusal = |after: &Port, node: &Node| {
            check_standalone(&before, after, &group, node).err().map(|error| error.text)
        };
        assert!(refusal(&after, &node).unwrap().ends_with("because of: 'pxe_enabled' was set to True"));
        after.pxe_enabled = false;
        assert_eq!(refusal(&after, &node), None);
        after.internal_info.insert("tenant_vif_port_id".into(), "vif-1".into());
        assert!(refusal(&after, &node).unwrap().ends_with("because of: VIF vif-1 is attached to the port"));
        assert!(check_members_standalone(&group, &node, std::slice::from_ref(&after)).is_err());
        node.interfaces.set(InterfaceKind::Network, "noop");
        assert_eq!(refusal(&after, &node), None);
        assert!(check_members_standalone(&group, &node, &[after]).is_ok());
    }
}

//! Rules of ports: what may stand in one, and when it may change.

use crate::args::{is_logical_name, normal_mac, parse_uuid};
use crate::call::Call;
use crate::error::ApiError;
use crate::wording::{repr, repr_text};
use model::node::{Node, Object};
use model::port::Port;
use model::state::ProvisionState as S;
use model::version as v;
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
    } else if let Some(kind) =
        link.get("network_type").filter(|kind| *kind != "managed" && *kind != "unmanaged")
    {
        Some(format!("{} is not one of ['managed', 'unmanaged']", repr(kind)))
    } else if has("vtep-logical-switch") != has("vtep-physical-switch") {
        Some("'vtep-physical-switch' and 'vtep-logical-switch' depend on each other".to_owned())
    } else {
        let fits = (has("port_id") && (has("switch_id") || has("hostname") || has("vtep-logical-switch")))
            || link.get("network_type").is_some_and(|kind| kind == "unmanaged");
        (!fits).then(|| "'port_id' and 'switch_id' are required properties".to_owned())
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
pub fn check_port(port: &Port, call: &Call) -> Result<(), ApiError> {
    if let Some(name) = &port.name
        && (!is_logical_name(name) || parse_uuid(name).is_some())
    {
        return Err(ApiError::invalid(format!(
            "Cannot use '{name}' as the name of a port: it may have letters, digits, \
             '-', '.', '_' and '~', and may not be a UUID"
        )));
    }
    if port.physical_network.as_deref() == Some("") {
        return Err(ApiError::invalid("A non-empty value is required when setting physical_network"));
    }
    if port.local_link_connection.contains_key("network_type") && !call.version.has(v::LINK_NETWORK_TYPE) {
        return Err(ApiError::not_acceptable());
    }
    Ok(())
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
    const ALLOWED: &[S] = &[S::Enroll, S::Inspecting, S::InspectWait, S::Manageable];
    let changed = before.portgroup_uuid != after.portgroup_uuid
        || before.pxe_enabled != after.pxe_enabled
        || before.local_link_connection != after.local_link_connection
        || before.physical_network != after.physical_network;
    if changed && !node.maintenance && !ALLOWED.contains(&node.provision_state) {
        let allowed: Vec<_> = ALLOWED.iter().map(|state| state.as_str()).collect();
        return Err(ApiError::conflict(format!(
            "Port {} can not have any connectivity attributes (portgroup_id, pxe_enabled, local_link_connection, \
             physical_network) updated unless node {} is in a {} state or in maintenance mode. The current state is {}.",
            before.uuid,
            node.uuid,
            allowed.join(", "),
            node.provision_state
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
}

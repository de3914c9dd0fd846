//! What a port may be given, and by whom.

use super::attributes::{Attributes, uuid_of, wrong};
use super::error::{invalid_input, not_found};
use crate::cloud::{Call, CloudError};
use model::network::{
    AddressPair, Cidr, ExtraDhcpOption, NetworkPort, PortStatus, SecurityGroup, is_mac_address,
};
use model::node::Object;
use model::wording::repr;
use serde_json::Value;
use std::net::IpAddr;
use store::{AddressWish, StoreError};

/// Who may give what is the cloud's own.
pub const OPERATOR: &str = "an admin of the cloud";
/// Who may give what others on the network would suffer from.
pub const NETWORK_OWNER: &str = "the owner of the network, or an admin of the cloud";

/// Addresses of one port.
const ADDRESSES: usize = 16;
/// Security groups, address pairs, and options of DHCP of one port.
const ITEMS: usize = 50;
/// Bytes of a binding's profile.
const PROFILE_BYTES: usize = 4095;
/// Neutron's kinds of cards.
const VNIC_TYPES: &[&str] = &[
    "normal",
    "baremetal",
    "direct",
    "direct-physical",
    "macvtap",
    "virtio-forwarder",
    "smart-nic",
    "vdpa",
    "accelerator-direct",
    "accelerator-direct-physical",
    "remote-managed",
];

/// As Neutron's policy has it: what is the cloud's own takes an operator, and what could harm others on a network takes its owner.
pub fn check_who_may(call: &Call, attributes: &Attributes, network_owner: &str) -> Result<(), CloudError> {
    let is_operator = call.is_operator();
    let is_owner = is_operator || call.owns(network_owner);
    attributes.only_if(is_operator, OPERATOR, &["binding:host_id", "binding:profile"])?;
    attributes.only_if(
        is_owner,
        NETWORK_OWNER,
        &["mac_address", "allowed_address_pairs", "port_security_enabled"],
    )?;
    if !is_owner && attributes.starts("device_owner", "network:") {
        attributes.only_if(false, NETWORK_OWNER, &["device_owner"])?;
    }
    if !is_owner && attributes.names_address("fixed_ips") {
        attributes.only_if(false, NETWORK_OWNER, &["fixed_ips"])?;
    }
    Ok(())
}

/// Reads what is given into a port; out come the addresses that are wished for.
pub async fn read(
    call: &Call,
    attributes: &mut Attributes,
    port: &mut NetworkPort,
) -> Result<Option<Vec<AddressWish>>, CloudError> {
    attributes.set_text("name", &mut port.name)?;
    attributes.set_text("description", &mut port.description)?;
    attributes.set_flag("admin_state_up", &mut port.admin_state_up)?;
    attributes.set_flag("port_security_enabled", &mut port.port_security_enabled)?;
    attributes.set_text("device_id", &mut port.device_id)?;
    attributes.set_text("device_owner", &mut port.device_owner)?;
    read_name(attributes, port)?;
    read_mac(attributes, port)?;
    read_binding(attributes, port)?;
    if let Some(groups) = attributes.list("security_groups", ITEMS)? {
        port.security_groups.clear();
        for group in groups {
            let id = uuid_of("security_groups", &group)?;
            let missing = || not_found("Security group", &id.to_string());
            let group: SecurityGroup = match call.state.store.get(&id.to_string()).await {
                Ok(group) => group,
                Err(StoreError::NotFound { .. }) => return Err(missing()),
                Err(error) => return Err(error.into()),
            };
            if !call.may_see(&group.project_id) {
                return Err(missing());
            }
            if !port.security_groups.contains(&id) {
                port.security_groups.push(id);
            }
        }
    }
    if let Some(pairs) = attributes.list("allowed_address_pairs", ITEMS)? {
        port.allowed_address_pairs = pairs.into_iter().map(read_pair).collect::<Result<_, _>>()?;
    }
    if let Some(options) = attributes.list("extra_dhcp_opts", ITEMS)? {
        for option in options {
            let option = read_option(option)?;
            port.extra_dhcp_opts
                .retain(|own| (&own.opt_name, own.ip_version) != (&option.opt_name, option.ip_version));
            if option.opt_value.is_some() {
                port.extra_dhcp_opts.push(option);
            }
        }
        if port.extra_dhcp_opts.len() > ITEMS {
            return Err(wrong("extra_dhcp_opts", &format!("a port has {ITEMS} options at most")));
        }
    }
    for ignored in ["propagate_uplink_status", "numa_affinity_policy", "qos_policy_id", "dns_domain", "hints"]
    {
        // Clients send them empty; with a value they would ask for what is not there.
        if let Some(value) = attributes.take(ignored)
            && !matches!(&value, Value::Null | Value::Bool(_))
            && value.as_str() != Some("")
        {
            return Err(invalid_input(format!("{ignored} is not served here")));
        }
    }
    let wishes = attributes.list("fixed_ips", ADDRESSES)?;
    wishes.map(|wishes| wishes.into_iter().map(read_wish).collect()).transpose()
}

/// A host name (RFC 1123).
fn read_name(attributes: &mut Attributes, port: &mut NetworkPort) -> Result<(), CloudError> {
    let Some(name) = attributes.text("dns_name", 253)? else { return Ok(()) };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if !name.is_empty() && !name.trim_end_matches('.').split('.').all(is_label) {
        return Err(wrong("dns_name", &format!("{} is not a valid host name", repr(&name.into()))));
    }
    port.dns_name = name;
    Ok(())
}

fn read_mac(attributes: &mut Attributes, port: &mut NetworkPort) -> Result<(), CloudError> {
    let Some(mac) = attributes.text("mac_address", 40)?.filter(|mac| !mac.is_empty()) else { return Ok(()) };
    let mac = mac.to_ascii_lowercase().replace('-', ":");
    if !is_mac_address(&mac) {
        return Err(wrong("mac_address", &format!("'{mac}' is not a valid MAC address")));
    }
    if mac != port.mac_address {
        // It is the port's own from now on, bound or not.
        port.own_mac_address = None;
        port.mac_address = mac;
    }
    Ok(())
}

fn read_binding(attributes: &mut Attributes, port: &mut NetworkPort) -> Result<(), CloudError> {
    if attributes.has("binding:host_id") {
        attributes.set_text("binding:host_id", &mut port.binding.host_id)?;
        port.status = if port.binding.host_id.is_empty() { PortStatus::Down } else { PortStatus::Active };
    }
    if let Some(kind) = attributes.text("binding:vnic_type", 40)?.filter(|kind| !kind.is_empty()) {
        if !VNIC_TYPES.contains(&kind.as_str()) {
            let words = VNIC_TYPES.join(", ");
            return Err(wrong("binding:vnic_type", &format!("'{kind}' is not in [{words}]")));
        }
        port.binding.vnic_type = kind;
    }
    match attributes.take("binding:profile") {
        None => {}
        Some(Value::Null) => port.binding.profile = Object::new(),
        Some(Value::Object(profile)) if Value::from(profile.clone()).to_string().len() <= PROFILE_BYTES => {
            port.binding.profile = profile.into_iter().collect();
        }
        Some(Value::Object(_)) => {
            return Err(wrong("binding:profile", &format!("it has more than {PROFILE_BYTES} bytes")));
        }
        Some(other) => return Err(wrong("binding:profile", &format!("{} is not an object", repr(&other)))),
    }
    Ok(())
}

fn read_pair(value: Value) -> Result<AddressPair, CloudError> {
    let mut parts = Attributes::part("allowed_address_pairs", value)?;
    let address = parts.text("ip_address", 100)?.unwrap_or_default();
    let mac = parts.text("mac_address", 40)?.filter(|mac| !mac.is_empty());
    parts.finish(&[])?;
    if address.parse::<Cidr>().is_err() {
        return Err(wrong("allowed_address_pairs", &format!("'{address}' is no IP address or subnet")));
    }
    // None is the port's own, whichever that is.
    let mac = mac.unwrap_or_default().to_ascii_lowercase();
    if !mac.is_empty() && !is_mac_address(&mac) {
        return Err(wrong("allowed_address_pairs", &format!("'{mac}' is not a valid MAC address")));
    }
    Ok(AddressPair { ip_address: address, mac_address: mac })
}

fn read_option(value: Value) -> Result<ExtraDhcpOption, CloudError> {
    let mut parts = Attributes::part("extra_dhcp_opts", value)?;
    let opt_name = parts.text("opt_name", 64)?.unwrap_or_default();
    let opt_value = parts.text("opt_value", 255)?.filter(|value| !value.is_empty());
    let version = parts.number("ip_version", 4..=6)?.unwrap_or(4);
    parts.finish(&[])?;
    if opt_name.trim().is_empty() {
        return Err(wrong("extra_dhcp_opts", "an option has an opt_name"));
    }
    match u8::try_from(version) {
        Ok(ip_version @ (4 | 6)) => Ok(ExtraDhcpOption { opt_name, opt_value, ip_version }),
        _ => Err(wrong("extra_dhcp_opts", &format!("{version} is no version of IP"))),
    }
}

fn read_wish(value: Value) -> Result<AddressWish, CloudError> {
    let shown = repr(&value);
    let mut parts = Attributes::part("fixed_ips", value)?;
    let subnet = parts.uuid("subnet_id")?;
    let address = parts.text("ip_address", 100)?.filter(|address| !address.is_empty());
    parts.finish(&[])?;
    let address = address.map(|text| {
        text.parse::<IpAddr>().map_err(|_| wrong("fixed_ips", &format!("'{text}' is not a valid IP address")))
    });
    match (subnet, address.transpose()?) {
        (Some(subnet), Some(address)) => Ok(AddressWish::Both(subnet, address)),
        (Some(subnet), None) => Ok(AddressWish::Subnet(subnet)),
        (None, Some(address)) => Ok(AddressWish::Address(address)),
        (None, None) => {
            Err(wrong("fixed_ips", &format!("{shown} has neither a subnet_id nor an ip_address")))
        }
    }
}

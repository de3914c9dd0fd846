//! A port of a network: who may be on it, with which addresses.

use crate::node::Object;
use crate::state::words;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use uuid::Uuid;

words! {
    /// Is a port in use?
    PortStatus, "port status" {
        /// A machine is behind it.
        Active => "ACTIVE",
        /// None is.
        Down => "DOWN",
    }
}

/// An address that a port has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FixedIp {
    /// The subnet that it is of.
    pub subnet_id: Uuid,
    /// The address.
    pub ip_address: IpAddr,
}

/// Where a port is, as operators see it (`binding:…`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// Node or host; empty: nowhere.
    pub host_id: String,
    /// `baremetal` or `normal`.
    pub vnic_type: String,
    /// What the switch must know: `local_link_information`.
    pub profile: Object,
}

impl Default for Binding {
    fn default() -> Self {
        Self { host_id: String::new(), vnic_type: "normal".to_owned(), profile: Object::new() }
    }
}

/// Addresses beside its own that a port may use. Kept for clients; nothing here filters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPair {
    /// An address, or a range.
    pub ip_address: String,
    /// MAC address.
    pub mac_address: String,
}

/// An option of DHCP for one port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraDhcpOption {
    /// dnsmasq's name of it, or its number.
    pub opt_name: String,
    /// The value; none takes the option away.
    pub opt_value: Option<String>,
    /// 4 or 6.
    pub ip_version: u8,
}

/// A port as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkPort {
    /// Identity; what a bare-metal port has as its VIF.
    pub id: Uuid,
    /// Network that it is on.
    pub network_id: Uuid,
    /// Project of the network. Kept by the store.
    pub network_owner: String,
    /// Project that it belongs to.
    pub project_id: String,
    /// For people; not unique.
    pub name: String,
    /// For people.
    pub description: String,
    /// MAC address, lower case, colons; unique in the network. Empty only until the store has chosen one.
    pub mac_address: String,
    /// The MAC address that it had before it was bound to a machine.
    pub own_mac_address: Option<String>,
    /// Its addresses.
    pub fixed_ips: Vec<FixedIp>,
    /// May it be used?
    pub admin_state_up: bool,
    /// Is it in use?
    pub status: PortStatus,
    /// Who uses it: a server's UUID. Empty: nobody.
    pub device_id: String,
    /// What kind of user that is: `compute:nova`. Empty: none.
    pub device_owner: String,
    /// Does it outlive its device? False for ports that were made for one.
    pub outlives_device: bool,
    /// Where it is.
    pub binding: Binding,
    /// Security groups.
    pub security_groups: Vec<Uuid>,
    /// Addresses beside its own.
    pub allowed_address_pairs: Vec<AddressPair>,
    /// Options of DHCP.
    pub extra_dhcp_opts: Vec<ExtraDhcpOption>,
    /// Host name.
    pub dns_name: String,
    /// Kept for clients; nothing here filters.
    pub port_security_enabled: bool,
    /// Free words.
    pub tags: Vec<String>,
    /// Counts changes.
    pub revision_number: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl NetworkPort {
    /// A port that nobody uses; the store chooses MAC address and addresses.
    pub fn new(id: Uuid, network_id: Uuid, project_id: impl Into<String>, now: Timestamp) -> Self {
        Self {
            id,
            network_id,
            network_owner: String::new(),
            project_id: project_id.into(),
            name: String::new(),
            description: String::new(),
            mac_address: String::new(),
            own_mac_address: None,
            fixed_ips: Vec::new(),
            admin_state_up: true,
            status: PortStatus::Down,
            device_id: String::new(),
            device_owner: String::new(),
            outlives_device: true,
            binding: Binding::default(),
            security_groups: Vec::new(),
            allowed_address_pairs: Vec::new(),
            extra_dhcp_opts: Vec::new(),
            dns_name: String::new(),
            port_security_enabled: true,
            tags: Vec::new(),
            revision_number: 0,
            created_at: now,
            updated_at: now,
        }
    }
}

/// A MAC address under Neutron's prefix `fa:16:3e`, made of three octets that the caller takes from chance.
pub fn mac_from([a, b, c]: [u8; 3]) -> String {
    format!("fa:16:3e:{a:02x}:{b:02x}:{c:02x}")
}

/// Is it a unicast MAC address in lower case with colons?
pub fn is_mac_address(text: &str) -> bool {
    let octets: Vec<&str> = text.split(':').collect();
    let is_octet = |octet: &&str| {
        octet.len() == 2 && octet.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    octets.len() == 6
        && octets.iter().all(is_octet)
        && u8::from_str_radix(octets[0], 16).is_ok_and(|first| first & 1 == 0)
        && text != "00:00:00:00:00:00"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses_are_told_from_others() {
        assert_eq!(mac_from([0, 10, 255]), "fa:16:3e:00:0a:ff");
        assert!(is_mac_address("52:54:00:12:34:56"));
        for wrong in ["52:54:00:12:34", "52:54:00:12:34:5G", "01:00:00:00:00:01", "", "00:00:00:00:00:00"] {
            assert!(!is_mac_address(wrong), "{wrong}");
        }
        assert!(!is_mac_address("52-54-00-12-34-56"));
    }
}

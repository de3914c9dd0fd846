//! LLDP as ramdisks send it: a list of type and hexadecimal value for each interface (IEEE 802.1AB, annexes D and F of 802.1Q and
//! 802.3). What a switch sends is hostile: every length is checked, and what can't be read is passed over.

use super::findings::{Findings, mac, text};
use model::node::Object;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Interfaces that are looked at.
const INTERFACES: usize = 64;
/// Longest value of a TLV: its length has nine bits.
const LONGEST_VALUE: usize = 511;
/// TLVs of one interface that are looked at.
const TLVS: usize = 256;

/// One type and value.
type Tlv = (u64, Vec<u8>);

/// What the ramdisk heard on an interface: from the collector's own data, else from the inventory.
fn tlvs(found: &Findings, interface: &Object) -> Option<Vec<Tlv>> {
    let name = text(interface, "name")?;
    let raw = found.data.get("lldp_raw").and_then(|raw| raw.get(name));
    let list = raw.filter(|list| !list.is_null()).or_else(|| interface.get("lldp"))?.as_array()?;
    Some(
        list.iter()
            .take(TLVS)
            .filter_map(|pair| Some((pair.get(0)?.as_u64()?, from_hex(pair.get(1)?.as_str()?)?)))
            .collect(),
    )
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || text.len() > 2 * LONGEST_VALUE {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()
        })
        .collect()
}

/// Ports' `local_link_connection`: what is not set yet, from what the switch says of itself.
pub fn local_link_connection(found: &mut Findings) {
    let mut heard = Vec::new();
    for interface in found.interfaces() {
        let Some(address) = text(interface, "mac_address").and_then(mac) else { continue };
        let Some(tlvs) = tlvs(found, interface) else { continue };
        let mut link = Object::new();
        for (kind, value) in &tlvs {
            let (key, said) = match kind {
                1 if value.first() == Some(&4) => ("switch_id", identifier(value, 4, 5)),
                2 => ("port_id", identifier(value, 3, 4)),
                5 => ("switch_info", plain(value)),
                _ => continue,
            };
            if let Some(said) = said {
                link.insert(key.into(), said.into());
            }
        }
        heard.push((address, link));
    }
    for (address, link) in heard {
        if let Some(port) = found.ports.iter_mut().find(|port| port.address == address) {
            for (key, value) in link {
                port.local_link_connection.entry(key).or_insert(value);
            }
        }
    }
}

/// `parsed_lldp`, by interface.
pub fn parse(found: &mut Findings) {
    let mut all = Object::new();
    for interface in found.interfaces().into_iter().take(INTERFACES) {
        let (Some(name), Some(tlvs)) = (text(interface, "name"), tlvs(found, interface)) else { continue };
        let mut said = Object::new();
        for (kind, value) in &tlvs {
            basic(*kind, value, &mut said);
        }
        if !said.is_empty() {
            all.insert(name.to_owned(), said.into());
        }
    }
    if !all.is_empty() {
        found.data.insert("parsed_lldp".into(), all.into());
    }
}

/// The first value of a name stays.
fn set(said: &mut Object, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        said.entry(name).or_insert(value.into());
    }
}

fn append(said: &mut Object, name: &str, value: Option<Value>) {
    let Some(value) = value else { return };
    if let Value::Array(list) = said.entry(name).or_insert_with(|| json!([])) {
        list.push(value);
    }
}

fn basic(kind: u64, value: &[u8], said: &mut Object) {
    match kind {
        1 => set(said, "switch_chassis_id", identifier(value, 4, 5)),
        2 => set(said, "switch_port_id", identifier(value, 3, 4)),
        4 => set(said, "switch_port_description", plain(value)),
        5 => set(said, "switch_system_name", plain(value)),
        6 => set(said, "switch_system_description", plain(value)),
        7 if value.len() == 4 => {
            set(said, "switch_capabilities_support", number(value, 0).map(capabilities));
            set(said, "switch_capabilities_enabled", number(value, 2).map(capabilities));
        }
        8 => append(said, "switch_mgmt_addresses", management_address(value).map(Value::from)),
        127 => match value {
            [0x00, 0x80, 0xc2, kind, rest @ ..] => of_802_1(*kind, rest, said),
            [0x00, 0x12, 0x0f, kind, rest @ ..] => of_802_3(*kind, rest, said),
            _ => {}
        },
        _ => {}
    }
}

fn of_802_1(kind: u8, value: &[u8], said: &mut Object) {
    match kind {
        1 => set(said, "switch_port_untagged_vlan_id", number(value, 0)),
        2 if value.len() == 3 => {
            set(said, "switch_port_protocol_vlan_enabled", Some(value[0] & 4 != 0));
            set(said, "switch_port_protocol_vlan_support", Some(value[0] & 2 != 0));
            append(said, "switch_port_protocol_vlan_ids", number(value, 1).map(Value::from));
        }
        3 => {
            let length = value.get(2).map_or(0, |length| usize::from(*length));
            let name = value.get(3..3 + length).and_then(plain);
            let vlan = number(value, 0).zip(name).map(|(id, name)| json!({"name": name, "id": id}));
            append(said, "switch_port_vlans", vlan);
        }
        4 => {
            let length = value.first().map_or(0, |length| usize::from(*length));
            append(said, "switch_protocol_identities", value.get(1..1 + length).map(to_hex).map(Value::from));
        }
        6 => set(said, "switch_port_management_vlan_id", number(value, 0)),
        7 => aggregation(value, said),
        _ => {}
    }
}

fn of_802_3(kind: u8, value: &[u8], said: &mut Object) {
    match kind {
        1 if value.len() == 5 => {
            set(said, "switch_port_autonegotiation_enabled", Some(value[0] & 2 != 0));
            set(said, "switch_port_autonegotiation_support", Some(value[0] & 1 != 0));
        }
        3 => aggregation(value, said),
        4 => set(said, "switch_port_mtu", number(value, 0)),
        _ => {}
    }
}

fn aggregation(value: &[u8], said: &mut Object) {
    if let [status, a, b, c, d] = value {
        set(said, "switch_port_link_aggregation_enabled", Some(status & 2 != 0));
        set(said, "switch_port_link_aggregation_support", Some(status & 1 != 0));
        set(said, "switch_port_link_aggregation_id", Some(u32::from_be_bytes([*a, *b, *c, *d])));
    }
}

/// Two octets at an offset.
fn number(value: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*value.get(at)?, *value.get(at + 1)?]))
}

/// Text, if it is any.
fn plain(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim_end_matches('\0');
    (!text.is_empty() && !text.chars().any(|letter| letter == '\0')).then(|| text.to_owned())
}

fn to_hex(value: &[u8]) -> String {
    value.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn mac_text(value: &[u8]) -> Option<String> {
    let octets: Vec<_> = value.iter().map(|octet| format!("{octet:02x}")).collect();
    (octets.len() == 6).then(|| octets.join(":"))
}

/// A chassis or port identifier. The subtypes differ: `mac` is that of MAC addresses, `network` that of network addresses.
fn identifier(value: &[u8], mac: u8, network: u8) -> Option<String> {
    let (kind, rest) = value.split_first()?;
    match *kind {
        kind if kind == mac => mac_text(rest),
        kind if kind == network => address(rest),
        1..=7 => plain(rest),
        _ => None,
    }
}

/// An address behind its family.
fn address(value: &[u8]) -> Option<String> {
    match value.split_first()? {
        (1, octets) => Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).to_string()),
        (2, octets) => Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).to_string()),
        (6, octets) => mac_text(octets),
        _ => None,
    }
}

/// A management address behind its length.
fn management_address(value: &[u8]) -> Option<String> {
    let (length, rest) = value.split_first()?;
    address(rest.get(..usize::from(*length))?)
}

fn capabilities(bits: u16) -> Vec<&'static str> {
    const NAMES: [(u16, &str); 10] = [
        (1 << 1, "Repeater"),
        (1 << 2, "Bridge"),
        (1 << 3, "WLAN"),
        (1 << 4, "Router"),
        (1 << 5, "Telephone"),
        (1 << 6, "DOCSIS cable device"),
        (1 << 7, "Station only"),
        (1 << 8, "C-Vlan"),
        (1 << 9, "S-Vlan"),
        (1 << 10, "TPMR"),
    ];
    NAMES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_understood_and_nonsense_is_passed_over() {
        let mut said = Object::new();
        for (kind, hex) in [
            (1, "04112233aabbcc"),
            (2, "0545746865726e65742031"),
            (5, "73772d31"),
            (7, "00140004"),
            (8, "0501c0000201020000000100"),
            (127, "0080c2010064"),
            (127, "0080c303"),
            (127, "0080c2030065047465737"),
            (127, "0080c20300650474657374"),
            (127, "00120f042328"),
            (1, ""),
            (8, "ff"),
        ] {
            if let Some(value) = from_hex(hex) {
                basic(kind, &value, &mut said);
            }
        }
        assert_eq!(
            Value::Object(said),
            json!({
                "switch_chassis_id": "11:22:33:aa:bb:cc",
                "switch_port_id": "Ethernet 1",
                "switch_system_name": "sw-1",
                "switch_capabilities_support": ["Bridge", "Router"],
                "switch_capabilities_enabled": ["Bridge"],
                "switch_mgmt_addresses": ["192.0.2.1"],
                "switch_port_untagged_vlan_id": 100,
                "switch_port_vlans": [{"name": "test", "id": 101}],
                "switch_port_mtu": 9000,
            })
        );
    }
}

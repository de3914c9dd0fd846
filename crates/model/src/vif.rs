//! Virtual interfaces: which port or port group of a node carries one. Kept in `internal_info.tenant_vif_port_id` of either, as Ironic's
//! `flat` network keeps them.

use crate::node::{InterfaceKind, Node, Object};
use crate::port::Port;
use crate::portgroup::Portgroup;
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;

const KEY: &str = "tenant_vif_port_id";

/// The VIF that is attached to the port, or port group, of this `internal_info`.
pub fn attached(internal_info: &Object) -> Option<&str> {
    internal_info.get(KEY).and_then(Value::as_str)
}

/// Attaches a VIF to the port, or port group, of this `internal_info`.
pub fn attach(internal_info: &mut Object, vif: &str) {
    internal_info.insert(KEY.to_owned(), vif.into());
}

/// Detaches the VIF from the port, or port group, of these objects.
pub fn detach(internal_info: &mut Object, extra: &mut Object) {
    internal_info.remove(KEY);
    // Where the clients of 2016 put it.
    extra.remove("vif_port_id");
}

/// Something that a VIF can be attached to, by its place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A port.
    Port(usize),
    /// A port group.
    Group(usize),
}

/// What the choice of a place is limited to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// This port, by UUID.
    pub port: Option<&'a str>,
    /// This port group, by UUID.
    pub group: Option<&'a str>,
}

/// Where a VIF is attached.
pub fn place_of(ports: &[Port], groups: &[Portgroup], vif: &str) -> Option<Place> {
    let group = groups.iter().position(|group| attached(&group.internal_info) == Some(vif));
    let port = ports.iter().position(|port| attached(&port.internal_info) == Some(vif));
    group.map(Place::Group).or(port.map(Place::Port))
}

/// The place that a new VIF gets, as Ironic chooses: port groups come first, then ports that the node boots through.
///
/// A port of a group is only had where another port of the group has a VIF already: then the group as a whole isn't.
pub fn choose(node: &Node, ports: &[Port], groups: &[Portgroup], wanted: Wanted<'_>) -> Option<Place> {
    let is = |wanted: Option<&str>, uuid: Uuid| wanted.is_none_or(|wanted| wanted == uuid.to_string());
    let (mut alone, mut grouped, mut broken) = (Vec::new(), Vec::new(), BTreeSet::new());
    let fits = |port: &Port| is(wanted.port, port.uuid) && is_usable(port, node);
    for (index, port) in ports.iter().enumerate().filter(|(_, port)| fits(port)) {
        match port.portgroup_uuid {
            group if attached(&port.internal_info).is_some() => broken.extend(group),
            None if wanted.group.is_none() => alone.push(index),
            None => {}
            Some(_) => grouped.push(index),
        }
    }
    let mut whole = None;
    for (index, group) in groups.iter().enumerate() {
        if wanted.port.is_some() || !is(wanted.group, group.uuid) || attached(&group.internal_info).is_some()
        {
            continue;
        }
        let mut members =
            grouped.iter().copied().filter(|port| ports[*port].portgroup_uuid == Some(group.uuid));
        if broken.contains(&group.uuid) {
            if wanted.group.is_none() {
                alone.extend(members);
            }
        } else if members.next().is_some() {
            whole = whole.or(Some(Place::Group(index)));
        }
    }
    whole.or_else(|| {
        let boots = alone.iter().find(|port| ports[**port].pxe_enabled).or(alone.first());
        boots.map(|port| Place::Port(*port))
    })
}

/// Does the port say enough of its switch for the node's network interface? Smart NICs have a link of their own kind.
fn is_usable(port: &Port, node: &Node) -> bool {
    if port.extra.get("client-id").and_then(Value::as_str).is_some_and(|id| !id.is_empty()) {
        // InfiniBand finds its own way.
        return true;
    }
    let link = &port.local_link_connection;
    if node.interfaces.get(InterfaceKind::Network) == Some("neutron") && link.is_empty() {
        return false;
    }
    let of_smartnic = ["port_id", "hostname"].iter().all(|key| link.contains_key(*key));
    port.is_smartnic == of_smartnic
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn port(number: u8) -> Port {
        let address = format!("52:54:00:00:00:{number:02x}");
        Port::new(Uuid::from_u128(number.into()), Uuid::nil(), address, Timestamp::UNIX_EPOCH)
    }

    fn group(number: u8) -> Portgroup {
        Portgroup::new(Uuid::from_u128(number.into()), Uuid::nil(), Timestamp::UNIX_EPOCH)
    }

    fn member(number: u8, group: &Portgroup) -> Port {
        Port { portgroup_uuid: Some(group.uuid), ..port(number) }
    }

    fn taken(mut port: Port) -> Port {
        attach(&mut port.internal_info, "other");
        port
    }

    fn chosen(ports: &[Port], groups: &[Portgroup], wanted: Wanted<'_>) -> Option<u128> {
        let node = Node::new(Uuid::nil(), "ipmi", Timestamp::UNIX_EPOCH);
        choose(&node, ports, groups, wanted).map(|place| match place {
            Place::Port(index) => ports[index].uuid.as_u128(),
            Place::Group(index) => groups[index].uuid.as_u128(),
        })
    }

    #[test]
    fn groups_come_first_then_ports_that_boot() {
        let any = Wanted::default();
        let silent = Port { pxe_enabled: false, ..port(1) };
        assert_eq!(chosen(&[], &[], any), None);
        assert_eq!(chosen(std::slice::from_ref(&silent), &[], any), Some(1));
        assert_eq!(chosen(&[silent, port(2), port(3)], &[], any), Some(2));
        let bond = group(9);
        assert_eq!(chosen(&[port(2)], std::slice::from_ref(&bond), any), Some(2), "an empty group is none");
        assert_eq!(chosen(&[port(2), member(3, &bond)], std::slice::from_ref(&bond), any), Some(9));
    }

    #[test]
    fn a_group_whose_port_is_taken_gives_its_other_ports() {
        let bond = group(9);
        let ports = [taken(member(1, &bond)), member(2, &bond)];
        assert_eq!(chosen(&ports, std::slice::from_ref(&bond), Wanted::default()), Some(2));
        let uuid = bond.uuid.to_string();
        let wanted = Wanted { port: None, group: Some(&uuid) };
        assert_eq!(chosen(&ports, std::slice::from_ref(&bond), wanted), None);
    }

    #[test]
    fn a_wanted_place_is_that_or_none() {
        let (bond, other) = (group(8), group(9));
        let ports = [port(1), port(2), member(3, &bond), member(4, &other)];
        let groups = [bond, other];
        let wanted = |uuid: u128| Uuid::from_u128(uuid).to_string();
        let of_port = |uuid: &str| chosen(&ports, &groups, Wanted { port: Some(uuid), group: None });
        let of_group = |uuid: &str| chosen(&ports, &groups, Wanted { port: None, group: Some(uuid) });
        assert_eq!(of_port(&wanted(2)), Some(2));
        assert_eq!(of_port(&wanted(3)), None, "a port of a group is had with the group only");
        assert_eq!(of_port("nonsense"), None);
        assert_eq!(of_group(&wanted(9)), Some(9));
        assert_eq!(of_group(&wanted(1)), None);
    }

    #[test]
    fn smart_nics_and_their_links_belong_together() {
        let node = Node::new(Uuid::nil(), "ipmi", Timestamp::UNIX_EPOCH);
        let mut port = port(1);
        assert!(is_usable(&port, &node));
        port.is_smartnic = true;
        assert!(!is_usable(&port, &node));
        port.local_link_connection.insert("port_id".into(), "p".into());
        port.local_link_connection.insert("hostname".into(), "h".into());
        assert!(is_usable(&port, &node));
        port.is_smartnic = false;
        assert!(!is_usable(&port, &node));
        port.extra.insert("client-id".into(), "ff:00".into());
        assert!(is_usable(&port, &node));
    }

    #[test]
    fn what_is_attached_is_found_and_detached() {
        let mut ports = [port(1), taken(port(2))];
        assert_eq!(place_of(&ports, &[], "other"), Some(Place::Port(1)));
        let Port { internal_info, extra, .. } = &mut ports[1];
        detach(internal_info, extra);
        assert_eq!(place_of(&ports, &[], "other"), None);
    }
}

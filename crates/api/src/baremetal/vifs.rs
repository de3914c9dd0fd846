//! `/v1/nodes/{node}/vifs`: which virtual interfaces are attached to the node's ports and port groups. Kept in
//! `internal_info.tenant_vif_port_id` of either, as Ironic's `flat` network keeps them.

use super::schema::{Property, STRING, property};
use crate::args::{Args, object};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Verb::{Delete, Get, Post};
use crate::route::{Route, Takes};
use crate::wording::{display, repr};
use axum::http::StatusCode;
use model::node::{InterfaceKind, Node, Object};
use model::port::Port;
use model::portgroup::Portgroup;
use model::version as v;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/nodes/{node}/vifs", "baremetal:node:vif:list", handler!(list))
        .says("Lists the virtual interfaces that are attached to the node.")
        .since(v::VIFS)
        .query(&[]),
    Route::new(Post, "/v1/nodes/{node}/vifs", "baremetal:node:vif:attach", handler!(attach))
        .says("Attaches a virtual interface to the node.")
        .since(v::VIFS)
        .query(&[])
        .takes(Takes::Object(PROPERTIES, &["id"]))
        .success(StatusCode::NO_CONTENT),
    Route::new(Delete, "/v1/nodes/{node}/vifs/{vif}", "baremetal:node:vif:detach", handler!(detach))
        .says("Detaches a virtual interface from the node.")
        .since(v::VIFS)
        .query(&[])
        .success(StatusCode::NO_CONTENT),
];

/// What is read of a body; it may carry more.
const PROPERTIES: &[Property] = &[
    property("id", STRING),
    property("port_uuid", STRING).format("uuid").since(v::VIF_PORT),
    property("portgroup_uuid", STRING).format("uuid").since(v::VIF_PORT),
];

const KEY: &str = "tenant_vif_port_id";

/// The VIF that is attached to the port, or port group, of this `internal_info`.
pub fn attached(internal_info: &Object) -> Option<&str> {
    internal_info.get(KEY).and_then(Value::as_str)
}

/// Something that a VIF can be attached to.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    Port(Port),
    Group(Portgroup),
}

/// What the choice of a place is limited to.
#[derive(Debug, Clone, Copy, Default)]
struct Wanted<'a> {
    port: Option<&'a str>,
    group: Option<&'a str>,
}

/// What a node has for VIFs.
struct Places {
    ports: Vec<Port>,
    groups: Vec<Portgroup>,
}

impl Places {
    async fn read(call: &Call, node: Uuid) -> Result<Self, ApiError> {
        let store = &call.state.store;
        Ok(Self { ports: store.ports_of_node(node).await?, groups: store.portgroups_of_node(node).await? })
    }

    /// Where a VIF is attached.
    fn of(&self, vif: &str) -> Option<Place> {
        let group = self.groups.iter().find(|group| attached(&group.internal_info) == Some(vif));
        let port = self.ports.iter().find(|port| attached(&port.internal_info) == Some(vif));
        group.cloned().map(Place::Group).or_else(|| port.cloned().map(Place::Port))
    }

    /// The place that a new VIF gets, as Ironic chooses: port groups come first, then ports that the node boots through.
    ///
    /// A port of a group is only had where another port of the group has a VIF already: then the group as a whole isn't.
    fn choose(&self, node: &Node, wanted: Wanted<'_>) -> Option<Place> {
        let is = |wanted: Option<&str>, uuid: Uuid| wanted.is_none_or(|wanted| wanted == uuid.to_string());
        let (mut alone, mut grouped, mut broken) = (Vec::new(), Vec::new(), BTreeSet::new());
        for port in self.ports.iter().filter(|port| is(wanted.port, port.uuid) && is_usable(port, node)) {
            match port.portgroup_uuid {
                group if attached(&port.internal_info).is_some() => broken.extend(group),
                None if wanted.group.is_none() => alone.push(port),
                None => {}
                Some(_) => grouped.push(port),
            }
        }
        let mut whole = Vec::new();
        for group in self.groups.iter().filter(|group| wanted.port.is_none() && is(wanted.group, group.uuid))
        {
            let members = || grouped.iter().filter(|port| port.portgroup_uuid == Some(group.uuid));
            if attached(&group.internal_info).is_some() {
                continue;
            }
            if !broken.contains(&group.uuid) {
                whole.extend(members().next().map(|_| group));
            } else if wanted.group.is_none() {
                alone.extend(members());
            }
        }
        let first = whole.first().map(|group| Place::Group((*group).clone()));
        first.or_else(|| {
            let boots = alone.iter().find(|port| port.pxe_enabled).or(alone.first());
            boots.map(|port| Place::Port((*port).clone()))
        })
    }
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

/// `GET …/vifs`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let places = Places::read(&call, call.node().await?.node.uuid).await?;
    let infos = places
        .ports
        .iter()
        .map(|port| &port.internal_info)
        .chain(places.groups.iter().map(|group| &group.internal_info));
    let vifs: Vec<_> = infos.filter_map(attached).map(|id| json!({"id": id})).collect();
    Reply::json(&json!({"vifs": vifs}))
}

/// `POST …/vifs {id, port_uuid?, portgroup_uuid?}`
pub async fn attach(call: Call) -> Result<Reply, ApiError> {
    let body = object("vif", call.json()?)?;
    let refuse = |text: String| Err(ApiError::invalid(format!("Schema error for vif: {text}")));
    match body.get("id") {
        None => return refuse("'id' is a required property".to_owned()),
        Some(Value::String(_)) => {}
        Some(other) => return refuse(format!("{} is not of type 'string'", repr(other))),
    }
    let mut args = Args::default();
    args.extend(body);
    let vif = args.uuid_or_name("id")?.unwrap_or_default();
    let mut wanted = Wanted::default();
    if call.version.has(v::VIF_PORT) {
        wanted = Wanted { port: args.text("port_uuid")?, group: args.text("portgroup_uuid")? };
        if wanted.port.is_some() && wanted.group.is_some() {
            return Err(ApiError::invalid("Cannot specify both port_uuid and portgroup_uuid"));
        }
    }
    let node = call.node().await?.node;
    call.hold(node.uuid, attach_to_place(&call, &node, vif, wanted)).await?;
    Ok(Reply::empty())
}

/// Attaches a VIF to a node that is held.
async fn attach_to_place(call: &Call, node: &Node, vif: &str, wanted: Wanted<'_>) -> Result<(), ApiError> {
    let places = Places::read(call, node.uuid).await?;
    if let Some(place) = places.of(vif) {
        let (kind, uuid) = match place {
            Place::Port(port) => ("Port", port.uuid),
            Place::Group(group) => ("Portgroup", group.uuid),
        };
        return Err(ApiError::conflict(format!(
            "Unable to attach VIF because VIF {vif} is already attached to Ironic {kind} {uuid}"
        )));
    }
    let Some(place) = places.choose(node, wanted) else {
        return Err(ApiError::invalid(format!(
            "Unable to attach VIF {vif}, not enough free physical ports."
        )));
    };
    write(call, place, |internal_info, _| {
        internal_info.insert(KEY.to_owned(), vif.into());
    })
    .await
}

/// `DELETE …/vifs/{vif}`
pub async fn detach(call: Call) -> Result<Reply, ApiError> {
    let mut args = Args::default();
    args.extend(Object::from_iter([("vif_id".to_owned(), call.parameter("vif").into())]));
    let vif = args.uuid_or_name("vif_id")?.unwrap_or_default();
    let node = call.node().await?.node.uuid;
    call.hold(node, detach_from_place(&call, node, vif)).await?;
    Ok(Reply::empty())
}

/// Detaches a VIF from a node that is held.
async fn detach_from_place(call: &Call, node: Uuid, vif: &str) -> Result<(), ApiError> {
    let Some(place) = Places::read(call, node).await?.of(vif) else {
        return Err(ApiError::invalid(format!(
            "Unable to detach VIF {} from node {node} because it is not attached to it.",
            display(&Value::from(vif))
        )));
    };
    write(call, place, |internal_info, extra| {
        internal_info.remove(KEY);
        // Where the clients of 2016 put it.
        extra.remove("vif_port_id");
    })
    .await
}

/// Writes a place whose `internal_info` and `extra` were changed.
async fn write(
    call: &Call,
    place: Place,
    change: impl FnOnce(&mut Object, &mut Object),
) -> Result<(), ApiError> {
    match place {
        Place::Port(mut port) => {
            change(&mut port.internal_info, &mut port.extra);
            port.updated_at = Some(call.now());
            Ok(call.state.store.update(&port).await?)
        }
        Place::Group(mut group) => {
            change(&mut group.internal_info, &mut group.extra);
            group.updated_at = Some(call.now());
            Ok(call.state.store.update(&group).await?)
        }
    }
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
        port.internal_info.insert(KEY.into(), "other".into());
        port
    }

    fn chosen(ports: &[Port], groups: &[Portgroup], wanted: Wanted<'_>) -> Option<u128> {
        let node = Node::new(Uuid::nil(), "ipmi", Timestamp::UNIX_EPOCH);
        let places = Places { ports: ports.to_vec(), groups: groups.to_vec() };
        places.choose(&node, wanted).map(|place| match place {
            Place::Port(port) => port.uuid.as_u128(),
            Place::Group(group) => group.uuid.as_u128(),
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
}

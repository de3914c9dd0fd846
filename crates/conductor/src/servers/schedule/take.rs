//! A server takes a node: both, and the places of the server's ports on the node, are written in one transaction.

use super::pool::uses_ports;
use crate::Conductor;
use crate::servers::spawn;
use jiff::Timestamp;
use model::compute::scheduler::{Objection, Request};
use model::compute::{ActionEvent, RequestedNetworks, Server, TaskState};
use model::event::{EventKind, LogEvent};
use model::node::Node;
use model::vif::{self, Place, Wanted};
use store::{MachineEdit, ServerEdit, StoreError};
use uuid::Uuid;

/// What came of trying one node.
pub enum Taken {
    /// It is the server's now.
    Yes,
    /// The server needs none any more.
    Moved,
    /// Somebody holds it.
    Held,
    /// It does not do for this server.
    Unfit(Box<Node>, Objection),
    /// It is not there any more.
    Gone,
}

enum Missed {
    Moved,
    Unfit(Box<Node>, Objection),
    Store(StoreError),
}

impl From<StoreError> for Missed {
    fn from(error: StoreError) -> Self {
        Missed::Store(error)
    }
}

/// Tries to take a node for a server.
pub async fn take(conductor: &Conductor, server: &Server, node: Uuid) -> Result<Taken, StoreError> {
    let now = Timestamp::now();
    let taken = conductor.store().edit_server_with_node(server.uuid, node, now, |edit, machine| {
        let is_same =
            edit.server.task_state == Some(TaskState::Scheduling) && edit.server.work == server.work;
        if !is_same {
            return Err(Missed::Moved);
        }
        if let Some(objection) = objection(conductor, edit, machine) {
            return Err(Missed::Unfit(Box::new(machine.edit.node.clone()), objection));
        }
        belong(conductor, edit, machine, now);
        Ok(())
    });
    match taken.await {
        Ok(_) => Ok(Taken::Yes),
        Err(Missed::Moved) => Ok(Taken::Moved),
        Err(Missed::Unfit(node, objection)) => Ok(Taken::Unfit(node, objection)),
        Err(Missed::Store(StoreError::Locked { .. })) => Ok(Taken::Held),
        Err(Missed::Store(StoreError::NotFound { what: "Server", .. })) => Ok(Taken::Moved),
        Err(Missed::Store(StoreError::NotFound { .. })) => Ok(Taken::Gone),
        Err(Missed::Store(error)) => Err(error),
    }
}

/// Why the node does not do, as it is now; where it does, the server's ports have their places on it.
fn objection(conductor: &Conductor, edit: &ServerEdit, machine: &mut MachineEdit) -> Option<Objection> {
    let request = Request::new(&edit.server, conductor.hostname());
    let MachineEdit { edit: node_edit, ports, portgroups } = machine;
    let node = &node_edit.node;
    let obstacle = conductor.obstacle(node, !ports.is_empty());
    let objection =
        request.objection(node).or_else(|| obstacle.map(|reason| Objection::NotDeployable { reason }));
    if objection.is_some() || !uses_ports(node) {
        return objection;
    }
    let RequestedNetworks::These(wanted) = &edit.server.networks else { return None };
    for (has, one) in wanted.iter().enumerate() {
        let Some(vif) = one.port.or(one.made) else { continue };
        let vif = vif.to_string();
        match vif::choose(node, ports, portgroups, Wanted::default()) {
            Some(Place::Port(index)) => vif::attach(&mut ports[index].internal_info, &vif),
            Some(Place::Group(index)) => vif::attach(&mut portgroups[index].internal_info, &vif),
            None => return Some(Objection::FewPorts { has, wanted: wanted.len() }),
        }
    }
    None
}

/// Writes server and node as each other's.
fn belong(conductor: &Conductor, edit: &mut ServerEdit, machine: &mut MachineEdit, now: Timestamp) {
    let node = &mut machine.edit.node;
    let server = &mut edit.server;
    node.instance_uuid = Some(server.uuid.to_string());
    node.instance_name = Some(server.name.clone());
    node.instance_info = spawn::instance_info(server, conductor.hostname());
    server.node = Some(node.uuid);
    server.host = Some(conductor.hostname().to_owned());
    server.work.waiting_since = None;
    server.task_state = Some(TaskState::Networking);
    let label = node.label();
    tracing::info!(server = %server.uuid, node = %node.uuid, "node chosen");
    let told = format!("by server {} ({})", server.name, server.uuid);
    machine.edit.events.push(LogEvent::new(Some(node.uuid), now, EventKind::Request, "taken", told));
    edit.note(ActionEvent::done("schedule", conductor.hostname(), Some(format!("node {label}")), now));
    edit.nudge = true;
}

//! `deleting`: the machine is torn down, the ports are released, and then there is no such server any more.

use super::visit::{Next, Trouble, Visit, is_of, soon, when_there_is_room};
use crate::Conductor;
use crate::request::{ProvisionRequest, RequestError};
use model::compute::{Server, TaskState};
use model::event::{EventKind, LogEvent};
use model::node::{Node, Object};
use model::state::{Event, Kind, ProvisionState};
use model::vif;
use store::{MachineEdit, NetworkError, StoreError};

/// What came of giving a node back.
pub enum Returned {
    /// It is not the server's any more.
    Yes,
    /// It is on its way.
    NotYet(Next),
    /// It can't be: a sentence on why, and what to do.
    Never(String),
}

pub async fn run(visit: &mut Visit<'_>) -> Result<Next, Trouble> {
    if let Some(node) = visit.node().await? {
        match give_back(visit, &node).await? {
            Returned::Yes => {}
            Returned::NotYet(next) => return Ok(next),
            Returned::Never(reason) => {
                let now = visit.now();
                let message = format!("Error destroying the instance on node {}: {reason}", node.label());
                let told = visit.failed("delete", message.clone());
                return visit
                    .edit(|edit| {
                        edit.note(told);
                        edit.server.fail(500, message, None, now);
                    })
                    .await;
            }
        }
    }
    visit.conductor.release_ports_of(&visit.server).await?;
    let deleted = visit.conductor.store().delete_server(visit.server.uuid, visit.now(), |server| {
        if server.task_state == Some(TaskState::Deleting) { Ok(()) } else { Err(Trouble::Moved) }
    });
    deleted.await?;
    visit.wake(TaskState::Deleting).await?;
    tracing::info!(server = %visit.server.uuid, "deleted");
    Ok(Next::Gone)
}

/// Brings the instance off a node that carries the server: nothing is left to do where nothing was begun.
pub async fn give_back(visit: &mut Visit<'_>, node: &Node) -> Result<Returned, Trouble> {
    use ProvisionState as S;
    let verb = match node.provision_state {
        S::Error if visit.server.work.told => {
            return Ok(Returned::Never(format!(
                "{} Look at the node (openstack baremetal node show {node}), then delete the server again.",
                node.last_error.as_deref().unwrap_or("tearing it down failed."),
                node = node.uuid
            )));
        }
        state if state.apply(Event::Delete).is_ok() => Event::Delete,
        // Held half-way by a step of the operator's: ended first.
        S::DeployHold | S::ServiceHold => Event::Abort,
        state if matches!(state.kind(), Kind::Transient | Kind::Wait | Kind::Hold) => {
            return Ok(Returned::NotYet(Next::Rest(None)));
        }
        _ => {
            visit
                .edit_with_node(node.uuid, |edit, machine| {
                    if !is_of(&machine.edit.node, &edit.server) {
                        return Ok(());
                    }
                    let state = machine.edit.node.provision_state;
                    if state.kind() == Kind::Transient || state.apply(Event::Delete).is_ok() {
                        return Err(Trouble::Moved);
                    }
                    clear(machine, &edit.server);
                    Ok(())
                })
                .await?;
            return Ok(Returned::Yes);
        }
    };
    let request = ProvisionRequest {
        verb,
        config_drive: None,
        steps: None,
        disable_ramdisk: false,
        rescue_password: None,
    };
    let conductor = visit.conductor;
    let told = async {
        let known = conductor.store().node_with_secrets(node.uuid).await.map_err(Trouble::from)?;
        let prepared = conductor.prepare(known, &request).await.map_err(Trouble::from)?;
        let event = visit.begun("unprovision");
        visit
            .edit_with_node(node.uuid, |edit, machine| {
                if !is_of(&machine.edit.node, &edit.server) {
                    return Err(Trouble::Moved);
                }
                conductor.enter(&mut machine.edit, &request, &prepared, event.started_at)?;
                edit.server.work.told = true;
                edit.note(event);
                Ok(())
            })
            .await
    };
    match told.await {
        Ok(_) => Ok(Returned::NotYet(Next::Again)),
        Err(Trouble::Refused(RequestError::Busy(_))) => {
            Ok(Returned::NotYet(Next::Rest(when_there_is_room())))
        }
        // It is held for the moment.
        Err(Trouble::Refused(RequestError::Conflict(_))) => Ok(Returned::NotYet(Next::Rest(soon()))),
        Err(Trouble::Refused(refusal)) => Ok(Returned::Never(refusal.to_string())),
        Err(error) => Err(error),
    }
}

/// Takes the instance off a node on which nothing was done yet.
fn clear(machine: &mut MachineEdit, server: &Server) {
    let node = &mut machine.edit.node;
    node.instance_uuid = None;
    node.instance_name = None;
    node.instance_info = Object::new();
    for port in &mut machine.ports {
        vif::detach(&mut port.internal_info, &mut port.extra);
    }
    for group in &mut machine.portgroups {
        vif::detach(&mut group.internal_info, &mut group.extra);
    }
    let told = format!("by server {} ({})", server.name, server.uuid);
    let now = jiff::Timestamp::now();
    machine.edit.events.push(LogEvent::new(Some(node.uuid), now, EventKind::Request, "given back", told));
}

impl Conductor {
    /// Releases the ports of a server: those that were made for it are deleted. Done again it changes nothing.
    pub(super) async fn release_ports_of(&self, server: &Server) -> Result<(), StoreError> {
        let released =
            self.store().release_network_ports(&server.uuid.to_string(), jiff::Timestamp::now()).await;
        match released {
            Err(NetworkError::Store(error)) => Err(error),
            // A port can't get its own MAC address back while another has it: it is released when that is gone.
            Err(error) => {
                tracing::warn!(server = %server.uuid, %error, "a port can't be released yet");
                Err(StoreError::Locked { node: server.uuid.to_string(), holder: error.to_string() })
            }
            Ok(()) => Ok(()),
        }
    }
}

//! Ports of a server that is there already: attached and detached at once, while the caller waits.

use super::networking::{Machine, Unconnected};
use super::request::{Requester, check_lock, check_state, node_of};
use super::schedule::uses_ports;
use super::visit::is_of;
use crate::Conductor;
use crate::claim::patiently;
use crate::request::RequestError;
use jiff::Timestamp;
use model::compute::{ActionEvent, Server, ServerPort, VmState, WantedPort};
use model::node::Node;
use model::vif::{self, Place, Wanted};
use store::StoreError;
use uuid::Uuid;

/// States in which ports come and go.
const ALLOWED: &[VmState] = &[VmState::Active, VmState::Stopped];

impl Conductor {
    /// Attaches a port to a free network card of a server's machine: a port that the user made, or one that is made on a network.
    pub async fn attach_server_port(
        &self,
        server: Uuid,
        wanted: WantedPort,
        by: &Requester,
    ) -> Result<ServerPort, RequestError> {
        let stored: Server = self.store().get(&server.to_string()).await?;
        check_lock(&stored, by)?;
        check_state(&stored, "attach_interface", ALLOWED)?;
        let node = node_of(&stored, "attach_interface")?;
        let mut wanted = self.named(&wanted, &stored.project_id, by.is_operator).await?;
        if wanted.port.is_none() {
            wanted.made = Some(Uuid::new_v4());
        }
        let vif = wanted.port.or(wanted.made).unwrap_or_default();
        let node = self.occupy(server, node, vif).await?;
        let machine = Machine::read(self, node.clone()).await?;
        let connected = machine.connect(self, &stored, &wanted).await;
        let now = Timestamp::now();
        let port = match connected {
            Ok(port) => port,
            Err(error) => {
                self.vacate(server, node.uuid, vif).await?;
                self.release_port(server, vif).await?;
                return Err(match error {
                    Unconnected::Store(error) => error.into(),
                    Unconnected::Never(reason) => RequestError::Invalid(reason),
                    Unconnected::NotYet(reason) => RequestError::Conflict(reason),
                });
            }
        };
        let mut action = by.action(server, "attach_interface", now);
        action.note(ActionEvent::done("attach_interface", self.hostname(), Some(port.mac.clone()), now));
        let added = port.clone();
        let noted = self.store().edit_server(server, now, |edit| {
            edit.server.ports.push(added);
            edit.record(action);
            Ok::<_, RequestError>(())
        });
        if let Err(error) = noted.await {
            // The server went meanwhile, and did not know of the port.
            self.release_port(server, vif).await?;
            return Err(error);
        }
        Ok(port)
    }

    /// Detaches a port from a server's machine. One that was made for the server is deleted.
    pub async fn detach_server_port(
        &self,
        server: Uuid,
        port: Uuid,
        by: &Requester,
    ) -> Result<(), RequestError> {
        let stored: Server = self.store().get(&server.to_string()).await?;
        check_lock(&stored, by)?;
        check_state(&stored, "detach_interface", ALLOWED)?;
        let node = node_of(&stored, "detach_interface")?;
        if !stored.ports.iter().any(|there| there.port == port) {
            return Err(RequestError::NotFound(format!("Port {port} is not attached to instance {server}.")));
        }
        self.vacate(server, node, port).await?;
        let now = Timestamp::now();
        let mut action = by.action(server, "detach_interface", now);
        action.note(ActionEvent::done("detach_interface", self.hostname(), Some(port.to_string()), now));
        self.store()
            .edit_server(server, now, |edit| {
                edit.server.ports.retain(|there| there.port != port);
                edit.record(action);
                Ok::<_, RequestError>(())
            })
            .await?;
        self.release_port(server, port).await
    }

    /// Attaches a virtual interface to a free place of the server's node; out comes the node.
    async fn occupy(&self, server: Uuid, node: Uuid, vif: Uuid) -> Result<Node, RequestError> {
        let vif = vif.to_string();
        patiently(|| async {
            let edited =
                self.store().edit_server_with_node(server, node, Timestamp::now(), |edit, machine| {
                    let node = &machine.edit.node;
                    if !is_of(node, &edit.server) {
                        return Err(gone(server));
                    }
                    if !uses_ports(node)
                        || vif::place_of(&machine.ports, &machine.portgroups, &vif).is_some()
                    {
                        return Ok(node.clone());
                    }
                    match vif::choose(node, &machine.ports, &machine.portgroups, Wanted::default()) {
                        Some(Place::Port(index)) => {
                            vif::attach(&mut machine.ports[index].internal_info, &vif);
                        }
                        Some(Place::Group(index)) => {
                            vif::attach(&mut machine.portgroups[index].internal_info, &vif);
                        }
                        None => {
                            return Err(RequestError::Invalid(format!(
                                "Failed to attach network adapter device to {server}: its machine has {} network cards, and all of \
                                 them are in use.",
                                machine.ports.len()
                            )));
                        }
                    }
                    Ok(node.clone())
                });
            edited.await.map(|(node, _)| node)
        })
        .await
    }

    /// Detaches a virtual interface from the server's node.
    async fn vacate(&self, server: Uuid, node: Uuid, vif: Uuid) -> Result<(), RequestError> {
        let vif = vif.to_string();
        patiently(|| async {
            let edited = self.store().edit_server_with_node(server, node, Timestamp::now(), |_, machine| {
                match vif::place_of(&machine.ports, &machine.portgroups, &vif) {
                    Some(Place::Port(index)) => {
                        let port = &mut machine.ports[index];
                        vif::detach(&mut port.internal_info, &mut port.extra);
                    }
                    Some(Place::Group(index)) => {
                        let group = &mut machine.portgroups[index];
                        vif::detach(&mut group.internal_info, &mut group.extra);
                    }
                    None => {}
                }
                Ok::<_, RequestError>(())
            });
            match edited.await {
                Err(RequestError::Store(StoreError::NotFound { what: "Node", .. })) => Ok(()),
                other => other.map(|_| ()),
            }
        })
        .await
    }

    async fn release_port(&self, server: Uuid, port: Uuid) -> Result<(), RequestError> {
        let released = self.store().release_network_port(port, &server.to_string(), Timestamp::now()).await;
        released.map_err(|error| match error {
            store::NetworkError::Store(error) => error.into(),
            other => RequestError::Conflict(other.to_string()),
        })
    }
}

fn gone(server: Uuid) -> RequestError {
    RequestError::Conflict(format!("The machine of instance {server} is gone; delete the server."))
}

//! `networking`: the server's ports are made, or taken where the user made them, and get the MAC addresses of their places on the node.

use super::retreat;
use super::visit::{Next, Trouble, Visit, soon};
use crate::Conductor;
use jiff::{SignedDuration, Timestamp};
use model::compute::scheduler::zone;
use model::compute::{RequestedNetworks, Server, ServerPort, TaskState, WantedPort};
use model::network::{Binding, Network, NetworkPort, PortStatus};
use model::node::{Node, Object};
use model::port::Port;
use model::portgroup::Portgroup;
use model::vif::{self, Place};
use store::{AddressWish, NetworkError, PortBinding, StoreError};
use uuid::Uuid;

/// How long a MAC address may be another port's still: the machine's former server is being cleared away.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// Why a server can't be connected.
#[derive(Debug, thiserror::Error)]
pub enum Unconnected {
    /// It can't; the text says why.
    #[error("{0}")]
    Never(String),
    /// Something is in the way that will go.
    #[error("{0}")]
    NotYet(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NetworkError> for Unconnected {
    fn from(error: NetworkError) -> Self {
        match error {
            NetworkError::Store(error) => Unconnected::Store(error),
            NetworkError::MacInUse { .. } => Unconnected::NotYet(error.to_string()),
            other => Unconnected::Never(other.to_string()),
        }
    }
}

pub async fn run(visit: &mut Visit<'_>) -> Result<Next, Trouble> {
    let Some(node) = visit.node().await? else { return retreat::lost(visit).await };
    let wanted = match &visit.server.networks {
        RequestedNetworks::These(wanted) => wanted.clone(),
        RequestedNetworks::Unsaid | RequestedNetworks::Auto | RequestedNetworks::None => Vec::new(),
    };
    let machine = Machine::read(visit.conductor, node).await?;
    let mut ports = Vec::with_capacity(wanted.len());
    for one in &wanted {
        match machine.connect(visit.conductor, &visit.server, one).await {
            Ok(port) => ports.push(port),
            Err(Unconnected::Store(error)) => return Err(error.into()),
            Err(Unconnected::NotYet(reason)) => return wait(visit, reason).await,
            Err(Unconnected::Never(reason)) => return fail(visit, &reason).await,
        }
    }
    let told = ports.iter().map(said).collect::<Vec<_>>().join("; ");
    let event = visit.done("networking", Some(told));
    visit
        .edit(|edit| {
            edit.note(event);
            edit.server.ports = ports;
            edit.server.work.waiting_since = None;
            edit.server.task_state = Some(TaskState::Spawning);
        })
        .await
}

fn said(port: &ServerPort) -> String {
    let addresses: Vec<_> = port.addresses.iter().map(ToString::to_string).collect();
    format!("{} on {}: {}", port.mac, port.network_name, addresses.join(", "))
}

async fn wait(visit: &mut Visit<'_>, reason: String) -> Result<Next, Trouble> {
    let now = visit.now();
    match visit.server.work.waiting_since {
        Some(since) if now.duration_since(since) > PATIENCE => return fail(visit, &reason).await,
        Some(_) => {}
        None => {
            visit.edit(|edit| edit.server.work.waiting_since = Some(now)).await?;
        }
    }
    Ok(Next::Rest(soon()))
}

async fn fail(visit: &mut Visit<'_>, reason: &str) -> Result<Next, Trouble> {
    let message = format!("Failed to allocate the network(s), not rescheduling: {reason}");
    retreat::begin(visit, "networking", message, false).await
}

/// A node with its places for virtual interfaces.
pub struct Machine {
    node: Node,
    ports: Vec<Port>,
    portgroups: Vec<Portgroup>,
}

impl Machine {
    /// Reads what belongs to a node.
    pub async fn read(conductor: &Conductor, node: Node) -> Result<Self, StoreError> {
        let store = conductor.store();
        let (ports, portgroups) =
            (store.ports_of_node(node.uuid).await?, store.portgroups_of_node(node.uuid).await?);
        Ok(Self { node, ports, portgroups })
    }

    /// Makes or takes the port of one connection and binds it to its place. Done again it changes nothing.
    pub async fn connect(
        &self,
        conductor: &Conductor,
        server: &Server,
        wanted: &WantedPort,
    ) -> Result<ServerPort, Unconnected> {
        let store = conductor.store();
        let Some(id) = wanted.port.or(wanted.made) else {
            return Err(Unconnected::Never("a connection names neither a port nor a network".to_owned()));
        };
        let there = match store.get::<NetworkPort>(&id.to_string()).await {
            Ok(port) => Some(port),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let now = Timestamp::now();
        let vnic_type = there.as_ref().map(|port| port.binding.vnic_type.clone());
        let binding = self.binding(server, id, vnic_type);
        let port = match there {
            Some(port) if port.device_id == binding.device_id && is_bound(&port, &binding) => port,
            Some(_) => store.bind_network_port(id, &binding, now).await?,
            None if wanted.port.is_some() => {
                return Err(Unconnected::Never(format!("Port {id} could not be found.")));
            }
            None => make(conductor, server, wanted, id, binding, now).await?,
        };
        let network: Network = store.get(&port.network_id.to_string()).await?;
        Ok(ServerPort {
            port: port.id,
            network: network.id,
            network_name: network.name,
            mac: port.mac_address,
            addresses: port.fixed_ips.iter().map(|fixed| fixed.ip_address).collect(),
            made: !port.outlives_device,
            tag: wanted.tag.clone(),
        })
    }

    fn binding(&self, server: &Server, vif: Uuid, vnic_type: Option<String>) -> PortBinding {
        let (mac_address, link) = match vif::place_of(&self.ports, &self.portgroups, &vif.to_string()) {
            Some(Place::Port(index)) => {
                let port = &self.ports[index];
                (Some(port.address.clone()), port.local_link_connection.clone())
            }
            Some(Place::Group(index)) => (self.portgroups[index].address.clone(), Object::new()),
            None => (None, Object::new()),
        };
        let mut profile = Object::new();
        if !link.is_empty() {
            profile.insert("local_link_information".to_owned(), vec![link].into());
        }
        let zone = server.availability_zone.as_deref().unwrap_or_else(|| zone(&self.node.conductor_group));
        PortBinding {
            device_id: server.uuid.to_string(),
            device_owner: format!("compute:{zone}"),
            binding: Binding {
                host_id: self.node.uuid.to_string(),
                vnic_type: vnic_type.unwrap_or_else(|| "baremetal".to_owned()),
                profile,
            },
            mac_address,
        }
    }
}

fn is_bound(port: &NetworkPort, to: &PortBinding) -> bool {
    port.status == PortStatus::Active
        && port.binding == to.binding
        && to.mac_address.as_ref().is_none_or(|mac| *mac == port.mac_address)
}

/// Makes a port for a server, bound from its first moment.
async fn make(
    conductor: &Conductor,
    server: &Server,
    wanted: &WantedPort,
    id: Uuid,
    to: PortBinding,
    now: Timestamp,
) -> Result<NetworkPort, Unconnected> {
    let network = wanted.network.unwrap_or_default();
    let mut port = NetworkPort::new(id, network, server.project_id.clone(), now);
    port.outlives_device = false;
    port.mac_address = to.mac_address.unwrap_or_default();
    port.device_id = to.device_id;
    port.device_owner = to.device_owner;
    port.binding = to.binding;
    port.dns_name.clone_from(&server.hostname);
    port.status = PortStatus::Active;
    let wish = wanted.fixed_ip.map(|address| [AddressWish::Address(address)]);
    let wishes = wish.as_ref().map(|wish| wish.as_slice());
    match conductor.store().create_network_port(port, wishes, now).await {
        Err(NetworkError::Store(StoreError::NotFound { .. })) => {
            Err(Unconnected::Never(format!("Network {network} could not be found.")))
        }
        made => Ok(made?),
    }
}

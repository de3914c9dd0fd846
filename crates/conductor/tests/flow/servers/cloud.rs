//! A small cloud for these tests: one network with a subnet, pretended nodes, and what must be true of all of it in the end.

use crate::LIMIT;
use crate::site::Site;
use conductor::{RequestError, Requester};
use jiff::Timestamp;
use model::compute::{RequestedNetworks, Server, ServerFlavor, ServerImage, TaskState, WantedPort};
use model::driver::{Enabled, FAKE, resolve};
use model::image::{Image, Status};
use model::network::{Network, NetworkPort, NetworkType, Subnet};
use model::node::{Interfaces, Node, PowerState};
use model::port::Port;
use model::state::ProvisionState;
use model::vif;
use std::collections::BTreeSet;
use std::time::Instant;
use store::{NodeQuery, Query, ServerSecrets, Store, StoreError};
use uuid::Uuid;

/// Images that there are.
const IMAGE: u128 = 1;
pub const OTHER_IMAGE: u128 = 7;

pub struct Cloud {
    store: Store,
    conductor: conductor::Conductor,
    pub network: Uuid,
    image: String,
}

impl Cloud {
    pub async fn new(site: &Site) -> Self {
        let mut network = Network::new(Uuid::new_v4(), "p", Timestamp::now());
        network.name = "private".into();
        network.network_type = NetworkType::Flat;
        let network = site.store.create_network(network).await.unwrap();
        let cidr = "10.0.0.0/16".parse().unwrap();
        let subnet = Subnet::new(Uuid::new_v4(), network.id, "p", cidr, Timestamp::now());
        site.store.create_subnet(subnet).await.unwrap();
        let cloud = Self::over(site, network.id);
        for number in [IMAGE, OTHER_IMAGE] {
            let mut image = Image::new(Uuid::from_u128(number), Some("p".into()), Timestamp::now());
            image.status = Status::Active;
            image.data = Some(format!("{number}"));
            image.disk_format = Some("raw".into());
            image.container_format = Some("bare".into());
            image.size = Some(1024);
            image.os_hash_algo = Some("sha256".into());
            image.os_hash_value = Some("0".repeat(64));
            site.store.create(&image).await.unwrap();
        }
        cloud
    }

    /// The same cloud as another process finds it.
    pub fn over(site: &Site, network: Uuid) -> Self {
        let image = Uuid::from_u128(IMAGE).to_string();
        Self { store: site.store.clone(), conductor: site.conductor.clone(), network, image }
    }

    pub fn image(&self) -> String {
        self.image.clone()
    }

    /// A node that is available and pretends, with so many ports.
    pub async fn node(&self, name: &str, ports: u32) -> Uuid {
        self.node_with(name, ports, |_| {}).await
    }

    pub async fn node_with(&self, name: &str, ports: u32, change: impl FnOnce(&mut Node)) -> Uuid {
        let enabled = Enabled::with_hardware_types(&[FAKE]).unwrap();
        let mut node = Node::new(Uuid::new_v4(), FAKE, Timestamp::now());
        node.interfaces = resolve(FAKE, &Interfaces::default(), &enabled, "", None).unwrap();
        node.name = Some(name.to_owned());
        node.resource_class = Some("gold".to_owned());
        node.provision_state = ProvisionState::Available;
        node.power_state = Some(PowerState::Off);
        node.automated_clean = Some(false);
        change(&mut node);
        self.store.create_node(&node, &[]).await.unwrap();
        for number in 0..ports {
            let [a, b, c, d, ..] = *Uuid::new_v4().as_bytes();
            let mac = format!("52:{number:02x}:{a:02x}:{b:02x}:{c:02x}:{d:02x}");
            self.store.create(&Port::new(Uuid::new_v4(), node.uuid, mac, Timestamp::now())).await.unwrap();
        }
        node.uuid
    }

    /// A server of the nodes' class on the network.
    pub fn server(&self, name: &str) -> Server {
        let flavor = ServerFlavor {
            id: "f".into(),
            name: "gold".into(),
            vcpus: 8,
            ram_mb: 4096,
            disk_gb: 20,
            extra_specs: [("resources:CUSTOM_GOLD".to_owned(), "1".to_owned())].into(),
            ..ServerFlavor::default()
        };
        let mut server = Server::new(Uuid::new_v4(), name, "p", "u", flavor, Timestamp::now());
        server.image = Some(ServerImage { id: self.image(), ..ServerImage::default() });
        let wanted = WantedPort { network: Some(self.network), ..WantedPort::default() };
        server.networks = RequestedNetworks::These(vec![wanted]);
        server
    }

    pub async fn create(&self, server: Server) -> Result<Uuid, RequestError> {
        let uuid = server.uuid;
        let new = vec![(server, ServerSecrets::default())];
        self.conductor.create_servers(new, &by("create"), |_| Ok(())).await?;
        Ok(uuid)
    }

    /// A port of the user's own.
    pub async fn port(&self) -> NetworkPort {
        let port = NetworkPort::new(Uuid::new_v4(), self.network, "p", Timestamp::now());
        self.store.create_network_port(port, None, Timestamp::now()).await.unwrap()
    }

    pub async fn another_network(&self) {
        let network = Network::new(Uuid::new_v4(), "p", Timestamp::now());
        let network = self.store.create_network(network).await.unwrap();
        let cidr = "10.9.0.0/24".parse().unwrap();
        let subnet = Subnet::new(Uuid::new_v4(), network.id, "p", cidr, Timestamp::now());
        self.store.create_subnet(subnet).await.unwrap();
    }

    /// A network with one address, which a port has: the network and the port.
    pub async fn tiny_network(&self) -> (Uuid, Uuid) {
        let network = Network::new(Uuid::new_v4(), "p", Timestamp::now());
        let network = self.store.create_network(network).await.unwrap();
        let cidr = "10.8.0.0/30".parse().unwrap();
        let subnet = Subnet::new(Uuid::new_v4(), network.id, "p", cidr, Timestamp::now());
        self.store.create_subnet(subnet).await.unwrap();
        let port = NetworkPort::new(Uuid::new_v4(), network.id, "p", Timestamp::now());
        let port = self.store.create_network_port(port, None, Timestamp::now()).await.unwrap();
        (network.id, port.id)
    }

    /// Deletes a port.
    pub async fn release(&self, port: Uuid) {
        self.store.delete_network_port(port, |_| Ok::<_, store::NetworkError>(())).await.unwrap();
    }

    /// No server, no port of one, no node with an instance, no VIF.
    pub async fn assert_clean(&self, site: &Site) {
        let ports: Vec<NetworkPort> = site.store.list(&Query::default()).await.unwrap();
        assert_eq!(ports, [], "ports are left");
        for node in nodes(&site.store).await {
            assert_eq!(node.instance_uuid, None, "{}", node.label());
            for port in site.store.ports_of_node(node.uuid).await.unwrap() {
                assert_eq!(vif::attached(&port.internal_info), None, "a VIF is left on {}", node.label());
            }
        }
        let servers: Vec<Server> = site.store.list(&Query::default()).await.unwrap();
        assert_eq!(servers, [], "servers are left");
    }
}

pub async fn nodes(store: &Store) -> Vec<Node> {
    let query = NodeQuery { limit: i64::MAX, ..NodeQuery::default() };
    store.nodes(&query).await.unwrap().into_iter().map(|row| row.node).collect()
}

/// No node, no address and no card is two servers'; every server's node says the same as the server.
pub async fn assert_nothing_twice(store: &Store) -> Vec<Server> {
    let servers: Vec<Server> = store.list(&Query::default()).await.unwrap();
    let (mut held, mut addresses, mut macs) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for server in &servers {
        let Some(node) = server.node else { continue };
        assert!(held.insert(node), "node {node} is two servers'");
        let row = store.node(&node.to_string()).await.unwrap();
        assert_eq!(row.node.instance_uuid, Some(server.uuid.to_string()));
        for port in &server.ports {
            assert!(macs.insert(port.mac.clone()), "{} is two servers'", port.mac);
            assert!(port.addresses.iter().all(|address| addresses.insert(*address)), "{:?}", port.addresses);
            let stored: NetworkPort = store.get(&port.port.to_string()).await.unwrap();
            assert_eq!((stored.device_id, stored.mac_address), (server.uuid.to_string(), port.mac.clone()));
        }
    }
    let with_instance = nodes(store).await.into_iter().filter(|node| node.instance_uuid.is_some()).count();
    assert_eq!(with_instance, held.len(), "a node carries an instance that no server knows");
    servers
}

pub fn by(request: &str) -> Requester {
    Requester {
        request_id: format!("req-{request}-{}", Uuid::new_v4()),
        user_id: "u".into(),
        project_id: "p".into(),
        is_operator: false,
    }
}

/// Waits until nothing is being done with the server.
pub async fn settled(site: &Site, uuid: Uuid) -> Server {
    until(site, uuid, |server| server.task_state.is_none()).await
}

/// Waits until a server is as wished.
pub async fn until(site: &Site, uuid: Uuid, wish: impl Fn(&Server) -> bool) -> Server {
    let began = Instant::now();
    loop {
        let server: Server = site.store.get(&uuid.to_string()).await.unwrap();
        if wish(&server) {
            return server;
        }
        if began.elapsed() > LIMIT {
            let actions = site.store.server_actions(uuid).await.unwrap();
            let node = match server.node {
                Some(node) => Some(site.node(node).await),
                None => None,
            };
            panic!("not as wished: {server:#?}\n{actions:#?}\n{node:#?}");
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

/// Waits until there is no such server.
pub async fn gone(site: &Site, uuid: Uuid) {
    let began = Instant::now();
    loop {
        match site.store.get::<Server>(&uuid.to_string()).await {
            Err(StoreError::NotFound { .. }) => return,
            Ok(server) => {
                let is_on_its_way = server.task_state == Some(TaskState::Deleting);
                assert!(is_on_its_way, "not deleted: {:?}", server.fault);
                assert!(began.elapsed() < LIMIT, "still there: {server:?}");
            }
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

//! `POST /servers`: what is asked for is made explicit, checked, and stored; a node is found behind the answer.

use super::request::Requester;
use crate::Conductor;
use crate::request::RequestError;

use model::compute::{RequestedNetworks, Server, ServerFlavor, ServerImage, ServerUsage, WantedPort};
use model::network::{Network, NetworkPort, Subnet};
use std::net::IpAddr;
use store::{NewServer, Query, Scope, ServerSecrets, StoreError};
use uuid::Uuid;

impl Conductor {
    /// Stores servers of one request, all or none; they are then `BUILD`. Their networks are made explicit. `allow` is asked about what
    /// the project's servers take of its quota, in the transaction that stores these. Errors are Nova's: 400 for what can't be, 409
    /// for a choice that is the user's or a port in use, 403 for networks that the project may not use.
    pub async fn create_servers(
        &self,
        servers: Vec<(Server, ServerSecrets)>,
        by: &Requester,
        allow: impl FnOnce(ServerUsage) -> Result<(), RequestError>,
    ) -> Result<Vec<Server>, RequestError> {
        let count = servers.len();
        let Some((first, _)) = servers.first() else {
            return Err(RequestError::Invalid("no servers were asked for".to_owned()));
        };
        let project = first.project_id.clone();
        if let Some(image) = &first.image {
            check_image(&first.flavor, image)?;
        }
        if let Some(node) = &first.wanted_node {
            self.check_node(node).await?;
        }
        let networks = self.resolve(&first.networks, &project, by.is_operator, count).await?;
        let new: Vec<NewServer> = servers
            .into_iter()
            .map(|(mut server, secrets)| {
                server.networks = networks.clone();
                if let RequestedNetworks::These(wanted) = &mut server.networks {
                    for one in wanted.iter_mut().filter(|one| one.port.is_none()) {
                        one.made = Some(Uuid::new_v4());
                    }
                }
                let action = by.action(server.uuid, "create", server.created_at);
                server.work.request_id = Some(by.request_id.clone());
                server.has_user_data = secrets.user_data.is_some();
                NewServer { server, action, secrets }
            })
            .collect();
        self.store().create_servers(&project, &new, allow).await?;
        Ok(new.into_iter().map(|new| new.server).collect())
    }

    async fn check_node(&self, node: &str) -> Result<(), RequestError> {
        match self.store().node(node).await {
            Ok(_) => Ok(()),
            Err(StoreError::NotFound { .. }) => Err(RequestError::Invalid(format!(
                "Compute host {node} could not be found. The nodes that there are: openstack hypervisor list"
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// The networks and ports that a server gets, each named.
    pub(super) async fn resolve(
        &self,
        wanted: &RequestedNetworks,
        project: &str,
        is_operator: bool,
        count: usize,
    ) -> Result<RequestedNetworks, RequestError> {
        match wanted {
            RequestedNetworks::None => Ok(RequestedNetworks::None),
            RequestedNetworks::Unsaid | RequestedNetworks::Auto => {
                let network = self.only_network(project, *wanted == RequestedNetworks::Auto).await?;
                Ok(network.map_or(RequestedNetworks::None, |network| {
                    RequestedNetworks::These(vec![WantedPort {
                        network: Some(network),
                        ..WantedPort::default()
                    }])
                }))
            }
            RequestedNetworks::These(list) => {
                let mut named = Vec::with_capacity(list.len());
                for one in list {
                    if count > 1 && (one.port.is_some() || one.fixed_ip.is_some()) {
                        return Err(RequestError::Invalid(
                            "Unable to launch multiple instances with a single configured port ID or fixed IP. Please launch your \
                             instance one by one with different ports or addresses."
                                .to_owned(),
                        ));
                    }
                    if one.port.is_some() && named.iter().any(|there: &WantedPort| there.port == one.port) {
                        return Err(RequestError::Invalid(format!(
                            "Port {} is named twice",
                            one.port.unwrap_or_default()
                        )));
                    }
                    named.push(self.named(one, project, is_operator).await?);
                }
                Ok(RequestedNetworks::These(named))
            }
        }
    }

    /// One connection, looked up: the port is free, or the network is one that the project can use.
    pub(super) async fn named(
        &self,
        one: &WantedPort,
        project: &str,
        is_operator: bool,
    ) -> Result<WantedPort, RequestError> {
        if let Some(port) = one.port {
            let port = self.usable_port(port, project, is_operator).await?;
            return Ok(WantedPort { network: Some(port.network_id), fixed_ip: None, ..one.clone() });
        }
        let Some(network) = one.network else {
            let network = self.only_network(project, true).await?;
            return Ok(WantedPort { network, ..one.clone() });
        };
        let missing = || RequestError::Invalid(format!("Network {network} could not be found."));
        let found: Network = match self.store().get(&network.to_string()).await {
            Ok(network) => network,
            Err(StoreError::NotFound { .. }) => return Err(missing()),
            Err(error) => return Err(error.into()),
        };
        if !is_operator && !found.is_visible_to(project) {
            return Err(missing());
        }
        if found.is_external && !found.shared && found.project_id != project && !is_operator {
            return Err(RequestError::Forbidden(format!(
                "It is not allowed to create an interface on external network {network}"
            )));
        }
        let subnets = self.store().subnets_of_network(network).await?;
        if subnets.is_empty() {
            return Err(RequestError::Invalid(format!(
                "Network {network} requires a subnet in order to boot instances on."
            )));
        }
        if let Some(address) = one.fixed_ip {
            self.check_address(network, &subnets, address).await?;
        }
        Ok(one.clone())
    }

    async fn usable_port(
        &self,
        port: Uuid,
        project: &str,
        is_operator: bool,
    ) -> Result<NetworkPort, RequestError> {
        let missing = || RequestError::Invalid(format!("Port id {port} could not be found."));
        let found: NetworkPort = match self.store().get(&port.to_string()).await {
            Ok(port) => port,
            Err(StoreError::NotFound { .. }) => return Err(missing()),
            Err(error) => return Err(error.into()),
        };
        if found.project_id != project && !is_operator {
            return Err(missing());
        }
        if !found.device_id.is_empty() {
            return Err(RequestError::Conflict(format!("Port {port} is still in use.")));
        }
        Ok(found)
    }

    async fn check_address(
        &self,
        network: Uuid,
        subnets: &[Subnet],
        address: IpAddr,
    ) -> Result<(), RequestError> {
        if !subnets.iter().any(|subnet| subnet.cidr.contains(address)) {
            let cidrs: Vec<_> = subnets.iter().map(|subnet| subnet.cidr.to_string()).collect();
            return Err(RequestError::Invalid(format!(
                "Fixed IP {address} is not a valid ip address for network {network}: its subnets are {}",
                cidrs.join(", ")
            )));
        }
        let taken = self.store().network_ports_by_address(address).await?;
        match taken.iter().find(|port| port.network_id == network) {
            Some(port) => Err(RequestError::Invalid(format!(
                "Fixed IP address {address} is already in use on network {network}, by port {}.",
                port.id
            ))),
            None => Ok(()),
        }
    }

    /// The only network that a project can use. None where it has none, unless that `must` be.
    async fn only_network(&self, project: &str, must: bool) -> Result<Option<Uuid>, RequestError> {
        let query = Query::default().within(Some(Scope::OwnedOrPublic(project.to_owned())));
        let networks: Vec<Network> = self.store().list(&query).await?;
        let mut usable = Vec::new();
        for network in networks {
            let is_own = network.project_id == project || network.shared;
            if is_own
                && network.admin_state_up
                && !self.store().subnets_of_network(network.id).await?.is_empty()
            {
                usable.push(network);
            }
        }
        match usable.as_slice() {
            [] if must => Err(RequestError::Invalid(format!(
                "Unable to automatically allocate a network for project {project}: it has none with a subnet. Make one (openstack \
                 network create, openstack subnet create), or ask for a server without (--nic none)."
            ))),
            [] => Ok(None),
            [only] => Ok(Some(only.id)),
            several => {
                let names: Vec<_> = several
                    .iter()
                    .take(5)
                    .map(|network| format!("{} ({})", network.id, network.name))
                    .collect();
                Err(RequestError::Conflict(format!(
                    "Multiple possible networks found, use a Network ID to be more specific. There are {}{}",
                    names.join(", "),
                    if several.len() > names.len() { ", …" } else { "." }
                )))
            }
        }
    }
}

/// Is the flavor large enough for the image?
pub(super) fn check_image(flavor: &ServerFlavor, image: &ServerImage) -> Result<(), RequestError> {
    if image.min_ram_mb > flavor.ram_mb {
        return Err(RequestError::Invalid(format!(
            "Flavor's memory is too small for requested image: it has {} MiB, the image needs {} MiB.",
            flavor.ram_mb, image.min_ram_mb
        )));
    }
    // A flavor of disk 0 leaves its size to the image.
    if flavor.disk_gb > 0 && image.min_disk_gb > flavor.disk_gb {
        return Err(RequestError::Invalid(format!(
            "Flavor's disk is smaller than the minimum size specified in image metadata: it has {} GiB, the image needs {} GiB.",
            flavor.disk_gb, image.min_disk_gb
        )));
    }
    Ok(())
}

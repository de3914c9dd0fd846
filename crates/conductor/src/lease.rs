//! Which address a machine gets by DHCP.
//!
//! A ramdisk gets one of the DHCP server's own pool, whatever network its node's ports are attached to: it must reach this process, and on a
//! flat wire nothing that is still on its way out of the machine may use the tenant's address. The instance's own system gets the address of
//! the network port that its card is attached to, and all that the subnet says; where DHCP is off in the subnet it gets silence, and
//! the config drive tells it. A machine whose card is attached to nothing of the network service's (a VIF of another network service, or none)
//! is served from the pool, as a site without networks expects.

use model::network::{Network, NetworkPort, Subnet, dhcp_option};
use model::node::{Node, Object};
use model::port::Port;
use model::portgroup::Portgroup;
use model::vif::attached;
use netboot::{FixedLease, Foreign, Ipv4Net, Lease, Route};
use std::net::{IpAddr, Ipv4Addr};
use store::{Store, StoreError};
use uuid::Uuid;

/// What a machine gets.
pub struct Terms {
    pub lease: Lease,
    pub hostname: Option<String>,
}

impl Terms {
    /// What a ramdisk gets.
    pub fn of_ramdisk(node: &Node) -> Self {
        Self { lease: Lease::Pool, hostname: node.name.clone() }
    }
}

/// What the instance's own system gets through this port of its node.
pub async fn of_instance(store: &Store, node: &Node, port: &Port) -> Result<Terms, StoreError> {
    let Some(vif) = vif_of(store, port).await? else { return Ok(Terms::of_ramdisk(node)) };
    let own: NetworkPort = match store.get(&vif.to_string()).await {
        Ok(own) => own,
        Err(StoreError::NotFound { .. }) => return Ok(Terms::of_ramdisk(node)),
        Err(error) => return Err(error),
    };
    let network: Network = store.get(&own.network_id.to_string()).await?;
    let subnets = store.subnets_of_network(network.id).await?;
    let lease = match fixed(&own, &network, &subnets) {
        Some(fixed) if own.admin_state_up && network.admin_state_up => Lease::Fixed(Box::new(fixed)),
        _ => Lease::Silence,
    };
    Ok(Terms { lease, hostname: hostname(&own, node) })
}

/// The VIF that the port, or the group that it belongs to, is attached to; none where it can't be a port of the network service.
async fn vif_of(store: &Store, port: &Port) -> Result<Option<Uuid>, StoreError> {
    let vif = |internal_info: &Object| attached(internal_info).and_then(|vif| Uuid::try_parse(vif).ok());
    match (vif(&port.internal_info), port.portgroup_uuid) {
        (Some(own), _) => Ok(Some(own)),
        (None, None) => Ok(None),
        (None, Some(group)) => match store.get::<Portgroup>(&group.to_string()).await {
            Ok(group) => Ok(vif(&group.internal_info)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        },
    }
}

/// The name that the user has given the port or the server, else the node's.
fn hostname(port: &NetworkPort, node: &Node) -> Option<String> {
    let display_name = node.instance_info.get("display_name").and_then(|name| name.as_str());
    [Some(port.dns_name.as_str()), display_name, node.name.as_deref()]
        .into_iter()
        .flatten()
        .find(|name| !name.is_empty())
        .map(str::to_owned)
}

/// The port's first address of a subnet of IPv4 in which DHCP is on.
fn fixed(port: &NetworkPort, network: &Network, subnets: &[Subnet]) -> Option<FixedLease> {
    let (address, subnet) = port.fixed_ips.iter().find_map(|fixed| {
        let subnet = subnets.iter().find(|subnet| subnet.id == fixed.subnet_id)?;
        Some((v4(fixed.ip_address)?, subnet)).filter(|(_, subnet)| subnet.enable_dhcp)
    })?;
    let net = Ipv4Net::new(v4(subnet.cidr.network())?, subnet.cidr.prefix()).ok()?;
    let router = subnet.gateway_ip.and_then(v4);
    let mut routes: Vec<Route> = subnet
        .host_routes
        .iter()
        .filter_map(|route| {
            let (network, prefix) = (v4(route.destination.network())?, route.destination.prefix());
            Some(Route { network, prefix, router: v4(route.nexthop)? })
        })
        .collect();
    let has_default = routes.iter().any(|route| route.prefix == 0);
    if let Some(router) = router.filter(|_| !routes.is_empty() && !has_default) {
        routes.push(Route { network: Ipv4Addr::UNSPECIFIED, prefix: 0, router });
    }
    let domain = network.dns_domain.trim_end_matches('.');
    let options = port.extra_dhcp_opts.iter().filter(|option| option.ip_version == 4);
    Some(FixedLease {
        address,
        net,
        routers: router.into_iter().collect(),
        routes,
        dns: subnet.dns_nameservers.iter().copied().filter_map(v4).collect(),
        domain: (!domain.is_empty()).then(|| domain.to_owned()),
        mtu: u16::try_from(network.mtu).ok(),
        others: options.filter_map(dhcp_option).collect(),
    })
}

fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// What the network service has in a network that the DHCP server leases from: its ports' addresses, and the pools of flat networks.
pub async fn foreign(store: &Store, net: Ipv4Net) -> Result<Foreign, StoreError> {
    let pools = store.flat_allocation_pools().await?.into_iter();
    let avoided = pools.filter_map(|pool| Some((v4(pool.start)?, v4(pool.end)?)));
    let avoided = avoided.filter(|(first, last)| net.contains(first) || net.contains(last)).collect();
    let taken = store.assigned_addresses().await?.into_iter().filter_map(v4);
    Ok(Foreign { taken: taken.filter(|address| net.contains(address)).collect(), avoided })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use model::network::{ExtraDhcpOption, FixedIp, HostRoute};

    struct World {
        _dir: tempfile::TempDir,
        store: Store,
        node: Node,
        port: Port,
        network: Network,
        subnet: Subnet,
        attached: NetworkPort,
    }

    /// A node whose card is attached to a port of a network with one subnet.
    async fn world(change: impl FnOnce(&mut Network, &mut Subnet, &mut NetworkPort)) -> World {
        let now = Timestamp::now();
        let dir = tempfile::tempdir().unwrap();
        let store = store::testing::open(dir.path()).await.unwrap();
        let mut network = Network::new(Uuid::new_v4(), "p", now);
        let mut subnet = Subnet::new(Uuid::new_v4(), network.id, "p", "10.77.0.0/24".parse().unwrap(), now);
        let mut attached = NetworkPort::new(Uuid::new_v4(), network.id, "p", now);
        change(&mut network, &mut subnet, &mut attached);
        let network = store.create_network(network).await.unwrap();
        let subnet = store.create_subnet(subnet).await.unwrap();
        let attached = store.create_network_port(attached, None, now).await.unwrap();
        let mut node = Node::new(Uuid::new_v4(), "ipmi", now);
        node.name = Some("rack-1".into());
        let mut port = Port::new(Uuid::new_v4(), node.uuid, "52:54:00:00:00:01".into(), now);
        model::vif::attach(&mut port.internal_info, &attached.id.to_string());
        World { _dir: dir, store, node, port, network, subnet, attached }
    }

    async fn terms(world: &World) -> Terms {
        of_instance(&world.store, &world.node, &world.port).await.unwrap()
    }

    #[tokio::test]
    async fn an_instance_gets_its_ports_address_and_what_the_subnet_says() {
        let mut world = world(|network, subnet, port| {
            network.mtu = 9000;
            network.dns_domain = "rack.example.".into();
            subnet.gateway_ip = Some([10, 77, 0, 254].into());
            subnet.allocation_pools = Subnet::default_pools(&subnet.cidr, subnet.gateway_ip);
            subnet.dns_nameservers = vec![[10, 77, 0, 53].into()];
            let destination = "10.9.0.0/16".parse().unwrap();
            subnet.host_routes = vec![HostRoute { destination, nexthop: [10, 77, 0, 2].into() }];
            port.extra_dhcp_opts = vec![ExtraDhcpOption {
                opt_name: "ntp-server".into(),
                opt_value: Some("10.77.0.5".into()),
                ip_version: 4,
            }];
            port.dns_name = "web-1".into();
        })
        .await;
        let told = terms(&world).await;
        let Lease::Fixed(fixed) = told.lease else { panic!("{:?}", told.lease) };
        assert_eq!(IpAddr::V4(fixed.address), world.attached.fixed_ips[0].ip_address);
        assert_eq!((fixed.net.to_string().as_str(), fixed.mtu), ("10.77.0.0/24", Some(9000)));
        assert_eq!(fixed.routers, [Ipv4Addr::new(10, 77, 0, 254)]);
        let routes: Vec<_> =
            fixed.routes.iter().map(|route| (route.prefix, route.router.octets()[3])).collect();
        assert_eq!(
            routes,
            [(16, 2), (0, 254)],
            "with the default route, since clients look at no other then"
        );
        assert_eq!(fixed.dns, [Ipv4Addr::new(10, 77, 0, 53)]);
        assert_eq!(fixed.domain.as_deref(), Some("rack.example"));
        assert_eq!(fixed.others, [(42, vec![10, 77, 0, 5])]);
        assert_eq!(told.hostname.as_deref(), Some("web-1"));

        world.port.internal_info.clear();
        let told = terms(&world).await;
        assert_eq!((told.lease, told.hostname.as_deref()), (Lease::Pool, Some("rack-1")));
        model::vif::attach(&mut world.port.internal_info, &Uuid::new_v4().to_string());
        assert_eq!(terms(&world).await.lease, Lease::Pool, "of another network service");
    }

    #[tokio::test]
    async fn a_bond_is_attached_as_a_whole() {
        let mut world = world(|_, _, _| ()).await;
        let mut group = Portgroup::new(Uuid::new_v4(), world.node.uuid, Timestamp::now());
        group.internal_info = std::mem::take(&mut world.port.internal_info);
        world.store.create_node(&world.node, &[]).await.unwrap();
        world.store.create(&group).await.unwrap();
        world.port.portgroup_uuid = Some(group.uuid);
        assert!(matches!(terms(&world).await.lease, Lease::Fixed(_)));
    }

    #[tokio::test]
    async fn without_dhcp_or_addresses_there_is_silence() {
        let off = world(|_, subnet, _| subnet.enable_dhcp = false).await;
        assert_eq!(terms(&off).await.lease, Lease::Silence);
        let down = world(|_, _, port| port.admin_state_up = false).await;
        assert_eq!(terms(&down).await.lease, Lease::Silence);
        let six = world(|_, subnet, _| {
            let cidr = "2001:db8::/64".parse().unwrap();
            *subnet = Subnet::new(subnet.id, subnet.network_id, "p", cidr, subnet.created_at);
        })
        .await;
        assert_eq!(six.attached.fixed_ips.len(), 1);
        assert_eq!(terms(&six).await.lease, Lease::Silence);
    }

    #[tokio::test]
    async fn the_pool_is_told_what_ports_have_on_its_wire() {
        let world = world(|network, _, _| network.network_type = model::network::NetworkType::Flat).await;
        let FixedIp { ip_address, .. } = world.attached.fixed_ips[0];
        let seen = foreign(&world.store, "10.77.0.0/24".parse().unwrap()).await.unwrap();
        assert_eq!(seen.taken.into_iter().map(IpAddr::V4).collect::<Vec<_>>(), [ip_address]);
        let pool = world.subnet.allocation_pools[0];
        assert_eq!(seen.avoided, [(v4(pool.start).unwrap(), v4(pool.end).unwrap())]);
        let elsewhere = foreign(&world.store, "10.78.0.0/24".parse().unwrap()).await.unwrap();
        assert_eq!(elsewhere, Foreign::default());
        assert!(!world.network.shared);
    }
}

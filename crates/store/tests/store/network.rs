//! The network service's transactions: nothing is given twice, whoever asks at the same time.

use super::site;
use jiff::{SignedDuration, Timestamp};
use model::network::{
    AllocationPool, Binding, FixedIp, Ipv6Mode, Network, NetworkPort, NetworkType, PortStatus, Subnet,
};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use store::{AddressWish, NetworkError, PortBinding, Query, Scope, Store, StoreError};
use uuid::Uuid;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn network(store: &Store) -> Network {
    store.create_network(Network::new(Uuid::new_v4(), "p", Timestamp::now())).await.unwrap()
}

/// A subnet whose pool has these ends.
fn subnet(network: &Network, cidr: &str, start: &str, end: &str) -> Subnet {
    let mut subnet = Subnet::new(Uuid::new_v4(), network.id, "p", cidr.parse().unwrap(), Timestamp::now());
    subnet.allocation_pools = vec![AllocationPool { start: ip(start), end: ip(end) }];
    subnet
}

fn port(network: &Network) -> NetworkPort {
    NetworkPort::new(Uuid::new_v4(), network.id, "p", Timestamp::now())
}

async fn create(
    store: &Store,
    port: NetworkPort,
    wishes: Option<&[AddressWish]>,
) -> Result<NetworkPort, NetworkError> {
    store.create_network_port(port, wishes, Timestamp::now()).await
}

fn addresses(port: &NetworkPort) -> Vec<String> {
    port.fixed_ips.iter().map(|fixed| fixed.ip_address.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_address_is_given_twice_to_those_who_ask_at_once() {
    let (_dir, store) = site().await;
    let network = network(&store).await;
    let four = store.create_subnet(subnet(&network, "10.0.0.0/24", "10.0.0.10", "10.0.0.49")).await.unwrap();
    store.create_subnet(subnet(&network, "2001:db8::/64", "2001:db8::10", "2001:db8::ffff")).await.unwrap();
    let asked = (0..60).map(|turn| {
        let (store, port) = (store.clone(), port(&network));
        tokio::spawn(async move {
            // Every third wants the very same address, and the DHCP server leases from the same pool meanwhile.
            let wish = [AddressWish::Address(ip("10.0.0.30"))];
            if turn % 6 == 5 {
                let address = Ipv4Addr::new(10, 0, 0, 10 + turn / 2);
                let mac = format!("52:54:00:00:00:{turn:02x}");
                return store
                    .put_dhcp_lease(&mac, address, Timestamp::now())
                    .await
                    .unwrap()
                    .then_some(IpAddr::V4(address));
            }
            let wishes = (turn % 3 == 0).then_some(&wish[..]);
            match create(&store, port, wishes).await {
                Ok(port) => Some(port.fixed_ips[0].ip_address),
                Err(NetworkError::AddressInUse { .. }) if wishes.is_some() => None,
                Err(error) => panic!("{error}"),
            }
        })
    });
    let mut given = Vec::new();
    for task in asked.collect::<Vec<_>>() {
        given.extend(task.await.unwrap());
    }
    let distinct: BTreeSet<_> = given.iter().collect();
    assert_eq!(distinct.len(), given.len(), "{given:?}");
    let ports: Vec<NetworkPort> = store.list(&Query::default()).await.unwrap();
    assert_eq!(ports.iter().filter(|port| port.fixed_ips[0].ip_address == ip("10.0.0.30")).count(), 1);

    while create(&store, port(&network), None).await.is_ok() {}
    let error = create(&store, port(&network), None).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, NetworkError::NoAddress { taken: 40, .. }), "{text}");
    for part in [&network.id.to_string(), &four.id.to_string(), "10.0.0.10-10.0.0.49"] {
        assert!(text.contains(part), "{text}");
    }
    let ports: Vec<NetworkPort> = store.list(&Query::default()).await.unwrap();
    let leases = store.dhcp_leases().await.unwrap();
    assert_eq!(ports.len() + leases.len(), 40, "those who got nothing left nothing behind");
}

#[tokio::test]
async fn leases_and_ports_keep_out_of_each_others_way() {
    let (_dir, store) = site().await;
    let network = network(&store).await;
    store.create_subnet(subnet(&network, "10.0.0.0/24", "10.0.0.10", "10.0.0.13")).await.unwrap();
    store.put_own_addresses("seed", &[("br0".into(), Ipv4Addr::new(10, 0, 0, 10))]).await.unwrap();
    let now = Timestamp::now();
    let at = |hours: i64| now.checked_add(SignedDuration::from_hours(hours)).unwrap();
    let lease = |last: u8| Ipv4Addr::new(10, 0, 0, last);
    assert!(store.put_dhcp_lease("52:54:00:00:00:01", lease(11), now).await.unwrap());

    let first = create(&store, port(&network), None).await.unwrap();
    assert_eq!(addresses(&first), ["10.0.0.12"], "not the server's own, not a ramdisk's");
    assert!(!store.put_dhcp_lease("52:54:00:00:00:02", lease(12), now).await.unwrap());
    assert!(
        !store.put_dhcp_lease(&first.mac_address, lease(12), now).await.unwrap(),
        "not even with the port's own MAC address: the port may move on"
    );
    assert_eq!(store.dhcp_lease("52:54:00:00:00:02").await.unwrap(), None);
    for (wanted, holder) in
        [("10.0.0.11", "52:54:00:00:00:01"), ("10.0.0.10", "br0"), ("10.0.0.12", "another port")]
    {
        let error =
            create(&store, port(&network), Some(&[AddressWish::Address(ip(wanted))])).await.unwrap_err();
        assert!(matches!(&error, NetworkError::AddressInUse { .. }), "{error}");
        assert!(error.to_string().contains(holder), "{error}");
    }
    // A lease that nobody has renewed for hours gives way, and can't come back.
    let wish = [AddressWish::Address(ip("10.0.0.11"))];
    assert!(store.create_network_port(port(&network), Some(&wish), at(1)).await.is_err());
    let late = store.create_network_port(port(&network), Some(&wish), at(3)).await.unwrap();
    assert_eq!(addresses(&late), ["10.0.0.11"]);
    assert!(!store.put_dhcp_lease("52:54:00:00:00:01", lease(11), at(3)).await.unwrap());
    store.delete_network_port(late.id, |_| Ok::<_, NetworkError>(())).await.unwrap();
    assert!(store.put_dhcp_lease("52:54:00:00:00:01", lease(11), at(3)).await.unwrap());
}

#[tokio::test]
async fn addresses_are_had_by_subnet_by_themselves_or_not_at_all() {
    let (_dir, store) = site().await;
    let network = network(&store).await;
    let a = store.create_subnet(subnet(&network, "10.0.0.0/24", "10.0.0.10", "10.0.0.10")).await.unwrap();
    let b = store.create_subnet(subnet(&network, "10.0.1.0/24", "10.0.1.10", "10.0.1.19")).await.unwrap();
    let made = async |wishes: &[AddressWish]| create(&store, port(&network), Some(wishes)).await;
    assert_eq!(addresses(&made(&[]).await.unwrap()), [""; 0]);
    let wishes = [
        AddressWish::Subnet(b.id),
        AddressWish::Both(b.id, ip("10.0.1.200")),
        AddressWish::Address(ip("10.0.0.9")),
    ];
    let one = made(&wishes).await.unwrap();
    assert_eq!(addresses(&one), ["10.0.1.10", "10.0.1.200", "10.0.0.9"]);
    let free = create(&store, port(&network), None).await.unwrap();
    assert_eq!(addresses(&free), ["10.0.0.10"]);
    let next = create(&store, port(&network), None).await.unwrap();
    assert_eq!(addresses(&next), ["10.0.1.11"], "the first subnet is full");

    for (wish, said) in [
        (AddressWish::Address(ip("10.9.9.9")), "not in any subnet"),
        (AddressWish::Address(ip("10.0.0.255")), "no host address"),
        (AddressWish::Both(a.id, ip("10.0.1.50")), "no host address"),
        (AddressWish::Subnet(Uuid::nil()), "not one of network"),
    ] {
        let error = made(&[wish]).await.unwrap_err();
        assert!(matches!(&error, NetworkError::BadAddress(text) if text.contains(said)), "{error}");
    }
    // A new list keeps what is in both.
    let wishes = [AddressWish::Subnet(a.id), AddressWish::Subnet(b.id)];
    let edited = store
        .edit_network_port(one.id, Some(&wishes), Timestamp::now(), |_| Ok::<_, NetworkError>(()))
        .await
        .unwrap();
    assert_eq!(addresses(&edited), ["10.0.0.9", "10.0.1.10"]);
    assert_eq!(store.get::<NetworkPort>(&one.id.to_string()).await.unwrap(), edited);
    assert!(store.network_ports_by_address(ip("10.0.1.200")).await.unwrap().is_empty());
    assert_eq!(store.network_ports_by_address(ip("10.0.1.10")).await.unwrap(), [edited]);
}

fn binding(device: &str, mac: &str) -> PortBinding {
    let binding = Binding { host_id: "node-1".into(), vnic_type: "baremetal".into(), ..Binding::default() };
    let device_owner = "compute:nova".to_owned();
    PortBinding { device_id: device.into(), device_owner, binding, mac_address: Some(mac.into()) }
}

#[tokio::test]
async fn a_bound_port_has_the_machines_mac_address_and_is_released_as_it_was() {
    let (_dir, store) = site().await;
    let network = network(&store).await;
    let mut six = subnet(&network, "2001:db8::/64", "2001:db8::10", "2001:db8::ff");
    six.ipv6_address_mode = Some(Ipv6Mode::Slaac);
    let six = store.create_subnet(six).await.unwrap();
    store.create_subnet(subnet(&network, "10.0.0.0/24", "10.0.0.10", "10.0.0.19")).await.unwrap();
    let now = Timestamp::now();
    let users = create(&store, port(&network), None).await.unwrap();
    let users_id = users.id;
    assert_eq!(users.fixed_ips.len(), 2);
    assert!(users.mac_address.starts_with("fa:16:3e:"));

    let bound = store.bind_network_port(users.id, &binding("s1", "52:54:00:12:34:56"), now).await.unwrap();
    assert_eq!((bound.status, bound.device_id.as_str()), (PortStatus::Active, "s1"));
    assert_eq!(addresses(&bound), ["10.0.0.10", "2001:db8::5054:ff:fe12:3456"]);
    assert_eq!(store.network_ports_by_mac("52:54:00:12:34:56").await.unwrap(), std::slice::from_ref(&bound));
    assert_eq!(store.network_ports_of_device("s1").await.unwrap(), [bound]);
    let again = store.bind_network_port(users.id, &binding("s1", "52:54:00:12:34:57"), now).await.unwrap();
    assert_eq!(
        again.fixed_ips[1],
        FixedIp { subnet_id: six.id, ip_address: ip("2001:db8::5054:ff:fe12:3457") }
    );
    let other = store.bind_network_port(users.id, &binding("s2", "52:54:00:12:34:58"), now).await;
    assert!(matches!(other, Err(NetworkError::PortInUse { .. })));

    let mut made = port(&network);
    made.outlives_device = false;
    let made = create(&store, made, None).await.unwrap();
    store.bind_network_port(made.id, &binding("s1", "52:54:00:12:34:59"), now).await.unwrap();
    let taken = store.bind_network_port(made.id, &binding("s1", "52:54:00:12:34:57"), now).await;
    assert!(matches!(taken, Err(NetworkError::MacInUse { .. })));

    store.release_network_port(users.id, "s2", now).await.unwrap();
    assert_eq!(store.network_ports_of_device("s1").await.unwrap().len(), 2, "not s2's");
    store.release_network_ports("s1", now).await.unwrap();
    store.release_network_port(made.id, "s1", now).await.unwrap();
    let ports: Vec<NetworkPort> = store.list(&Query::default()).await.unwrap();
    let [left] = ports.as_slice() else { panic!("{ports:?}") };
    let before = NetworkPort {
        revision_number: left.revision_number,
        updated_at: left.updated_at,
        binding: Binding { vnic_type: "baremetal".into(), ..Binding::default() },
        ..users
    };
    assert_eq!(*left, before);

    // Whose own MAC address was taken meanwhile gets another.
    store.bind_network_port(users_id, &binding("s3", "52:54:00:12:34:60"), now).await.unwrap();
    let mut thief = port(&network);
    thief.mac_address.clone_from(&before.mac_address);
    create(&store, thief, None).await.unwrap();
    store.release_network_port(users_id, "s3", now).await.unwrap();
    let released: NetworkPort = store.get(&users_id.to_string()).await.unwrap();
    assert!(released.mac_address.starts_with("fa:16:3e:") && released.mac_address != before.mac_address);
}

#[tokio::test]
async fn wires_subnets_and_quotas_are_not_exceeded() {
    let (_dir, store) = site().await;
    let first = network(&store).await;
    assert_eq!(first.segmentation_id, Some(1000));
    let vlan =
        |vlan| Network { segmentation_id: vlan, ..Network::new(Uuid::new_v4(), "p", Timestamp::now()) };
    let taken = store.create_network(vlan(Some(1000))).await;
    assert!(matches!(taken, Err(NetworkError::VlanInUse { vlan: 1000, .. })));
    store.create_network(vlan(Some(7))).await.unwrap();
    assert_eq!(store.create_network(vlan(None)).await.unwrap().segmentation_id, Some(1001));
    let flat = || Network { network_type: NetworkType::Flat, ..vlan(None) };
    let flat_one = store.create_network(flat()).await.unwrap();
    assert!(matches!(store.create_network(flat()).await, Err(NetworkError::FlatInUse(_))));

    let one = store.create_subnet(subnet(&flat_one, "10.0.0.0/24", "10.0.0.10", "10.0.0.19")).await.unwrap();
    let overlap = store.create_subnet(subnet(&flat_one, "10.0.0.128/25", "10.0.0.130", "10.0.0.131")).await;
    assert!(matches!(overlap, Err(NetworkError::Overlap { other_id, .. }) if other_id == one.id));
    store.create_subnet(subnet(&first, "10.0.0.0/24", "10.0.0.10", "10.0.0.19")).await.unwrap();
    assert_eq!(store.flat_allocation_pools().await.unwrap(), one.allocation_pools);
    let orphan = store.create_subnet(subnet(&vlan(None), "10.0.0.0/24", "10.0.0.10", "10.0.0.19")).await;
    assert!(matches!(orphan, Err(NetworkError::Store(StoreError::NotFound { what: "Network", .. }))));

    let busy = create(&store, port(&flat_one), None).await.unwrap();
    assert!(matches!(store.delete_network(flat_one.id).await, Err(NetworkError::HasPorts { ports: 1, .. })));
    assert!(matches!(store.delete_subnet(one.id).await, Err(NetworkError::HasPorts { ports: 1, .. })));
    let shared = store
        .edit_network(flat_one.id, |network| {
            network.shared = true;
            Ok::<_, NetworkError>(())
        })
        .await
        .unwrap();
    assert!(shared.shared);
    let seen = Query::default().within(Some(Scope::OwnedOrPublic("stranger".into())));
    assert_eq!(store.list::<Network>(&seen).await.unwrap(), [shared]);
    assert_eq!(store.list::<Subnet>(&seen).await.unwrap().len(), 1);

    assert_eq!(store.network_usage("p", "port").await.unwrap(), 1);
    store.put_network_quotas("p", &[("port", 1), ("network", -1)]).await.unwrap();
    let error = create(&store, port(&flat_one), None).await.unwrap_err();
    assert!(matches!(error, NetworkError::OverQuota { resource: "port", used: 1, most: 1 }), "{error}");
    store.delete_network_quotas("p").await.unwrap();
    create(&store, port(&flat_one), None).await.unwrap();

    for port in store.list::<NetworkPort>(&Query::default()).await.unwrap() {
        store.delete_network_port(port.id, |_| Ok::<_, NetworkError>(())).await.unwrap();
    }
    assert!(matches!(
        store.delete_network_port(busy.id, |_| Ok::<_, NetworkError>(())).await,
        Err(NetworkError::Store(StoreError::NotFound { .. }))
    ));
    store.delete_network(flat_one.id).await.unwrap();
    assert_eq!(store.subnets_of_network(flat_one.id).await.unwrap(), []);
    assert!(store.delete_network(flat_one.id).await.is_err());
}

#[tokio::test]
async fn each_project_has_one_default_group() {
    let (_dir, store) = site().await;
    let now = Timestamp::now();
    let (a, b) = tokio::join!(store.default_security_group("p", now), store.default_security_group("p", now));
    let group = a.unwrap();
    assert_eq!(group, b.unwrap());
    assert_eq!(group.rules.len(), 4);
    assert_ne!(store.default_security_group("q", now).await.unwrap().id, group.id);
    let network = network(&store).await;
    let mut member = port(&network);
    member.security_groups = vec![group.id];
    let member = create(&store, member, None).await.unwrap();
    assert!(matches!(store.delete_security_group(&group).await, Err(NetworkError::GroupInUse(_))));
    store.delete_network_port(member.id, |_| Ok::<_, NetworkError>(())).await.unwrap();
    store.put_network_quotas("p", &[("security_group_rule", 4)]).await.unwrap();
    let more = store
        .edit_security_group(group.id, |group| {
            group.rules.push(group.rules[0].clone());
            Ok::<_, NetworkError>(())
        })
        .await;
    assert!(matches!(more, Err(NetworkError::OverQuota { resource: "security_group_rule", .. })));
    store.delete_security_group(&group).await.unwrap();
}

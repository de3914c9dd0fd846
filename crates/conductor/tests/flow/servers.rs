//! Servers: who gets which node, what a user is told, and that neither a kill nor a failure leaves anything half-made.

mod cloud;
mod crowd;
mod failures;
mod kills;
mod verbs;

use crate::World;
use cloud::{Cloud, by, gone, settled};
use model::compute::{RequestedNetworks, ServerKey, VmState, WantedPort};
use model::network::NetworkPort;
use model::node::PowerState;
use model::state::ProvisionState as S;
use model::vif;
use serde_json::json;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_gets_a_node_a_port_and_an_address_and_leaves_no_trace() {
    let world = World::new();
    let site = world.start(|_| {});
    let cloud = Cloud::new(&site).await;
    let node = cloud.node("n1", 2).await;
    let mut server = cloud.server("web");
    server.networks = RequestedNetworks::Unsaid;
    server.key =
        Some(ServerKey { name: "mine".into(), public_key: "ssh-ed25519 AAAA me".into(), kind: "ssh".into() });
    let uuid = cloud.create(server).await.unwrap();
    let server = settled(&site, uuid).await;
    assert_eq!((server.status(), server.fault.as_ref()), ("ACTIVE", None));
    assert_eq!((server.node, server.host.as_deref()), (Some(node), Some("here")));
    assert!(server.launched_at.is_some());

    let machine = site.node(node).await;
    assert_eq!(machine.instance_uuid, Some(uuid.to_string()));
    assert_eq!(machine.provision_state, S::Active);
    assert_eq!(machine.instance_info["display_name"], "web");
    assert_eq!(machine.instance_info["root_gb"], "20");
    assert_eq!(machine.instance_info["image_source"], cloud.image());
    assert_eq!(machine.instance_info["traits"], json!([]));
    assert_eq!(machine.lessee.as_deref(), Some("p"), "the tenant is its lessee while it has it");
    let drive = site.store.config_drive(node).await.unwrap().unwrap();
    let iso = String::from_utf8_lossy(&disk::config_drive::decode(&drive).unwrap()).into_owned();
    assert!(iso.contains("ssh-ed25519 AAAA me") && iso.contains("\"hostname\":\"web\""));

    let port = &server.ports[0];
    let bare = site.store.ports_of_node(node).await.unwrap();
    let of_vif = bare.iter().find(|bare| vif::attached(&bare.internal_info).is_some()).unwrap();
    assert_eq!(port.mac, of_vif.address, "the network's port has the card's MAC address");
    assert_eq!(vif::attached(&of_vif.internal_info), Some(port.port.to_string().as_str()));
    let stored: NetworkPort = site.store.get(&port.port.to_string()).await.unwrap();
    assert_eq!((stored.device_id, stored.device_owner), (uuid.to_string(), "compute:nova".to_owned()));
    assert!(iso.contains(&stored.mac_address) && port.addresses == [stored.fixed_ips[0].ip_address]);

    let actions = site.store.server_actions(uuid).await.unwrap();
    let told: Vec<_> =
        actions[0].events.iter().map(|event| (event.event.as_str(), event.result.as_deref())).collect();
    let success = Some("Success");
    assert_eq!(told, [("schedule", success), ("networking", success), ("spawning", success)]);
    let origin = machine.origin.expect("what was done to the machine names the request");
    assert_eq!(origin.request_id, actions[0].request_id);

    site.conductor.delete_server(uuid, &by("delete")).await.unwrap();
    gone(&site, uuid).await;
    cloud.assert_clean(&site).await;
    let machine = site.reach(node, &[S::Available], crate::LIMIT).await;
    assert_eq!((machine.instance_uuid, machine.lessee), (None, None));
    assert_eq!(machine.power_state, Some(PowerState::Off));
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_the_users_is_bound_and_outlives_the_server() {
    let world = World::new();
    let site = world.start(|_| {});
    let cloud = Cloud::new(&site).await;
    cloud.node("n1", 2).await;
    let own = cloud.port().await;
    let mut server = cloud.server("web");
    let wanted = |port: &NetworkPort| WantedPort { port: Some(port.id), ..WantedPort::default() };
    let on_network = WantedPort { network: Some(cloud.network), ..WantedPort::default() };
    server.networks = RequestedNetworks::These(vec![wanted(&own), on_network]);
    let uuid = cloud.create(server.clone()).await.unwrap();
    let made = settled(&site, uuid).await;
    assert_eq!(made.vm_state, VmState::Active, "{:?}", made.fault);
    assert_eq!((made.ports.len(), made.ports[0].port, made.ports[0].made), (2, own.id, false));
    assert!(made.ports[1].made);
    let bound: NetworkPort = site.store.get(&own.id.to_string()).await.unwrap();
    assert_ne!(bound.mac_address, own.mac_address);
    assert_eq!(bound.fixed_ips, own.fixed_ips);

    server.uuid = Uuid::new_v4();
    let refused = cloud.create(server).await.unwrap_err().to_string();
    assert_eq!(refused, format!("Port {} is still in use.", own.id));

    site.conductor.delete_server(uuid, &by("delete")).await.unwrap();
    gone(&site, uuid).await;
    let free: NetworkPort = site.store.get(&own.id.to_string()).await.unwrap();
    assert_eq!((free.mac_address, free.device_id.as_str()), (own.mac_address.clone(), ""));
    site.store.delete_network_port(own.id, |_| Ok::<_, store::NetworkError>(())).await.unwrap();
    cloud.assert_clean(&site).await;
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_before_anything_is_stored() {
    let world = World::new();
    let site = world.start(|_| {});
    let cloud = Cloud::new(&site).await;
    let refusal = async |networks: RequestedNetworks| {
        let server = model::compute::Server { networks, ..cloud.server("web") };
        cloud.create(server).await.unwrap_err().to_string()
    };
    let nobody = Uuid::new_v4();
    let on = |network| RequestedNetworks::These(vec![WantedPort { network, ..WantedPort::default() }]);
    assert_eq!(refusal(on(Some(nobody))).await, format!("Network {nobody} could not be found."));
    let port = WantedPort { port: Some(nobody), ..WantedPort::default() };
    assert_eq!(
        refusal(RequestedNetworks::These(vec![port])).await,
        format!("Port id {nobody} could not be found.")
    );
    let outside = WantedPort {
        network: Some(cloud.network),
        fixed_ip: Some("192.0.2.1".parse().unwrap()),
        ..WantedPort::default()
    };
    assert!(refusal(RequestedNetworks::These(vec![outside])).await.contains("is not a valid ip address"));
    cloud.another_network().await;
    let text = refusal(RequestedNetworks::Auto).await;
    assert!(
        text.starts_with("Multiple possible networks found, use a Network ID to be more specific."),
        "{text}"
    );
    let mut pinned = cloud.server("web");
    pinned.wanted_node = Some("nowhere".into());
    let text = cloud.create(pinned).await.unwrap_err().to_string();
    assert!(text.starts_with("Compute host nowhere could not be found."), "{text}");
    let mut large = cloud.server("web");
    large.image.as_mut().unwrap().min_disk_gb = 1000;
    let text = cloud.create(large).await.unwrap_err().to_string();
    assert!(text.starts_with("Flavor's disk is smaller than the minimum size"), "{text}");
    assert_eq!(site.store.server_usage("p").await.unwrap().instances, 0);
    site.kill();
}

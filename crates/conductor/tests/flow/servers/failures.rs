//! Failures at each step of a server's making: what the user is told, and that everything is given back.

use super::cloud::{Cloud, by, gone, settled, until};
use crate::World;
use crate::site::{Site, somebody};
use model::compute::{RequestedNetworks, Server, VmState, WantedPort};
use model::node::InterfaceKind;
use model::state::ProvisionState as S;
use uuid::Uuid;

async fn fault(site: &Site, uuid: Uuid) -> String {
    let server = settled(site, uuid).await;
    assert_eq!((server.vm_state, server.node, server.ports.len()), (VmState::Error, None, 0));
    server.fault.unwrap().message
}

async fn delete(site: &Site, uuid: Uuid) {
    site.conductor.delete_server(uuid, &by("delete")).await.unwrap();
    gone(site, uuid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_that_is_turned_away_is_explained() {
    let world = World::new();
    let site = world.start(|_| {});
    let cloud = Cloud::new(&site).await;
    let uuid = cloud.create(cloud.server("early")).await.unwrap();
    assert_eq!(
        fault(&site, uuid).await,
        "No valid host was found. There are no nodes yet: openstack baremetal node create enrols one."
    );
    cloud.node_with("rack1-u1", 1, |node| node.maintenance = true).await;
    cloud.node_with("rack1-u2", 1, |node| node.provision_state = S::Manageable).await;
    cloud.node_with("rack1-u3", 1, |node| node.resource_class = Some("silver".into())).await;
    cloud.node_with("rack1-u4", 1, |node| node.instance_uuid = Some(Uuid::new_v4().to_string())).await;
    cloud.node("rack1-u5", 0).await;
    cloud.node_with("rack1-u6", 1, |node| node.interfaces.set(InterfaceKind::Boot, "ipxe")).await;
    let mut server = cloud.server("late");
    let trait_of = |name: &str| (format!("trait:{name}"), "required".to_owned());
    let uuid = cloud.create(server.clone()).await.unwrap();
    let message = fault(&site, uuid).await;
    assert!(message.starts_with("No valid host was found. 6 nodes were turned away: "), "{message}");
    for part in [
        "1 in maintenance (rack1-u1)",
        "1 in state manageable, not available (rack1-u2)",
        "1 of resource class silver, where CUSTOM_GOLD is wanted (rack1-u3)",
        "1 with an instance (rack1-u4)",
        "1 with 0 of the 1 free ports that are wanted (rack1-u5)",
        "1 that can't be deployed: Cannot validate PXE bootloader.",
        "openstack baremetal node maintenance unset rack1-u1",
        "openstack baremetal node provide rack1-u2",
        "openstack baremetal port create --node rack1-u5 MAC-ADDRESS",
    ] {
        assert!(message.contains(part), "{part}\n{message}");
    }
    let details = settled(&site, uuid).await.fault.unwrap().details.unwrap();
    assert!(details.contains(
        "rack1-u1: maintenance: in maintenance: openstack baremetal node maintenance unset rack1-u1"
    ));
    let actions = site.store.server_actions(uuid).await.unwrap();
    assert_eq!(actions[0].message.as_deref(), Some("Error"));
    assert_eq!(actions[0].events[0].details.as_deref(), Some(message.as_str()));

    cloud.node("rack1-u7", 1).await;
    server.uuid = Uuid::new_v4();
    server.flavor.extra_specs.extend([trait_of("CUSTOM_FAST")]);
    let uuid = cloud.create(server).await.unwrap();
    let message = fault(&site, uuid).await;
    assert!(message.contains("without CUSTOM_FAST (rack1-u5, rack1-u6, rack1-u7)"), "{message}");
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_without_addresses_gives_the_node_back() {
    let world = World::new();
    let site = world.start(|_| {});
    let cloud = Cloud::new(&site).await;
    let node = cloud.node("n1", 2).await;
    let (network, address) = cloud.tiny_network().await;
    let wanted = WantedPort { network: Some(network), ..WantedPort::default() };
    let both = RequestedNetworks::These(vec![
        WantedPort { network: Some(cloud.network), ..WantedPort::default() },
        wanted,
    ]);
    let uuid = cloud.create(Server { networks: both, ..cloud.server("web") }).await.unwrap();
    let message = fault(&site, uuid).await;
    assert!(
        message.starts_with(
            "Failed to allocate the network(s), not rescheduling: no more IP addresses available on network"
        ),
        "{message}"
    );
    let machine = site.node(node).await;
    assert_eq!(
        (machine.provision_state, machine.instance_uuid, machine.instance_info.len()),
        (S::Available, None, 0)
    );
    delete(&site, uuid).await;
    cloud.release(address).await;
    cloud.assert_clean(&site).await;
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_goes_before_it_is_bound_is_told() {
    let world = World::new();
    let site = world.start(|_| {});
    let cloud = Cloud::new(&site).await;
    let own = cloud.port().await;
    let wanted = WantedPort { port: Some(own.id), ..WantedPort::default() };
    // Nobody moves it while its port goes: the node is held.
    let node = cloud.node("n1", 1).await;
    let claim = site.store.claim(node, &somebody()).await.unwrap();
    let networks = RequestedNetworks::These(vec![wanted]);
    let uuid = cloud.create(Server { networks, ..cloud.server("web") }).await.unwrap();
    until(&site, uuid, |server| server.work.waiting_since.is_some()).await;
    site.store.delete_network_port(own.id, |_| Ok::<_, store::NetworkError>(())).await.unwrap();
    site.store.release(&claim).await.unwrap();
    let message = fault(&site, uuid).await;
    assert!(message.ends_with(&format!("Port {} could not be found.", own.id)), "{message}");
    delete(&site, uuid).await;
    cloud.assert_clean(&site).await;
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_refuses_is_left_for_another_three_times() {
    let world = World::new();
    let site = world.start(|_| {});
    let cloud = Cloud::new(&site).await;
    let bad = |name: &'static str| {
        cloud.node_with(name, 1, |node| node.interfaces.set(InterfaceKind::Deploy, "anaconda"))
    };
    let (first, second) = (bad("bad1").await, bad("bad2").await);
    let good = cloud.node("good", 1).await;
    let uuid = cloud.create(cloud.server("web")).await.unwrap();
    let server = settled(&site, uuid).await;
    assert_eq!((server.vm_state, server.node), (VmState::Active, Some(good)), "{:?}", server.fault);
    for node in [first, second] {
        assert_eq!(site.node(node).await.instance_uuid, None);
    }
    let actions = site.store.server_actions(uuid).await.unwrap();
    let failed = actions[0].events.iter().filter(|event| event.result.as_deref() == Some("Error")).count();
    assert_eq!(failed, 2, "each try is in the events: {actions:?}");
    delete(&site, uuid).await;

    bad("bad3").await;
    site.store.delete_node(good, jiff::Timestamp::now(), |_| Ok::<_, store::StoreError>(())).await.unwrap();
    let uuid = cloud.create(cloud.server("web")).await.unwrap();
    let message = fault(&site, uuid).await;
    assert!(message.starts_with(&format!("Build of instance {uuid} on node bad3 failed: ")), "{message}");
    assert!(message.contains("deploy interface \"anaconda\" can't be used"), "{message}");
    delete(&site, uuid).await;
    cloud.assert_clean(&site).await;
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_fails_is_torn_down_and_told_with_the_nodes_words() {
    let world = World::new();
    let site = world.start(|settings| {
        settings.automated_clean = false;
        settings.machines_url = Some("http://127.0.0.1:6386".into());
    });
    let (node, machine) = world.available(&site).await;
    site.store
        .edit_node(node, store::Guard::Any, jiff::Timestamp::now(), |edit| {
            edit.node.resource_class = Some("gold".into());
            Ok::<_, store::StoreError>(())
        })
        .await
        .unwrap();
    let cloud = Cloud::new(&site).await;
    machine.faults.lock().unwrap().fail =
        Some(("standby.prepare_image".into(), "checksum is 1, expected 2".into()));
    let uuid = cloud.create(cloud.server("web")).await.unwrap();
    let message = fault(&site, uuid).await;
    assert!(
        message.starts_with(
            "No valid host was found. It was tried on 1 node, the last of which failed: Build of instance"
        ),
        "{message}"
    );
    assert!(message.contains("checksum is 1, expected 2") && message.contains("billet why m1"), "{message}");
    assert!(message.contains("1 on which this server's deployment failed (m1)"), "{message}");
    let node = site.reach(node, &[S::Available], crate::LIMIT).await;
    assert_eq!(node.instance_uuid, None);
    delete(&site, uuid).await;
    cloud.assert_clean(&site).await;
    site.kill();
}

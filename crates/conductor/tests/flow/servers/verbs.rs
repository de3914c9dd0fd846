//! What users do with servers that they have, and what operators do to the machines below them.

use super::cloud::{Cloud, OTHER_IMAGE, by, gone, settled, until};
use crate::World;
use crate::site::Site;
use conductor::{ProvisionRequest, RebootKind, Rebuild, RequestError, Requester};
use model::Secret;
use model::compute::{PowerView, Server, ServerImage, VmState, WantedPort};
use model::network::NetworkPort;
use model::node::PowerTarget;
use model::state::{Event, ProvisionState as S};
use uuid::Uuid;

async fn active(site: &Site, cloud: &Cloud, node: &str) -> Server {
    cloud.node(node, 2).await;
    let uuid = cloud.create(cloud.server("web")).await.unwrap();
    let server = settled(site, uuid).await;
    assert_eq!(server.vm_state, VmState::Active, "{:?}", server.fault);
    server
}

fn text<T: std::fmt::Debug>(outcome: Result<T, RequestError>) -> String {
    outcome.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn power_goes_off_and_on_and_round() {
    let world = World::new();
    let site = world.start(|_| {});
    let cloud = Cloud::new(&site).await;
    let server = active(&site, &cloud, "n1").await;
    let (uuid, bmc) = (server.uuid, world.bmcs.fake(&server.node.unwrap().to_string(), bmc::PowerState::Off));

    let refused = text(site.conductor.start_server(uuid, &by("start")).await);
    assert_eq!(refused, format!("Cannot 'start' instance {uuid} while it is in vm_state active"));
    site.conductor.stop_server(uuid, &by("stop")).await.unwrap();
    let stopped = settled(&site, uuid).await;
    assert_eq!((stopped.status(), stopped.power), ("SHUTOFF", PowerView::Shutdown));
    let refused = text(site.conductor.reboot_server(uuid, RebootKind::Soft, &by("reboot")).await);
    assert_eq!(refused, format!("Cannot 'reboot' instance {uuid} while it is in vm_state stopped"));
    site.conductor.start_server(uuid, &by("start")).await.unwrap();
    assert_eq!(settled(&site, uuid).await.status(), "ACTIVE");
    for kind in [RebootKind::Soft, RebootKind::Hard] {
        let offs = bmc.offs();
        site.conductor.reboot_server(uuid, kind, &by("reboot")).await.unwrap();
        let server = settled(&site, uuid).await;
        assert_eq!((server.status(), server.power), ("ACTIVE", PowerView::Running));
        assert_eq!(bmc.offs(), offs + 1, "{kind:?}");
    }
    let actions = site.store.server_actions(uuid).await.unwrap();
    let names: Vec<_> = actions.iter().map(|action| action.action.as_str()).collect();
    assert_eq!(names, ["create", "stop", "start", "reboot", "reboot"]);
    assert!(actions.iter().all(|action| action.message.is_none()), "{actions:?}");
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_writes_another_image_on_the_same_node() {
    let world = World::new();
    let site = world.start(|_| {});
    let cloud = Cloud::new(&site).await;
    let server = active(&site, &cloud, "n1").await;
    let (uuid, node) = (server.uuid, server.node.unwrap());
    let image = ServerImage { id: Uuid::from_u128(OTHER_IMAGE).to_string(), ..ServerImage::default() };
    let rebuild = Rebuild {
        image: image.clone(),
        preserve_ephemeral: true,
        user_data: Some(Some(Secret::new("aGVsbG8="))),
        admin_password: None,
    };
    site.conductor.stop_server(uuid, &by("stop")).await.unwrap();
    settled(&site, uuid).await;
    let renamed = |server: &mut Server| server.name = "db".into();
    site.conductor.rebuild_server(uuid, rebuild, &by("rebuild"), renamed).await.unwrap();
    let server = settled(&site, uuid).await;
    assert_eq!((server.status(), server.node, server.image.clone()), ("SHUTOFF", Some(node), Some(image)));
    assert_eq!(server.work, Default::default());
    let machine = site.node(node).await;
    assert_eq!(machine.instance_info["image_source"], Uuid::from_u128(OTHER_IMAGE).to_string());
    assert_eq!(machine.instance_info["display_name"], "db");
    assert_eq!(machine.instance_info["preserve_ephemeral"], "True");
    let drive = site.store.config_drive(node).await.unwrap().unwrap();
    let iso = disk::config_drive::decode(&drive).unwrap();
    assert!(String::from_utf8_lossy(&iso).contains("hello"));
    let secrets = site.store.server_secrets(uuid).await.unwrap();
    assert_eq!(secrets.user_data, Some(Secret::new("aGVsbG8=")));
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescue_is_entered_and_left_and_its_password_is_kept_nowhere() {
    let world = World::new();
    let site = world.start(|_| {});
    let cloud = Cloud::new(&site).await;
    let server = active(&site, &cloud, "n1").await;
    let (uuid, node) = (server.uuid, server.node.unwrap());
    site.conductor.rescue_server(uuid, Secret::new("hunter2"), &by("rescue")).await.unwrap();
    let rescued = settled(&site, uuid).await;
    assert_eq!((rescued.status(), rescued.fault.as_ref()), ("RESCUE", None));
    assert_eq!(site.node(node).await.provision_state, S::Rescue);
    assert_eq!(site.store.server_secrets(uuid).await.unwrap().rescue_password, None);
    site.conductor.unrescue_server(uuid, &by("unrescue")).await.unwrap();
    assert_eq!(settled(&site, uuid).await.status(), "ACTIVE");
    site.conductor.rescue_server(uuid, Secret::new("hunter2"), &by("rescue")).await.unwrap();
    settled(&site, uuid).await;
    site.conductor.delete_server(uuid, &by("delete")).await.unwrap();
    gone(&site, uuid).await;
    cloud.assert_clean(&site).await;
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_come_and_go_as_far_as_there_are_cards() {
    let world = World::new();
    let site = world.start(|_| {});
    let cloud = Cloud::new(&site).await;
    let server = active(&site, &cloud, "n1").await;
    let uuid = server.uuid;
    let on_network = WantedPort { network: Some(cloud.network), ..WantedPort::default() };
    let added = site.conductor.attach_server_port(uuid, on_network.clone(), &by("attach")).await.unwrap();
    assert_ne!(added.mac, server.ports[0].mac);
    let refused = text(site.conductor.attach_server_port(uuid, on_network, &by("attach")).await);
    assert!(refused.contains("its machine has 2 network cards, and all of them are in use"), "{refused}");
    let own = cloud.port().await;
    let wanted = WantedPort { port: Some(own.id), ..WantedPort::default() };
    site.conductor.attach_server_port(uuid, wanted.clone(), &by("attach")).await.unwrap_err();
    site.conductor.detach_server_port(uuid, added.port, &by("detach")).await.unwrap();
    let refused = text(site.conductor.detach_server_port(uuid, added.port, &by("detach")).await);
    assert!(refused.contains("is not attached to instance"), "{refused}");
    let attached = site.conductor.attach_server_port(uuid, wanted, &by("attach")).await.unwrap();
    assert_eq!((attached.port, &attached.mac), (own.id, &added.mac), "the free card is used again");
    site.conductor.detach_server_port(uuid, own.id, &by("detach")).await.unwrap();
    let free: NetworkPort = site.store.get(&own.id.to_string()).await.unwrap();
    assert_eq!((free.mac_address, free.device_id.as_str()), (own.mac_address, ""));
    assert_eq!(site.store.network_ports_of_device(&uuid.to_string()).await.unwrap().len(), 1);
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_keeps_its_owner_from_changes_and_an_operators_lock_is_an_operators() {
    let world = World::new();
    let site = world.start(|_| {});
    let cloud = Cloud::new(&site).await;
    let uuid = active(&site, &cloud, "n1").await.uuid;
    let operator = Requester { is_operator: true, project_id: "admin".into(), ..by("lock") };
    site.conductor.lock_server(uuid, Some("audit".into()), &by("lock")).await.unwrap();
    let locked = format!("Instance {uuid} is locked");
    assert_eq!(text(site.conductor.stop_server(uuid, &by("stop")).await), locked);
    assert_eq!(text(site.conductor.delete_server(uuid, &by("delete")).await), locked);
    site.conductor.unlock_server(uuid, &by("unlock")).await.unwrap();
    site.conductor.lock_server(uuid, None, &operator).await.unwrap();
    assert!(matches!(
        site.conductor.unlock_server(uuid, &by("unlock")).await,
        Err(RequestError::Forbidden(_))
    ));
    site.conductor.delete_server(uuid, &operator).await.unwrap();
    gone(&site, uuid).await;
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_operators_do_to_a_machine_shows_in_its_server() {
    let world = World::new();
    let site = world.start(|_| {});
    let cloud = Cloud::new(&site).await;
    let server = active(&site, &cloud, "n1").await;
    let (uuid, node) = (server.uuid, server.node.unwrap());
    let power = |target| conductor::PowerRequest { target, timeout_seconds: None };
    for (target, status, seen) in [
        (PowerTarget::On, "ACTIVE", PowerView::Running),
        (PowerTarget::Off, "SHUTOFF", PowerView::Shutdown),
        (PowerTarget::On, "ACTIVE", PowerView::Running),
    ] {
        site.conductor.power(node, power(target)).await.unwrap();
        until(&site, uuid, |server| (server.status(), server.power) == (status, seen)).await;
    }

    let undeploy = ProvisionRequest {
        verb: Event::Delete,
        config_drive: None,
        steps: None,
        disable_ramdisk: false,
        rescue_password: None,
    };
    site.conductor.provision(node, undeploy).await.unwrap();
    let lost = until(&site, uuid, |server| server.status() == "ERROR").await;
    let message = lost.fault.unwrap().message;
    assert!(
        message.contains("its instance was removed from node") && message.contains("Delete the server"),
        "{message}"
    );
    assert_eq!((lost.node, lost.ports), (None, vec![]));
    // The node is free for another, whatever becomes of the first.
    site.reach(node, &[S::Available], crate::LIMIT).await;
    let second = cloud.create(cloud.server("next")).await.unwrap();
    assert_eq!(settled(&site, second).await.node, Some(node));
    for uuid in [uuid, second] {
        site.conductor.delete_server(uuid, &by("delete")).await.unwrap();
        gone(&site, uuid).await;
    }
    cloud.assert_clean(&site).await;
    site.kill();
}

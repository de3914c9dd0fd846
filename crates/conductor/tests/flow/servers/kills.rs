//! A kill after every event of a server, its node and its ports, while it is created, changed and deleted.

use super::cloud::{Cloud, OTHER_IMAGE, assert_nothing_twice, by, gone, settled};
use crate::World;
use crate::site::{Site, after_every_event, come_to};
use bmc::PowerState as Power;
use conductor::{RebootKind, Rebuild};
use model::Secret;
use model::compute::{Server, ServerImage, VmState};
use model::state::ProvisionState as S;
use store::StoreError;
use uuid::Uuid;

/// How many events there are of a server's actions and of its node: nearly every write brings one.
async fn events(site: &Site, server: Uuid, node: Uuid) -> usize {
    let actions = site.store.server_actions(server).await.unwrap();
    let told = actions.iter().flat_map(|action| &action.events);
    let of_server: usize = told.map(|event| 1 + usize::from(event.finished_at.is_some())).sum();
    let ports = site.store.network_ports_of_device(&server.to_string()).await.unwrap().len();
    of_server + ports + site.event_count(node).await
}

/// Kills the conductor when there are so many events, and starts another; `false` where the server was done before that. Nobody else may
/// have the store by then.
async fn killed_after(world: &World, site: Site, (server, node): (Uuid, Uuid), count: usize) -> (Site, bool) {
    let is_over = async || match site.store.get::<Server>(&server.to_string()).await {
        Ok(server) => server.task_state.is_none(),
        Err(StoreError::NotFound { .. }) => true,
        Err(error) => panic!("{error}"),
    };
    if !come_to(count, || events(&site, server, node), is_over).await {
        return (site, false);
    }
    site.kill();
    (world.start(|_| {}), true)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_server_is_made_loses_nothing_and_makes_nothing_twice() {
    let round = async |n| {
        let world = World::new();
        let site = world.start(|_| {});
        let cloud = Cloud::new(&site).await;
        let node = cloud.node("n1", 2).await;
        cloud.node_with("other", 1, |node| node.resource_class = Some("silver".into())).await;
        let uuid = cloud.create(cloud.server("web")).await.unwrap();
        let network = cloud.network;
        drop(cloud);
        let (site, killed) = killed_after(&world, site, (uuid, node), n).await;
        let server = settled(&site, uuid).await;
        assert_eq!(server.vm_state, VmState::Active, "killed after event {n}: {:?}", server.fault);
        assert_nothing_twice(&site.store).await;
        let ports = site.store.network_ports_of_device(&uuid.to_string()).await.unwrap();
        assert_eq!(ports.len(), 1, "killed after event {n}");
        site.conductor.delete_server(uuid, &by("delete")).await.unwrap();
        gone(&site, uuid).await;
        Cloud::over(&site, network).assert_clean(&site).await;
        site.kill();
        killed
    };
    after_every_event(0, 7, round).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_server_is_deleted_leaves_nothing() {
    let round = async |n| {
        let world = World::new();
        let site = world.start(|_| {});
        let cloud = Cloud::new(&site).await;
        let node = cloud.node("n1", 2).await;
        let uuid = cloud.create(cloud.server("web")).await.unwrap();
        assert_eq!(settled(&site, uuid).await.vm_state, VmState::Active);
        let before = events(&site, uuid, node).await;
        site.conductor.delete_server(uuid, &by("delete")).await.unwrap();
        let network = cloud.network;
        drop(cloud);
        let (site, killed) = killed_after(&world, site, (uuid, node), before + n).await;
        gone(&site, uuid).await;
        let machine = site.reach(node, &[S::Available], crate::LIMIT).await;
        assert_eq!(machine.last_error, None, "killed after event {n}");
        Cloud::over(&site, network).assert_clean(&site).await;
        site.kill();
        killed
    };
    after_every_event(0, 4, round).await;
}

/// Has something done to an active server, killed after each of its events, and looks at the server, its node and its machine in the
/// end. `is_cut`: its power goes off on the way; a pretended deployment leaves it alone, and a pretended rescue too.
async fn killed_while(
    ask: impl AsyncFn(&Site, Uuid),
    (status, state): (&str, S),
    (is_cut, power): (bool, Power),
    least: usize,
) {
    let round = async |n| {
        let world = World::new();
        let site = world.start(|_| {});
        let cloud = Cloud::new(&site).await;
        let node = cloud.node("n1", 2).await;
        let uuid = cloud.create(cloud.server("web")).await.unwrap();
        assert_eq!(settled(&site, uuid).await.vm_state, VmState::Active);
        site.conductor.reboot_server(uuid, RebootKind::Hard, &by("reboot")).await.unwrap();
        settled(&site, uuid).await;
        let bmc = world.bmcs.fake(&node.to_string(), Power::Off);
        let offs = bmc.offs();
        let before = events(&site, uuid, node).await;
        ask(&site, uuid).await;
        let network = cloud.network;
        drop(cloud);
        let (site, killed) = killed_after(&world, site, (uuid, node), before + n).await;
        let server = settled(&site, uuid).await;
        assert_eq!((server.status(), server.fault.as_ref()), (status, None), "killed after event {n}");
        assert_eq!((server.node, server.ports.len()), (Some(node), 1), "killed after event {n}");
        let machine = site.reach(node, &[state], crate::LIMIT).await;
        assert_eq!(machine.last_error, None, "killed after event {n}");
        assert_eq!(bmc.offs() > offs, is_cut, "killed after event {n}");
        assert_eq!(bmc::Bmc::power_state(&*bmc).await.unwrap(), power, "killed after event {n}");
        let actions = site.store.server_actions(uuid).await.unwrap();
        assert!(actions.iter().all(|action| action.message.is_none()), "killed after event {n}: {actions:?}");
        assert_eq!(site.store.server_secrets(uuid).await.unwrap().rescue_password, None);
        site.conductor.delete_server(uuid, &by("delete")).await.unwrap();
        gone(&site, uuid).await;
        Cloud::over(&site, network).assert_clean(&site).await;
        site.kill();
        killed
    };
    after_every_event(0, least, round).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_server_is_rebuilt_loses_nothing() {
    let image = ServerImage { id: Uuid::from_u128(OTHER_IMAGE).to_string(), ..ServerImage::default() };
    let rebuild = async |site: &Site, uuid| {
        let rebuild = Rebuild {
            image: image.clone(),
            preserve_ephemeral: false,
            user_data: Some(Some(Secret::new("aGVsbG8="))),
            admin_password: None,
        };
        site.conductor.rebuild_server(uuid, rebuild, &by("rebuild"), |_| {}).await.unwrap();
    };
    killed_while(rebuild, ("ACTIVE", S::Active), (false, Power::On), 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_server_is_rescued_loses_nothing_and_keeps_no_password() {
    let rescue = async |site: &Site, uuid| {
        site.conductor.rescue_server(uuid, Secret::new("hunter2"), &by("rescue")).await.unwrap();
    };
    killed_while(rescue, ("RESCUE", S::Rescue), (false, Power::On), 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_servers_power_changes_loses_nothing() {
    let stop = async |site: &Site, uuid| site.conductor.stop_server(uuid, &by("stop")).await.unwrap();
    killed_while(stop, ("SHUTOFF", S::Active), (true, Power::Off), 3).await;
    let reboot = async |site: &Site, uuid| {
        site.conductor.reboot_server(uuid, RebootKind::Hard, &by("reboot")).await.unwrap();
    };
    killed_while(reboot, ("ACTIVE", S::Active), (true, Power::On), 3).await;
}

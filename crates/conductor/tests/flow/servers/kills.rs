//! A kill after every event of a server, its node and its ports, while it is created and while it is deleted.

use super::cloud::{Cloud, assert_nothing_twice, by, gone, settled};
use crate::World;
use crate::site::Site;
use model::compute::{Server, VmState};
use model::state::ProvisionState as S;
use store::StoreError;
use uuid::Uuid;

/// How many events there are of a server's actions and of its node: nearly every write brings one.
async fn events(site: &Site, server: Uuid, node: Uuid) -> usize {
    let actions = site.store.server_actions(server).await.unwrap();
    let told = actions.iter().flat_map(|action| &action.events);
    let of_server: usize = told.map(|event| 1 + usize::from(event.finished_at.is_some())).sum();
    let ports = site.store.network_ports_of_device(&server.to_string()).await.unwrap().len();
    of_server + ports + site.store.events(node, 1000).await.unwrap().len()
}

/// Waits for `n` events more than `before`; `false` where it ended before.
async fn passed(site: &Site, server: Uuid, node: Uuid, before: usize, n: usize) -> bool {
    loop {
        let is_over = match site.store.get::<Server>(&server.to_string()).await {
            Ok(server) => server.task_state.is_none(),
            Err(StoreError::NotFound { .. }) => true,
            Err(error) => panic!("{error}"),
        };
        if is_over {
            return false;
        }
        // What is counted of a server that is gone meanwhile is over too.
        if events(site, server, node).await >= before + n {
            return true;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_server_is_made_loses_nothing_and_makes_nothing_twice() {
    let mut survived = 0;
    for n in 0.. {
        let world = World::new();
        let mut site = world.start(|_| {});
        let cloud = Cloud::new(&site).await;
        let node = cloud.node("n1", 2).await;
        cloud.node_with("other", 1, |node| node.resource_class = Some("silver".into())).await;
        let uuid = cloud.create(cloud.server("web")).await.unwrap();
        let killed = passed(&site, uuid, node, 0, n).await;
        let network = cloud.network;
        drop(cloud);
        if killed {
            site.kill();
            site = world.start(|_| {});
        }
        let server = settled(&site, uuid).await;
        assert_eq!(server.vm_state, VmState::Active, "killed after event {n}: {:?}", server.fault);
        assert_nothing_twice(&site.store).await;
        let ports = site.store.network_ports_of_device(&uuid.to_string()).await.unwrap();
        assert_eq!(ports.len(), 1, "killed after event {n}");
        site.conductor.delete_server(uuid, &by("delete")).await.unwrap();
        gone(&site, uuid).await;
        Cloud::over(&site, network).assert_clean(&site).await;
        site.kill();
        if !killed {
            break;
        }
        survived += 1;
    }
    assert!(survived > 6, "only {survived} events were killed at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_server_is_deleted_leaves_nothing() {
    let mut survived = 0;
    for n in 0.. {
        let world = World::new();
        let mut site = world.start(|_| {});
        let cloud = Cloud::new(&site).await;
        let node = cloud.node("n1", 2).await;
        let uuid = cloud.create(cloud.server("web")).await.unwrap();
        assert_eq!(settled(&site, uuid).await.vm_state, VmState::Active);
        let before = events(&site, uuid, node).await;
        site.conductor.delete_server(uuid, &by("delete")).await.unwrap();
        let killed = passed(&site, uuid, node, before, n).await;
        let network = cloud.network;
        drop(cloud);
        if killed {
            site.kill();
            site = world.start(|_| {});
        }
        gone(&site, uuid).await;
        let machine = site.reach(node, &[S::Available], crate::LIMIT).await;
        assert_eq!(machine.last_error, None, "killed after event {n}");
        Cloud::over(&site, network).assert_clean(&site).await;
        site.kill();
        if !killed {
            break;
        }
        survived += 1;
    }
    assert!(survived > 3, "only {survived} events were killed at");
}

//! A kill after every change of a server, its node and its ports, while it is created and while it is deleted.

use super::cloud::{Cloud, assert_nothing_twice, by, gone, settled};
use crate::World;
use crate::site::Site;
use model::compute::{Server, VmState};
use model::state::ProvisionState as S;
use store::StoreError;
use uuid::Uuid;

/// What a kill may fall between: every write of the server and of its node shows in it.
async fn seen(site: &Site, server: Uuid, node: Uuid) -> Option<String> {
    let server = match site.store.get::<Server>(&server.to_string()).await {
        Ok(server) => server,
        Err(StoreError::NotFound { .. }) => return None,
        Err(error) => panic!("{error}"),
    };
    let node = site.store.node(&node.to_string()).await.unwrap();
    let ports = site.store.network_ports_of_device(&server.uuid.to_string()).await.unwrap();
    let reservation = node.reservation.is_some();
    Some(format!("{:?} {:?} {reservation} {ports:?}", server.updated_at, node.node.updated_at))
}

/// Waits for the `n`-th change; `false` where it ended before.
async fn change(site: &Site, server: Uuid, node: Uuid, n: usize, ended: impl Fn(&Server) -> bool) -> bool {
    let (mut count, mut last) = (0, None);
    loop {
        let now = seen(site, server, node).await;
        if now != last {
            count += 1;
            last = now;
        }
        if count >= n {
            return true;
        }
        match site.store.get::<Server>(&server.to_string()).await {
            Ok(server) if ended(&server) => return false,
            Err(StoreError::NotFound { .. }) => return false,
            _ => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_server_is_made_loses_nothing_and_makes_nothing_twice() {
    let mut survived = 0;
    for n in 1.. {
        let world = World::new();
        let mut site = world.start(|_| {});
        let cloud = Cloud::new(&site).await;
        let node = cloud.node("n1", 2).await;
        cloud.node_with("other", 1, |node| node.resource_class = Some("silver".into())).await;
        let uuid = cloud.create(cloud.server("web")).await.unwrap();
        let killed = change(&site, uuid, node, n, |server| server.task_state.is_none()).await;
        let network = cloud.network;
        drop(cloud);
        if killed {
            site.kill();
            site = world.start(|_| {});
        }
        let server = settled(&site, uuid).await;
        assert_eq!(server.vm_state, VmState::Active, "killed after change {n}: {:?}", server.fault);
        assert_nothing_twice(&site.store).await;
        let ports = site.store.network_ports_of_device(&uuid.to_string()).await.unwrap();
        assert_eq!(ports.len(), 1, "killed after change {n}");
        site.conductor.delete_server(uuid, &by("delete")).await.unwrap();
        gone(&site, uuid).await;
        Cloud::over(&site, network).assert_clean(&site).await;
        site.kill();
        if !killed {
            break;
        }
        survived += 1;
    }
    assert!(survived > 6, "only {survived} changes were killed at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_server_is_deleted_leaves_nothing() {
    let mut survived = 0;
    for n in 1.. {
        let world = World::new();
        let mut site = world.start(|_| {});
        let cloud = Cloud::new(&site).await;
        let node = cloud.node("n1", 2).await;
        let uuid = cloud.create(cloud.server("web")).await.unwrap();
        assert_eq!(settled(&site, uuid).await.vm_state, VmState::Active);
        site.conductor.delete_server(uuid, &by("delete")).await.unwrap();
        let killed = change(&site, uuid, node, n, |_| false).await;
        let network = cloud.network;
        drop(cloud);
        if killed {
            site.kill();
            site = world.start(|_| {});
        }
        gone(&site, uuid).await;
        let machine = site.reach(node, &[S::Available], crate::LIMIT).await;
        assert_eq!(machine.last_error, None, "killed after change {n}");
        Cloud::over(&site, network).assert_clean(&site).await;
        site.kill();
        if !killed {
            break;
        }
        survived += 1;
    }
    assert!(survived > 3, "only {survived} changes were killed at");
}

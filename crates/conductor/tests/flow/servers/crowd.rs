//! Many servers at once: each is active or is told why not, and nothing is given twice.

use super::cloud::{Cloud, assert_nothing_twice, by};
use crate::World;
use crate::site::Site;
use conductor::{Conductor, Settings};
use model::compute::{Server, VmState};
use std::time::{Duration, Instant};
use store::{Query, ServerSecrets};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Waits until no server is being made any more.
async fn all_settled(site: &Site, limit: Duration) {
    let began = Instant::now();
    loop {
        let built = Query::equal("vm_state", VmState::Building.as_str()).limit(1);
        let built: Vec<Server> = site.store.list(&built).await.unwrap();
        if built.is_empty() {
            return;
        }
        assert!(began.elapsed() < limit, "servers are still on their way: {built:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_node_goes_to_one_server_even_with_two_conductors() {
    let world = World::new();
    let site = world.start(|_| {});
    let other = Conductor::new(site.store.clone(), Settings::new("there", world.path()), world.bmcs.clone());
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (other, stop) = (other.clone(), stop.clone());
        async move { other.run(stop).await }
    });
    let cloud = Cloud::new(&site).await;
    for number in 0..12 {
        cloud.node(&format!("n{number}"), 1).await;
    }
    let mut asks = JoinSet::new();
    for number in 0..30 {
        let conductor = if number % 2 == 0 { site.conductor.clone() } else { other.clone() };
        let server = cloud.server(&format!("s{number}"));
        asks.spawn(async move {
            let new = vec![(server, ServerSecrets::default())];
            conductor.create_servers(new, &by("create"), |_| Ok(())).await.unwrap();
        });
    }
    asks.join_all().await;
    all_settled(&site, crate::LIMIT).await;
    let servers = assert_nothing_twice(&site.store).await;
    let active = servers.iter().filter(|server| server.vm_state == VmState::Active).count();
    assert_eq!((servers.len(), active), (30, 12));
    for server in servers.iter().filter(|server| server.vm_state == VmState::Error) {
        let message = &server.fault.as_ref().unwrap().message;
        assert!(
            message.starts_with("No valid host was found. 12 nodes were turned away: 12 with an instance"),
            "{message}"
        );
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_come_and_go_at_once_leave_nothing() {
    let world = World::new();
    let site = world.start(|_| {});
    let cloud = Cloud::new(&site).await;
    for number in 0..6 {
        cloud.node(&format!("n{number}"), 1).await;
    }
    let mut uuids = Vec::new();
    for number in 0..24 {
        let uuid = cloud.create(cloud.server(&format!("s{number}"))).await.unwrap();
        uuids.push(uuid);
        if number % 3 == 0 {
            site.conductor.delete_server(uuid, &by("delete")).await.unwrap();
        }
    }
    for uuid in &uuids {
        let deleted = site.conductor.delete_server(*uuid, &by("delete")).await;
        assert!(deleted.is_ok() || deleted.unwrap_err().to_string().contains("could not be found"));
    }
    for uuid in uuids {
        super::gone(&site, uuid).await;
    }
    cloud.assert_clean(&site).await;
    site.kill();
}

/// `cargo nextest run -p conductor a_thousand --run-ignored all --no-capture` tells the times.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute: a measurement"]
async fn a_thousand_servers_at_once() {
    let world = World::new();
    let site = world.start(|_| {});
    let cloud = Cloud::new(&site).await;
    site.store.put_network_quotas("p", &[("port", 5000)]).await.unwrap();
    for number in 0..900 {
        cloud.node(&format!("n{number}"), 1).await;
    }
    let began = Instant::now();
    let mut asks = JoinSet::new();
    for number in 0..1000 {
        let conductor = site.conductor.clone();
        let server = cloud.server(&format!("s{number}"));
        asks.spawn(async move {
            let new = vec![(server, ServerSecrets::default())];
            conductor.create_servers(new, &by("create"), |_| Ok(())).await.unwrap();
        });
    }
    asks.join_all().await;
    let accepted = began.elapsed();
    all_settled(&site, Duration::from_secs(300)).await;
    let settled = began.elapsed();
    let servers = assert_nothing_twice(&site.store).await;
    let active = servers.iter().filter(|server| server.vm_state == VmState::Active).count();
    println!("1,000 servers on 900 nodes: accepted in {accepted:?}, settled in {settled:?}");
    assert_eq!(active, 900);
    assert!(servers.iter().all(|server| server.vm_state == VmState::Active || server.fault.is_some()));
    site.kill();
}

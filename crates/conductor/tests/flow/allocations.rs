//! Nodes for allocations: who gets one, who is told why not, and that a kill loses nothing.

use crate::World;
use crate::members::of_another;
use crate::site::{Site, somebody};
use conductor::Conductor;
use jiff::Timestamp;
use model::allocation::{Allocation, AllocationState};
use model::node::{Node, PowerState};
use model::state::ProvisionState;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use store::Query;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(20);

fn node(name: &str) -> Node {
    let mut node = Node::new(Uuid::new_v4(), "fake-hardware", Timestamp::now());
    node.name = Some(name.to_owned());
    node.resource_class = Some("gold".to_owned());
    node.provision_state = ProvisionState::Available;
    node.power_state = Some(PowerState::Off);
    node
}

fn wish(name: &str) -> Allocation {
    let mut wish = Allocation::new(Uuid::new_v4(), Timestamp::now());
    wish.name = Some(name.to_owned());
    wish.resource_class = Some("gold".to_owned());
    wish
}

/// Waits until nobody looks for a node any more.
async fn settled(site: &Site) -> Vec<Allocation> {
    let began = Instant::now();
    loop {
        let all: Vec<Allocation> = site.store.list(&Query::default()).await.unwrap();
        if all.iter().all(|one| one.state != AllocationState::Allocating) {
            return all;
        }
        assert!(began.elapsed() < LIMIT, "still looking: {all:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_node_goes_to_one_allocation_even_with_two_conductors() {
    let world = World::new();
    let site = world.start(|_| {});
    let other = Conductor::new(
        site.store.clone(),
        conductor::Settings::new("there", world.path()),
        world.bmcs.clone(),
    );
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (other, stop) = (other.clone(), stop.clone());
        async move { other.run(stop).await }
    });
    for number in 0..8 {
        site.store.create_node(&node(&format!("n{number}")), &[]).await.unwrap();
    }
    for number in 0..20 {
        let conductor = if number % 2 == 0 { &site.conductor } else { &other };
        conductor.create_allocation(&wish(&format!("a{number}"))).await.unwrap();
    }
    let all = settled(&site).await;
    let nodes: BTreeSet<_> = all.iter().filter_map(|one| one.node_uuid).collect();
    let active: Vec<_> = all.iter().filter(|one| one.state == AllocationState::Active).collect();
    assert_eq!((nodes.len(), active.len()), (8, 8));
    for one in &active {
        let node = site.node(one.node_uuid.unwrap()).await;
        assert_eq!(node.allocation_uuid, Some(one.uuid));
        assert_eq!(node.instance_uuid, Some(one.uuid.to_string()));
    }
    for one in all.iter().filter(|one| one.state == AllocationState::Error) {
        let expected = format!(
            "Failed to process allocation {}: no available nodes match the resource class gold. 8 nodes of the class: 8 with an \
             instance.",
            one.uuid
        );
        assert_eq!(one.last_error.as_deref(), Some(expected.as_str()));
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allocation_outlives_the_process_that_was_killed() {
    let world = World::new();
    let site = world.start(|_| {});
    let uuid = Uuid::new_v4();
    let kept = Allocation { uuid, ..wish("kept") };
    site.store.create_node(&node("n1"), &[]).await.unwrap();
    // Written, and nobody told: as after a kill between the answer and the search.
    let store = site.store.clone();
    site.kill();
    let store = of_another(&world, store).await;
    store.create(&kept).await.unwrap();
    drop(store);
    let site = world.start(|_| {});
    let all = settled(&site).await;
    assert_eq!(all[0].state, AllocationState::Active);
    assert_eq!(site.node(all[0].node_uuid.unwrap()).await.allocation_uuid, Some(uuid));
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_of_the_allocations_name_goes_first_and_reasons_are_counted() {
    let world = World::new();
    let site = world.start(|_| {});
    for number in 0..6 {
        site.store.create_node(&node(&format!("n{number}")), &[]).await.unwrap();
    }
    let mut worn = node("worn");
    worn.maintenance = true;
    site.store.create_node(&worn, &[]).await.unwrap();
    site.conductor.create_allocation(&wish("n4")).await.unwrap();
    let got = settled(&site).await[0].node_uuid.unwrap();
    assert_eq!(site.node(got).await.name.as_deref(), Some("n4"));
    let mut picky = wish("picky");
    picky.traits = vec!["CUSTOM_X".to_owned()];
    site.conductor.create_allocation(&picky).await.unwrap();
    let all = settled(&site).await;
    let text = all[1].last_error.clone().unwrap();
    assert!(text.contains("no suitable nodes have the requested traits CUSTOM_X. "), "{text}");
    assert!(
        text.ends_with("7 nodes of the class: 1 in maintenance, 1 with an instance, 5 without CUSTOM_X."),
        "{text}"
    );
    let mut choosy = wish("choosy");
    choosy.candidate_nodes = vec![worn.uuid];
    site.conductor.create_allocation(&choosy).await.unwrap();
    let text = settled(&site).await[2].last_error.clone().unwrap();
    assert!(text.contains("none of the requested nodes are available and match the resource class gold. "));
    assert!(text.ends_with("1 node of the class: 1 in maintenance."), "{text}");
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_node_is_waited_for_but_not_for_ever() {
    let world = World::new();
    let site = world.start(|_| {});
    let busy = node("busy");
    site.store.create_node(&busy, &[]).await.unwrap();
    let claim = site.store.claim(busy.uuid, &somebody()).await.unwrap();
    site.conductor.create_allocation(&wish("patient")).await.unwrap();
    site.store.release(&claim).await.unwrap();
    assert_eq!(settled(&site).await[0].state, AllocationState::Active);
    let free: Uuid = settled(&site).await[0].uuid;
    site.conductor.delete_allocation(free).await.unwrap();
    site.store.claim(busy.uuid, &somebody()).await.unwrap();
    site.conductor.create_allocation(&wish("unlucky")).await.unwrap();
    let all = settled(&site).await;
    let text = all[0].last_error.clone().unwrap();
    assert!(text.contains("could not reserve any of 1 suitable nodes"), "{text}");
    site.kill();
}

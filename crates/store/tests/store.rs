//! The store's contract, on a database of its own for each test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use jiff::{SignedDuration, Timestamp};
use model::event::{EventKind, LogEvent};
use model::node::Node;
use model::port::Port;
use model::state::Event;
use std::time::Duration;
use store::{Guard, NodeQuery, OpenError, Query, SortDirection, Store, StoreError};
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(15);

async fn site() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    (dir, store)
}

fn node(name: &str) -> Node {
    let mut node = Node::new(Uuid::new_v4(), "ipmi", Timestamp::now());
    node.name = Some(name.into());
    node
}

#[tokio::test]
async fn secrets_are_sealed_on_disk_masked_in_lists_and_opened_on_demand() {
    let (dir, store) = site().await;
    let mut secretive = node("m1");
    secretive.driver_info.insert("ipmi_password".into(), "calvin-and-hobbes".into());
    secretive.driver_info.insert("nested".into(), serde_json::json!({"deep": {"auth_token": "tiger"}}));
    store.create_node(&secretive, &[]).await.unwrap();
    store.put_config_drive(secretive.uuid, "H4sIAAAA-drive").await.unwrap();

    let shown = store.node("m1").await.unwrap().node;
    assert_eq!(shown.driver_info["ipmi_password"], "******");
    assert_eq!(shown.driver_info["nested"]["deep"]["auth_token"], "******");
    assert_eq!(store.node_with_secrets(secretive.uuid).await.unwrap().node, secretive);
    assert_eq!(store.config_drive(secretive.uuid).await.unwrap().as_deref(), Some("H4sIAAAA-drive"));

    store.close().await;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in ["calvin-and-hobbes", "tiger", "H4sIAAAA-drive"] {
            assert!(
                !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
                "{secret} is on the disk"
            );
        }
    }
}

#[tokio::test]
async fn an_edit_that_fails_writes_nothing() {
    let (_dir, store) = site().await;
    let node = node("m1");
    store.create_node(&node, &[]).await.unwrap();
    let outcome: Result<((), Node), StoreError> = store
        .edit_node(node.uuid, Guard::Free, Timestamp::now(), |edit| {
            edit.node.description = Some("half done".into());
            edit.events.push(LogEvent::new(Some(node.uuid), Timestamp::now(), EventKind::Request, "x", ""));
            Err(StoreError::ClaimLost { node: node.uuid })
        })
        .await;
    assert!(outcome.is_err());
    assert_eq!(store.node("m1").await.unwrap().node.description, None);
    assert!(store.events(node.uuid, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn whoever_lost_a_claim_cannot_write() {
    let (_dir, store) = site().await;
    let node = node("m1");
    store.create_node(&node, &[]).await.unwrap();
    let now = Timestamp::now();
    let first = store.claim(node.uuid, "a", now, LEASE).await.unwrap();
    assert!(
        matches!(store.claim(node.uuid, "b", now, LEASE).await, Err(StoreError::Locked { holder, .. }) if holder == "a")
    );
    let users = store.edit_node(node.uuid, Guard::Free, now, |_| Ok::<_, StoreError>(())).await;
    assert!(matches!(users, Err(StoreError::Locked { .. })));

    let later = now.checked_add(SignedDuration::from_secs(16)).unwrap();
    let second = store.claim(node.uuid, "b", later, LEASE).await.unwrap();
    assert!(second.epoch > first.epoch);
    let paused = store.edit_node(node.uuid, Guard::Held(&first), later, |_| Ok::<_, StoreError>(())).await;
    assert!(matches!(paused, Err(StoreError::ClaimLost { .. })));
    assert!(matches!(store.renew(&first, later, LEASE).await, Err(StoreError::ClaimLost { .. })));
    store.release(&first).await.unwrap();
    store.renew(&second, later, LEASE).await.unwrap();
    store.edit_node(node.uuid, Guard::Held(&second), later, |_| Ok::<_, StoreError>(())).await.unwrap();
}

#[tokio::test]
async fn due_nodes_are_found_soonest_first_and_held_ones_are_not() {
    let (_dir, store) = site().await;
    let now = Timestamp::now();
    let at = |seconds: i64| now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    let mut ids = Vec::new();
    for (name, due) in [("late", Some(60)), ("second", Some(-1)), ("first", Some(-2)), ("never", None)] {
        let mut node = node(name);
        node.due = due.map(at);
        store.create_node(&node, &[]).await.unwrap();
        ids.push(node.uuid);
    }
    let (due, next) = store.due_nodes(now, 10).await.unwrap();
    assert_eq!(due, [ids[2], ids[1]]);
    assert_eq!(next.map(|next| next.as_microsecond()), Some(at(60).as_microsecond()));
    store.claim(ids[2], "here", now, LEASE).await.unwrap();
    assert_eq!(store.due_nodes(now, 10).await.unwrap().0, [ids[1]]);
    assert_eq!(store.release_all().await.unwrap(), 1);
    assert_eq!(store.due_nodes(now, 10).await.unwrap().0.len(), 2);
}

#[tokio::test]
async fn taken_names_and_addresses_are_named() {
    let (_dir, store) = site().await;
    let first = node("m1");
    store.create_node(&first, &[]).await.unwrap();
    let taken = store.create_node(&node("m1"), &[]).await;
    assert!(matches!(taken, Err(StoreError::Duplicate { field: "name", value, .. }) if value == "m1"));
    let mac = "52:54:00:00:00:01";
    store.create(&Port::new(Uuid::new_v4(), first.uuid, mac.into(), Timestamp::now())).await.unwrap();
    let taken = store.create(&Port::new(Uuid::new_v4(), first.uuid, mac.into(), Timestamp::now())).await;
    assert!(matches!(taken, Err(StoreError::Duplicate { field: "address", .. })));
    let orphan = Port::new(Uuid::new_v4(), Uuid::new_v4(), "52:54:00:00:00:02".into(), Timestamp::now());
    assert!(matches!(store.create(&orphan).await, Err(StoreError::NotFound { what: "Node", .. })));
}

#[tokio::test]
async fn a_list_is_walked_page_by_page_in_any_order() {
    let (_dir, store) = site().await;
    for name in ["c", "a", "d", "b"] {
        store.create_node(&node(name), &[]).await.unwrap();
    }
    for (sort, direction, expected) in [
        (None, SortDirection::Ascending, "cadb"),
        (Some("name"), SortDirection::Ascending, "abcd"),
        (Some("name"), SortDirection::Descending, "dcba"),
        (Some("owner"), SortDirection::Ascending, "cadb"),
        (Some("maintenance"), SortDirection::Descending, "bdac"),
    ] {
        let mut walked = String::new();
        let mut marker = None;
        loop {
            let query = NodeQuery { sort, direction, marker, limit: 3, ..NodeQuery::default() };
            let page = store.nodes(&query).await.unwrap();
            walked.extend(page.iter().map(|row| row.node.name.clone().unwrap()));
            match page.last() {
                Some(last) => marker = Some(last.node.uuid),
                None => break,
            }
        }
        assert_eq!(walked, expected, "{sort:?} {direction:?}");
    }
}

#[tokio::test]
async fn filters_hold_together_and_hide_children() {
    let (_dir, store) = site().await;
    let mut parent = node("parent");
    parent.description = Some("rack 7, 100% full".into());
    parent.owner = Some("p1".into());
    let mut child = node("child");
    child.parent_node = Some(parent.uuid);
    for node in [&parent, &child] {
        store.create_node(node, &[]).await.unwrap();
    }
    let names = |query: NodeQuery| {
        let store = store.clone();
        async move {
            let rows = store.nodes(&NodeQuery { limit: 10, ..query }).await.unwrap();
            rows.into_iter().map(|row| row.node.name.unwrap()).collect::<Vec<_>>()
        }
    };
    assert_eq!(names(NodeQuery::default()).await, ["parent"]);
    assert_eq!(
        names(NodeQuery { include_children: true, ..NodeQuery::default() }).await,
        ["parent", "child"]
    );
    let contains = |text: &str| NodeQuery { description_contains: Some(text.into()), ..NodeQuery::default() };
    assert_eq!(names(contains("100% f")).await, ["parent"]);
    assert!(names(contains("100%f")).await.is_empty(), "a percent sign in the text is no wildcard");
    assert_eq!(names(NodeQuery { project: Some("p1".into()), ..NodeQuery::default() }).await, ["parent"]);
    let both = NodeQuery { associated: Some(true), project: Some("p1".into()), ..NodeQuery::default() };
    assert!(names(both).await.is_empty());
}

#[tokio::test]
async fn deleting_a_node_takes_its_ports_and_keeps_its_events() {
    let (_dir, store) = site().await;
    let node = node("m1");
    let now = Timestamp::now();
    store
        .create_node(&node, &[LogEvent::new(Some(node.uuid), now, EventKind::Request, "create", "")])
        .await
        .unwrap();
    store.create(&Port::new(Uuid::new_v4(), node.uuid, "52:54:00:00:00:01".into(), now)).await.unwrap();
    let refused = store.delete_node(node.uuid, now, |_| Err(StoreError::ClaimLost { node: node.uuid })).await;
    assert!(refused.is_err());
    store.delete_node::<StoreError>(node.uuid, now, |_| Ok(())).await.unwrap();
    assert!(matches!(store.node("m1").await, Err(StoreError::NotFound { .. })));
    assert!(store.list::<Port>(&Query::default()).await.unwrap().is_empty());
    assert_eq!(store.events(node.uuid, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_restart_finds_everything_and_a_second_process_is_turned_away() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let mut kept = node("m1");
    kept.apply(Event::Manage, Timestamp::now()).unwrap();
    store.create_node(&kept, &[]).await.unwrap();
    store
        .put_dhcp_lease("52:54:00:00:00:01", "10.77.0.130".parse().unwrap(), Timestamp::now())
        .await
        .unwrap();
    assert!(matches!(Store::open(dir.path()).await, Err(OpenError::InUse { .. })));
    store.close().await;
    drop(store);
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(store.node("m1").await.unwrap().node, kept);
    assert_eq!(store.dhcp_lease("52:54:00:00:00:01").await.unwrap(), Some("10.77.0.130".parse().unwrap()));
}

#[tokio::test]
async fn a_foreign_directory_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.tex"), "mine").unwrap();
    assert!(matches!(Store::open(dir.path()).await, Err(OpenError::Foreign { .. })));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_all_get_their_turn() {
    let (_dir, store) = site().await;
    let node = node("m1");
    store.create_node(&node, &[]).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let store = store.clone();
        writers.spawn(async move {
            store
                .edit_node(node.uuid, Guard::Any, Timestamp::now(), |edit| {
                    edit.node.nudge(Timestamp::now());
                    Ok::<_, StoreError>(())
                })
                .await
                .unwrap();
        });
    }
    writers.join_all().await;
    assert_eq!(store.node("m1").await.unwrap().node.nudges, 64);
}

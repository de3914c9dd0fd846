//! The store's contract, on a database of its own for each test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "store/object_store.rs"]
mod object_store;

use jiff::{SignedDuration, Timestamp};
use model::allocation::{Allocation, AllocationState};
use model::chassis::Chassis;
use model::compute::quota::{DEFAULTS, QuotaResource};
use model::compute::{Aggregate, Flavor, Keypair};
use model::event::{EventKind, LogEvent};
use model::node::Node;
use model::port::Port;
use model::portgroup::Portgroup;
use model::state::Event;
use model::volume::VolumeTarget;
use std::collections::{BTreeMap, BTreeSet};
use store::{Guard, Holder, NodeQuery, OpenError, Query, Served, SortDirection, Store, StoreError};
use uuid::Uuid;

#[path = "store/held.rs"]
mod held;
#[path = "store/network.rs"]
mod network;
#[path = "store/power_sync.rs"]
mod power_sync;

#[path = "store/conductor.rs"]
mod conductor;

fn holder(name: &str) -> Holder {
    Holder::new(name, Uuid::new_v4())
}

async fn site() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = store::testing::open(dir.path()).await.unwrap();
    (dir, store)
}

fn node(name: &str) -> Node {
    let mut node = Node::new(Uuid::new_v4(), "ipmi", Timestamp::now());
    node.name = Some(name.into());
    node
}

#[tokio::test]
async fn secrets_are_sealed_on_disk_masked_in_lists_and_opened_on_demand() {
    // On SQLite whatever else is tested: its files can be read.
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let mut secretive = node("m1");
    secretive.driver_info.insert("ipmi_password".into(), "calvin-and-hobbes".into());
    secretive.driver_info.insert("nested".into(), serde_json::json!({"deep": {"auth_token": "tiger"}}));
    store.create_node(&secretive, &[]).await.unwrap();
    store.put_config_drive(secretive.uuid, "H4sIAAAA-drive").await.unwrap();

    let row = store.node("m1").await.unwrap();
    assert_eq!(row.node.driver_info["ipmi_password"], "******");
    assert_eq!(row.node.driver_info["nested"]["deep"]["auth_token"], "******");
    let version = store.node_with_secrets(secretive.uuid).await.unwrap();
    assert_eq!(version.node, secretive);
    let query = NodeQuery { limit: 1, ..NodeQuery::default() };
    let listed = store.nodes(&query).await.unwrap().remove(0);
    assert_eq!(listed.node, row.node);
    for row in [row, listed] {
        let opened = store.open_row(row).await.unwrap();
        assert_eq!((&opened.node, opened.revision), (&secretive, version.revision));
    }
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
    let (a, b) = (holder("a"), holder("b"));
    let first = store.claim(node.uuid, &a).await.unwrap();
    assert!(
        matches!(store.claim(node.uuid, &b).await, Err(StoreError::Locked { holder, .. }) if holder == "a")
    );
    let users = store.edit_node(node.uuid, Guard::Free, now, |_| Ok::<_, StoreError>(())).await;
    assert!(matches!(users, Err(StoreError::Locked { .. })));

    store.put_config_drive(node.uuid, "H4sIAAAA").await.unwrap();
    store.leave(a.session).await.unwrap();
    let second = store.claim(node.uuid, &b).await.unwrap();
    assert!(second.epoch > first.epoch);
    let paused = store.edit_node(node.uuid, Guard::Held(&first), now, |_| Ok::<_, StoreError>(())).await;
    assert!(matches!(paused, Err(StoreError::ClaimLost { .. })));
    assert!(matches!(store.delete_held_config_drive(&first).await, Err(StoreError::ClaimLost { .. })));
    assert!(matches!(store.delete_findings(&first).await, Err(StoreError::ClaimLost { .. })));
    store.release(&first).await.unwrap();
    assert_eq!(store.claims_of(b.session).await.unwrap(), [(node.uuid, second.epoch)]);
    store.edit_node(node.uuid, Guard::Held(&second), now, |_| Ok::<_, StoreError>(())).await.unwrap();
}

#[tokio::test]
async fn due_nodes_are_claimed_soonest_first_and_held_ones_are_not() {
    let (_dir, store) = site().await;
    let now = Timestamp::now();
    let at = |seconds: i64| now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    let mut nodes = Vec::new();
    for (name, due) in [("late", Some(60)), ("second", Some(-1)), ("first", Some(-2)), ("never", None)] {
        let mut node = node(name);
        node.due = due.map(at);
        node.driver_info.insert("ipmi_password".into(), "calvin".into());
        store.create_node(&node, &[]).await.unwrap();
        nodes.push(node);
    }
    let (here, all) = (holder("here"), Served::default());
    let next = async || store.next_due(&all).await.unwrap().map(|due| due.as_microsecond());
    let elsewhere = Served { conductor_group: "rack2".into(), drivers: None };
    let others = Served { drivers: Some(vec!["redfish".into()]), ..Served::default() };
    for not_ours in [&elsewhere, &others, &Served { drivers: Some(Vec::new()), ..Served::default() }] {
        assert_eq!(store.next_due(not_ours).await.unwrap(), None);
        assert!(store.claim_due(&here, not_ours, now, 10).await.unwrap().is_empty());
    }
    let ours = Served { drivers: Some(vec!["redfish".into(), "ipmi".into()]), ..Served::default() };
    assert_eq!(next().await, Some(at(-2).as_microsecond()));
    let claimed = store.claim_due(&here, &ours, now, 1).await.unwrap();
    let [(claim, Ok(first))] = claimed.as_slice() else { panic!("{claimed:?}") };
    assert_eq!((claim.node, claim.holder.hostname.as_str(), &first.node), (nodes[2].uuid, "here", &nodes[2]));
    assert_eq!(next().await, Some(at(-1).as_microsecond()));
    let claimed = store.claim_due(&here, &all, now, 10).await.unwrap();
    assert_eq!(claimed.iter().map(|(claim, _)| claim.node).collect::<Vec<_>>(), [nodes[1].uuid]);
    assert_eq!(next().await, Some(at(60).as_microsecond()));
    assert!(store.claim_due(&here, &all, now, 10).await.unwrap().is_empty());
    assert_eq!(store.release_all().await.unwrap(), 2);
    let claimed = store.claim_due(&here, &all, now, 10).await.unwrap();
    assert_eq!(
        claimed.iter().map(|(claim, _)| claim.node).collect::<Vec<_>>(),
        [nodes[2].uuid, nodes[1].uuid]
    );
}

#[tokio::test]
async fn old_events_are_forgotten_and_young_ones_kept() {
    let (_dir, store) = site().await;
    let node = node("m1");
    let event = |name: String| LogEvent::new(Some(node.uuid), Timestamp::now(), EventKind::Step, name, "");
    let old: Vec<_> = (0..5).map(|number| event(format!("old {number}"))).collect();
    store.record(&old).await.unwrap();
    let before = Timestamp::now().checked_add(SignedDuration::from_micros(1)).unwrap();
    while Timestamp::now() <= before {
        tokio::task::yield_now().await;
    }
    store.record(&[event("young".to_owned())]).await.unwrap();
    let mut forgotten = Vec::new();
    for _ in 0..4 {
        forgotten.push(store.forget_events(before, 3).await.unwrap());
    }
    assert_eq!(forgotten, [3, 2, 0, 0]);
    let kept = store.events(node.uuid, 10).await.unwrap();
    assert_eq!(kept.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["young"]);
}

#[tokio::test]
async fn a_claim_may_end_with_the_last_change_made_under_it() {
    let (_dir, store) = site().await;
    let node = node("m1");
    store.create_node(&node, &[]).await.unwrap();
    let now = Timestamp::now();
    for description in [Some("changed"), None] {
        let claim = store.claim(node.uuid, &holder("a")).await.unwrap();
        store
            .edit_node(node.uuid, Guard::Held(&claim), now, |edit| {
                if let Some(text) = description {
                    edit.node.description = Some(text.into());
                }
                edit.release = true;
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
        let row = store.node("m1").await.unwrap();
        assert_eq!((row.reservation, row.node.description.as_deref()), (None, Some("changed")));
        let after = store.edit_node(node.uuid, Guard::Held(&claim), now, |_| Ok::<_, StoreError>(())).await;
        assert!(matches!(after, Err(StoreError::ClaimLost { .. })));
    }
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
async fn a_chassis_keeps_its_nodes_and_they_keep_it() {
    let (_dir, store) = site().await;
    let now = Timestamp::now();
    let chassis = Chassis::new(Uuid::new_v4(), now);
    let mut node = node("m1");
    node.chassis_uuid = Some(chassis.uuid);
    let orphan = store.create_node(&node, &[]).await;
    assert!(matches!(orphan, Err(StoreError::NotFound { what: "Chassis", .. })));
    assert!(store.node("m1").await.is_err(), "nothing of it was written");
    store.create(&chassis).await.unwrap();
    store.create_node(&node, &[]).await.unwrap();
    let full = store.delete::<Chassis>(chassis.uuid).await;
    assert!(matches!(full, Err(StoreError::InUse { what: "Chassis", parts: "nodes", .. })));
    let edit = |chassis: Option<Uuid>| {
        store.edit_node(node.uuid, Guard::Any, now, move |edit| {
            edit.node.chassis_uuid = chassis;
            Ok::<_, StoreError>(())
        })
    };
    assert!(matches!(edit(Some(Uuid::new_v4())).await, Err(StoreError::NotFound { what: "Chassis", .. })));
    edit(None).await.unwrap();
    store.delete::<Chassis>(chassis.uuid).await.unwrap();
    assert!(matches!(store.delete::<Chassis>(chassis.uuid).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn a_port_group_and_its_ports_are_written_together_or_not_at_all() {
    let (_dir, store) = site().await;
    let now = Timestamp::now();
    let node = node("m1");
    store.create_node(&node, &[]).await.unwrap();
    let mut group = Portgroup::new(Uuid::new_v4(), node.uuid, now);
    store.create(&group).await.unwrap();
    let port = |number: u8| {
        let mut port = Port::new(Uuid::new_v4(), node.uuid, format!("52:54:00:00:00:{number:02x}"), now);
        port.portgroup_uuid = Some(group.uuid);
        port
    };
    let (one, other) = (port(1), port(2));
    group.physical_network = Some("p".into());
    store.create_port(&one, Some(&group)).await.unwrap();
    assert_eq!(store.get::<Portgroup>(&group.uuid.to_string()).await.unwrap(), group);
    let mut twin = port(3);
    twin.address.clone_from(&one.address);
    group.category = Some("half done".into());
    assert!(matches!(store.create_port(&twin, Some(&group)).await, Err(StoreError::Duplicate { .. })));
    assert!(matches!(store.update_members(Some(&group), &[other]).await, Err(StoreError::NotFound { .. })));
    assert_eq!(store.get::<Portgroup>(&group.uuid.to_string()).await.unwrap().category, None);
    assert_eq!(store.ports_of_portgroup(group.uuid).await.unwrap(), [one]);
    let full = store.delete::<Portgroup>(group.uuid).await;
    assert!(matches!(full, Err(StoreError::InUse { what: "Portgroup", parts: "ports", .. })));
    store.delete_node::<StoreError>(node.uuid, now, |_| Ok(())).await.unwrap();
    assert!(store.list::<Portgroup>(&Query::default()).await.unwrap().is_empty());
    assert!(store.list::<Port>(&Query::default()).await.unwrap().is_empty());
}

#[tokio::test]
async fn secrets_of_a_volume_target_are_sealed_on_disk() {
    // On SQLite whatever else is tested: its files can be read.
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let node = node("m1");
    store.create_node(&node, &[]).await.unwrap();
    let properties = serde_json::json!({
        "auth_password": "calvin-and-hobbes", "paths": [{"auth_password": "susie-derkins"}]
    });
    let target = VolumeTarget {
        uuid: Uuid::new_v4(),
        node_uuid: node.uuid,
        volume_type: "iscsi".into(),
        volume_id: "v".into(),
        boot_index: 0,
        properties: properties.as_object().cloned().unwrap(),
        extra: Default::default(),
        created_at: Timestamp::now(),
        updated_at: None,
    };
    store.create_volume_target(&target).await.unwrap();
    let shown: VolumeTarget = store.get(&target.uuid.to_string()).await.unwrap();
    assert_eq!(shown.properties["auth_password"], "******");
    assert_eq!(shown.properties["paths"][0]["auth_password"], "******");
    assert_eq!(store.volume_target_with_secrets(target.uuid).await.unwrap(), target);
    let mut twin = target.clone();
    twin.uuid = Uuid::new_v4();
    assert!(matches!(
        store.create_volume_target(&twin).await,
        Err(StoreError::Duplicate { field: "boot_index", .. })
    ));
    store.close().await;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in ["calvin-and-hobbes", "susie-derkins"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
    }
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

fn wish() -> Allocation {
    let mut wish = Allocation::new(Uuid::new_v4(), Timestamp::now());
    wish.traits = vec!["CUSTOM_X".to_owned()];
    wish
}

fn unless_taken(_: &Allocation, node: &Node) -> Result<(), StoreError> {
    match &node.instance_uuid {
        None => Ok(()),
        Some(_) => Err(StoreError::Locked { node: node.label(), holder: "an instance".to_owned() }),
    }
}

#[tokio::test]
async fn two_allocations_never_get_one_node() {
    let (_dir, store) = site().await;
    let node = node("m1");
    store.create_node(&node, &[]).await.unwrap();
    let wishes: Vec<_> = (0..32).map(|_| wish()).collect();
    for wish in &wishes {
        store.create(wish).await.unwrap();
    }
    let mut tries = tokio::task::JoinSet::new();
    for wish in wishes.clone() {
        let (store, node) = (store.clone(), node.uuid);
        // Whoever is second by the program's own check, or by the table's where it has none.
        let blind = wish.uuid.as_u128() % 2 == 0;
        tries.spawn(async move {
            let fits = |wish: &Allocation, node: &Node| if blind { Ok(()) } else { unless_taken(wish, node) };
            store.allocate(wish.uuid, node, Timestamp::now(), fits).await
        });
    }
    let outcomes: Vec<Result<_, StoreError>> = tries.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let all: Vec<Allocation> = store.list(&Query::default()).await.unwrap();
    let active: Vec<_> = all.iter().filter(|one| one.state == AllocationState::Active).collect();
    assert_eq!(active.len(), 1);
    assert_eq!(active[0].node_uuid, Some(node.uuid));
    let stored = store.node("m1").await.unwrap().node;
    assert_eq!(stored.allocation_uuid, Some(active[0].uuid));
    assert_eq!(stored.instance_uuid, Some(active[0].uuid.to_string()));
    assert_eq!(stored.instance_info["traits"], serde_json::json!(["CUSTOM_X"]));
    // One that has its node, or is gone, takes no other.
    let spare = self::node("m2");
    store.create_node(&spare, &[]).await.unwrap();
    for uuid in [active[0].uuid, Uuid::new_v4()] {
        let again = store.allocate(uuid, spare.uuid, Timestamp::now(), unless_taken).await.unwrap();
        assert!(again.is_none());
    }
}

#[tokio::test]
async fn an_allocation_goes_with_its_nodes_instance_and_with_its_node() {
    let (_dir, store) = site().await;
    let node = node("m1");
    store.create_node(&node, &[]).await.unwrap();
    let allocated = async || {
        let wish = wish();
        store.create(&wish).await.unwrap();
        let (wish, _) =
            store.allocate(wish.uuid, node.uuid, Timestamp::now(), unless_taken).await.unwrap().unwrap();
        wish.uuid.to_string()
    };
    let is_gone = async |uuid: &str| {
        matches!(store.get::<Allocation>(uuid).await, Err(StoreError::NotFound { what: "Allocation", .. }))
    };
    // The instance is taken off.
    let first = allocated().await;
    let (_, edited) = store
        .edit_node(node.uuid, Guard::Free, Timestamp::now(), |edit| {
            edit.node.instance_uuid = None;
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    assert_eq!(edited.allocation_uuid, None);
    assert!(is_gone(&first).await);
    // The allocation is deleted; a refusal leaves all as it was.
    let second: Uuid = allocated().await.parse().unwrap();
    let refuse = |_: &Allocation, node: &Node| {
        Err(StoreError::Locked { node: node.label(), holder: "its state".to_owned() })
    };
    assert!(store.delete_allocation(second, Timestamp::now(), refuse).await.is_err());
    assert!(!is_gone(&second.to_string()).await);
    store.delete_allocation(second, Timestamp::now(), |_, _| Ok::<_, StoreError>(())).await.unwrap();
    assert!(is_gone(&second.to_string()).await);
    let freed = store.node("m1").await.unwrap().node;
    assert_eq!((freed.instance_uuid, freed.allocation_uuid), (None, None));
    // The node is deleted.
    let third = allocated().await;
    store.delete_node(node.uuid, Timestamp::now(), |_| Ok::<_, StoreError>(())).await.unwrap();
    assert!(is_gone(&third).await);
}

#[tokio::test]
async fn a_name_that_looks_like_a_uuid_finds_nothing() {
    let (_dir, store) = site().await;
    let (mut first, mut second) = (wish(), wish());
    first.name = Some(second.uuid.to_string());
    second.name = Some("second".to_owned());
    store.create(&first).await.unwrap();
    store.create(&second).await.unwrap();
    let found: Allocation = store.get(&second.uuid.to_string()).await.unwrap();
    assert_eq!(found, second);
    assert_eq!(store.get::<Allocation>("second").await.unwrap(), second);
}

#[tokio::test]
async fn flavors_are_found_by_their_own_id_and_their_names_are_unique() {
    let (_dir, store) = site().await;
    let mut gold = Flavor::new(Uuid::new_v4(), "gold", 8, 1024, 10, Timestamp::now());
    gold.id = "1".to_owned();
    store.create(&gold).await.unwrap();
    assert_eq!(store.flavor("1").await.unwrap(), gold);
    for ident in ["gold", "2", &gold.uuid.to_string()] {
        assert!(matches!(store.flavor(ident).await, Err(StoreError::NotFound { what: "Flavor", .. })));
    }
    let mut other = Flavor { uuid: Uuid::new_v4(), id: "2".to_owned(), ..gold.clone() };
    assert!(matches!(store.create(&other).await, Err(StoreError::Duplicate { field: "name", .. })));
    other.name = "silver".to_owned();
    other.id = "1".to_owned();
    assert!(matches!(store.create(&other).await, Err(StoreError::Duplicate { field: "flavor_id", .. })));
    assert_eq!(store.flavors().await.unwrap(), [gold]);
}

#[tokio::test]
async fn a_keypairs_name_is_one_of_its_users() {
    let (_dir, store) = site().await;
    let key = |name: &str, user: &str| Keypair {
        uuid: Uuid::new_v4(),
        name: name.to_owned(),
        user_id: user.to_owned(),
        public_key: "ssh-ed25519 AAAA".to_owned(),
        fingerprint: "00".to_owned(),
        created_at: Timestamp::now(),
    };
    let (b, a, hers) = (key("b", "alice"), key("a", "alice"), key("a", "bob"));
    for pair in [&b, &a, &hers] {
        store.create(pair).await.unwrap();
    }
    let twice = store.create(&key("a", "bob")).await;
    assert!(matches!(twice, Err(StoreError::Duplicate { field: "name", .. })), "{twice:?}");
    assert_eq!(store.keypairs("alice").await.unwrap(), [a, b]);
    assert_eq!(store.keypair("bob", "a").await.unwrap(), hers);
    assert!(matches!(store.keypair("bob", "b").await, Err(StoreError::NotFound { what: "Keypair", .. })));
}

#[tokio::test]
async fn limits_that_are_set_one_by_one_add_up_and_are_forgotten_together() {
    let (_dir, store) = site().await;
    let instances =
        async |project| store.compute_limits(project).await.unwrap().get(QuotaResource::Instances);
    let set = async |holder, resource, limit| {
        store.set_compute_quota(holder, &BTreeMap::from([(resource, limit)])).await.unwrap();
    };
    assert_eq!(instances(Some("p")).await, 10);
    set(DEFAULTS, QuotaResource::Instances, 5).await;
    set("p", QuotaResource::Cores, 7).await;
    assert_eq!((instances(Some("p")).await, instances(None).await), (5, 5));
    set("p", QuotaResource::Instances, 3).await;
    assert_eq!(store.compute_limits(Some("p")).await.unwrap().get(QuotaResource::Cores), 7);
    assert_eq!((instances(Some("p")).await, instances(Some("q")).await), (3, 5));
    store.delete_compute_quota("p").await.unwrap();
    store.delete_compute_quota("p").await.unwrap();
    assert_eq!(instances(Some("p")).await, 5);
}

#[tokio::test]
async fn aggregates_are_numbered() {
    let (_dir, store) = site().await;
    let aggregate = |name: &str| Aggregate {
        uuid: Uuid::new_v4(),
        id: 0,
        name: name.to_owned(),
        hosts: BTreeSet::new(),
        metadata: BTreeMap::new(),
        created_at: Timestamp::now(),
        updated_at: None,
    };
    let first = store.create_aggregate(aggregate("a")).await.unwrap();
    let second = store.create_aggregate(aggregate("b")).await.unwrap();
    assert_eq!((first.id, second.id), (1, 2));
    let twice = store.create_aggregate(aggregate("b")).await;
    assert!(matches!(twice, Err(StoreError::Duplicate { field: "name", .. })));
    assert_eq!(store.aggregate("2").await.unwrap(), second);
    assert_eq!(store.aggregate(&first.uuid.to_string()).await.unwrap(), first);
    assert!(matches!(store.aggregate("3").await, Err(StoreError::NotFound { what: "Aggregate", .. })));
}

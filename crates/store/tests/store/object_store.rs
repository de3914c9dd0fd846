//! Containers, objects, and the bodies that no object names.

use super::site;
use jiff::{SignedDuration, Timestamp};
use model::Secret;
use model::object_store::{Container, Object, Span};
use std::collections::BTreeMap;
use store::{Store, StoreError};
use uuid::Uuid;

fn object(name: &str, bytes: i64, now: Timestamp) -> Object {
    Object {
        name: name.into(),
        body: Some(Uuid::new_v4()),
        stored_bytes: bytes,
        bytes,
        etag: "e".into(),
        content_type: "text/plain".into(),
        headers: BTreeMap::new(),
        metadata: BTreeMap::new(),
        manifest: None,
        delete_at: None,
        modified_at: now,
    }
}

async fn container(store: &Store, project: &str, name: &str, now: Timestamp) -> Container {
    let fresh = Container::new(Uuid::new_v4(), project, name, now);
    store.put_object_container(fresh, now, |_| Ok::<_, StoreError>(())).await.unwrap();
    store.object_container(project, name).await.unwrap()
}

async fn put(store: &Store, object: &Object, now: Timestamp) -> Option<Uuid> {
    store.expect_object_body(object.body.unwrap(), Uuid::new_v4(), now).await.unwrap();
    store.put_object("p", "c", object, now, |_| Ok::<_, StoreError>(())).await.unwrap().body
}

fn everything() -> Span {
    Span { from: Vec::new(), to: None }
}

#[tokio::test]
async fn counters_follow_objects_and_bodies_that_nobody_names_are_listed() {
    let (_dir, store) = site().await;
    let now = Timestamp::now();
    container(&store, "p", "c", now).await;
    let first = object("o", 5, now);
    assert_eq!(put(&store, &first, now).await, None);
    let second = object("o", 7, now);
    assert_eq!(put(&store, &second, now).await, first.body);
    put(&store, &object("q", 1, now), now).await;
    let counted = store.object_container("p", "c").await.unwrap();
    assert_eq!((counted.object_count, counted.bytes_used), (2, 8));
    let account = store.object_account("p").await.unwrap();
    assert_eq!((account.container_count, account.object_count, account.bytes_used), (1, 2, 8));
    assert_eq!(store.object_account("q").await.unwrap().container_count, 0);

    assert_eq!(store.doomed_object_bodies().await.unwrap(), [first.body.unwrap()]);
    let arriving = Uuid::new_v4();
    store.expect_object_body(arriving, Uuid::new_v4(), now).await.unwrap();
    assert_eq!(store.doomed_object_bodies().await.unwrap().len(), 1);
    store.doom_object_bodies().await.unwrap();
    assert_eq!(store.doomed_object_bodies().await.unwrap().len(), 2);
    store.forget_object_bodies(&[first.body.unwrap(), arriving]).await.unwrap();
    let gone = store.delete_object("p", "c", "o", now, |_| Ok::<_, StoreError>(())).await.unwrap();
    assert_eq!(gone.body, second.body);
    assert_eq!(store.doomed_object_bodies().await.unwrap(), [second.body.unwrap()]);
    let counted = store.object_container("p", "c").await.unwrap();
    assert_eq!((counted.object_count, counted.bytes_used), (1, 1));
}

#[tokio::test]
async fn what_is_not_allowed_changes_nothing() {
    let (_dir, store) = site().await;
    let now = Timestamp::now();
    let own = container(&store, "p", "c", now).await;
    let kept = object("o", 5, now);
    put(&store, &kept, now).await;
    let refuse = || Err(StoreError::Aborted);
    let other = object("o", 9, now);
    assert!(
        store
            .put_object("p", "c", &other, now, |before| {
                assert_eq!(before, Some(&kept));
                refuse()
            })
            .await
            .is_err()
    );
    assert!(store.delete_object("p", "c", "o", now, |_| refuse()).await.is_err());
    assert!(
        store
            .edit_object("p", "c", "o", now, |object| {
                object.bytes = 0;
                refuse()
            })
            .await
            .is_err()
    );
    assert_eq!(store.object(own.uuid, "o", now).await.unwrap(), kept);
    let nowhere = store.put_object("q", "c", &other, now, |_| Ok::<_, StoreError>(())).await;
    assert!(matches!(nowhere, Err(StoreError::NotFound { what: "Container", .. })));
    assert!(matches!(
        store.delete_object_container("p", "c", now).await,
        Err(StoreError::InUse { parts: "objects", .. })
    ));
}

#[tokio::test]
async fn what_has_expired_is_not_there() {
    let (_dir, store) = site().await;
    let now = Timestamp::now();
    let later = now + SignedDuration::from_secs(60);
    let own = container(&store, "p", "c", now).await;
    let mut mortal = object("o", 5, now);
    mortal.delete_at = Some(later);
    put(&store, &mortal, now).await;
    assert!(store.object(own.uuid, "o", now).await.is_ok());
    assert!(store.object(own.uuid, "o", later).await.is_err());
    assert_eq!(store.objects(own.uuid, &everything(), false, 10, now).await.unwrap().len(), 1);
    assert!(store.objects(own.uuid, &everything(), false, 10, later).await.unwrap().is_empty());
    let ok = |_: &Object| Ok::<_, StoreError>(());
    assert!(matches!(store.delete_object("p", "c", "o", later, ok).await, Err(StoreError::NotFound { .. })));
    assert_eq!(store.expire_objects(now, 10).await.unwrap(), 0);
    assert_eq!(store.expire_objects(later, 10).await.unwrap(), 1);
    assert_eq!(store.doomed_object_bodies().await.unwrap(), [mortal.body.unwrap()]);
    assert_eq!(store.object_container("p", "c").await.unwrap().object_count, 0);

    // One that nobody has swept away yet does not keep its container.
    let mut other = object("o", 5, now);
    other.delete_at = Some(later);
    put(&store, &other, now).await;
    store.delete_object_container("p", "c", later).await.unwrap();
    assert!(store.object_container("p", "c").await.is_err());
    assert_eq!(store.doomed_object_bodies().await.unwrap().len(), 2);
}

#[tokio::test]
async fn names_come_in_the_order_of_their_bytes() {
    let (_dir, store) = site().await;
    let now = Timestamp::now();
    let own = container(&store, "p", "c", now).await;
    container(&store, "p", "Ü", now).await;
    container(&store, "q", "d", now).await;
    for name in ["a", "Z", "é", "a/b", "a0", "\u{10ffff}"] {
        put(&store, &object(name, 1, now), now).await;
    }
    let names = async |span: Span, reverse, limit| {
        let objects = store.objects(own.uuid, &span, reverse, limit, now).await.unwrap();
        objects.into_iter().map(|object| object.name).collect::<Vec<_>>()
    };
    assert_eq!(names(everything(), false, 10).await, ["Z", "a", "a/b", "a0", "é", "\u{10ffff}"]);
    assert_eq!(names(everything(), true, 2).await, ["\u{10ffff}", "é"]);
    let between = Span { from: b"a".to_vec(), to: Some(b"a0".to_vec()) };
    assert_eq!(names(between, false, 10).await, ["a", "a/b"]);
    let containers = store.object_containers("p", &everything(), false, 10).await.unwrap();
    assert_eq!(containers.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["c", "Ü"]);
}

#[tokio::test]
async fn keys_of_temporary_urls_are_sealed() {
    let (dir, store) = site().await;
    let now = Timestamp::now();
    let secret = || Some(Secret::new("mushroom-soup"));
    store
        .edit_object_account("p", now, |account| {
            account.keys.first = secret();
            account.metadata.insert("color".into(), "blue".into());
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    let own = container(&store, "p", "c", now).await;
    store
        .edit_object_container("p", "c", now, |container| {
            container.keys.second = secret();
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    let account = store.object_account("p").await.unwrap();
    assert_eq!(account.keys.first, secret());
    assert_eq!(account.metadata["color"], "blue");
    let stored = store.object_container("p", "c").await.unwrap();
    assert_eq!((stored.uuid, stored.keys.second), (own.uuid, secret()));
    store.close().await;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(13).any(|window| window == b"mushroom-soup"));
    }
}

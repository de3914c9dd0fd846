//! A site moves from one database to another, whole or not at all.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use jiff::Timestamp;
use model::event::{EventKind, LogEvent};
use model::node::Node;
use model::port::Port;
use store::{ArchiveError, Holder, Store, StoreError};
use uuid::Uuid;

/// A site on SQLite with something in several tables, and an empty one beside it with the same key, on whatever is tested.
async fn two_sites() -> (Store, Store, [tempfile::TempDir; 2]) {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let old = Store::open(dirs[0].path()).await.unwrap();
    std::fs::copy(dirs[0].path().join("seal.key"), dirs[1].path().join("seal.key")).unwrap();
    // A directory with only a key is one that is made ready for a move.
    let new = store::testing::open(dirs[1].path()).await.unwrap();
    let now = Timestamp::now();
    for number in 0..3 {
        let mut node = Node::new(Uuid::new_v4(), "ipmi", now);
        node.name = Some(format!("m{number}"));
        node.driver_info.insert("ipmi_password".into(), "calvin".into());
        let event = LogEvent::new(Some(node.uuid), now, EventKind::Request, "create", "\u{0} \"ß\" \\");
        old.create_node(&node, &[event]).await.unwrap();
        let port = Port::new(Uuid::new_v4(), node.uuid, format!("52:54:00:00:00:0{number}"), now);
        old.create(&port).await.unwrap();
        old.put_config_drive(node.uuid, "H4sI").await.unwrap();
    }
    (old, new, dirs)
}

async fn archive(store: &Store) -> Vec<u8> {
    let mut archive = Vec::new();
    store.export(&mut archive).await.unwrap();
    archive
}

#[tokio::test]
async fn a_site_that_moved_is_the_same_site_and_goes_on() {
    let (old, new, _dirs) = two_sites().await;
    let written = archive(&old).await;
    let held = old.node("m0").await.unwrap().node.uuid;
    old.claim(held, &Holder::new("the old one", Uuid::new_v4())).await.unwrap();
    let while_held = archive(&old).await;
    assert!(new.import(&mut &while_held[..]).await.unwrap() >= 12);
    assert_eq!(new.node("m0").await.unwrap().reservation, None, "who held it stays behind");
    assert_eq!(new.node_with_secrets(held).await.unwrap().node.driver_info["ipmi_password"], "calvin");
    assert_eq!(new.config_drive(held).await.unwrap().as_deref(), Some("H4sI"));
    assert!(new.check().await.unwrap().problems.is_empty());
    let lines = |archive: &[u8]| String::from_utf8(archive.to_vec()).unwrap().lines().count();
    assert_eq!(lines(&archive(&new).await), lines(&written));
    // Numbers go on behind those that were imported.
    new.create_node(&Node::new(Uuid::new_v4(), "ipmi", Timestamp::now()), &[]).await.unwrap();
    assert!(matches!(new.import(&mut &written[..]).await, Err(ArchiveError::NotEmpty("nodes"))));
}

#[tokio::test]
async fn an_archive_that_is_not_whole_or_not_this_sites_leaves_nothing() {
    let (old, new, _dirs) = two_sites().await;
    let written = archive(&old).await;
    let text = String::from_utf8(written.clone()).unwrap();
    let cut = &text[..text.len() * 3 / 4];
    assert!(matches!(new.import(&mut cut.as_bytes()).await, Err(ArchiveError::Malformed { .. })));
    let one_less: Vec<_> = text.lines().filter(|line| !line.contains("\"m1\"")).collect();
    let broken = one_less.join("\n");
    let error = new.import(&mut broken.as_bytes()).await.unwrap_err();
    assert!(matches!(error, ArchiveError::Malformed { .. }), "{error}");
    let foreign = text.replacen("\"key\":\"", "\"key\":\"00", 1);
    assert!(matches!(new.import(&mut foreign.as_bytes()).await, Err(ArchiveError::ForeignKey)));
    let newer = text.replacen("\"migration\":", "\"migration\":9", 1);
    assert!(matches!(new.import(&mut newer.as_bytes()).await, Err(ArchiveError::Version { .. })));
    let hostile = text.replacen("\"table\":\"nodes\"", "\"table\":\"nodes; DROP TABLE nodes\"", 1);
    assert!(matches!(new.import(&mut hostile.as_bytes()).await, Err(ArchiveError::Malformed { .. })));
    assert!(matches!(new.node("m0").await, Err(StoreError::NotFound { .. })));
    new.import(&mut &written[..]).await.unwrap();
}

#[tokio::test]
async fn a_database_is_not_opened_with_another_key() {
    let (old, new, dirs) = two_sites().await;
    old.close().await;
    drop((old, new));
    std::fs::write(dirs[0].path().join("seal.key"), [7; 32]).unwrap();
    let error = Store::open(dirs[0].path()).await.err().unwrap();
    assert!(matches!(error, store::OpenError::ForeignKey { .. }), "{error}");
}

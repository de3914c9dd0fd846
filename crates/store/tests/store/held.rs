//! Changes of nodes that are held and in hand.

use crate::{holder, node, site};
use jiff::Timestamp;
use model::event::{EventKind, LogEvent};
use model::history::{HistoryEntry, KEPT, Severity};
use store::{Claim, Edit, Guard, NodeVersion, Query, Served, Store, StoreError};
use uuid::Uuid;

/// A held node with secrets, as of now.
async fn held(store: &Store) -> (Claim, NodeVersion) {
    let mut node = node("m1");
    node.driver_info.insert("ipmi_password".into(), "calvin".into());
    store.create_node(&node, &[]).await.unwrap();
    let claim = store.claim(node.uuid, &holder("a")).await.unwrap();
    (claim, store.node_with_secrets(node.uuid).await.unwrap())
}

fn event(version: &NodeVersion, name: &str) -> LogEvent {
    LogEvent::new(Some(version.node.uuid), Timestamp::now(), EventKind::Step, name, "a\0b")
}

async fn names(store: &Store, version: &NodeVersion) -> Vec<String> {
    let events = store.events(version.node.uuid, 100).await.unwrap();
    events.into_iter().map(|event| event.name).collect()
}

#[tokio::test]
async fn what_is_in_hand_is_written_without_being_read() {
    let (_dir, store) = site().await;
    let (claim, mut known) = held(&store).await;
    for turn in 1..=3_u64 {
        let mut runs = 0;
        let written = store.edit_held(&claim, (&known.node, known.revision), Timestamp::now(), |edit| {
            runs += 1;
            edit.node.nudges += 1;
            edit.events.extend((1..turn).map(|number| event(&known, &format!("{turn}.{number}"))));
        });
        let written = written.await.unwrap();
        let stored = store.node_with_secrets(known.node.uuid).await.unwrap();
        assert_eq!((&written.node, written.revision), (&stored.node, stored.revision));
        assert_eq!((runs, written.node.nudges), (1, turn));
        assert_eq!(written.node.driver_info["ipmi_password"], "calvin");
        known = written;
    }
    assert_eq!(names(&store, &known).await, ["2.1", "3.1", "3.2"]);
    let spans = store.claim_spans().await.unwrap();
    assert_eq!(spans.iter().map(|span| span.epoch).collect::<Vec<_>>(), [claim.epoch]);
}

/// Makes a node due, as a user's verb does.
fn ask(now: Timestamp) -> impl FnMut(&mut Edit) -> Result<(), StoreError> {
    move |edit| {
        edit.node.nudge(now);
        edit.events.push(LogEvent::new(Some(edit.node.uuid), now, EventKind::Request, "manage", ""));
        Ok(())
    }
}

#[tokio::test]
async fn what_is_asked_of_a_free_node_is_taken_up_with_it() {
    let (_dir, store) = site().await;
    let (claim, known) = held(&store).await;
    let now = Timestamp::now();
    let (uuid, taker) = (known.node.uuid, holder("b"));
    let asked =
        async |known: &NodeVersion, taker, change: &mut dyn FnMut(&mut Edit) -> Result<(), StoreError>| {
            store.edit_known(Guard::Free, (&known.node, known.revision), taker, now, change).await
        };
    // Held by somebody, it is nobody else's, and nothing is written.
    let refused = asked(&known, Some(&taker), &mut ask(now)).await;
    assert!(matches!(refused, Err(StoreError::Locked { .. })), "{refused:?}");
    store.release(&claim).await.unwrap();

    let (written, taken) = asked(&known, Some(&taker), &mut ask(now)).await.unwrap();
    let taken = taken.unwrap();
    assert_eq!((taken.epoch, &taken.holder), (claim.epoch + 1, &taker));
    assert_eq!(store.node(&uuid.to_string()).await.unwrap().reservation.as_deref(), Some("b"));
    assert!(store.claim_due(&holder("c"), &Served::default(), now, 10).await.unwrap().is_empty());
    let written = store.edit_held(&taken, (&written.node, written.revision), now, |edit| edit.release = true);
    assert_eq!(written.await.unwrap().revision, store.node_with_secrets(uuid).await.unwrap().revision);

    // What has changed meanwhile is changed as it is, and left to whoever looks for it; so is what is not due yet.
    let (written, taken) = asked(&known, Some(&taker), &mut ask(now)).await.unwrap();
    assert_eq!((taken, written.node.nudges), (None, 2));
    let later = now + jiff::SignedDuration::from_secs(60);
    let (written, taken) = asked(&written, Some(&taker), &mut |edit| {
        edit.node.due = Some(later);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!((taken, store.node_with_secrets(uuid).await.unwrap().revision), (None, written.revision));
    assert_eq!(names(&store, &written).await, ["manage", "manage"]);

    // What is refused of the node in hand is asked of it as it is.
    let (again, _) = asked(&known, None, &mut |edit| {
        edit.node.extra.insert("turns".into(), edit.node.nudges.into());
        if edit.node.nudges == 0 {
            return Err(StoreError::NotFound { what: "Nudge", ident: "x".into() });
        }
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(again.node.extra["turns"], 2);

    // Who refuses changes nothing.
    let refused = asked(&written, Some(&taker), &mut |edit| {
        edit.node.nudges += 1;
        Err(StoreError::NotFound { what: "Wish", ident: "x".into() })
    })
    .await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    assert_eq!(store.node_with_secrets(uuid).await.unwrap().node, again.node);
}

#[tokio::test]
async fn what_has_changed_meanwhile_is_kept() {
    let (_dir, store) = site().await;
    let (claim, known) = held(&store).await;
    let now = Timestamp::now();
    let beat = store.edit_node(known.node.uuid, Guard::Any, now, |edit| {
        edit.node.description = Some("seen meanwhile".into());
        Ok::<_, StoreError>(())
    });
    beat.await.unwrap();
    let mut seen = Vec::new();
    let written = store.edit_held(&claim, (&known.node, known.revision), now, |edit| {
        seen.push(edit.node.description.clone());
        edit.node.nudges += 1;
        edit.events.push(event(&known, "once"));
        edit.release = true;
    });
    let written = written.await.unwrap();
    assert_eq!(seen, [None, Some("seen meanwhile".to_owned())]);
    assert_eq!((written.node.nudges, written.node.description.as_deref()), (1, Some("seen meanwhile")));
    assert_eq!(names(&store, &written).await, ["once"]);
    let row = store.node("m1").await.unwrap();
    assert_eq!((row.node.nudges, row.reservation), (1, None));
    let stored = store.node_with_secrets(known.node.uuid).await.unwrap();
    assert_eq!(stored.revision, written.revision);
}

#[tokio::test]
async fn whoever_lost_the_node_writes_nothing_though_it_is_as_it_was() {
    let (_dir, store) = site().await;
    let (claim, known) = held(&store).await;
    store.leave(claim.holder.session).await.unwrap();
    for taken in [false, true] {
        if taken {
            store.claim(known.node.uuid, &holder("b")).await.unwrap();
        }
        let written = store.edit_held(&claim, (&known.node, known.revision), Timestamp::now(), |edit| {
            edit.node.nudges += 1;
            edit.events.push(event(&known, "late"));
        });
        assert!(matches!(written.await, Err(StoreError::ClaimLost { node }) if node == known.node.uuid));
    }
    let stored = store.node_with_secrets(known.node.uuid).await.unwrap();
    assert_eq!((stored.node.nudges, stored.revision), (0, known.revision));
    assert_eq!(names(&store, &known).await, [] as [&str; 0]);
}

#[tokio::test]
async fn what_is_told_after_a_claim_was_lost_does_not_make_it_last_longer() {
    let (_dir, store) = site().await;
    let (claim, known) = held(&store).await;
    let done = LogEvent::new(Some(known.node.uuid), Timestamp::now(), EventKind::Agent, "standby.sync", "");
    let done = done.until(Timestamp::now());
    store.leave(claim.holder.session).await.unwrap();
    let next = store.claim(known.node.uuid, &holder("b")).await.unwrap();
    let written = store.edit_held(&next, (&known.node, known.revision), Timestamp::now(), |edit| {
        edit.node.nudges += 1;
        edit.events.push(event(&known, "the other one's"));
    });
    written.await.unwrap();
    store.record_held(&claim, &[done]).await.unwrap();
    let report = store.check().await.unwrap();
    assert_eq!((report.claims, report.problems), (2, Vec::<String>::new()));
}

#[tokio::test]
async fn history_is_written_with_the_node_and_cut_where_it_grows_long() {
    let (_dir, store) = site().await;
    let (claim, mut known) = held(&store).await;
    let now = Timestamp::now();
    for count in [KEPT - 1, 3] {
        let written = store.edit_held(&claim, (&known.node, known.revision), now, |edit| {
            edit.node.nudges += 1;
            let entry = |number: i64| {
                let text = format!("{count}.{number}");
                HistoryEntry::new(Uuid::new_v4(), &known.node, "a", Severity::Info, "cleaning", text, now)
            };
            edit.history.extend((1..=count).map(entry));
        });
        known = written.await.unwrap();
    }
    let query = Query::equal("node_uuid", known.node.uuid.to_string());
    let entries: Vec<HistoryEntry> = store.list(&Query { limit: Some(1000), ..query }).await.unwrap();
    let kept = usize::try_from(KEPT).unwrap();
    assert_eq!((entries.len(), entries[0].event.as_str()), (kept, "299.3"));
    assert_eq!(entries[kept - 1].event, "3.3");
}

#[tokio::test]
async fn what_concerns_more_than_the_node_is_written_whole() {
    let (_dir, store) = site().await;
    let (claim, known) = held(&store).await;
    let now = Timestamp::now();
    let mut runs = 0;
    let written = store.edit_held(&claim, (&known.node, known.revision), now, |edit| {
        runs += 1;
        edit.node.nudges += 1;
        edit.bios = Some(Vec::new());
    });
    let written = written.await.unwrap();
    assert_eq!((runs, written.node.nudges), (2, 1));
    // Nothing changes but that something is said.
    let said = store.edit_held(&claim, (&written.node, written.revision), now, |edit| {
        edit.events.push(event(&known, "said"));
    });
    let said = said.await.unwrap();
    assert_eq!((said.revision, &said.node), (written.revision, &written.node));
    assert_eq!(names(&store, &known).await, ["said"]);
}

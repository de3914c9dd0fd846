//! Sessions: who lives, and what ends with whoever doesn't.

use super::{node, site};
use jiff::Timestamp;
use model::event::{EventKind, LogEvent};
use std::time::Duration;
use store::{Guard, Holder, Joined, Presence, Store, StoreError};
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(60);
const OVER: Duration = Duration::ZERO;

fn presence(hostname: &str) -> Presence {
    Presence {
        hostname: hostname.into(),
        conductor_group: "rack1".into(),
        drivers: vec!["ipmi".into()],
        roles: vec!["conductor".into()],
    }
}

async fn join(store: &Store, hostname: &str, buried: &[Uuid], ttl: Duration) -> (Uuid, Joined) {
    let session = Uuid::new_v4();
    (session, store.join(session, &presence(hostname), buried, ttl).await.unwrap())
}

/// Waits until a session of no length has run out: time has to pass.
async fn run_out(store: &Store, other: Uuid) {
    let before = store.members().await.unwrap();
    let ended = async {
        loop {
            assert!(store.prolong(other, LONG).await.unwrap());
            store.bury_dead().await.unwrap();
            let now = store.members().await.unwrap();
            if now.iter().filter(|member| member.is_alive).count()
                < before.iter().filter(|member| member.is_alive).count()
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
}

#[tokio::test]
async fn a_name_is_one_living_processs() {
    let (_dir, store) = site().await;
    let (first, joined) = join(&store, "a", &[], LONG).await;
    assert_eq!(joined, Joined::Yes);
    let (_, again) = join(&store, "a", &[], LONG).await;
    assert!(matches!(again, Joined::Taken { session, .. } if session == first));
    let (_, wrong) = join(&store, "a", &[Uuid::new_v4()], LONG).await;
    assert!(matches!(wrong, Joined::Taken { .. }), "the death of another proves nothing");
    assert!(store.prolong(first, LONG).await.unwrap());

    let (second, joined) = join(&store, "a", &[first], LONG).await;
    assert_eq!(joined, Joined::Yes);
    assert!(!store.prolong(first, LONG).await.unwrap(), "what has ended never lives again");
    let members = store.members().await.unwrap();
    let [member] = members.as_slice() else { panic!("{members:?}") };
    assert_eq!((member.session, member.is_alive, &member.presence), (second, true, &presence("a")));

    store.leave(second).await.unwrap();
    assert!(!store.members().await.unwrap()[0].is_alive);
    assert_eq!(join(&store, "a", &[], LONG).await.1, Joined::Yes);
}

#[tokio::test]
async fn what_a_session_held_is_free_when_it_ends_and_not_before() {
    let (_dir, store) = site().await;
    let machine = node("m1");
    store.create_node(&machine, &[]).await.unwrap();
    let (dead, _) = join(&store, "dead", &[], OVER).await;
    let (living, _) = join(&store, "living", &[], LONG).await;
    let first = store.claim(machine.uuid, &Holder::new("dead", dead)).await.unwrap();
    assert!(store.take_task("sweep", dead).await.unwrap());
    assert!(!store.take_task("sweep", living).await.unwrap());
    let refused = store.claim(machine.uuid, &Holder::new("living", living)).await;
    assert!(matches!(refused, Err(StoreError::Locked { .. })));

    run_out(&store, living).await;
    assert!(!store.prolong(dead, LONG).await.unwrap());
    assert!(store.take_task("sweep", living).await.unwrap());
    let second = store.claim(machine.uuid, &Holder::new("living", living)).await.unwrap();
    assert!(second.epoch > first.epoch);

    // A claim of the dead one that was on its way when it ended goes the same way.
    store.release(&second).await.unwrap();
    store.claim(machine.uuid, &Holder::new("dead", dead)).await.unwrap();
    store.bury_dead().await.unwrap();
    assert_eq!(store.node("m1").await.unwrap().reservation, None);
}

#[tokio::test]
async fn events_tell_under_which_claim_they_came_about() {
    let (_dir, store) = site().await;
    let machine = node("m1");
    store.create_node(&machine, &[]).await.unwrap();
    for name in ["a", "b"] {
        let claim = store.claim(machine.uuid, &Holder::new(name, Uuid::new_v4())).await.unwrap();
        let now = Timestamp::now();
        let event = |name: &str| LogEvent::new(Some(machine.uuid), now, EventKind::Step, name, "");
        store.record_held(&claim, &[event("seen")]).await.unwrap();
        store
            .edit_node(machine.uuid, Guard::Held(&claim), now, |edit| {
                edit.events.push(event("done").until(Timestamp::now()));
                edit.release = true;
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
    }
    let spans = store.claim_spans().await.unwrap();
    let [first, second] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((first.conductor.as_str(), second.conductor.as_str()), ("a", "b"));
    assert!(first.epoch < second.epoch && first.last <= second.first);
    assert_eq!(store.check().await.unwrap().problems, Vec::<String>::new());
    // One that woke up and went on: what it did is told all the same.
    let late = Holder::new("a", Uuid::new_v4());
    let claim = store::Claim { node: machine.uuid, holder: late, epoch: first.epoch };
    let now = Timestamp::now();
    let event = LogEvent::new(Some(machine.uuid), now, EventKind::Bmc, "power off", "").until(now);
    store.record_held(&claim, &[event]).await.unwrap();
    let problems = store.check().await.unwrap().problems;
    assert!(problems.len() == 1 && problems[0].contains("held by two"), "{problems:?}");
}

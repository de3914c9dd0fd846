//! Several conductors over one database: one dies, is cut off, comes back; each serves its own.

use crate::machine::Up;
use crate::site::{enrol, reach};
use crate::{LIMIT, World, ask, deploy, impatient};
use conductor::{Conductor, JoinError, RequestError, Settings};
use jiff::Timestamp;
use model::node::{InterfaceKind, Node};
use model::state::{Event, ProvisionState as S};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use store::{ClaimSpan, Guard, Store, StoreError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Long enough for a busy test machine, short enough to be waited for.
const LEASE: Duration = Duration::from_secs(1);

fn settings(world: &World, name: &str) -> Settings {
    let mut settings = Settings::new(name, world.path());
    settings.require_agent_tls = false;
    settings.agent_poll = Duration::from_millis(50);
    settings.ramdisk_dir = world.path().join("ramdisk");
    settings.lease = LEASE;
    impatient(&mut settings);
    settings
}

/// The store as another process has it: where several may use a database, its connections are of their own, and those of a process that
/// was killed are gone with it.
pub async fn of_another(world: &World, store: Store) -> Store {
    if store.is_shared() { store::testing::open(world.path()).await.unwrap() } else { store }
}

/// Another conductor over the store of a site, in a runtime of its own.
struct Other {
    conductor: Conductor,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Other {
    /// Starts it; it is a member when this returns.
    fn start(world: &World, store: &Store, settings: Settings) -> Self {
        let conductor = Conductor::new(store.clone(), settings, world.bmcs.clone());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        tokio::task::block_in_place(|| runtime.block_on(conductor.join())).unwrap();
        let running = conductor.clone();
        runtime.spawn(async move { running.run(CancellationToken::new()).await.unwrap() });
        Self { conductor, runtime: Some(runtime) }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Nobody did anything under a claim once another one had begun.
fn assert_apart(spans: &[ClaimSpan]) {
    let mut last: BTreeMap<Uuid, &ClaimSpan> = BTreeMap::new();
    for span in spans {
        if let Some(before) = last.insert(span.node, span) {
            assert!(before.epoch < span.epoch, "one claim, two holders: {before:?} {span:?}");
            assert!(before.last <= span.first, "two claims at one time: {before:?} {span:?}");
        }
    }
}

fn set_up(up: &Up, conductor: &Conductor) {
    *up.write().unwrap() = Some(conductor.clone());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_one_dies_another_goes_on_from_the_last_record() {
    for n in [2, 9, 16, 23] {
        let world = World::new();
        let site = world.start(|settings| {
            impatient(settings);
            settings.lease = LEASE;
        });
        let (uuid, machine) = world.available(&site).await;
        let before = site.event_count(uuid).await;
        site.conductor.provision(uuid, deploy()).await.unwrap();
        let store = site.store.clone();
        site.has_events(uuid, before + n, |node| node.provision_state == S::Active).await;
        // As at a kill: nothing is released, and nobody says goodbye.
        site.kill();
        let killed = Instant::now();
        let store = of_another(&world, store).await;
        let other = Other::start(&world, &store, settings(&world, "there"));
        set_up(&world.up, &other.conductor);
        let node = reach(&store, uuid, &[S::Active, S::DeployFailed], LIMIT).await;
        assert_eq!(node.provision_state, S::Active, "killed after event {n}: {:?}", node.last_error);
        assert!(killed.elapsed() < LIMIT);
        assert_eq!(machine.diary().writes, 1, "killed after event {n}");
        let spans = store.claim_spans().await.unwrap();
        assert_apart(&spans);
        let whose: Vec<_> = spans.iter().map(|span| span.conductor.as_str()).collect();
        assert!(n > 20 || whose.contains(&"here") && whose.contains(&"there"), "{whose:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ramdisk_that_was_switched_off_by_one_that_died_is_not_waited_for() {
    let world = World::new();
    let site = world.start(|settings| settings.lease = LEASE);
    let (uuid, machine) = world.available(&site).await;
    machine.faults.lock().unwrap().mute = true;
    site.conductor.provision(uuid, deploy()).await.unwrap();
    site.reach(uuid, &[S::DeployWait], LIMIT).await;
    let store = site.store.clone();
    site.kill();
    let store = of_another(&world, store).await;
    // As one leaves it that begins the boot anew, and dies when it has switched the machine off: the agent is known, and gone.
    let half_done = |edit: &mut store::Edit| {
        edit.node.work.boot.as_mut().unwrap().powered_at = None;
        edit.node.agent.url = Some("http://127.0.0.1:1".into());
        edit.node.nudge(Timestamp::now());
        Ok::<_, StoreError>(())
    };
    store.edit_node(uuid, Guard::Any, Timestamp::now(), half_done).await.unwrap();
    let bmc = world.bmcs.fake(&uuid.to_string(), bmc::PowerState::Off);
    bmc::Bmc::set_power(&*bmc, bmc::PowerAction::Off).await.unwrap();
    machine.faults.lock().unwrap().mute = false;
    let other = Other::start(&world, &store, settings(&world, "there"));
    set_up(&world.up, &other.conductor);
    let node = reach(&store, uuid, &[S::Active, S::DeployFailed], LIMIT).await;
    assert_eq!((node.provision_state, node.last_error), (S::Active, None));
    assert_eq!(machine.diary().image.as_deref(), Some("http://images/tiny.raw"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_paused_does_nothing_more_under_its_claims() {
    let world = World::new();
    let site = world.start(|settings| settings.lease = LEASE);
    let uuid = enrol(&site, world.path()).await;
    // It joins and nobody prolongs its session, as if it were stopped.
    let paused = Conductor::new(site.store.clone(), settings(&world, "paused"), world.bmcs.clone());
    paused.join().await.unwrap();
    let held = paused.claim(uuid).await.unwrap();
    let acted = AtomicBool::new(false);
    let outcome = held
        .keep(async {
            // Until the other one could take the node: the gate is asked again when this goes on.
            while site.store.node(&uuid.to_string()).await.unwrap().reservation.is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            acted.store(true, Ordering::SeqCst);
        })
        .await;
    assert!(matches!(outcome, Err(StoreError::ClaimLost { .. })));
    assert!(!acted.load(Ordering::SeqCst), "it still did something when the node was another's");
    assert!(held.check().is_err());
    assert!(paused.claim(uuid).await.is_err(), "without a session nothing is claimed");
    let taken = tokio::time::timeout(LIMIT, async {
        loop {
            match site.conductor.claim(uuid).await {
                Ok(taken) => return taken,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    let taken = taken.await.unwrap();
    let written = site
        .store
        .edit_node(uuid, Guard::Held(held.claim()), Timestamp::now(), |_| Ok::<_, StoreError>(()))
        .await;
    assert!(matches!(written, Err(StoreError::ClaimLost { .. })));
    taken.release().await.unwrap();
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_session_ended_begins_another_and_finishes_its_work() {
    let world = World::new();
    let site = world.start(|settings| {
        impatient(settings);
        settings.lease = LEASE;
    });
    let (uuid, machine) = world.available(&site).await;
    site.conductor.provision(uuid, deploy()).await.unwrap();
    let mut ended = 0;
    while site.node(uuid).await.provision_state != S::Active {
        let members = site.store.members().await.unwrap();
        // Nobody does that to a process that lives; it is how one finds its session that was paused.
        if ended < 3 && members[0].is_alive {
            site.store.leave(members[0].session).await.unwrap();
            ended += 1;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(ended > 0);
    assert_eq!(machine.diary().writes, 1);
    site.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_living_ones_name_is_refused_and_a_dead_ones_is_taken_over() {
    let world = World::new();
    let site = world.start(|settings| settings.lease = LEASE);
    while site.store.members().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let twin = Conductor::new(site.store.clone(), settings(&world, "here"), world.bmcs.clone());
    let refused = twin.join().await.unwrap_err();
    assert!(matches!(refused, JoinError::NameTaken { .. }) && refused.to_string().contains("[conductor]"));
    let store = site.store.clone();
    site.kill();
    let store = of_another(&world, store).await;
    let twin = Conductor::new(store.clone(), settings(&world, "here"), world.bmcs.clone());
    let began = Instant::now();
    twin.join().await.unwrap();
    assert!(began.elapsed() < 2 * LEASE);
    assert!(store.members().await.unwrap()[0].is_alive);
    twin.leave().await;
    assert!(!store.members().await.unwrap()[0].is_alive);
}

/// Those who did something with the node.
async fn whose(store: &Store, node: &Node) -> Vec<String> {
    let spans = store.claim_spans().await.unwrap();
    let mut names: Vec<_> =
        spans.into_iter().filter(|span| span.node == node.uuid).map(|span| span.conductor).collect();
    names.dedup();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_its_groups_and_its_drivers_alone() {
    let world = World::new();
    let site = world.start(|settings| settings.drivers = Some(vec!["fake-hardware".into()]));
    let mut of_group = settings(&world, "rack2");
    of_group.conductor_group = "rack2".into();
    let other = Other::start(&world, &site.store, of_group);
    let mut nodes = Vec::new();
    for (group, driver) in
        [("", "fake-hardware"), ("rack2", "fake-hardware"), ("", "ipmi"), ("rack3", "fake-hardware")]
    {
        let mut node = Node::new(Uuid::new_v4(), driver, Timestamp::now());
        node.conductor_group = group.into();
        for kind in [InterfaceKind::Power, InterfaceKind::Management, InterfaceKind::Deploy] {
            node.interfaces.set(kind, "fake");
        }
        site.store.create_node(&node, &[]).await.unwrap();
        nodes.push(node);
    }
    for node in &nodes[..2] {
        // Whoever is asked, it is done by whose it is.
        other.conductor.provision(node.uuid, ask(Event::Manage)).await.unwrap();
    }
    reach(&site.store, nodes[0].uuid, &[S::Manageable], LIMIT).await;
    reach(&site.store, nodes[1].uuid, &[S::Manageable], LIMIT).await;
    assert_eq!(whose(&site.store, &nodes[0]).await, ["here"]);
    assert_eq!(whose(&site.store, &nodes[1]).await, ["rack2"]);
    for unserved in &nodes[2..] {
        let refused = other.conductor.provision(unserved.uuid, ask(Event::Manage)).await.unwrap_err();
        assert!(matches!(&refused, RequestError::NotFound(text) if text.contains("No conductor service")));
        // One whose conductors went after it was asked is nobody else's meanwhile.
        let due = |edit: &mut store::Edit| {
            edit.node.nudge(Timestamp::now());
            Ok::<_, StoreError>(())
        };
        site.store.edit_node(unserved.uuid, Guard::Free, Timestamp::now(), due).await.unwrap();
    }
    other.conductor.provision(nodes[0].uuid, ask(Event::Provide)).await.unwrap();
    reach(&site.store, nodes[0].uuid, &[S::Available], LIMIT).await;
    for unserved in &nodes[2..] {
        assert!(whose(&site.store, unserved).await.is_empty());
    }
    let share = site.conductor.share_now().await.unwrap();
    assert!(share.is_ours(nodes[0].uuid, "", "fake-hardware"));
    assert_eq!(share.conductor_of(nodes[1].uuid, "rack2", "fake-hardware"), Some("rack2"));
    assert!(!share.is_served("", "ipmi") && !share.is_served("rack3", "fake-hardware"));
    site.kill();
}

//! A conductor in a runtime of its own, so that it can be killed at any await and started again over the same directory.

use crate::machine::Up;
use bmc::Registry;
use conductor::{Conductor, JoinError, Settings};
use jiff::Timestamp;
use model::node::{InterfaceKind, Node};
use model::port::Port;
use model::state::ProvisionState;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{Holder, Store};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const MAC: &str = "52:54:00:00:00:01";

pub struct Site {
    runtime: Option<tokio::runtime::Runtime>,
    pub store: Store,
    pub conductor: Conductor,
    up: Up,
}

impl Site {
    /// Starts a conductor over `dir`, as `billet serve` does.
    pub fn start(dir: &Path, bmcs: Arc<Registry>, up: Up, adjust: impl FnOnce(&mut Settings)) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut settings = Settings::new("here", dir);
        settings.require_agent_tls = false;
        settings.agent_poll = Duration::from_millis(50);
        settings.ramdisk_dir = dir.join("ramdisk");
        adjust(&mut settings);
        let (store, conductor) = tokio::task::block_in_place(|| {
            runtime.block_on(async {
                let store = open(dir).await;
                store.release_all().await.unwrap();
                let conductor = Conductor::new(store.clone(), settings, bmcs);
                join(&conductor).await;
                (store, conductor)
            })
        });
        let running = conductor.clone();
        runtime.spawn(async move { running.run(CancellationToken::new()).await.unwrap() });
        *up.write().unwrap() = Some(conductor.clone());
        Self { runtime: Some(runtime), store, conductor, up }
    }

    /// As `kill -9` does: every task ends where it stands.
    pub fn kill(mut self) {
        *self.up.write().unwrap() = None;
        if let Some(runtime) = self.runtime.take() {
            tokio::task::block_in_place(|| runtime.shutdown_timeout(Duration::from_secs(5)));
        }
    }

    pub async fn node(&self, uuid: Uuid) -> Node {
        self.store.node(&uuid.to_string()).await.unwrap().node
    }

    /// Events of the node so far.
    pub async fn event_count(&self, uuid: Uuid) -> usize {
        self.store.events(uuid, 1000).await.unwrap().len()
    }

    /// Waits until the node has this many events; false if it is over before that.
    pub async fn has_events(&self, uuid: Uuid, count: usize, is_over: impl Fn(&Node) -> bool) -> bool {
        come_to(count, || self.event_count(uuid), async || is_over(&self.node(uuid).await)).await
    }

    /// As [`reach`], of this site's store.
    pub async fn reach(&self, uuid: Uuid, states: &[ProvisionState], limit: Duration) -> Node {
        reach(&self.store, uuid, states, limit).await
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits until there are so many events; false if it is over with fewer.
pub async fn come_to(count: usize, events: impl AsyncFn() -> usize, is_over: impl AsyncFn() -> bool) -> bool {
    loop {
        // The events afterwards: on a busy machine it may end between two looks, and once it has, they are all there.
        let is_over = is_over().await;
        if events().await >= count {
            return true;
        }
        if is_over {
            return false;
        }
        tokio::task::yield_now().await;
    }
}

/// Lets `round` kill after event `first` and after each one behind it, until it says that it was over before that; so it was at `least`
/// so many of them.
pub async fn after_every_event(first: usize, least: usize, round: impl AsyncFn(usize) -> bool) {
    let mut survived = 0;
    while round(first + survived).await {
        survived += 1;
    }
    assert!(survived >= least, "only {survived} events were killed at");
}

/// Waits, at most `limit`, until the node is in one of these states and nothing holds it.
pub async fn reach(store: &Store, uuid: Uuid, states: &[ProvisionState], limit: Duration) -> Node {
    let reached = async {
        loop {
            let row = store.node(&uuid.to_string()).await.unwrap();
            if states.contains(&row.node.provision_state)
                && row.reservation.is_none()
                && !row.node.work.tear_down
            {
                return row.node;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    match tokio::time::timeout(limit, reached).await {
        Ok(node) => node,
        Err(_) => {
            let events = store.events(uuid, 200).await.unwrap();
            let told: Vec<_> = events
                .iter()
                .map(|event| format!("{} {} {}", event.kind, event.name, event.detail))
                .collect();
            let row = store.node(&uuid.to_string()).await.unwrap();
            panic!("not in {states:?} but {row:?}; events:\n{}", told.join("\n"));
        }
    }
}

/// Opens the store; a call of the simulated machine may still be on its way out of the killed one.
async fn open(dir: &Path) -> Store {
    let opened = async {
        loop {
            match store::testing::open(dir).await {
                Err(store::OpenError::InUse { .. }) => tokio::task::yield_now().await,
                other => return other.unwrap(),
            }
        }
    };
    tokio::time::timeout(crate::LIMIT, opened).await.unwrap()
}

/// Joins; where several processes may share the database, the killed one's name is free when its last call is over.
async fn join(conductor: &Conductor) {
    let joined = async {
        loop {
            match conductor.join().await {
                Err(JoinError::NameTaken { .. }) => tokio::task::yield_now().await,
                other => return other.unwrap(),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), joined).await.unwrap();
}

/// Who holds a node for as long as a test wants.
pub fn somebody() -> Holder {
    Holder::new("somebody", Uuid::new_v4())
}

/// Registers a machine whose power is pretended and whose deployment goes through the ramdisk.
pub async fn enrol(site: &Site, dir: &Path) -> Uuid {
    std::fs::create_dir_all(dir.join("ramdisk")).unwrap();
    for file in ["vmlinuz", "initramfs"] {
        std::fs::write(dir.join("ramdisk").join(file), b"x").unwrap();
    }
    let uuid = Uuid::new_v4();
    let mut node = Node::new(uuid, "fake-hardware", Timestamp::now());
    node.name = Some("m1".into());
    for (kind, implementation) in [
        (InterfaceKind::Power, "fake"),
        (InterfaceKind::Management, "fake"),
        (InterfaceKind::Deploy, "direct"),
        (InterfaceKind::Boot, "ipxe"),
    ] {
        node.interfaces.set(kind, implementation);
    }
    node.instance_info.insert("image_source".into(), "http://images/tiny.raw".into());
    node.instance_info.insert("image_checksum".into(), "0".repeat(32).into());
    site.store.create_node(&node, &[]).await.unwrap();
    site.store.create(&Port::new(Uuid::new_v4(), uuid, MAC.into(), Timestamp::now())).await.unwrap();
    uuid
}

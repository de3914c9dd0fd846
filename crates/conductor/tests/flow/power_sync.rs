//! The synchronisation of power, over real RMCP+ packets: what agrees, what changed outside, what fails and comes back.

use crate::bad_bmc::Rack;
use crate::site::Site;
use crate::{LIMIT, World};
use bmc::Registry;
use bmc::ipmi::Limits;
use conductor::{Settings, Sweep};
use jiff::Timestamp;
use lab::chassis::{BootFlags, Chassis, ChassisFuture, Control};
use model::event::LogEvent;
use model::history::HistoryEntry;
use model::node::{Fault, InterfaceKind, Node, PowerState};
use model::state::ProvisionState as S;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::{Guard, Holder, StoreError};
use tokio::sync::watch;
use uuid::Uuid;
use wire::ipmi::CompletionCode;
use wire::ipmi::command::{ChassisControl, Command};

/// Sweeps follow each other at once.
const INTERVAL: Duration = Duration::from_millis(20);

fn often(settings: &mut Settings) {
    settings.power_sync.interval = INTERVAL;
    settings.power_sync.recovery_interval = INTERVAL;
}

/// BMCs that are given up soon.
fn impatient() -> World {
    let wait = Duration::from_millis(40);
    let limits = Limits { overall: wait * 3, first_wait: wait, longest_wait: wait, ..Limits::default() };
    World { bmcs: Arc::new(Registry::new(limits)), ..World::new() }
}

/// An active node whose BMC listens there.
async fn active(site: &Site, bmc: SocketAddr, user: &str, power: Option<PowerState>) -> Uuid {
    let mut node = Node::new(Uuid::new_v4(), "ipmi", Timestamp::now());
    node.interfaces.set(InterfaceKind::Power, "ipmitool");
    node.provision_state = S::Active;
    node.power_state = power;
    for (key, value) in [
        ("ipmi_address", bmc.ip().to_string()),
        ("ipmi_port", bmc.port().to_string()),
        ("ipmi_username", user.to_owned()),
        ("ipmi_password", "right".to_owned()),
    ] {
        node.driver_info.insert(key.into(), value.into());
    }
    site.store.create_node(&node, &[]).await.unwrap();
    node.uuid
}

/// Waits until sweeps have come to something.
async fn swept(site: &Site, mut done: impl FnMut(Sweep) -> bool) -> Sweep {
    let reached = async {
        loop {
            let sweeps = site.conductor.power_sweeps();
            if done(sweeps) {
                return sweeps;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let reached = tokio::time::timeout(LIMIT, reached).await;
    reached.unwrap_or_else(|_| panic!("{:?}", site.conductor.power_sweeps()))
}

/// Waits until a node is as it should be.
async fn until(site: &Site, uuid: Uuid, done: impl Fn(&Node) -> bool) -> Node {
    let reached = async {
        loop {
            let node = site.node(uuid).await;
            if done(&node) {
                return node;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    match tokio::time::timeout(LIMIT, reached).await {
        Ok(node) => node,
        Err(_) => panic!("{:?}\n{:#?}", site.node(uuid).await, told(site, uuid).await),
    }
}

/// What was told of the node's power.
async fn told(site: &Site, uuid: Uuid) -> Vec<LogEvent> {
    let events = site.store.events(uuid, 100).await.unwrap();
    events.into_iter().filter(|event| event.name == "power sync").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_agrees_is_not_written_and_costs_one_session() {
    let (world, rack) = (World::new(), Rack::start());
    let site = world.start(often);
    let uuid = active(&site, rack.sim.local_addr(), "admin", Some(PowerState::Off)).await;
    let before = site.node(uuid).await;
    swept(&site, |sweeps| sweeps.agreed >= 5).await;
    assert_eq!(site.node(uuid).await, before);
    assert!(site.store.events(uuid, 100).await.unwrap().is_empty());
    assert_eq!(rack.sim.open_sessions(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_that_was_never_known_is_recorded() {
    let (world, rack) = (World::new(), Rack::start());
    rack.on.store(true, Ordering::SeqCst);
    let site = world.start(often);
    let uuid = active(&site, rack.sim.local_addr(), "admin", None).await;
    until(&site, uuid, |node| node.power_state == Some(PowerState::On)).await;
    let told = told(&site, uuid).await;
    assert!(told.len() == 1 && told[0].ok && told[0].detail.contains("None was recorded"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_was_switched_off_outside_is_switched_on_again() {
    let (world, rack) = (World::new(), Rack::start());
    rack.on.store(true, Ordering::SeqCst);
    let site = world.start(often);
    let uuid = active(&site, rack.sim.local_addr(), "admin", Some(PowerState::On)).await;
    swept(&site, |sweeps| sweeps.agreed > 0).await;
    rack.on.store(false, Ordering::SeqCst);
    let agreed = swept(&site, |sweeps| sweeps.differed > 0).await.agreed;
    swept(&site, |sweeps| sweeps.agreed > agreed).await;
    assert!(rack.on.load(Ordering::SeqCst));
    let node = until(&site, uuid, |node| node.due.is_none()).await;
    assert_eq!((node.power_state, node.target_power_state), (Some(PowerState::On), None));
    assert_eq!((node.last_error, node.work.power_sync), (None, false));
    let told = told(&site, uuid).await;
    assert!(told.len() == 1 && told[0].detail.contains("the machine is power off, and power on is recorded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_follows_the_machine_where_that_is_configured() {
    let (world, rack) = (World::new(), Rack::start());
    rack.on.store(true, Ordering::SeqCst);
    let site = world.start(|settings| {
        often(settings);
        settings.power_sync.force = false;
    });
    let uuid = active(&site, rack.sim.local_addr(), "admin", Some(PowerState::Off)).await;
    let node = until(&site, uuid, |node| node.power_state == Some(PowerState::On)).await;
    assert!(!node.maintenance && rack.on.load(Ordering::SeqCst));
    let told = told(&site, uuid).await;
    assert!(told.len() == 1 && told[0].detail.contains("the record follows the machine"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_failures_are_a_fault_and_an_answer_ends_it() {
    let (world, rack) = (impatient(), Rack::start());
    let site = world.start(often);
    let uuid = active(&site, rack.sim.local_addr(), "admin", Some(PowerState::Off)).await;
    swept(&site, |sweeps| sweeps.agreed > 0).await;
    rack.sim.set_faults(|faults| faults.is_dead = true);
    let node = until(&site, uuid, |node| node.fault.is_some()).await;
    assert_eq!((node.fault, node.maintenance, node.power_state), (Some(Fault::Power), true, None));
    let reason = node.maintenance_reason.unwrap();
    assert!(reason.contains("max retries exceeded") && reason.contains("is unreachable"), "{reason}");
    assert_eq!(node.last_error.as_ref(), Some(&reason));
    let attempts: Vec<_> =
        told(&site, uuid).await.into_iter().map(|event| (event.ok, event.detail)).collect();
    assert_eq!(attempts.len(), 3, "{attempts:?}");
    assert!(attempts[0].1.starts_with("attempt 1 of 3:") && attempts[1].1.starts_with("attempt 2 of 3:"));
    assert_eq!(attempts[2], (false, reason));
    let query = store::Query::equal("node_uuid", uuid.to_string());
    let history: Vec<HistoryEntry> = site.store.list(&query).await.unwrap();
    assert!(history.len() == 1 && history[0].event_type == "monitoring", "{history:?}");

    rack.sim.set_faults(|faults| faults.is_dead = false);
    let node = until(&site, uuid, |node| !node.maintenance).await;
    assert_eq!((node.fault, node.maintenance_reason, node.last_error), (None, None, None));
    assert_eq!(node.power_state, Some(PowerState::Off));
    let failed = site.conductor.power_sweeps().failed;
    let agreed = site.conductor.power_sweeps().agreed;
    assert_eq!(swept(&site, |sweeps| sweeps.agreed > agreed + 2).await.failed, failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_cannot_be_brought_back_is_given_up_after_three_attempts() {
    let (world, rack) = (World::new(), Rack::start());
    let site = world.start(|settings| {
        often(settings);
        // It answers, and would be out of maintenance at once.
        settings.power_sync.recovery_interval = Duration::ZERO;
    });
    rack.sim.set_faults(|faults| {
        faults.wrong_reply = Some(lab::ipmi_sim::WrongReply {
            netfn: ChassisControl::NETFN,
            command: ChassisControl::NUMBER,
            completion: CompletionCode::INVALID_FIELD,
            data: Vec::new(),
            times: u32::MAX,
        });
    });
    let uuid = active(&site, rack.sim.local_addr(), "admin", Some(PowerState::On)).await;
    let node = until(&site, uuid, |node| node.fault.is_some()).await;
    assert_eq!((node.fault, node.power_state), (Some(Fault::Power), Some(PowerState::Off)));
    assert_eq!(told(&site, uuid).await.len(), 3);
    let events = site.store.events(uuid, 100).await.unwrap();
    let refused = events.iter().filter(|event| event.name == "requested power on" && !event.ok).count();
    assert_eq!(refused, 2, "the third difference is the end");
}

/// A machine that is off and stays so, and says it once its gate is open.
struct Gated {
    asked: watch::Sender<u64>,
    gate: watch::Receiver<bool>,
}

impl Chassis for Gated {
    fn is_on(&self) -> ChassisFuture<'_, Result<bool, String>> {
        let mut gate = self.gate.clone();
        self.asked.send_modify(|count| *count += 1);
        Box::pin(
            async move { gate.wait_for(|open| *open).await.map(|_| false).map_err(|gone| gone.to_string()) },
        )
    }

    fn control(&self, _control: Control, _flags: BootFlags) -> ChassisFuture<'_, Result<(), String>> {
        Box::pin(async { Err("jammed".into()) })
    }

    fn boot_flags_changed(&self, _flags: BootFlags) -> ChassisFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn boots(&self) -> watch::Receiver<u64> {
        self.asked.subscribe()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_come_too_late_are_no_attempts() {
    let (asked, mut asks) = watch::channel(0);
    let (open, gate) = watch::channel(false);
    let world = World::new();
    let rack = Rack::with(Arc::new(Gated { asked, gate }), Arc::default());
    let site = world.start(often);
    let uuid = active(&site, rack.sim.local_addr(), "admin", Some(PowerState::On)).await;
    let somebody = Holder::new("somebody", Uuid::new_v4());
    for late in 1..=3 {
        // Somebody takes the node up between the question and its answer.
        asks.changed().await.unwrap();
        let claim = site.store.claim(uuid, &somebody).await.unwrap();
        open.send_replace(true);
        swept(&site, |sweeps| sweeps.differed >= late).await;
        open.send_replace(false);
        assert!(told(&site, uuid).await.is_empty());
        site.store.release(&claim).await.unwrap();
    }
    open.send_replace(true);
    until(&site, uuid, |node| node.fault.is_some()).await;
    let told = told(&site, uuid).await;
    assert!(told.len() == 3 && told[0].detail.ends_with("(attempt 1 of 3)"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_are_held_or_in_maintenance_or_at_work_are_left_alone() {
    let (world, rack) = (World::new(), Rack::start());
    let site = world.start(often);
    let address = rack.sim.local_addr();
    let uuid = active(&site, address, "admin", Some(PowerState::Off)).await;
    let claim = site.store.claim(uuid, &Holder::new("somebody", Uuid::new_v4())).await.unwrap();
    let in_maintenance = active(&site, address, "second", Some(PowerState::Off)).await;
    let waiting = active(&site, address, "third", Some(PowerState::Off)).await;
    for (uuid, change) in [
        (in_maintenance, (|node: &mut Node| node.maintenance = true) as fn(&mut Node)),
        (waiting, |node| node.provision_state = S::DeployWait),
    ] {
        let edited = site.store.edit_node(uuid, Guard::Any, Timestamp::now(), |edit| {
            change(&mut edit.node);
            Ok::<_, StoreError>(())
        });
        edited.await.unwrap();
    }
    // What was begun before they were as they are has come to its end.
    let now = site.conductor.power_sweeps().ended;
    let is_settled = |sweeps: Sweep| sweeps.agreed + sweeps.differed + sweeps.failed == sweeps.asked;
    let asked = swept(&site, |sweeps| sweeps.ended > now + 1 && is_settled(sweeps)).await.asked;
    let received = rack.sim.received();
    assert_eq!(swept(&site, |sweeps| sweeps.ended > now + 5).await.asked, asked);
    assert_eq!(rack.sim.received(), received);
    site.store.release(&claim).await.unwrap();
    swept(&site, |sweeps| sweeps.agreed > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_bmcs_delay_nobody() {
    let (world, rack) = (World::new(), Rack::start());
    // It takes what comes and says nothing.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let site = world.start(often);
    for number in 0..400 {
        active(&site, silent.local_addr().unwrap(), &format!("user{number}"), Some(PowerState::Off)).await;
    }
    let living = active(&site, rack.sim.local_addr(), "admin", Some(PowerState::Off)).await;
    let sweeps = swept(&site, |sweeps| sweeps.asked >= 401 && sweeps.agreed >= 3).await;
    assert_eq!((sweeps.failed, sweeps.differed), (0, 0), "the others are still waited for");
    assert_eq!(site.node(living).await.power_state, Some(PowerState::Off));
}

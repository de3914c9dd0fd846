//! Bad days of a BMC, with real RMCP+ packets on loopback: wrong password, password changed mid-deploy, dead for a while.

use crate::machine::{Machine, Power, Up};
use crate::site::{MAC, Site, enrol};
use crate::{LIMIT, World, ask, deploy};
use lab::chassis::{BootFlags, Chassis, ChassisFuture, Control};
use lab::ipmi_sim::{IpmiSim, administrator};
use model::node::InterfaceKind;
use model::state::{Event, ProvisionState as S};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::{Guard, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A power switch with nothing behind it; the simulated machine watches it.
struct Switch {
    on: Arc<AtomicBool>,
    boots: watch::Sender<u64>,
}

impl Chassis for Switch {
    fn is_on(&self) -> ChassisFuture<'_, Result<bool, String>> {
        Box::pin(async { Ok(self.on.load(Ordering::SeqCst)) })
    }

    fn control(&self, control: Control, _flags: BootFlags) -> ChassisFuture<'_, Result<(), String>> {
        let on = !matches!(control, Control::PowerDown | Control::SoftShutdown);
        self.on.store(on, Ordering::SeqCst);
        if on {
            self.boots.send_modify(|count| *count += 1);
        }
        Box::pin(async { Ok(()) })
    }

    fn boot_flags_changed(&self, _flags: BootFlags) -> ChassisFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn boots(&self) -> watch::Receiver<u64> {
        self.boots.subscribe()
    }
}

pub struct Rack {
    pub sim: IpmiSim,
    pub on: Arc<AtomicBool>,
    stop: CancellationToken,
}

impl Rack {
    pub fn start() -> Self {
        let on = Arc::new(AtomicBool::new(false));
        Self::with(Arc::new(Switch { on: on.clone(), boots: watch::channel(0).0 }), on)
    }

    /// A BMC of this chassis.
    pub fn with(chassis: Arc<dyn Chassis>, on: Arc<AtomicBool>) -> Self {
        let here: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let sim = IpmiSim::bind(here, administrator("admin", "right"), chassis).unwrap();
        let stop = CancellationToken::new();
        let (running, ended) = (sim.clone(), stop.clone());
        tokio::spawn(async move { running.run(ended).await.unwrap() });
        Self { sim, on, stop }
    }

    fn machine(&self, up: Up) -> Machine {
        Machine::start(Power::Switch(self.on.clone()), MAC, up)
    }

    pub async fn enrol(&self, site: &Site, world: &World, password: &str) -> Uuid {
        let uuid = enrol(site, world.path()).await;
        self.configure(site, uuid, password).await;
        uuid
    }

    async fn configure(&self, site: &Site, uuid: Uuid, password: &str) {
        let address = self.sim.local_addr();
        let password = password.to_owned();
        site.store
            .edit_node(uuid, Guard::Any, jiff::Timestamp::now(), |edit| {
                let node = &mut edit.node;
                node.driver = "ipmi".into();
                node.interfaces.set(InterfaceKind::Power, "ipmitool");
                node.interfaces.set(InterfaceKind::Management, "ipmitool");
                for (key, value) in [
                    ("ipmi_address", address.ip().to_string()),
                    ("ipmi_port", address.port().to_string()),
                    ("ipmi_username", "admin".to_owned()),
                    ("ipmi_password", password),
                ] {
                    node.driver_info.insert(key.into(), value.into());
                }
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
    }
}

impl Drop for Rack {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_leaves_the_node_in_enroll_and_the_right_one_goes_on() {
    let (world, rack) = (World::new(), Rack::start());
    let site = world.start(|_| {});
    let uuid = rack.enrol(&site, &world, "wrong").await;
    site.conductor.provision(uuid, ask(Event::Manage)).await.unwrap();
    let node = site.reach(uuid, &[S::Enroll, S::Manageable], LIMIT).await;
    assert_eq!(node.provision_state, S::Enroll);
    let error = node.last_error.unwrap();
    assert!(error.contains("power") && error.contains("password"), "{error}");
    assert!(!error.contains("wrong\"") && !error.contains("right"), "the error shows a password: {error}");

    rack.configure(&site, uuid, "right").await;
    site.conductor.provision(uuid, ask(Event::Manage)).await.unwrap();
    let node = site.reach(uuid, &[S::Enroll, S::Manageable], LIMIT).await;
    assert_eq!((node.provision_state, node.last_error), (S::Manageable, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bmc_that_is_dead_for_a_while_delays_a_deployment_and_no_more() {
    let (world, rack) = (World::new(), Rack::start());
    let site = world.start(|_| {});
    let uuid = rack.enrol(&site, &world, "right").await;
    let machine = rack.machine(world.up.clone());
    site.conductor.provision(uuid, ask(Event::Manage)).await.unwrap();
    site.reach(uuid, &[S::Manageable], LIMIT).await;
    rack.sim.set_faults(|faults| faults.is_dead = true);
    site.conductor.provision(uuid, ask(Event::Provide)).await.unwrap();
    let failing = async {
        while site.node(uuid).await.work.failing_since.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), failing).await.unwrap();
    rack.sim.set_faults(|faults| faults.is_dead = false);
    let node = site.reach(uuid, &[S::Available, S::CleanFailed], Duration::from_secs(60)).await;
    assert_eq!((node.provision_state, node.last_error), (S::Available, None));
    assert_eq!(machine.diary().erased, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_changed_mid_deploy_fails_with_its_name_and_a_retry_works() {
    let (world, rack) = (World::new(), Rack::start());
    let site = world.start(|_| {});
    let uuid = rack.enrol(&site, &world, "right").await;
    let machine = rack.machine(world.up.clone());
    for (verb, state) in [(Event::Manage, S::Manageable), (Event::Provide, S::Available)] {
        site.conductor.provision(uuid, ask(verb)).await.unwrap();
        site.reach(uuid, &[state], LIMIT).await;
    }
    machine.faults.lock().unwrap().mute = true;
    site.conductor.provision(uuid, deploy()).await.unwrap();
    site.reach(uuid, &[S::DeployWait], LIMIT).await;
    // The BMC forgets its sessions and knows another password than the node now.
    rack.configure(&site, uuid, "stale").await;
    rack.sim.forget_sessions();
    site.conductor.provision(uuid, ask(Event::Abort)).await.unwrap();
    site.reach(uuid, &[S::DeployFailed], LIMIT).await;
    machine.faults.lock().unwrap().mute = false;
    site.conductor.provision(uuid, deploy()).await.unwrap();
    let node = site.reach(uuid, &[S::DeployFailed, S::Active], LIMIT).await;
    assert_eq!(node.provision_state, S::DeployFailed);
    let error = node.last_error.unwrap();
    assert!(error.contains("deploy.deploy") && error.contains("password"), "{error}");

    rack.configure(&site, uuid, "right").await;
    site.conductor.provision(uuid, deploy()).await.unwrap();
    let node = site.reach(uuid, &[S::DeployFailed, S::Active], LIMIT).await;
    assert_eq!((node.provision_state, node.last_error), (S::Active, None));
}

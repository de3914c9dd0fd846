//! The whole life of a machine under the conductor: the straight way, with a kill after every event, and with things going wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod allocations;
mod bad_bmc;
mod hardware;
mod images;
mod machine;
mod members;
mod partitions;
mod power_sync;
mod servers;
mod site;
mod verbs;

use bmc::Registry;
use bmc::ipmi::Limits;
use conductor::{ProvisionRequest, RequestError, Settings};
use machine::{Machine, Power, Up};
use model::node::{Fault, PowerState};
use model::state::{Event, ProvisionState as S};
use site::{MAC, Site, after_every_event, enrol};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(20);

fn ask(verb: Event) -> ProvisionRequest {
    ProvisionRequest { verb, config_drive: None, steps: None, disable_ramdisk: false, rescue_password: None }
}

struct World {
    dir: tempfile::TempDir,
    bmcs: Arc<Registry>,
    up: Up,
}

impl World {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            bmcs: Arc::new(Registry::new(Limits::default())),
            up: Up::default(),
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn start(&self, adjust: impl FnOnce(&mut Settings)) -> Site {
        Site::start(self.path(), self.bmcs.clone(), self.up.clone(), adjust)
    }

    fn machine(&self, uuid: Uuid) -> Machine {
        Machine::start(
            Power::Bmc(self.bmcs.fake(&uuid.to_string(), bmc::PowerState::Off)),
            MAC,
            self.up.clone(),
        )
    }

    /// From nothing to `available`.
    async fn available(&self, site: &Site) -> (Uuid, Machine) {
        let uuid = enrol(site, self.path()).await;
        let machine = self.machine(uuid);
        site.conductor.provision(uuid, ask(Event::Manage)).await.unwrap();
        site.reach(uuid, &[S::Manageable], LIMIT).await;
        site.conductor.provision(uuid, ask(Event::Provide)).await.unwrap();
        site.reach(uuid, &[S::Available], LIMIT).await;
        (uuid, machine)
    }
}

fn deploy() -> ProvisionRequest {
    let config_drive = Some(serde_json::json!({"meta_data": {"hostname": "m1"}, "user_data": "#!/bin/sh\n"}));
    ProvisionRequest { config_drive, ..ask(Event::Deploy) }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_enrolment_to_active_and_back() {
    let world = World::new();
    let site = world.start(|_| {});
    let (uuid, machine) = world.available(&site).await;
    let diary = machine.diary();
    assert_eq!((diary.erased, diary.ramdisk_boots, diary.disk_boots), (1, 1, 0));
    assert_eq!(site.node(uuid).await.power_state, Some(PowerState::Off));

    site.conductor.provision(uuid, deploy()).await.unwrap();
    let node = site.reach(uuid, &[S::Active, S::DeployFailed], LIMIT).await;
    assert_eq!((node.provision_state, node.last_error), (S::Active, None));
    assert_eq!(node.target_provision_state, None);
    assert_eq!(node.power_state, Some(PowerState::On));
    let diary = machine.diary();
    assert_eq!(diary.image.as_deref(), Some("http://images/tiny.raw"));
    assert!(diary.config_drive.is_some_and(|drive| drive.len() > 100));
    assert_eq!(diary.writes, 1);

    site.conductor.provision(uuid, ask(Event::Delete)).await.unwrap();
    let node = site.reach(uuid, &[S::Available], LIMIT).await;
    assert!(node.instance_info.is_empty());
    assert_eq!(machine.diary().erased, 2);
    assert_eq!(site.store.config_drive(uuid).await.unwrap(), None);
}

/// A kill may lose the reply that carries an agent's token; the machine is then started again, which is not to take minutes here.
fn impatient(settings: &mut Settings) {
    settings.boot_retry = Duration::from_millis(700);
    settings.boot_attempts = 20;
}

/// The whole life with one kill after the `n`-th event, for every `n` that there is.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_any_event_loses_nothing() {
    let round = async |n| {
        let world = World::new();
        let mut site = world.start(impatient);
        let (uuid, machine) = world.available(&site).await;
        let before = site.event_count(uuid).await;
        site.conductor.provision(uuid, deploy()).await.unwrap();
        let killed = site.has_events(uuid, before + n, |node| node.provision_state == S::Active).await;
        if killed {
            site.kill();
            site = world.start(impatient);
        }
        let node = site.reach(uuid, &[S::Active, S::DeployFailed], LIMIT).await;
        assert_eq!(node.provision_state, S::Active, "killed after event {n}: {:?}", node.last_error);
        assert_eq!(
            machine.diary().image.as_deref(),
            Some("http://images/tiny.raw"),
            "killed after event {n}"
        );
        assert_eq!(machine.diary().writes, 1, "the image was written twice when killed after event {n}");
        assert_eq!(site.node(uuid).await.power_state, Some(PowerState::On));
        site.kill();
        killed
    };
    after_every_event(1, 16, round).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_write_ends_in_deploy_failed_with_the_agents_words_and_a_retry_works() {
    let world = World::new();
    let site = world.start(|_| {});
    let (uuid, machine) = world.available(&site).await;
    machine.faults.lock().unwrap().fail =
        Some(("standby.prepare_image".into(), "checksum is 1, expected 2".into()));
    site.conductor.provision(uuid, deploy()).await.unwrap();
    let node = site.reach(uuid, &[S::DeployFailed], LIMIT).await;
    let error = node.last_error.unwrap();
    assert!(error.contains("deploy.write_image") && error.contains("checksum is 1, expected 2"), "{error}");
    assert_eq!(node.target_provision_state, Some(S::Active));
    assert_eq!(node.power_state, Some(PowerState::Off), "a failed machine is switched off");
    assert!(!node.instance_info.is_empty(), "instance_info is kept");

    machine.faults.lock().unwrap().fail = None;
    site.conductor.provision(uuid, deploy()).await.unwrap();
    let node = site.reach(uuid, &[S::Active, S::DeployFailed], LIMIT).await;
    assert_eq!((node.provision_state, node.last_error), (S::Active, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_clean_step_sets_maintenance_and_fault() {
    let world = World::new();
    let site = world.start(|_| {});
    let uuid = enrol(&site, world.path()).await;
    let machine = world.machine(uuid);
    machine.faults.lock().unwrap().fail =
        Some(("clean.execute_clean_step".into(), "disk is read-only".into()));
    site.conductor.provision(uuid, ask(Event::Manage)).await.unwrap();
    site.reach(uuid, &[S::Manageable], LIMIT).await;
    site.conductor.provision(uuid, ask(Event::Provide)).await.unwrap();
    let node = site.reach(uuid, &[S::CleanFailed], LIMIT).await;
    assert!(node.maintenance);
    assert_eq!(node.fault, Some(Fault::Clean));
    assert!(node.last_error.unwrap().contains("disk is read-only"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_never_calls_times_out_and_says_what_was_seen_of_it() {
    let world = World::new();
    let site = world.start(|settings| {
        settings.callback_timeout = Duration::from_millis(600);
        settings.boot_retry = Duration::from_millis(200);
    });
    let uuid = enrol(&site, world.path()).await;
    let machine = world.machine(uuid);
    machine.faults.lock().unwrap().mute = true;
    site.conductor.provision(uuid, ask(Event::Manage)).await.unwrap();
    site.reach(uuid, &[S::Manageable], LIMIT).await;
    site.conductor.provision(uuid, ask(Event::Provide)).await.unwrap();
    let node = site.reach(uuid, &[S::CleanFailed], LIMIT).await;
    let error = node.last_error.unwrap();
    assert!(error.contains("Timeout reached while cleaning the node"), "{error}");
    assert!(error.contains("Nothing was seen of it on the network"), "{error}");
    assert!(machine.diary().ramdisk_boots >= 2, "the conductor tried the boot again: {:?}", machine.diary());
    assert_eq!(node.fault, None, "no step was running");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_a_stolen_token_gets_nowhere() {
    let world = World::new();
    let site = world.start(|settings| {
        settings.callback_timeout = Duration::from_millis(500);
        settings.boot_attempts = 1;
    });
    let uuid = enrol(&site, world.path()).await;
    let machine = world.machine(uuid);
    machine.faults.lock().unwrap().stolen_token = true;
    site.conductor.provision(uuid, ask(Event::Manage)).await.unwrap();
    site.reach(uuid, &[S::Manageable], LIMIT).await;
    site.conductor.provision(uuid, ask(Event::Provide)).await.unwrap();
    site.reach(uuid, &[S::CleanFailed], LIMIT).await;
    assert_eq!(machine.diary().erased, 0);
    let events = site.store.events(uuid, 1000).await.unwrap();
    assert!(
        events.iter().any(|event| !event.ok && event.detail.contains("Invalid or missing agent token")),
        "the theft left an event"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_in_a_wait_state_stops_the_machine() {
    let world = World::new();
    let site = world.start(|_| {});
    let (uuid, machine) = world.available(&site).await;
    machine.faults.lock().unwrap().mute = true;
    site.conductor.provision(uuid, deploy()).await.unwrap();
    site.reach(uuid, &[S::DeployWait], LIMIT).await;
    site.conductor.provision(uuid, ask(Event::Abort)).await.unwrap();
    let node = site.reach(uuid, &[S::DeployFailed], LIMIT).await;
    assert!(node.last_error.unwrap().contains("aborted"));
    assert_eq!(node.power_state, Some(PowerState::Off));
}

#[tokio::test(flavor = "multi_thread")]
async fn verbs_are_refused_with_the_contracts_words() {
    let world = World::new();
    let site = world.start(|_| {});
    let uuid = enrol(&site, world.path()).await;
    let text = |outcome: Result<(), RequestError>| outcome.unwrap_err().to_string();
    assert_eq!(
        text(site.conductor.provision(uuid, ask(Event::Deploy)).await),
        format!(
            "The requested action \"active\" can not be performed on node \"{uuid}\" while it is in state \"enroll\"."
        )
    );
    let (second, _machine) = {
        let mut node = site.node(uuid).await;
        node.uuid = Uuid::new_v4();
        node.name = None;
        node.provision_state = S::Available;
        node.instance_info.clear();
        site.store.create_node(&node, &[]).await.unwrap();
        (node.uuid, ())
    };
    let refused = text(site.conductor.provision(second, ask(Event::Deploy)).await);
    assert!(
        refused.starts_with(&format!("Failed to validate deploy or power info for node {second}:")),
        "{refused}"
    );
    assert!(refused.contains("Missing are: ['instance_info.image_source']"), "{refused}");
}

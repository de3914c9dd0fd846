//! Every verb on pretended hardware, and each with the conductor killed after any of its events.

use crate::site::{Site, after_every_event};
use crate::{LIMIT, World, ask, impatient};
use conductor::fake::Delay;
use conductor::{ProvisionRequest, RequestError, Settings};
use model::Secret;
use model::node::{Fault, InterfaceKind, Node, PowerState};
use model::state::{Event, ProvisionState as S};
use model::step::Step;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// A machine of which everything is pretended.
async fn pretended(site: &Site, state: S) -> Uuid {
    let uuid = Uuid::new_v4();
    let mut node = Node::new(uuid, "fake-hardware", jiff::Timestamp::now());
    for kind in InterfaceKind::ALL {
        let name = if *kind == InterfaceKind::Network { "noop" } else { "fake" };
        node.interfaces.set(*kind, name);
    }
    node.provision_state = state;
    node.power_state = Some(PowerState::Off);
    site.store.create_node(&node, &[]).await.unwrap();
    uuid
}

fn step(interface: &str, name: &str) -> Step {
    Step::core(interface, name, 0)
}

fn with(verb: Event, steps: Vec<Step>) -> ProvisionRequest {
    ProvisionRequest { steps: Some(steps), ..ask(verb) }
}

/// Asks for a verb and waits for one of the states.
async fn go(site: &Site, uuid: Uuid, request: ProvisionRequest, states: &[S]) -> Node {
    site.conductor.provision(uuid, request).await.unwrap();
    site.reach(uuid, states, LIMIT).await
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_steps_act_hold_and_wait() {
    let world = World::new();
    let site = world.start(|_| {});
    let uuid = pretended(&site, S::Manageable).await;
    let mut pause = step("power", "wait");
    pause.args.insert("seconds".into(), json!(0));
    let steps = vec![
        step("power", "power_on"),
        step("power", "hold"),
        pause,
        step("bios", "factory_reset"),
        step("power", "reboot"),
    ];
    let node = go(&site, uuid, with(Event::Clean, steps.clone()), &[S::CleanHold]).await;
    assert_eq!(node.clean_step.unwrap().full_name(), "power.hold");
    assert_eq!(node.power_state, Some(PowerState::On));
    assert_eq!(node.driver_internal_info["clean_step_index"], 1);
    let node = go(&site, uuid, ask(Event::Unhold), &[S::Manageable, S::CleanFailed]).await;
    assert_eq!((node.provision_state, node.last_error), (S::Manageable, None));
    assert_eq!((node.clean_step, node.target_provision_state), (None, None));
    assert_eq!(node.driver_internal_info["clean_steps"], json!(null));

    go(&site, uuid, with(Event::Clean, steps), &[S::CleanHold]).await;
    let node = go(&site, uuid, ask(Event::Abort), &[S::CleanFailed]).await;
    assert_eq!(
        node.last_error.as_deref(),
        Some(
            "By request, the clean operation was aborted during or after the completion of step \"power.hold\""
        )
    );
    assert_eq!((node.maintenance, node.fault), (false, None), "an abort is no fault");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_waits_for_hardware_is_not_cut_short_and_ends_by_the_clock() {
    let world = World::new();
    let site = world.start(|settings| settings.callback_timeout = Duration::from_millis(400));
    let uuid = pretended(&site, S::Active).await;
    let request = with(Event::Service, vec![step("vendor", "trigger_servicewait")]);
    go(&site, uuid, request, &[S::ServiceWait]).await;
    site.conductor.provision(uuid, ask(Event::Abort)).await.unwrap();
    let node = site.node(uuid).await;
    assert_eq!(node.provision_state, S::ServiceWait);
    assert!(node.service_step.unwrap().abort_after);
    let node = site.reach(uuid, &[S::ServiceFailed], LIMIT).await;
    assert!(node.last_error.unwrap().starts_with("Timeout reached while servicing the node."));
    assert_eq!((node.maintenance, node.fault), (true, Some(Fault::Service)));
    let refused = site.conductor.provision(uuid, ask(Event::Abort)).await.unwrap_err();
    assert!(
        matches!(&refused, RequestError::Conflict(text) if text.contains("maintenance mode")),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_run_on_children_that_are_meant() {
    let world = World::new();
    let site = world.start(|_| {});
    let parent = pretended(&site, S::Manageable).await;
    let mut children = Vec::new();
    for _ in 0..3 {
        let child = pretended(&site, S::Manageable).await;
        let changed = |edit: &mut store::Edit| {
            edit.node.parent_node = Some(parent);
            Ok::<_, store::StoreError>(())
        };
        site.store.edit_node(child, store::Guard::Any, jiff::Timestamp::now(), changed).await.unwrap();
        children.push(child);
    }
    let mut on_two = step("power", "power_on");
    on_two.execute_on_child_nodes = true;
    on_two.limit_child_node_execution = vec![children[0].to_string(), children[2].to_string()];
    let node = go(&site, parent, with(Event::Clean, vec![on_two]), &[S::Manageable, S::CleanFailed]).await;
    assert_eq!((node.provision_state, node.last_error), (S::Manageable, None));
    let mut powers = Vec::new();
    for child in children {
        powers.push(site.node(child).await.power_state.unwrap());
    }
    assert_eq!(powers, [PowerState::On, PowerState::Off, PowerState::On]);
    assert_eq!(site.node(parent).await.power_state, Some(PowerState::Off));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pretended_delay_holds_nothing() {
    let world = World::new();
    let site =
        world.start(|settings| settings.fake.set(InterfaceKind::Inspect, "1".parse::<Delay>().unwrap()));
    let uuid = pretended(&site, S::Manageable).await;
    site.conductor.provision(uuid, ask(Event::Inspect)).await.unwrap();
    let put_aside = async {
        loop {
            let waiting = site.reach(uuid, &[S::Inspecting], LIMIT).await;
            if !waiting.work.pauses.is_empty() {
                return waiting;
            }
        }
    };
    let waiting = tokio::time::timeout(LIMIT, put_aside).await.expect("it waits, and nobody holds it");
    let node = site.reach(uuid, &[S::Manageable], LIMIT).await;
    assert!(node.inspection_finished_at.is_some() && node.inspection_started_at.is_none());
    let waited = node.inspection_finished_at.unwrap().duration_since(waiting.inspection_started_at.unwrap());
    assert!(waited.as_millis() >= 1000, "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_the_limit_is_under_way() {
    let world = World::new();
    let site = world.start(|settings| settings.max_concurrent_clean = 0);
    let uuid = pretended(&site, S::Manageable).await;
    let request = with(Event::Clean, vec![step("bios", "factory_reset")]);
    let refused = site.conductor.provision(uuid, request).await.unwrap_err();
    assert!(
        matches!(&refused, RequestError::Busy(text) if text.contains("The concurrent action limit for cleaning has been reached")),
        "{refused}"
    );
}

/// Runs a verb once for every event that it leaves, with the conductor killed after that event, and looks at how it ended.
async fn killed_everywhere(
    begin: S,
    request: impl Fn() -> ProvisionRequest,
    end: S,
    least: usize,
    check: impl Fn(&Node),
) {
    let round = async |n| {
        let world = World::new();
        let mut site = world.start(impatient);
        let uuid = pretended(&site, begin).await;
        let before = site.event_count(uuid).await;
        site.conductor.provision(uuid, request()).await.unwrap();
        let killed = site
            .has_events(uuid, before + n, |node| {
                node.provision_state == end && node.target_provision_state.is_none()
            })
            .await;
        if killed {
            site.kill();
            site = world.start(impatient);
        }
        let node = site.reach(uuid, &[end, S::CleanFailed, S::ServiceFailed, S::RescueFailed], LIMIT).await;
        assert_eq!(node.provision_state, end, "killed after event {n}: {:?}", node.last_error);
        assert_eq!(node.last_error, None, "killed after event {n}");
        check(&node);
        site.kill();
        killed
    };
    after_every_event(1, least, round).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_during_clean_service_inspect_or_rescue_loses_nothing() {
    let steps = || vec![step("power", "power_on"), step("bios", "factory_reset"), step("power", "power_off")];
    killed_everywhere(
        S::Manageable,
        || with(Event::Clean, steps()),
        S::Manageable,
        8,
        |node| {
            assert_eq!((node.power_state, &node.clean_step), (Some(PowerState::Off), &None));
        },
    )
    .await;
    let on = || vec![step("power", "power_on"), step("vendor", "log_passthrough")];
    killed_everywhere(
        S::Active,
        || with(Event::Service, on()),
        S::Active,
        6,
        |node| {
            assert_eq!((node.power_state, &node.service_step), (Some(PowerState::On), &None));
        },
    )
    .await;
    killed_everywhere(
        S::Manageable,
        || ask(Event::Inspect),
        S::Manageable,
        2,
        |node| {
            assert!(node.inspection_finished_at.is_some());
        },
    )
    .await;
    let rescue = || ProvisionRequest { rescue_password: Some(Secret::new("secret")), ..ask(Event::Rescue) };
    killed_everywhere(S::Active, rescue, S::Rescue, 2, |node| {
        assert!(!node.instance_info.keys().any(|key| key.contains("password")), "{:?}", node.instance_info);
    })
    .await;
}

/// What a machine of an ordinary kind finds.
fn report(mac: &str) -> conductor::InspectionReport {
    let object = |value: serde_json::Value| value.as_object().unwrap().clone();
    conductor::InspectionReport {
        node_uuid: None,
        macs: vec![mac.to_owned()],
        bmc_addresses: Vec::new(),
        inventory: object(json!({
            "interfaces": [
                {"name": "eth0", "mac_address": mac, "ipv4_address": "10.0.0.7"},
                {"name": "eth1", "mac_address": "52:54:00:00:00:99", "ipv4_address": "10.0.0.8"},
            ],
            "cpu": {"architecture": "x86_64", "count": 8},
            "memory": {"physical_mb": 4096},
            "boot": {"pxe_interface": mac, "current_boot_mode": "uefi"},
        })),
        plugin_data: object(
            json!({"logs": "aGk=", "root_disk": {"name": "/dev/sda", "size": 21_474_836_480_u64}}),
        ),
    }
}

async fn inspected(site: &Site, world: &World) -> Uuid {
    let uuid = crate::site::enrol(site, world.path()).await;
    let changed = |edit: &mut store::Edit| {
        edit.node.provision_state = S::Manageable;
        edit.node.interfaces.set(InterfaceKind::Inspect, "agent");
        Ok::<_, store::StoreError>(())
    };
    site.store.edit_node(uuid, store::Guard::Any, jiff::Timestamp::now(), changed).await.unwrap();
    uuid
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspection_by_the_ramdisk_fills_properties_ports_and_inventory() {
    let world = World::new();
    let site = world.start(|settings: &mut Settings| {
        let hooks = [
            "ramdisk-error",
            "validate-interfaces",
            "ports",
            "architecture",
            "cpus",
            "memory",
            "root-device",
            "boot-mode",
        ];
        settings.inspection.set_hooks(hooks.iter().map(|hook| hook.parse().unwrap()).collect()).unwrap();
        settings.inspection.add_ports = conductor::inspection::AddPorts::All;
    });
    let uuid = inspected(&site, &world).await;
    let report = || report(crate::site::MAC);
    assert!(site.conductor.continue_inspection(report(), true).await.is_err(), "nobody asked yet");
    let node = go(&site, uuid, ask(Event::Inspect), &[S::InspectWait]).await;
    assert_eq!(node.power_state, Some(PowerState::On));
    let (_, token) = site.conductor.continue_inspection(report(), true).await.unwrap();
    assert!(token.unwrap().expose().len() > 32);
    let node = site.reach(uuid, &[S::Manageable, S::InspectFailed], LIMIT).await;
    assert_eq!((node.provision_state, node.last_error), (S::Manageable, None));
    assert_eq!(node.power_state, Some(PowerState::Off));
    assert_eq!(
        serde_json::Value::Object(node.properties),
        json!({"cpu_arch": "x86_64", "cpus": 8, "memory_mb": 4096, "local_gb": 19, "capabilities": "boot_mode:uefi"})
    );
    let ports = site.store.ports_of_node(uuid).await.unwrap();
    let told: Vec<_> = ports.iter().map(|port| (port.address.as_str(), port.pxe_enabled)).collect();
    assert_eq!(told, [(crate::site::MAC, true), ("52:54:00:00:00:99", false)]);
    let found = site.store.inventory(uuid).await.unwrap();
    assert_eq!(found.inventory["cpu"]["count"], 8);
    assert_eq!(found.plugin_data.get("logs"), None);
    assert_eq!(site.store.findings(uuid).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspection_fails_with_the_ramdisks_error_by_abort_and_by_the_clock() {
    let world = World::new();
    let site = world.start(|_| {});
    let uuid = inspected(&site, &world).await;
    go(&site, uuid, ask(Event::Inspect), &[S::InspectWait]).await;
    let mut broken = report(crate::site::MAC);
    broken.plugin_data.insert("error".into(), "no disks".into());
    site.conductor.continue_inspection(broken, false).await.unwrap();
    let node = site.reach(uuid, &[S::InspectFailed], LIMIT).await;
    let error = node.last_error.unwrap();
    assert!(error.starts_with("Failed to finish inspection: ") && error.contains("no disks"), "{error}");
    assert_eq!((node.power_state, node.target_provision_state), (Some(PowerState::Off), Some(S::Manageable)));

    go(&site, uuid, ask(Event::Inspect), &[S::InspectWait]).await;
    let node = go(&site, uuid, ask(Event::Abort), &[S::InspectFailed]).await;
    assert_eq!(node.last_error.as_deref(), Some("Inspection was aborted by request."));
    assert_eq!(node.power_state, Some(PowerState::Off));
    site.kill();

    let site = world.start(|settings| {
        settings.callback_timeout = Duration::from_millis(300);
        settings.boot_attempts = 1;
    });
    let node = go(&site, uuid, ask(Event::Inspect), &[S::InspectFailed]).await;
    assert!(node.last_error.unwrap().starts_with("Timeout reached while inspecting the node."));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescue_hands_the_ramdisk_a_hash_and_back_boots_the_instance() {
    let world = World::new();
    let site = world.start(|_| {});
    let (uuid, machine) = world.available(&site).await;
    let changed = |edit: &mut store::Edit| {
        edit.node.interfaces.set(InterfaceKind::Rescue, "agent");
        Ok::<_, store::StoreError>(())
    };
    site.store.edit_node(uuid, store::Guard::Any, jiff::Timestamp::now(), changed).await.unwrap();
    go(&site, uuid, crate::deploy(), &[S::Active]).await;
    let request = ProvisionRequest { rescue_password: Some(Secret::new("hunter2")), ..ask(Event::Rescue) };
    let node = go(&site, uuid, request, &[S::Rescue, S::RescueFailed]).await;
    assert_eq!((node.provision_state, node.last_error.as_deref()), (S::Rescue, None));
    let told = machine.diary().rescue.unwrap();
    assert!(told["hashed"] == true && told["rescue_password"].as_str().unwrap().starts_with("$5$"), "{told}");
    let node = go(&site, uuid, ask(Event::Unrescue), &[S::Active, S::UnrescueFailed]).await;
    assert_eq!((node.provision_state, node.power_state), (S::Active, Some(PowerState::On)));
    let events = site.store.events(uuid, 1000).await.unwrap();
    assert!(!events.iter().any(|event| event.detail.contains("hunter2")));
}

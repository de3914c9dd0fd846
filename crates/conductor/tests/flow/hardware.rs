//! What users ask of the hardware: raw commands over real packets, wishes that outlive the conductor, steps without a ramdisk.

use crate::bad_bmc::Rack;
use crate::site::Site;
use crate::{LIMIT, World};
use conductor::RequestError;
use model::errand::{Deed, Errand};
use model::event::EventKind;
use model::node::{InterfaceKind, Node, Object, Work};
use model::state::ProvisionState as S;
use model::step::Step;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use store::{Guard, StoreError};
use uuid::Uuid;

async fn edit(site: &Site, uuid: Uuid, change: impl FnOnce(&mut Node)) {
    site.store
        .edit_node(uuid, Guard::Any, jiff::Timestamp::now(), |edit| {
            change(&mut edit.node);
            edit.node.nudge(jiff::Timestamp::now());
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

/// Waits until a node is as it should be.
async fn until(site: &Site, uuid: Uuid, done: impl Fn(&Node) -> bool) -> Node {
    let reached = async {
        loop {
            let node = site.node(uuid).await;
            if done(&node) {
                return node;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LIMIT, reached).await.unwrap()
}

fn arguments(value: Value) -> Object {
    value.as_object().cloned().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_commands_and_interrupts_reach_the_bmc() {
    let (world, rack) = (World::new(), Rack::start());
    let site = world.start(|_| {});
    let uuid = rack.enrol(&site, &world, "right").await;
    edit(&site, uuid, |node| node.interfaces.set(InterfaceKind::Vendor, "ipmitool")).await;
    let call = async |method: &str, given: Value| {
        site.conductor.vendor_passthru(uuid, method, "POST", arguments(given), None).await
    };
    // Get Device ID.
    assert_eq!(call("send_raw", json!({"raw_bytes": "0x06 0x01"})).await.unwrap(), None);
    let node = until(&site, uuid, |node| node.errand.is_none()).await;
    assert_eq!(node.last_error, None);
    let events = site.store.events(uuid, 100).await.unwrap();
    let told =
        events.iter().find(|event| event.kind == EventKind::Bmc && event.name == "raw command").unwrap();
    assert!(told.ok && told.detail.starts_with("command 0x06 0x01: answered ["), "{}", told.detail);
    // What the BMC refuses is told, here and in the history.
    call("send_raw", json!({"raw_bytes": "0x3e 0x77"})).await.unwrap();
    let node = until(&site, uuid, |node| node.errand.is_none()).await;
    let error = node.last_error.unwrap();
    assert!(error.starts_with("Async execution of send_raw failed with error: raw command: BMC "), "{error}");
    assert!(matches!(call("send_raw", json!({"raw_bytes": "6"})).await, Err(RequestError::Invalid(_))));
    // A machine that is off has nothing to interrupt.
    assert!(matches!(site.conductor.inject_nmi(uuid).await, Err(RequestError::Bmc(_))));
    rack.on.store(true, Ordering::SeqCst);
    site.conductor.inject_nmi(uuid).await.unwrap();
    let events = site.store.events(uuid, 100).await.unwrap();
    assert!(events.iter().any(|event| event.name == "inject NMI" && event.ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_outlives_the_conductor_and_a_command_is_not_sent_twice() {
    let world = World::new();
    let site = world.start(|_| {});
    let uuid = crate::site::enrol(&site, world.path()).await;
    site.kill();
    for (deed, begun) in [(Deed::Console(true), true), (Deed::SecureBoot(true), false)] {
        let site = world.start(|_| {});
        edit(&site, uuid, |node| {
            node.interfaces.set(InterfaceKind::Console, "fake");
            node.errand = Some(Errand { deed, begun, user: None });
        })
        .await;
        until(&site, uuid, |node| node.errand.is_none()).await;
        site.kill();
    }
    let site = world.start(|_| {});
    let node = site.node(uuid).await;
    assert!(node.console_enabled, "what can be repeated is repeated");
    assert!(node.last_error.unwrap().contains("set_secure_boot_state"));
    edit(&site, uuid, |node| {
        let deed = Deed::Passthru { method: "log_passthrough".into(), arguments: Object::new() };
        node.interfaces.set(InterfaceKind::Vendor, "fake");
        node.errand = Some(Errand { deed, begun: true, user: None });
    })
    .await;
    let node = until(&site, uuid, |node| node.errand.is_none()).await;
    let error = node.last_error.unwrap();
    assert!(error.contains("restarted while it carried out vendor.log_passthrough"), "{error}");
    let events = site.store.events(uuid, 100).await.unwrap();
    assert!(!events.iter().any(|event| event.ok && event.name == "vendor.log_passthrough"));
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_on_pretended_hardware_leave_what_they_set() {
    let world = World::new();
    let site = world.start(|_| {});
    let uuid = crate::site::enrol(&site, world.path()).await;
    let step = |interface: &str, name: &str, given: Value| Step {
        args: arguments(given),
        ..Step::core(interface, name, 0)
    };
    let clean = async |steps: Vec<Step>| {
        edit(&site, uuid, |node| {
            for kind in InterfaceKind::ALL {
                node.interfaces.set(*kind, "fake");
            }
            node.provision_state = S::Cleaning;
            node.target_provision_state = Some(S::Manageable);
            node.work = Work { steps, is_planned: true, ..Work::default() };
        })
        .await;
        until(&site, uuid, |node| matches!(node.provision_state, S::Manageable | S::CleanFailed)).await
    };
    let disk = json!({"raid_level": "1", "size_gb": 100, "is_root_volume": true});
    edit(&site, uuid, |node| {
        node.target_raid_config = arguments(json!({"logical_disks": [disk]}));
    })
    .await;
    let settings = json!({"settings": [{"name": "Virt", "value": "on"}, {"name": "Boot", "value": "uefi"}]});
    let image = json!({"settings": [{"component": "bmc", "url": "http://h/bmc-2.0.bin"}]});
    let node = clean(vec![
        step("raid", "create_configuration", json!({})),
        step("bios", "apply_configuration", settings),
        step("bios", "apply_configuration", json!({"settings": [{"name": "Virt", "value": "off"}]})),
        step("firmware", "update", image),
        step("vendor", "log_passthrough", json!({"api_token": "hush"})),
        step("power", "power_on", json!({})),
    ])
    .await;
    assert_eq!((node.provision_state, node.last_error.as_deref()), (S::Manageable, None));
    assert_eq!(node.raid_config["logical_disks"], json!([disk]));
    assert_eq!(
        (&node.properties["local_gb"], &node.properties["capabilities"]),
        (&json!(100), &json!("raid_level:1"))
    );
    let bios = site.store.bios_settings(uuid).await.unwrap();
    assert_eq!(bios.len(), 1);
    assert_eq!((bios[0].name.as_str(), bios[0].value.as_deref()), ("Virt", Some("off")));
    assert!(bios[0].updated_at.is_some());
    let firmware = site.store.firmware_components(uuid).await.unwrap();
    assert_eq!(firmware[0].last_version_flashed.as_deref(), Some("bmc-2.0.bin"));
    let history = history(&site, uuid).await;
    assert_eq!(history[0].event_type, "manual_cleaning_start");
    assert!(
        history[0].event.starts_with("Starting manual cleaning with steps=[{'args': {}, 'interface': 'raid'")
    );
    assert!(!history[0].event.contains("hush"));
    assert!(history[1].event.starts_with("Manual Cleaning completed successfully with steps=["));

    let failed = clean(vec![
        step("bios", "factory_reset", json!({})),
        step("raid", "delete_configuration", json!({})),
        step("bios", "apply_configuration", json!({"settings": 5})),
    ])
    .await;
    assert_eq!(failed.provision_state, S::CleanFailed);
    assert!(site.store.bios_settings(uuid).await.unwrap().is_empty());
    assert!(site.node(uuid).await.raid_config.is_empty());
    let told = self::history(&site, uuid).await;
    let kinds: Vec<_> =
        told[2..].iter().map(|entry| (entry.event_type.as_str(), entry.state.as_str())).collect();
    assert_eq!(
        kinds,
        [
            ("manual_cleaning_start", "cleaning"),
            ("manual_cleaning_end", "cleaning"),
            ("cleaning", "cleaning")
        ]
    );
    assert!(told[3].event.starts_with("Manual Cleaning aborted at step 'apply_configuration'"));
    assert_eq!(Some(&told[4].event), failed.last_error.as_ref());
}

async fn history(site: &Site, uuid: Uuid) -> Vec<model::history::HistoryEntry> {
    site.store.list(&store::Query::equal("node_uuid", uuid.to_string())).await.unwrap()
}

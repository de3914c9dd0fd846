//! Partition images: the layout that the agent is told, and instances that boot over the network on every start.

use crate::machine::{Machine, ROOT};
use crate::site::{Site, after_every_event};
use crate::{LIMIT, World, ask, deploy, impatient};
use bmc::{Bmc, BootDevice};
use conductor::{PowerRequest, ProvisionRequest};
use model::image::{Image, Status};
use model::node::{InterfaceKind, Node, PowerState, PowerTarget};
use model::state::{Event, ProvisionState as S};
use serde_json::{Value, json};
use store::{Guard, StoreError};
use uuid::Uuid;

/// Says which image the node is to get.
async fn assign(site: &Site, uuid: Uuid, more: Value) {
    let mut instance = json!({
        "image_source": "http://images/root.raw", "image_checksum": "0".repeat(64), "root_gb": 8, "swap_mb": 256,
        "kernel": "http://images/vmlinuz", "ramdisk": "http://images/initrd",
    });
    instance.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    change(site, uuid, |node| node.instance_info = instance.as_object().unwrap().clone()).await;
}

async fn change(site: &Site, uuid: Uuid, change: impl FnOnce(&mut Node)) {
    site.store
        .edit_node(uuid, Guard::Any, jiff::Timestamp::now(), |edit| {
            change(&mut edit.node);
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

fn without_loader(machine: &Machine) {
    machine.faults.lock().unwrap().fail =
        Some(("image.install_bootloader".into(), "the image brings no boot loader".into()));
}

async fn go(site: &Site, uuid: Uuid, request: ProvisionRequest, states: &[S]) -> Node {
    site.conductor.provision(uuid, request).await.unwrap();
    site.reach(uuid, states, LIMIT).await
}

/// Waits until the machine has booted its instance so often over the network.
async fn instance_boots(machine: &Machine, count: usize) -> Vec<String> {
    let booted = async {
        while machine.diary().instance_boots.len() < count {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(LIMIT, booted).await;
    assert!(waited.is_ok(), "{:?}", machine.diary());
    machine.diary().instance_boots
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_a_boot_loader_boots_over_the_network_on_every_start() {
    let world = World::new();
    let site = world.start(|settings| settings.kernel_append_params = "console=ttyS0".into());
    let (uuid, machine) = world.available(&site).await;
    assign(&site, uuid, json!({"kernel_append_params": "%default% quiet"})).await;
    without_loader(&machine);
    let node = go(&site, uuid, deploy(), &[S::Active, S::DeployFailed]).await;
    assert_eq!((node.provision_state, node.last_error.as_deref()), (S::Active, None));
    let info = machine.diary().image_info;
    assert_eq!(
        (&info["root_mb"], &info["swap_mb"], &info["image_type"]),
        (&json!(8192), &json!(256), &json!("partition"))
    );
    assert_eq!(node.driver_internal_info["root_uuid_or_disk_id"], ROOT);
    assert_eq!(node.driver_internal_info["is_whole_disk_image"], false);
    assert_eq!(
        node.driver_internal_info["instance"],
        json!({"root_gb": 8, "swap_mb": 256, "ephemeral_gb": 0})
    );
    let told = instance_boots(&machine, 1).await;
    let line = format!("root=UUID={ROOT} ro text console=ttyS0 quiet");
    assert!(
        told[0].contains("http://images/vmlinuz") && told[0].contains("http://images/initrd"),
        "{told:?}"
    );
    assert!(told[0].ends_with(&line), "{told:?}");
    let bmc = world.bmcs.fake(&uuid.to_string(), bmc::PowerState::Off);
    let device = bmc.boot_override().await.unwrap();
    assert_eq!((device.device, device.persistent), (BootDevice::Pxe, true));
    let events = site.store.events(uuid, 1000).await.unwrap();
    assert!(events.iter().any(|event| event.detail.contains("the image brings no boot loader")));

    // On every start: by reboot, by off and on, behind a service.
    let power = |target| PowerRequest { target, timeout_seconds: None };
    let settled = async || {
        let is_busy = async || {
            let row = site.store.node(&uuid.to_string()).await.unwrap();
            row.reservation.is_some() || row.node.target_power_state.is_some()
        };
        let waiting = async {
            while is_busy().await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, waiting).await.unwrap();
    };
    settled().await;
    site.conductor.power(uuid, power(PowerTarget::Reboot)).await.unwrap();
    instance_boots(&machine, 2).await;
    for (target, state) in [(PowerTarget::Off, PowerState::Off), (PowerTarget::On, PowerState::On)] {
        settled().await;
        site.conductor.power(uuid, power(target)).await.unwrap();
        let reached = async {
            while site.node(uuid).await.power_state != Some(state) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, reached).await.unwrap();
    }
    instance_boots(&machine, 3).await;
    change(&site, uuid, |node| node.interfaces.set(InterfaceKind::Rescue, "agent")).await;
    let rescue = ProvisionRequest { rescue_password: Some(model::Secret::new("p")), ..ask(Event::Rescue) };
    go(&site, uuid, rescue, &[S::Rescue]).await;
    go(&site, uuid, ask(Event::Unrescue), &[S::Active]).await;
    assert_eq!(instance_boots(&machine, 4).await.len(), 4);
    assert_eq!(machine.diary().disk_boots, 0);

    let node = go(&site, uuid, ask(Event::Delete), &[S::Available, S::CleanFailed]).await;
    for key in ["root_uuid_or_disk_id", "boot_option", "instance", "is_whole_disk_image"] {
        assert!(!node.driver_internal_info.contains_key(key), "{key} is left");
    }
    machine.faults.lock().unwrap().mute = true;
    assert_eq!(machine.diary().instance_boots.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_with_a_boot_loader_boots_from_the_disk() {
    let world = World::new();
    let site = world.start(|_| {});
    let (uuid, machine) = world.available(&site).await;
    assign(&site, uuid, json!({"kernel": null, "ramdisk": null, "image_type": "partition"})).await;
    go(&site, uuid, deploy(), &[S::Active]).await;
    let diary = machine.diary();
    assert_eq!(diary.instance_boots.len(), 0);
    let told = &diary.bootloader[0];
    assert_eq!((&told["root_uuid"], &told["efi_system_part_uuid"]), (&json!(ROOT), &json!("1A2B-3C4D")));

    // Nothing to fall back on: a failure, in the agent's words.
    without_loader(&machine);
    let node = go(&site, uuid, ask(Event::Rebuild), &[S::DeployFailed, S::Active]).await;
    let error = node.last_error.unwrap();
    assert!(error.contains("prepare_instance_boot") && error.contains("brings no boot loader"), "{error}");
    // With the network as a way out, and a layout that must stay.
    let files = json!({"preserve_ephemeral": true, "image_type": "partition", "capabilities": {"boot_option": "netboot"}});
    assign(&site, uuid, files).await;
    let before = machine.diary().bootloader.len();
    go(&site, uuid, ask(Event::Rebuild), &[S::Active]).await;
    assert_eq!(machine.diary().image_info["preserve_ephemeral"], true);
    assert_eq!(
        (machine.diary().bootloader.len(), &machine.diary().image_info["boot_option"]),
        (before, &json!("netboot"))
    );
    instance_boots(&machine, 1).await;
    change(&site, uuid, |node| drop(node.instance_info.insert("root_gb".into(), 9.into()))).await;
    let refused = site.conductor.provision(uuid, ask(Event::Rebuild)).await.unwrap_err().to_string();
    assert!(refused.contains("Deployed value of root_gb was 8 but requested value is 9."), "{refused}");
}

/// Registers an image of that project, with bytes that nobody asks for here.
async fn register(site: &Site, owner: &str, properties: &[(&str, String)]) -> Uuid {
    let mut image = Image::new(Uuid::new_v4(), Some(owner.into()), jiff::Timestamp::now());
    image.status = Status::Active;
    image.data = Some("data".into());
    image.disk_format = Some("ami".into());
    (image.os_hash_algo, image.os_hash_value) = (Some("sha256".into()), Some("0".repeat(64)));
    image.properties = properties.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    site.store.create(&image).await.unwrap();
    image.uuid
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_the_image_service_brings_its_kernel_and_ramdisk() {
    let world = World::new();
    let site = world.start(|_| {});
    let (uuid, machine) = world.available(&site).await;
    let (kernel, ramdisk) = (register(&site, "a", &[]).await, register(&site, "a", &[]).await);
    let foreign = register(&site, "b", &[]).await;
    let pair = |kernel: Uuid| [("kernel_id", kernel.to_string()), ("ramdisk_id", ramdisk.to_string())];
    let assign = async |image: Uuid| {
        let instance = json!({"image_source": image, "root_gb": 4});
        change(&site, uuid, |node| node.instance_info = instance.as_object().unwrap().clone()).await;
    };
    // A property is no way to another project's image.
    assign(register(&site, "a", &pair(foreign)).await).await;
    let refused = site.conductor.provision(uuid, deploy()).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("Image {foreign} can not be found.")), "{refused}");

    assign(register(&site, "a", &pair(kernel)).await).await;
    without_loader(&machine);
    let node = go(&site, uuid, deploy(), &[S::Active, S::DeployFailed]).await;
    assert_eq!((node.provision_state, node.last_error.as_deref()), (S::Active, None));
    assert_eq!(node.instance_info["kernel"], kernel.to_string());
    assert_eq!(node.instance_info["image_type"], "partition");
    assert_eq!(node.driver_internal_info["is_whole_disk_image"], false);
    assert_eq!(machine.diary().image_info["disk_format"], "raw");
    let told = instance_boots(&machine, 1).await;
    for part in [format!("/images/{kernel}?"), format!("/images/{ramdisk}?"), format!("root=UUID={ROOT} ")] {
        assert!(told[0].contains(&part), "{told:?}");
    }
    // A whole disk's image is one again, whatever was there before.
    machine.faults.lock().unwrap().fail = None;
    let whole = register(&site, "a", &[]).await;
    change(&site, uuid, |node| {
        drop(node.instance_info.insert("image_source".into(), whole.to_string().into()))
    })
    .await;
    let mut whole_image = site.store.get::<Image>(&whole.to_string()).await.unwrap();
    whole_image.disk_format = Some("raw".into());
    site.store.update(&whole_image).await.unwrap();
    let node = go(&site, uuid, ask(Event::Rebuild), &[S::Active, S::DeployFailed]).await;
    assert_eq!((node.provision_state, node.last_error.as_deref()), (S::Active, None));
    assert_eq!(node.instance_info["image_type"], "whole-disk");
    assert_eq!(node.driver_internal_info["is_whole_disk_image"], true);
    assert_eq!(machine.diary().image_info["image_type"], "whole-disk");
}

/// The deployment with one kill after the `n`-th event, for every `n` that there is.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_any_event_loses_nothing_of_a_partition_image() {
    let round = async |n| {
        let world = World::new();
        let mut site = world.start(impatient);
        let (uuid, machine) = world.available(&site).await;
        assign(&site, uuid, json!({})).await;
        without_loader(&machine);
        let before = site.event_count(uuid).await;
        site.conductor.provision(uuid, deploy()).await.unwrap();
        let killed = site.has_events(uuid, before + n, |node| node.provision_state == S::Active).await;
        if killed {
            site.kill();
            site = world.start(impatient);
        }
        let node = site.reach(uuid, &[S::Active, S::DeployFailed], LIMIT).await;
        assert_eq!(node.provision_state, S::Active, "killed after event {n}: {:?}", node.last_error);
        assert_eq!(machine.diary().writes, 1, "the image was written twice when killed after event {n}");
        instance_boots(&machine, 1).await;
        site.kill();
        killed
    };
    after_every_event(1, 16, round).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn classic_drivers_validate_as_in_2017() {
    let world = World::new();
    let site = world.start(|_| {});
    let uuid = crate::site::enrol(&site, world.path()).await;
    change(&site, uuid, |node| {
        node.driver = "agent_ipmitool".into();
        node.instance_info.clear();
    })
    .await;
    let reasons = site.conductor.validate(uuid).await.unwrap();
    let reason = |kind| reasons.iter().find(|row| row.interface == kind).unwrap().reason.clone();
    let expected = format!(
        "Cannot validate image information for node {uuid} because one or more parameters are missing from its instance_info. Missing \
         are: ['ramdisk', 'kernel', 'image_source']"
    );
    assert_eq!(reason(InterfaceKind::Boot).as_deref(), Some(expected.as_str()));
    assert_eq!(reason(InterfaceKind::Deploy).as_deref(), Some(expected.as_str()));
    assign(&site, uuid, json!({})).await;
    let reasons = site.conductor.validate(uuid).await.unwrap();
    assert!(
        reasons
            .iter()
            .filter(|row| [InterfaceKind::Boot, InterfaceKind::Deploy].contains(&row.interface))
            .all(|row| row.reason.is_none())
    );
    change(&site, uuid, |node| drop(node.instance_info.remove("root_gb"))).await;
    let reasons = site.conductor.validate(uuid).await.unwrap();
    let deploy = reasons.iter().find(|row| row.interface == InterfaceKind::Deploy).unwrap();
    assert!(deploy.reason.as_ref().unwrap().ends_with("Missing are: ['root_gb']"), "{:?}", deploy.reason);
}

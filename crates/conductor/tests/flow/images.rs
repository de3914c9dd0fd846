//! Images of the image service, from their records to what a machine is told.

use crate::machine::SERVER;
use crate::site::Site;
use crate::{LIMIT, World, ask, deploy};
use bytes::Bytes;
use conductor::RequestError;
use images::{Algorithm, Backend, Name};
use jiff::Timestamp;
use model::image::{Image, Status};
use model::node::{InterfaceKind, Node};
use model::state::{Event, ProvisionState as S};
use serde_json::{Value, json};
use store::{Guard, StoreError};
use uuid::Uuid;

/// A site that keeps images, in a directory that goes with the test.
fn storing(world: &World) -> (Site, tempfile::TempDir) {
    let kept = tempfile::tempdir().unwrap();
    let backend = Backend::directory(kept.path()).unwrap();
    (world.start(|settings| settings.storage = Some(backend)), kept)
}

/// An active image with these bytes.
async fn image(site: &Site, bytes: &'static [u8], adjust: impl FnOnce(&mut Image)) -> Image {
    let mut image = Image::new(Uuid::new_v4(), None, Timestamp::now());
    let name = Name::image(image.uuid);
    let backend = site.conductor.storage().unwrap();
    let mut upload = backend.upload(&name, None, 100, &[Algorithm::Sha256]).await.unwrap();
    upload.write(Bytes::from_static(bytes)).await.unwrap();
    let stored = upload.finish().await.unwrap();
    image.status = Status::Active;
    image.disk_format = Some("raw".into());
    image.container_format = Some("bare".into());
    image.size = Some(stored.size);
    image.os_hash_algo = Some("sha256".into());
    image.os_hash_value = stored.digest(Algorithm::Sha256).map(str::to_owned);
    image.data = Some(name.to_string());
    adjust(&mut image);
    site.store.create_image(&image).await.unwrap();
    image
}

async fn edit(site: &Site, uuid: Uuid, change: impl FnOnce(&mut Node)) {
    site.store
        .edit_node(uuid, Guard::Any, Timestamp::now(), |edit| {
            change(&mut edit.node);
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

/// Why an interface would not work.
async fn reason(site: &Site, uuid: Uuid, kind: InterfaceKind) -> Option<String> {
    let all = site.conductor.validate(uuid).await.unwrap();
    all.into_iter().find(|row| row.interface == kind).unwrap().reason
}

fn source(node: &mut Node, text: &str) {
    node.instance_info = json!({"image_source": text}).as_object().unwrap().clone();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_disk_is_deployed_by_the_identity_of_its_image() {
    let world = World::new();
    let (site, _kept) = storing(&world);
    let (uuid, machine) = world.available(&site).await;
    let wanted = image(&site, b"a disk", |_| {}).await;
    for text in [wanted.uuid.to_string(), format!("glance://{}", wanted.uuid)] {
        edit(&site, uuid, |node| source(node, &text)).await;
        assert_eq!(reason(&site, uuid, InterfaceKind::Deploy).await, None);
        site.conductor.provision(uuid, deploy()).await.unwrap();
        let node = site.reach(uuid, &[S::Active, S::DeployFailed], LIMIT).await;
        assert_eq!((node.provision_state, node.last_error), (S::Active, None));
        // What the user wrote stays; what was made of it goes to the agent alone.
        assert_eq!(node.instance_info["image_source"], text);

        let told = machine.diary().image_info;
        let url = told["urls"][0].as_str().unwrap();
        let link = url.strip_prefix(SERVER).unwrap();
        assert!(link.starts_with(&format!("/images/{}?node={uuid}&expires=", wanted.uuid)), "{url}");
        assert_eq!(told["os_hash_value"], json!(wanted.os_hash_value));
        assert_eq!((&told["os_hash_algo"], &told["disk_format"]), (&json!("sha256"), &json!("raw")));
        assert_eq!(told["checksum"], Value::Null);
        assert_eq!(told["id"], wanted.uuid.to_string());
        site.conductor.provision(uuid, ask(Event::Delete)).await.unwrap();
        site.reach(uuid, &[S::Available], LIMIT).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_can_not_be_had_is_said_before_anything_begins() {
    let world = World::new();
    let (site, _kept) = storing(&world);
    let (uuid, machine) = world.available(&site).await;
    let queued = image(&site, b"", |image| image.status = Status::Queued).await.uuid.to_string();
    let off = image(&site, b"x", |image| image.status = Status::Deactivated).await.uuid.to_string();
    let missing = Uuid::new_v4().to_string();
    for (text, named) in [(&missing, "can not be found"), (&queued, "queued"), (&off, "deactivated")] {
        edit(&site, uuid, |node| source(node, text)).await;
        let why = reason(&site, uuid, InterfaceKind::Deploy).await.unwrap();
        assert!(why.contains(text.as_str()) && why.contains(named), "{why}");
        match site.conductor.provision(uuid, deploy()).await {
            Err(RequestError::Invalid(why)) => assert!(why.contains(named), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((site.node(uuid).await.provision_state, machine.diary().writes), (S::Available, 0));
    edit(&site, uuid, |node| {
        source(node, "http://images/tiny.raw");
        node.driver_info.insert("deploy_kernel".into(), missing.clone().into());
    })
    .await;
    let why = reason(&site, uuid, InterfaceKind::Boot).await.unwrap();
    assert!(why.contains("deploy_kernel") && why.contains(&missing), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ramdisks_are_booted_from_images() {
    let world = World::new();
    let (site, _kept) = storing(&world);
    let (uuid, machine) = world.available(&site).await;
    let kernel = image(&site, b"kernel", |_| {}).await;
    let ramdisk = image(&site, b"ramdisk", |_| {}).await;
    let disk = image(&site, b"disk", |_| {}).await;
    edit(&site, uuid, |node| {
        source(node, &disk.uuid.to_string());
        node.driver_info.insert("deploy_kernel".into(), kernel.uuid.to_string().into());
        node.driver_info.insert("deploy_ramdisk".into(), format!("glance://{}", ramdisk.uuid).into());
    })
    .await;
    assert_eq!(reason(&site, uuid, InterfaceKind::Boot).await, None);
    site.conductor.provision(uuid, deploy()).await.unwrap();
    site.reach(uuid, &[S::Active], LIMIT).await;
    let path = |image: &Image| site.conductor.storage().unwrap().path(&Name::image(image.uuid)).unwrap();
    assert_eq!(machine.diary().booted, Some((path(&kernel), path(&ramdisk))));
}

#[tokio::test(flavor = "multi_thread")]
async fn kernel_and_ramdisk_come_from_the_images_properties() {
    let world = World::new();
    let (site, _kept) = storing(&world);
    let (uuid, _machine) = world.available(&site).await;
    let kernel = image(&site, b"kernel", |_| {}).await.uuid.to_string();
    let pair = json!({"kernel_id": kernel, "ramdisk_id": kernel});
    let root = image(&site, b"root", |image| {
        image.properties = serde_json::from_value(pair).unwrap();
    })
    .await;
    let mut node = site.node(uuid).await;
    source(&mut node, &root.uuid.to_string());
    let filled = site.conductor.with_images(&node, Some(SERVER)).await.unwrap();
    assert_eq!(
        (&filled.instance_info["kernel"], &filled.instance_info["ramdisk"]),
        (&json!(kernel), &json!(kernel))
    );
    assert_eq!(filled.instance_info["image_properties"]["kernel_id"], kernel);
    // An image of a file system whose kernel is gone can't be booted.
    let gone = Uuid::new_v4().to_string();
    let pair = json!({"kernel_id": gone, "ramdisk_id": kernel});
    let lost = image(&site, b"root", |image| {
        image.properties = serde_json::from_value(pair).unwrap();
    })
    .await;
    source(&mut node, &lost.uuid.to_string());
    let why = site.conductor.with_images(&node, None).await.unwrap_err();
    assert!(why.contains(&gone), "{why}");
}

//! Nodes are no way to another project's images.

use crate::cloud::Cloud;
use crate::stub_keystone::project_id;
use jiff::Timestamp;
use model::driver::FAKE;
use model::node::Node;
use serde_json::{Value, json};
use store::{Guard, StoreError};
use uuid::Uuid;

#[tokio::test]
async fn a_node_takes_only_images_that_whoever_names_them_may_use() {
    let cloud = Cloud::new().await;
    let mut node = Node::new(Uuid::new_v4(), FAKE, Timestamp::now());
    node.owner = Some(project_id("a"));
    cloud.site.store.create_node(&node, &[]).await.unwrap();
    let own = cloud.image("alice", json!({"visibility": "private"})).await;
    let public = cloud.image("operator", json!({"visibility": "public"})).await;
    let foreign = cloud.image("bob", json!({"visibility": "private"})).await;
    let missing = Uuid::new_v4().to_string();
    let patch = async |token: &'static str, operations: Value| {
        cloud.by(token, "PATCH", &format!("/baremetal/v1/nodes/{}", node.uuid), Some(operations)).await
    };
    let set = |key: &str, image: &str| json!([{"op": "add", "path": format!("/instance_info/{key}"), "value": image}]);
    for key in ["image_source", "kernel", "ramdisk"] {
        for image in [&own, &public, &"http://h/i".to_owned()] {
            patch("alice", set(key, image)).await.is(200);
        }
        let refused = patch("alice", set(key, &foreign)).await.is(400);
        let nowhere = patch("alice", set(key, &missing)).await.is(400);
        assert_eq!(refused.fault().replace(&foreign, &missing), nowhere.fault());
        patch("alice", set(key, &format!("glance://{foreign}"))).await.is(400);
    }
    // Nor by detours.
    patch("alice", json!([{"op": "add", "path": "/extra/x", "value": foreign}])).await.is(200);
    let moved = json!([{"op": "copy", "from": "/extra/x", "path": "/instance_info/image_source"}]);
    assert!(patch("alice", moved).await.status.is_client_error());
    patch("alice", json!([{"op": "add", "path": "/instance_info", "value": {"kernel": foreign}}]))
        .await
        .is(400);
    // What an operator chose stays, whatever else its user changes.
    patch("operator", set("image_source", &foreign)).await.is(200);
    patch("alice", json!([{"op": "add", "path": "/extra/y", "value": 1}])).await.is(200);
}

#[tokio::test]
async fn what_an_instance_boots_with_can_not_be_deleted_under_it() {
    let cloud = Cloud::new().await;
    let mut images = Vec::new();
    for _ in 0..4 {
        images.push(cloud.image("alice", json!({"visibility": "community"})).await);
    }
    let [root, kernel, ramdisk, deploy] = &images[..] else { panic!("four images") };
    let mut node = Node::new(Uuid::new_v4(), FAKE, Timestamp::now());
    node.name = Some("rack1-7".to_owned());
    let server = cloud.put_server("web", |server| server.node = Some(node.uuid)).await;
    node.instance_uuid = Some(server.uuid.to_string());
    for (key, value) in
        [("image_source", root), ("kernel", kernel), ("ramdisk", &format!("glance://{ramdisk}"))]
    {
        node.instance_info.insert(key.to_owned(), json!(value));
    }
    node.driver_info.insert("deploy_kernel".to_owned(), json!(deploy));
    node.driver_internal_info.insert("boot_option".to_owned(), json!("netboot"));
    node.driver_internal_info.insert("root_uuid_or_disk_id".to_owned(), json!(Uuid::new_v4()));
    cloud.site.store.create_node(&node, &[]).await.unwrap();
    let delete = async |token: &'static str, image: &str| {
        cloud.by(token, "DELETE", &format!("/image/v2/images/{image}"), None).await
    };
    for image in [kernel, ramdisk] {
        let refused = delete("alice", image).await.is(409);
        assert!(refused.text.contains("in use") && refused.text.contains("server web"), "{}", refused.text);
        cloud.by("alice", "GET", &format!("/image/v2/images/{image}"), None).await.is(200);
    }
    // What was written to the disk, and what only deployments need.
    delete("alice", root).await.is(204);
    delete("alice", deploy).await.is(204);
    // An instance that boots from its disk needs none of them.
    let edited = cloud.site.store.edit_node(node.uuid, Guard::Any, Timestamp::now(), |edit| {
        edit.node.driver_internal_info.insert("boot_option".to_owned(), json!("local"));
        Ok::<_, StoreError>(())
    });
    edited.await.unwrap();
    delete("alice", kernel).await.is(204);
}

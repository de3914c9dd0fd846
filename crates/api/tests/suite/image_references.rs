//! Nodes are no way to another project's images.

use crate::cloud::Cloud;
use crate::stub_keystone::project_id;
use jiff::Timestamp;
use model::driver::FAKE;
use model::node::Node;
use serde_json::{Value, json};
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

//! The image service: records, and who sees and changes what.

use crate::cloud::Cloud;
use crate::site::Answer;
use crate::stub_keystone::project_id;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

pub const PATCH: &str = "application/openstack-images-v2.1-json-patch";

/// The bytes of an answer.
pub struct Bytes {
    pub answer: Answer,
    pub bytes: Vec<u8>,
}

impl Cloud {
    /// Registers an image; what is not said of it is raw and bare.
    pub async fn image(&self, token: &str, more: Value) -> String {
        let mut body = json!({"name": "i", "disk_format": "raw", "container_format": "bare"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.by(token, "POST", "/image/v2/images", Some(body)).await.is(201);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Sends bytes with a media type.
    pub async fn put(&self, token: &str, path: &str, media: &str, bytes: impl Into<Body>) -> Answer {
        let request = Request::builder().method("PUT").uri(path).header("content-type", media);
        self.raw(token, request.body(bytes.into()).unwrap()).await.answer
    }

    /// Uploads an image's data.
    pub async fn upload(&self, token: &str, image: &str, bytes: impl Into<Body>) -> Answer {
        self.put(token, &format!("/image/v2/images/{image}/file"), "application/octet-stream", bytes).await
    }

    /// Any request; its answer's bytes may be no text.
    pub async fn raw(&self, token: &str, request: Request<Body>) -> Bytes {
        let (parts, body) = self.send(token, request).await.into_parts();
        let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap().to_vec();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Bytes { answer: Answer { status: parts.status, headers: parts.headers, text }, bytes }
    }

    /// Changes an image by a patch.
    pub async fn patch(&self, token: &str, image: &str, operations: Value) -> Answer {
        let request = Request::builder()
            .method("PATCH")
            .uri(format!("/image/v2/images/{image}"))
            .header("content-type", PATCH)
            .body(Body::from(operations.to_string()))
            .unwrap();
        self.raw(token, request).await.answer
    }

    /// The names in a list of images.
    async fn names(&self, token: &str, query: &str) -> Vec<String> {
        let answer = self.by(token, "GET", &format!("/image/v2/images{query}"), None).await.is(200);
        let json = answer.json();
        let images = json["images"].as_array().unwrap().iter();
        images.map(|image| image["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// What the user reads of an error.
pub fn message(answer: &Answer) -> String {
    answer.json()["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_image_is_registered_as_it_is_described() {
    let cloud = Cloud::new().await;
    let body = json!({
        "name": "debian", "disk_format": "qcow2", "container_format": "bare", "min_disk": 2, "min_ram": 512,
        "tags": ["b", "a"], "protected": true, "os_hidden": false, "visibility": "private",
        "kernel_id": "k", "os_distro": "debian",
    });
    let answer = cloud.by("alice", "POST", "/image/v2/images", Some(body)).await.is(201);
    let image = answer.json();
    let id = image["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("http://h:1/image/v2/images/{id}"));
    assert_eq!(answer.header("openstack-image-import-methods"), "glance-direct,web-download");
    assert_eq!(image["status"], "queued");
    assert_eq!(image["owner"], project_id("a"));
    assert_eq!(
        (&image["size"], &image["checksum"], &image["os_hash_algo"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(image["tags"], json!(["a", "b"]));
    assert_eq!((&image["kernel_id"], &image["os_distro"]), (&json!("k"), &json!("debian")));
    assert_eq!(image["file"], format!("/v2/images/{id}/file"));
    assert_eq!(cloud.by("alice", "GET", &format!("/image/v2/images/{id}"), None).await.is(200).json(), image);
    let bare = cloud.by("alice", "POST", "/image/v2/images", Some(json!({}))).await.is(201).json();
    assert_eq!((&bare["visibility"], &bare["disk_format"]), (&json!("shared"), &Value::Null));
}

#[tokio::test]
async fn an_identity_may_be_chosen_once() {
    let cloud = Cloud::new().await;
    let id = "0f6e9d3a-5f55-4c1e-9f0e-3a8f5e0a7a11";
    cloud.by("alice", "POST", "/image/v2/images", Some(json!({"id": id}))).await.is(201);
    let again = cloud.by("bob", "POST", "/image/v2/images", Some(json!({"id": id}))).await.is(409);
    assert!(message(&again).contains(id));
    cloud.by("alice", "POST", "/image/v2/images", Some(json!({"id": "x"}))).await.is(400);
}

#[tokio::test]
async fn what_an_image_can_not_be_is_refused_by_name() {
    let cloud = Cloud::new().await;
    for (body, status, named) in [
        (json!({"disk_format": "floppy"}), 400, "disk_format"),
        (json!({"container_format": 1}), 400, "container_format"),
        (json!({"visibility": "secret"}), 400, "visibility"),
        (json!({"visibility": "public"}), 403, "public"),
        (json!({"owner": project_id("b")}), 403, "another project"),
        (json!({"min_disk": -1}), 400, "min_disk"),
        (json!({"min_ram": "lots"}), 400, "min_ram"),
        (json!({"protected": "yes"}), 400, "protected"),
        (json!({"name": "x".repeat(256)}), 400, "name"),
        (json!({"tags": "a"}), 400, "tags"),
        (json!({"tags": [1]}), 400, "tags"),
        (json!({"size": 1}), 403, "read-only"),
        (json!({"status": "active"}), 403, "read-only"),
        (json!({"os_hash_value": "0"}), 403, "read-only"),
        (json!({"locations": []}), 403, "reserved"),
        (json!({"os_glance_x": "1"}), 403, "reserved"),
        (json!({"x": 1}), 400, "x"),
        (json!({"x": "\0"}), 400, "x"),
        (json!([]), 400, "body"),
    ] {
        let answer = cloud.by("alice", "POST", "/image/v2/images", Some(body.clone())).await.is(status);
        assert!(message(&answer).contains(named), "{body}: {}", answer.text);
    }
    let many: serde_json::Map<_, _> = (0..129).map(|n| (format!("p{n}"), json!("x"))).collect();
    cloud.by("alice", "POST", "/image/v2/images", Some(many.into())).await.is(413);
}

#[tokio::test]
async fn a_foreign_image_is_not_there() {
    let cloud = Cloud::new().await;
    let id = cloud.image("alice", json!({"visibility": "private"})).await;
    let missing = "0f6e9d3a-5f55-4c1e-9f0e-3a8f5e0a7a11";
    for (method, rest) in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/file"),
        ("GET", "/members"),
        ("POST", "/actions/deactivate"),
        ("POST", "/actions/reactivate"),
        ("PUT", "/tags/x"),
        ("DELETE", "/tags/x"),
        ("GET", "/tasks"),
        ("GET", "/members/x"),
        ("DELETE", "/members/x"),
    ] {
        let path = |id: &str| format!("/image/v2/images/{id}{rest}");
        let foreign = cloud.by("bob", method, &path(&id), None).await.is(404);
        let nowhere = cloud.by("bob", method, &path(missing), None).await.is(404);
        assert_eq!(message(&foreign).replace(&id, missing), message(&nowhere), "{method} {rest}");
    }
    cloud.upload("bob", &id, "x").await.is(404);
    cloud.patch("bob", &id, json!([])).await.is(404);
    cloud.put("bob", &format!("/image/v2/images/{id}/stage"), "application/octet-stream", "x").await.is(404);
    let member = Some(json!({"member": "x"}));
    cloud.by("bob", "POST", &format!("/image/v2/images/{id}/members"), member).await.is(404);
    let import = Some(json!({"method": {"name": "glance-direct"}}));
    cloud.by("bob", "POST", &format!("/image/v2/images/{id}/import"), import).await.is(404);
    cloud.by("bob", "GET", "/image/v2/images/x", None).await.is(404);
    // Its own project's reader looks and changes nothing; operators do both.
    cloud.by("reader", "GET", &format!("/image/v2/images/{id}"), None).await.is(200);
    cloud.by("reader", "DELETE", &format!("/image/v2/images/{id}"), None).await.is(403);
    cloud.upload("reader", &id, "x").await.is(403);
    cloud.patch("operator", &id, json!([{"op": "add", "path": "/x", "value": "y"}])).await.is(200);
}

#[tokio::test]
async fn public_and_community_images_are_everybodys_to_see_and_their_owners_to_change() {
    let cloud = Cloud::new().await;
    let public = cloud.image("operator", json!({"name": "public", "visibility": "public"})).await;
    let community = cloud.image("alice", json!({"name": "community", "visibility": "community"})).await;
    for id in [&public, &community] {
        cloud.by("bob", "GET", &format!("/image/v2/images/{id}"), None).await.is(200);
        cloud.by("bob", "DELETE", &format!("/image/v2/images/{id}"), None).await.is(403);
        cloud.patch("bob", id, json!([{"op": "replace", "path": "/name", "value": "mine"}])).await.is(403);
        cloud.upload("bob", id, "x").await.is(403);
    }
    assert_eq!(cloud.names("bob", "").await, ["public"]);
    assert_eq!(cloud.names("bob", "?visibility=community").await, ["community"]);
    assert_eq!(cloud.names("alice", "").await, ["community", "public"]);
    cloud
        .patch("alice", &community, json!([{"op": "replace", "path": "/visibility", "value": "public"}]))
        .await
        .is(403);
    cloud
        .patch("operator", &community, json!([{"op": "replace", "path": "/visibility", "value": "public"}]))
        .await
        .is(200);
}

#[tokio::test]
async fn a_shared_image_is_its_members_once_they_accept() {
    let cloud = Cloud::new().await;
    let id = cloud.image("alice", json!({"name": "shared"})).await;
    let members = format!("/image/v2/images/{id}/members");
    let bob = format!("{members}/{}", project_id("b"));
    cloud.by("bob", "GET", &format!("/image/v2/images/{id}"), None).await.is(404);
    let body = Some(json!({"member": project_id("b")}));
    let member = cloud.by("alice", "POST", &members, body.clone()).await.is(200).json();
    assert_eq!((&member["status"], &member["member_id"]), (&json!("pending"), &json!(project_id("b"))));
    cloud.by("alice", "POST", &members, body).await.is(409);
    cloud.by("alice", "POST", &members, Some(json!({}))).await.is(400);
    // It can be used, and is not in the way.
    cloud.by("bob", "GET", &format!("/image/v2/images/{id}"), None).await.is(200);
    assert!(cloud.names("bob", "").await.is_empty());
    assert_eq!(cloud.names("bob", "?member_status=pending").await, ["shared"]);
    // Whoever shares it can't accept it, whoever gets it can't share it on.
    cloud.by("alice", "PUT", &bob, Some(json!({"status": "accepted"}))).await.is(403);
    cloud.by("bob", "POST", &members, Some(json!({"member": "x"}))).await.is(403);
    cloud.by("bob", "PUT", &bob, Some(json!({"status": "perhaps"}))).await.is(400);
    let accepted = cloud.by("bob", "PUT", &bob, Some(json!({"status": "accepted"}))).await.is(200).json();
    assert_eq!(accepted["status"], "accepted");
    assert_eq!(cloud.names("bob", "").await, ["shared"]);
    assert_eq!(
        cloud.by("bob", "GET", &members, None).await.is(200).json()["members"].as_array().unwrap().len(),
        1
    );
    cloud.by("alice", "GET", &bob, None).await.is(200);
    cloud.by("alice", "GET", &format!("{members}/other"), None).await.is(404);
    cloud.by("bob", "DELETE", &bob, None).await.is(403);
    cloud.by("alice", "DELETE", &bob, None).await.is(204);
    cloud.by("alice", "DELETE", &bob, None).await.is(404);
    cloud.by("bob", "GET", &format!("/image/v2/images/{id}"), None).await.is(404);
    cloud
        .patch("alice", &id, json!([{"op": "replace", "path": "/visibility", "value": "private"}]))
        .await
        .is(200);
    cloud.by("alice", "GET", &members, None).await.is(403);
}

#[tokio::test]
async fn a_patch_is_done_whole_or_not_at_all() {
    let cloud = Cloud::new().await;
    let id = cloud.image("alice", json!({"old": "1"})).await;
    let good = json!([
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/a~1b", "value": "x"},
        {"op": "remove", "path": "/old"},
        {"op": "replace", "path": "/tags", "value": ["t"]},
        {"op": "replace", "path": "/disk_format", "value": "qcow2"},
    ]);
    let image = cloud.patch("alice", &id, good).await.is(200).json();
    assert_eq!((&image["name"], &image["a/b"], &image["tags"]), (&json!("new"), &json!("x"), &json!(["t"])));
    assert!(image.get("old").is_none());
    assert_eq!(cloud.names("alice", "?tag=t&a/b=x").await, ["new"]);
    for (operation, status) in [
        (json!({"op": "remove", "path": "/none"}), 409),
        (json!({"op": "replace", "path": "/none", "value": "x"}), 409),
        (json!({"op": "remove", "path": "/name"}), 403),
        (json!({"op": "replace", "path": "/id", "value": "x"}), 403),
        (json!({"op": "replace", "path": "/size", "value": 1}), 403),
        (json!({"op": "add", "path": "/locations/-", "value": {}}), 400),
        (json!({"op": "replace", "path": "/owner", "value": project_id("b")}), 403),
    ] {
        let both = json!([{"op": "replace", "path": "/name", "value": "half"}, operation]);
        cloud.patch("alice", &id, both).await.is(status);
    }
    assert_eq!(cloud.names("alice", "").await, ["new"]);
    let path = format!("/image/v2/images/{id}");
    cloud.by("alice", "PATCH", &path, Some(json!([]))).await.is(415);
    cloud.upload("alice", &id, "x").await.is(400);
    cloud
        .patch("alice", &id, json!([{"op": "replace", "path": "/disk_format", "value": "raw"}]))
        .await
        .is(200);
    cloud.upload("alice", &id, "x").await.is(204);
    let late = json!([{"op": "replace", "path": "/disk_format", "value": "qcow2"}]);
    cloud.patch("alice", &id, late).await.is(403);
}

#[tokio::test]
async fn a_protected_image_stays() {
    let cloud = Cloud::new().await;
    let id = cloud.image("alice", json!({"protected": true})).await;
    let path = format!("/image/v2/images/{id}");
    cloud.by("alice", "DELETE", &path, None).await.is(403);
    cloud.patch("alice", &id, json!([{"op": "replace", "path": "/protected", "value": false}])).await.is(200);
    cloud.by("alice", "DELETE", &path, None).await.is(204);
    cloud.by("alice", "GET", &path, None).await.is(404);
}

#[tokio::test]
async fn tags_come_and_go() {
    let cloud = Cloud::new().await;
    let id = cloud.image("alice", json!({})).await;
    let tag = format!("/image/v2/images/{id}/tags/blue%20sky");
    cloud.by("alice", "PUT", &tag, None).await.is(204);
    cloud.by("alice", "PUT", &tag, None).await.is(204);
    let image = cloud.by("alice", "GET", &format!("/image/v2/images/{id}"), None).await.json();
    assert_eq!(image["tags"], json!(["blue sky"]));
    cloud.by("alice", "DELETE", &tag, None).await.is(204);
    cloud.by("alice", "DELETE", &tag, None).await.is(404);
    let long = format!("/image/v2/images/{id}/tags/{}", "x".repeat(256));
    cloud.by("alice", "PUT", &long, None).await.is(400);
}

#[tokio::test]
async fn lists_filter_sort_and_page() {
    let cloud = Cloud::new().await;
    for (n, name) in ["c", "a", "b", "d"].into_iter().enumerate() {
        let id = cloud.image("alice", json!({"name": name, "min_disk": n, "os_hidden": name == "d"})).await;
        cloud.upload("alice", &id, vec![0; 100 * (n + 1)]).await.is(204);
    }
    assert_eq!(cloud.names("alice", "").await, ["b", "a", "c"]);
    for (query, expected) in [
        ("?sort=name:asc", vec!["a", "b", "c"]),
        ("?sort_key=name&sort_dir=asc", vec!["a", "b", "c"]),
        ("?sort_key=size&sort_dir=desc", vec!["b", "a", "c"]),
        ("?name=a", vec!["a"]),
        ("?name=in:a,c&sort=name", vec!["c", "a"]),
        ("?size_min=150&size_max=250", vec!["a"]),
        ("?status=active&limit=1", vec!["b"]),
        ("?status=queued", vec![]),
        ("?created_at=lt:2020-01-01T00:00:00Z", vec![]),
        ("?created_at=gte:2020-01-01T00:00:00Z&name=c", vec!["c"]),
        ("?os_hidden=true", vec!["d"]),
        ("?disk_format=qcow2", vec![]),
        ("?some_property=x", vec![]),
        ("?limit=0", vec![]),
    ] {
        assert_eq!(cloud.names("alice", query).await, expected, "{query}");
    }
    let (mut path, mut walked) = ("/v2/images?limit=2&sort=name:asc".to_owned(), Vec::new());
    loop {
        let page = cloud.by("alice", "GET", &format!("/image{path}"), None).await.is(200).json();
        walked.extend(
            page["images"].as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut path),
            None => break,
        }
    }
    assert_eq!(walked, ["a", "b", "c"]);
    for wrong in [
        "?limit=x",
        "?sort=colour",
        "?sort=name:up",
        "?sort=name&sort_key=name",
        "?created_at=gt:yesterday",
        "?size_min=many",
        "?visibility=secret",
        "?name=in:%22a",
        "?protected=perhaps",
    ] {
        cloud.by("alice", "GET", &format!("/image/v2/images{wrong}"), None).await.is(400);
    }
    cloud.by("alice", "GET", "/image/v2/images?marker=x", None).await.is(404);
}

#[tokio::test]
async fn clients_learn_what_the_service_can_do() {
    let cloud = Cloud::new().await;
    for schema in ["image", "images", "member", "members", "task", "tasks"] {
        let answer =
            cloud.by("alice", "GET", &format!("/image/v2/schemas/{schema}"), None).await.is(200).json();
        assert_eq!(answer["name"], schema);
        assert!(answer["properties"].is_object());
    }
    let methods = cloud.by("alice", "GET", "/image/v2/info/import", None).await.is(200).json();
    assert_eq!(methods["import-methods"]["value"], json!(["glance-direct", "web-download"]));
    let stores = cloud.by("alice", "GET", "/image/v2/info/stores", None).await.is(200).json();
    assert_eq!(stores["stores"][0]["id"], "file");
    let cache = cloud.by("operator", "GET", "/image/v2/cache", None).await.is(404);
    assert!(message(&cache).contains("not supported at this site"));
    cloud.by("alice", "GET", "/image/v2/cache", None).await.is(403);
    let none = cloud.by("alice", "GET", "/image/v2/metadefs/namespaces", None).await.is(200).json();
    assert_eq!(none["namespaces"], json!([]));
    let versions = cloud.by("", "GET", "/image/", None).await.is(300).json();
    assert_eq!(versions["versions"][0]["status"], "CURRENT");
    cloud.by("", "GET", "/image/versions", None).await.is(200);
}

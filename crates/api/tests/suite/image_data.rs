//! The image service: what goes in, what may not, and what comes out.

use crate::cloud::Cloud;
use crate::image::message;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use bytes::Bytes;
use disk::{Algorithm, Hasher};
use futures_util::stream;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const OCTETS: &str = "application/octet-stream";

/// A qcow2 of version 3 that stands for 64 MiB of zeros, after a test's change to its header.
fn qcow2(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut image = vec![0; 5 << 16];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"QFI\xfb");
    put(4, &3_u32.to_be_bytes());
    put(20, &16_u32.to_be_bytes());
    put(24, &(64_u64 << 20).to_be_bytes());
    // One entry of the L1 table, in the third cluster; the refcount table in the second.
    put(36, &1_u32.to_be_bytes());
    put(40, &(2_u64 << 16).to_be_bytes());
    put(48, &(1_u64 << 16).to_be_bytes());
    put(56, &1_u32.to_be_bytes());
    put(96, &4_u32.to_be_bytes());
    put(100, &104_u32.to_be_bytes());
    change(&mut image);
    image
}

fn sha256(bytes: &[u8]) -> String {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(bytes);
    hasher.finish().to_string()
}

impl Cloud {
    async fn show(&self, image: &str) -> Value {
        self.by("operator", "GET", &format!("/image/v2/images/{image}"), None).await.is(200).json()
    }

    /// What the storage has, by name.
    async fn stored(&self) -> Vec<String> {
        let names = self.site.conductor.storage().unwrap().list("images").await.unwrap();
        names.iter().map(ToString::to_string).collect()
    }

    /// Waits until an import has ended, and returns its task.
    async fn imported(&self, image: &str) -> Value {
        let path = format!("/image/v2/images/{image}/tasks");
        let ended = async {
            loop {
                let tasks = self.by("alice", "GET", &path, None).await.is(200).json();
                if tasks["tasks"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|task| task["status"] == "success" || task["status"] == "failure")
                {
                    return tasks["tasks"][0].clone();
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ended).await.expect("an end of the import")
    }

    async fn import(&self, token: &str, image: &str, method: Value) -> crate::site::Answer {
        let path = format!("/image/v2/images/{image}/import");
        self.by(token, "POST", &path, Some(json!({"method": method}))).await
    }
}

#[tokio::test]
async fn what_was_uploaded_is_downloaded_whole_and_in_parts() {
    let cloud = Cloud::new().await;
    let id = cloud.image("alice", json!({})).await;
    let path = format!("/image/v2/images/{id}/file");
    cloud.by("alice", "GET", &path, None).await.is(204);
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 253) as u8).collect();
    cloud.upload("alice", &id, bytes.clone()).await.is(204);
    let image = cloud.show(&id).await;
    assert_eq!((&image["status"], &image["size"]), (&json!("active"), &json!(bytes.len())));
    assert_eq!(image["virtual_size"], bytes.len());
    assert_eq!((&image["os_hash_algo"], &image["os_hash_value"]), (&json!("sha256"), &json!(sha256(&bytes))));
    assert_eq!(image["checksum"], Value::Null);

    let request = |range: &str, condition: &str| {
        let mut request = Request::builder().uri(&path);
        if !range.is_empty() {
            request = request.header("range", range);
        }
        if !condition.is_empty() {
            request = request.header("if-range", condition);
        }
        request.body(Body::empty()).unwrap()
    };
    let whole = cloud.raw("reader", request("", "")).await;
    assert_eq!(whole.answer.status, 200);
    assert!(whole.bytes == bytes);
    assert_eq!(whole.answer.header("content-type"), OCTETS);
    assert_eq!(whole.answer.header("content-length"), bytes.len().to_string());
    let tag = whole.answer.header("etag").to_owned();
    let part = cloud.raw("alice", request("bytes=1000-1999", &tag)).await;
    assert_eq!(part.answer.status, 206);
    assert!(part.bytes == bytes[1000..2000]);
    assert_eq!(part.answer.header("content-range"), "bytes 1000-1999/3000000");
    let other = cloud.raw("alice", request("bytes=1000-1999", "\"other\"")).await;
    assert_eq!((other.answer.status.as_u16(), other.bytes.len()), (200, bytes.len()));
    let beyond = cloud.raw("alice", request("bytes=3000000-", "")).await.answer.is(416);
    assert_eq!(beyond.header("content-range"), "bytes */3000000");
    let head = Request::builder().method("HEAD").uri(&path).body(Body::empty()).unwrap();
    let head = cloud.raw("alice", head).await;
    assert_eq!((head.answer.header("content-length"), head.bytes.len()), ("3000000", 0));
    // Once is enough.
    cloud.upload("alice", &id, "x").await.is(409);
    cloud.by("alice", "DELETE", &format!("/image/v2/images/{id}"), None).await.is(204);
    assert!(cloud.stored().await.is_empty());
}

#[tokio::test]
async fn what_lies_about_its_format_does_not_become_active() {
    let cloud = Cloud::new().await;
    let good = cloud.image("alice", json!({"disk_format": "qcow2"})).await;
    cloud.upload("alice", &good, qcow2(|_| {})).await.is(204);
    assert_eq!(cloud.show(&good).await["virtual_size"], 64 << 20);

    let backing = qcow2(|image| {
        image[8..16].copy_from_slice(&512_u64.to_be_bytes());
        image[16..20].copy_from_slice(&11_u32.to_be_bytes());
        image[512..523].copy_from_slice(b"/etc/passwd");
    });
    let data_file = qcow2(|image| image[79] = 4);
    let named_data_file = qcow2(|image| {
        image[104..108].copy_from_slice(&0x4441_5441_u32.to_be_bytes());
        image[111] = 11;
        image[112..123].copy_from_slice(b"/etc/shadow");
    });
    let truncated = qcow2(|image| image.truncate(70_000));
    let vmdk = b"KDMV and so on".to_vec();
    let cases: [(&str, Vec<u8>, &str); 12] = [
        ("qcow2", backing, "backing file"),
        ("qcow2", data_file, "data file"),
        ("qcow2", named_data_file, "data file"),
        ("qcow2", truncated, "truncated"),
        ("qcow2", b"not a qcow2".to_vec(), "raw"),
        ("qcow2", Vec::new(), "raw"),
        ("raw", qcow2(|_| {}), "qcow2"),
        ("raw", vmdk.clone(), "vmdk"),
        ("iso", vec![0; 40_000], "raw"),
        ("aki", qcow2(|_| {}), "another format"),
        ("ami", vmdk, "another format"),
        ("vmdk", qcow2(|_| {}), "qcow2"),
    ];
    for (format, bytes, named) in cases {
        let id = cloud.image("alice", json!({"disk_format": format})).await;
        let refused = cloud.upload("alice", &id, bytes).await.is(400);
        assert!(message(&refused).contains(named), "{format}: {}", refused.text);
        let image = cloud.show(&id).await;
        assert_eq!((&image["status"], &image["size"]), (&json!("queued"), &Value::Null), "{format}");
        // The right data may come then.
        cloud.by("alice", "GET", &format!("/image/v2/images/{id}/file"), None).await.is(204);
    }
    assert_eq!(cloud.stored().await, [format!("images/{good}")]);
}

#[tokio::test]
async fn kernels_ramdisks_and_file_systems_are_what_they_are() {
    let cloud = Cloud::new().await;
    for (format, bytes) in
        [("aki", &b"\x1f\x8b\x08 kernel"[..]), ("ari", b"\x28\xb5\x2f\xfd ramdisk"), ("ami", b"fs")]
    {
        let id = cloud.image("alice", json!({"disk_format": format, "container_format": format})).await;
        cloud.upload("alice", &id, bytes.to_vec()).await.is(204);
        assert_eq!(cloud.show(&id).await["status"], "active");
    }
    let mut iso = vec![0; 40_000];
    iso[0x8001..0x8006].copy_from_slice(b"CD001");
    let id = cloud.image("alice", json!({"disk_format": "iso"})).await;
    cloud.upload("alice", &id, iso).await.is(204);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_a_queued_image_and_no_data() {
    let cloud = Cloud::new().await;
    let id = cloud.image("alice", json!({})).await;
    let broken = stream::iter([
        Ok(Bytes::from(vec![0; 3 << 20])),
        Err(std::io::Error::new(std::io::ErrorKind::ConnectionReset, "gone")),
    ]);
    let answer = cloud.upload("alice", &id, Body::from_stream(broken)).await.is(400);
    assert!(message(&answer).contains("broke off"), "{}", answer.text);
    assert_eq!(cloud.show(&id).await["status"], "queued");
    assert!(cloud.stored().await.is_empty());
    // Fewer bytes than were announced are no image either.
    let short = Request::builder()
        .method("PUT")
        .uri(format!("/image/v2/images/{id}/file"))
        .header("content-type", OCTETS)
        .header("x-openstack-image-size", "10")
        .body(Body::from("123"))
        .unwrap();
    let short = cloud.raw("alice", short).await.answer.is(400);
    assert!(message(&short).contains("10 bytes"), "{}", short.text);
    cloud.upload("alice", &id, "whole").await.is(204);
}

#[tokio::test]
async fn an_image_that_is_deleted_while_it_is_uploaded_leaves_nothing() {
    let cloud = Cloud::new().await;
    let id = cloud.image("alice", json!({})).await;
    let (send, receive) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = Body::from_stream(stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|piece| (piece, receive))
    }));
    let upload = cloud.upload("alice", &id, body);
    let meanwhile = async {
        send.send(Ok(Bytes::from_static(b"first"))).await.unwrap();
        while cloud.show(&id).await["status"] != "saving" {
            tokio::task::yield_now().await;
        }
        cloud.upload("alice", &id, "second").await.is(409);
        cloud.by("alice", "DELETE", &format!("/image/v2/images/{id}"), None).await.is(204);
        drop(send);
    };
    let (answer, ()) = tokio::join!(upload, meanwhile);
    answer.is(410);
    assert!(cloud.stored().await.is_empty());
}

#[tokio::test]
async fn data_must_be_octets_and_the_formats_known() {
    let cloud = Cloud::new().await;
    let id = cloud.image("alice", json!({})).await;
    let path = format!("/image/v2/images/{id}/file");
    for media in ["application/json", "text/plain", ""] {
        cloud.put("alice", &path, media, "{}").await.is(415);
    }
    let bare = cloud.by("alice", "POST", "/image/v2/images", Some(json!({}))).await.is(201).json();
    let refused = cloud.upload("alice", bare["id"].as_str().unwrap(), "x").await.is(400);
    assert!(message(&refused).contains("must be set"));
    let limit = api::Settings::default().images.size_limit;
    let huge = Request::builder()
        .method("PUT")
        .uri(&path)
        .header("content-type", OCTETS)
        .header("content-length", (limit + 1).to_string())
        .body(Body::from("x"))
        .unwrap();
    cloud.raw("alice", huge).await.answer.is(413);
    assert_eq!(cloud.show(&id).await["status"], "queued");
}

#[tokio::test]
async fn a_deactivated_image_is_kept_from_its_users() {
    let cloud = Cloud::new().await;
    let id = cloud.image("alice", json!({})).await;
    let act = |verb: &'static str| format!("/image/v2/images/{id}/actions/{verb}");
    cloud.by("alice", "POST", &act("deactivate"), None).await.is(403);
    cloud.upload("alice", &id, "data").await.is(204);
    cloud.by("alice", "POST", &act("deactivate"), None).await.is(204);
    cloud.by("alice", "POST", &act("deactivate"), None).await.is(204);
    let file = format!("/image/v2/images/{id}/file");
    cloud.by("alice", "GET", &file, None).await.is(403);
    cloud.by("operator", "GET", &file, None).await.is(200);
    let refused = cloud.site.conductor.image(&id).await.unwrap_err();
    assert!(refused.contains("deactivated"), "{refused}");
    cloud.by("alice", "POST", &act("reactivate"), None).await.is(204);
    cloud.by("alice", "GET", &file, None).await.is(200);
}

#[tokio::test]
async fn staged_data_is_looked_at_when_it_is_imported() {
    let cloud = Cloud::new().await;
    let id = cloud.image("alice", json!({"disk_format": "qcow2"})).await;
    let direct = || json!({"name": "glance-direct"});
    let early = cloud.import("alice", &id, direct()).await.is(409);
    assert!(message(&early).contains("staged"));
    let stage = format!("/image/v2/images/{id}/stage");
    cloud.put("alice", &stage, OCTETS, qcow2(|_| {})).await.is(204);
    assert_eq!(cloud.show(&id).await["status"], "uploading");
    cloud.put("alice", &stage, OCTETS, "again").await.is(409);
    cloud.by("alice", "GET", &format!("/image/v2/images/{id}/file"), None).await.is(204);
    cloud.import("alice", &id, direct()).await.is(202);
    let task = cloud.imported(&id).await;
    assert_eq!((&task["status"], &task["image_id"]), (&json!("success"), &json!(id)));
    let image = cloud.show(&id).await;
    assert_eq!((&image["status"], &image["virtual_size"]), (&json!("active"), &json!(64 << 20)));
    let path = format!("/image/v2/tasks/{}", task["id"].as_str().unwrap());
    cloud.by("alice", "GET", &path, None).await.is(200);
    cloud.by("bob", "GET", &path, None).await.is(404);
    assert_eq!(cloud.by("bob", "GET", "/image/v2/tasks", None).await.is(200).json()["tasks"], json!([]));
    assert_eq!(
        cloud.by("operator", "GET", "/image/v2/tasks", None).await.json()["tasks"][0]["id"],
        task["id"]
    );

    let lie = cloud.image("alice", json!({"disk_format": "qcow2"})).await;
    cloud.put("alice", &format!("/image/v2/images/{lie}/stage"), OCTETS, "no qcow2").await.is(204);
    cloud.import("alice", &lie, direct()).await.is(202);
    let task = cloud.imported(&lie).await;
    assert_eq!(task["status"], "failure");
    assert!(task["message"].as_str().unwrap().contains("qcow2"), "{task}");
    assert_eq!(cloud.show(&lie).await["status"], "queued");
    assert_eq!(cloud.stored().await, [format!("images/{id}")]);
    for wrong in [json!({}), json!({"name": "copy-image"}), json!({"name": "web-download"}), json!("x")] {
        cloud.import("alice", &lie, wrong).await.is(400);
    }
}

/// A web server; its address.
async fn web() -> String {
    async fn data(headers: HeaderMap) -> impl IntoResponse {
        assert!(headers.get("x-auth-token").is_none());
        (StatusCode::OK, vec![7_u8; 100_000])
    }
    let router = Router::new()
        .route("/data", get(data))
        .route("/elsewhere", get(|| async { Redirect::temporary("/data") }))
        .route("/away", get(|| async { Redirect::temporary("http://169.254.169.254/latest/") }))
        .route("/file", get(|| async { Redirect::temporary("file:///etc/passwd") }))
        .route("/round", get(|| async { Redirect::temporary("/round") }))
        .route("/missing", get(|| async { StatusCode::NOT_FOUND }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test]
async fn a_url_is_fetched_from_where_it_may_be() {
    let cloud =
        Cloud::with_images(|images| images.download_networks = vec!["127.0.0.1/32".parse().unwrap()]).await;
    let web = web().await;
    let wish = |path: &str| json!({"name": "web-download", "uri": format!("{web}{path}")});
    for path in ["/data", "/elsewhere"] {
        let id = cloud.image("alice", json!({})).await;
        cloud.import("alice", &id, wish(path)).await.is(202);
        assert_eq!(cloud.imported(&id).await["status"], "success", "{path}");
        let image = cloud.show(&id).await;
        assert_eq!((&image["status"], &image["size"]), (&json!("active"), &json!(100_000)));
        assert_eq!(image["os_hash_value"], sha256(&vec![7; 100_000]));
    }
    for (path, named) in
        [("/away", "public address"), ("/file", "http"), ("/round", "redirects"), ("/missing", "404")]
    {
        let id = cloud.image("alice", json!({})).await;
        cloud.import("alice", &id, wish(path)).await.is(202);
        let task = cloud.imported(&id).await;
        assert!(task["message"].as_str().unwrap().contains(named), "{path}: {task}");
        assert_eq!(cloud.show(&id).await["status"], "queued");
    }
    // What is not what it says is not imported from anywhere.
    let id = cloud.image("alice", json!({"disk_format": "qcow2"})).await;
    cloud.import("alice", &id, wish("/data")).await.is(202);
    assert_eq!(cloud.imported(&id).await["status"], "failure");
}

#[tokio::test]
async fn this_hosts_own_networks_are_out_of_reach() {
    let cloud = Cloud::new().await;
    let web = web().await;
    let localhost = web.replace("127.0.0.1", "localhost");
    for uri in [
        format!("{web}/data"),
        format!("{localhost}/data"),
        "http://[::1]/".into(),
        "http://10.0.0.1/".into(),
    ] {
        let id = cloud.image("alice", json!({})).await;
        cloud.import("alice", &id, json!({"name": "web-download", "uri": uri})).await.is(202);
        let task = cloud.imported(&id).await;
        assert!(task["message"].as_str().unwrap().contains("public address"), "{uri}: {task}");
    }
    let id = cloud.image("alice", json!({})).await;
    for uri in ["file:///etc/passwd", "ftp://h/x", "x", ""] {
        cloud.import("alice", &id, json!({"name": "web-download", "uri": uri})).await.is(400);
    }
    let secret = json!({"name": "web-download", "uri": "http://u:s3cr3t@127.0.0.1/i?key=s3cr3t"});
    cloud.import("alice", &id, secret).await.is(202);
    let task = cloud.imported(&id).await;
    assert!(!task.to_string().contains("s3cr3t"), "{task}");
}

#[tokio::test]
async fn a_start_puts_in_order_what_the_process_before_left() {
    let cloud = Cloud::new().await;
    let (saving, staging) = (cloud.image("alice", json!({})).await, cloud.image("alice", json!({})).await);
    let (importing, whole) = (cloud.image("alice", json!({})).await, cloud.image("alice", json!({})).await);
    cloud.upload("alice", &whole, "whole").await.is(204);
    cloud.put("alice", &format!("/image/v2/images/{importing}/stage"), OCTETS, "staged").await.is(204);
    cloud.import("alice", &importing, json!({"name": "glance-direct"})).await.is(202);
    cloud.imported(&importing).await;
    let storage = cloud.site.conductor.storage().unwrap();
    let stray = images::Name::image(Uuid::new_v4());
    storage.upload(&stray, None, 10, &[]).await.unwrap().finish().await.unwrap();
    // As a kill leaves them.
    let set = async |id: &str, status| {
        let now = Timestamp::now();
        cloud
            .site
            .store
            .edit_image::<store::StoreError>(id.parse().unwrap(), |image| {
                image.status = status;
                image.session = None;
                if status == model::image::Status::Importing {
                    let task = Uuid::new_v4();
                    image.import =
                        Some(model::image::Import { method: "glance-direct".into(), uri: None, task });
                }
                image.updated_at = now;
                Ok(())
            })
            .await
            .unwrap();
    };
    set(&saving, model::image::Status::Saving).await;
    set(&staging, model::image::Status::Uploading).await;
    set(&importing, model::image::Status::Importing).await;
    api::image::resume(&cloud.site.state).await.unwrap();
    assert_eq!(cloud.show(&saving).await["status"], "queued");
    assert_eq!(cloud.show(&staging).await["status"], "queued");
    let done = async {
        while cloud.show(&importing).await["status"] != "active" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), done).await.unwrap();
    let mut kept = [format!("images/{whole}"), format!("images/{importing}")];
    kept.sort();
    let mut stored = cloud.stored().await;
    stored.sort();
    assert_eq!(stored, kept);
}

#[tokio::test]
async fn machines_fetch_by_links_and_nobody_else_does() {
    let cloud = Cloud::new().await;
    let id = cloud.image("alice", json!({"visibility": "private"})).await;
    let (image, node) = (id.parse().unwrap(), Uuid::new_v4());
    let link = cloud.site.conductor.image_link(image, node, Timestamp::now());
    let get = async |path: &str, range: &str| {
        let mut request = Request::builder().uri(path);
        if !range.is_empty() {
            request = request.header("range", range);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(cloud.site.ramdisk.clone(), request).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts, axum::body::to_bytes(body, 1 << 20).await.unwrap())
    };
    assert_eq!(get(&link, "").await.0.status, 404, "it has no data yet");
    cloud.upload("alice", &id, "0123456789").await.is(204);
    let (parts, bytes) = get(&link, "").await;
    assert_eq!((parts.status.as_u16(), &bytes[..]), (200, &b"0123456789"[..]));
    assert_eq!(parts.headers["etag"], format!("\"{}\"", sha256(b"0123456789")));
    let (parts, bytes) = get(&link, "bytes=4-6").await;
    assert_eq!((parts.status.as_u16(), &bytes[..]), (206, &b"456"[..]));
    let forged = link.replace("signature=", "signature=A");
    let of_other = link.replace(&node.to_string(), &Uuid::new_v4().to_string());
    let expired = cloud.site.conductor.image_link(image, node, Timestamp::UNIX_EPOCH);
    for wrong in [&forged, &of_other, &expired] {
        assert_eq!(get(wrong, "").await.0.status, 404, "{wrong}");
    }
    assert!(get(&format!("/images/{id}"), "").await.0.status.is_client_error());
    let told = async {
        loop {
            let events = cloud.site.store.events(node, 10).await.unwrap();
            if let Some(event) = events.first() {
                return event.detail.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(10), told).await.unwrap();
    assert!(told.contains(&id) && told.contains("10 of 10 bytes"), "{told}");
    cloud.by("alice", "DELETE", &format!("/image/v2/images/{id}"), None).await.is(204);
    assert_eq!(get(&link, "").await.0.status, 404);
}

//! Keypairs.

use crate::cloud::Cloud;
use crate::compute::NEWEST;
use serde_json::{Value, json};

const KEYS: &str = include_str!("../../../model/src/compute/keypairs.txt");

/// Fingerprint and key of the first key of the list.
fn key() -> (&'static str, &'static str) {
    KEYS.lines().next().unwrap().split_once(' ').unwrap()
}

fn import(name: &str) -> Value {
    json!({"keypair": {"name": name, "public_key": key().1}})
}

#[tokio::test]
async fn a_key_is_imported_shown_and_forgotten() {
    let cloud = Cloud::new().await;
    let (fingerprint, public_key) = key();
    let made = cloud.nova(1, "alice", "POST", "/os-keypairs", Some(import("mine"))).await.is(200).json();
    let own = json!({"name": "mine", "public_key": public_key, "fingerprint": fingerprint, "user_id": "id-of-alice"});
    assert_eq!(made, json!({"keypair": own}));
    let made = cloud.nova(2, "alice", "POST", "/os-keypairs", Some(import("two"))).await.is(201).json();
    assert_eq!(made["keypair"]["type"], "ssh");
    let shown = cloud.read("alice", "/os-keypairs/mine").await["keypair"].clone();
    assert_eq!(
        (&shown["fingerprint"], &shown["deleted"], &shown["deleted_at"]),
        (&json!(fingerprint), &json!(false), &Value::Null)
    );
    assert!(shown["id"].is_u64() && shown["created_at"].is_string(), "{shown}");
    let list = cloud.read("alice", "/os-keypairs").await;
    assert_eq!(list["keypairs"][0]["keypair"]["name"], "mine");
    let page = cloud.read("alice", "/os-keypairs?limit=1").await;
    assert_eq!(page["keypairs_links"][0]["href"], "http://h:1/compute/v2.1/os-keypairs?limit=1&marker=mine");
    let twice =
        cloud.refused(1, "alice", "POST", "/os-keypairs", Some(import("mine")), "conflictingRequest").await;
    assert_eq!(twice, "Key pair 'mine' already exists.");
    cloud.nova(1, "alice", "DELETE", "/os-keypairs/mine", None).await.is(202);
    cloud.nova(2, "alice", "DELETE", "/os-keypairs/two", None).await.is(204);
    cloud.refused(2, "alice", "GET", "/os-keypairs/two", None, "itemNotFound").await;
}

#[tokio::test]
async fn a_generated_key_is_told_once_and_not_from_2_92_on() {
    let cloud = Cloud::new().await;
    let body = || Some(json!({"keypair": {"name": "made"}}));
    cloud.refused(92, "alice", "POST", "/os-keypairs", body(), "badRequest").await;
    let made =
        cloud.nova(91, "alice", "POST", "/os-keypairs", body()).await.is(201).json()["keypair"].clone();
    let private = made["private_key"].as_str().unwrap();
    assert!(private.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"), "{private}");
    let shown = cloud.read("alice", "/os-keypairs/made").await["keypair"].clone();
    assert_eq!((shown.get("private_key"), &shown["public_key"]), (None, &made["public_key"]));
    assert!(made["public_key"].as_str().unwrap().starts_with("ssh-ed25519 AAAA"));
}

#[tokio::test]
async fn keys_are_their_users_own() {
    let cloud = Cloud::new().await;
    cloud.nova(NEWEST, "alice", "POST", "/os-keypairs", Some(import("mine"))).await.is(201);
    cloud.nova(NEWEST, "bob", "GET", "/os-keypairs/mine", None).await.is(404);
    cloud.nova(NEWEST, "bob", "DELETE", "/os-keypairs/mine", None).await.is(404);
    cloud.nova(NEWEST, "bob", "GET", "/os-keypairs/mine?user_id=id-of-alice", None).await.is(403);
    cloud.nova(NEWEST, "bob", "GET", "/os-keypairs?user_id=id-of-alice", None).await.is(403);
    let mut hers = import("hers");
    hers["keypair"]["user_id"] = json!("id-of-alice");
    cloud.nova(NEWEST, "bob", "POST", "/os-keypairs", Some(hers.clone())).await.is(403);
    cloud.nova(9, "operator", "POST", "/os-keypairs", Some(hers.clone())).await.is(400);
    cloud.nova(10, "operator", "POST", "/os-keypairs", Some(hers)).await.is(201);
    let list = cloud.read("operator", "/os-keypairs?user_id=id-of-alice").await;
    assert_eq!(list["keypairs"].as_array().unwrap().len(), 2);
    // Below 2.10 it is the caller who is meant.
    cloud.nova(9, "operator", "GET", "/os-keypairs/mine?user_id=id-of-alice", None).await.is(404);
    cloud.nova(NEWEST, "operator", "DELETE", "/os-keypairs/mine?user_id=id-of-alice", None).await.is(204);
    cloud.nova(NEWEST, "reader", "POST", "/os-keypairs", Some(import("x"))).await.is(403);
    assert_eq!(cloud.read("reader", "/os-keypairs").await["keypairs"], json!([]));
}

#[tokio::test]
async fn bad_keys_and_names_are_refused() {
    let cloud = Cloud::new().await;
    for (minor, keypair) in [
        (1, json!({"name": "x", "public_key": "ssh-ed25519 nonsense"})),
        (1, json!({"name": "x", "public_key": ""})),
        (1, json!({"name": "x", "public_key": "y".repeat(20_000)})),
        (1, json!({"name": "x", "public_key": 7})),
        (1, json!({"public_key": key().1})),
        (1, json!({"name": "a@b", "public_key": key().1})),
        (92, json!({"name": "a/b", "public_key": key().1})),
        (1, json!({"name": "x", "public_key": key().1, "type": "ssh"})),
        (2, json!({"name": "x", "public_key": key().1, "type": "x509"})),
        (2, json!({"name": "x", "public_key": key().1, "type": "gpg"})),
    ] {
        cloud
            .refused(minor, "alice", "POST", "/os-keypairs", Some(json!({"keypair": keypair})), "badRequest")
            .await;
    }
    cloud.nova(92, "alice", "POST", "/os-keypairs", Some(import("a@b.c"))).await.is(201);
}

#[tokio::test]
async fn a_user_has_as_many_as_the_quota_says() {
    let cloud = Cloud::new().await;
    let quota = json!({"quota_set": {"key_pairs": 1}});
    cloud.nova(1, "operator", "PUT", "/os-quota-sets/id-of-project-a", Some(quota)).await.is(200);
    cloud.nova(1, "alice", "POST", "/os-keypairs", Some(import("one"))).await.is(200);
    let text = cloud.refused(1, "alice", "POST", "/os-keypairs", Some(import("two")), "forbidden").await;
    assert!(text.starts_with("Quota exceeded, too many key pairs"), "{text}");
}

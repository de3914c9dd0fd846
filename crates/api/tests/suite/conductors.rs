//! Conductors: who is there, who serves what, and what nobody serves.

use crate::site::Site;
use serde_json::{Value, json};
use std::time::Duration;
use store::{Joined, Presence};
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(600);

async fn joins(site: &Site, hostname: &str, group: &str, roles: &[&str]) -> Uuid {
    let session = Uuid::new_v4();
    let presence = Presence {
        hostname: hostname.into(),
        conductor_group: group.into(),
        drivers: vec!["fake-hardware".into(), "fake".into()],
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
    };
    assert_eq!(site.store.join(session, &presence, &[], LONG).await.unwrap(), Joined::Yes);
    session
}

fn names(list: &Value) -> Vec<&str> {
    list["conductors"].as_array().unwrap().iter().map(|one| one["hostname"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn conductors_are_listed_page_by_page_with_whether_they_live() {
    let site = Site::new().await;
    site.conductor.join().await.unwrap();
    joins(&site, "rack2-b", "rack2", &["conductor"]).await;
    let dead = joins(&site, "rack2-a", "rack2", &["api", "conductor"]).await;
    joins(&site, "front", "", &["api"]).await;
    site.store.leave(dead).await.unwrap();

    let all = site.get("/v1/conductors?detail=true").await.is(200).json();
    assert_eq!(names(&all), ["seed", "rack2-b", "rack2-a"], "what only serves the API is none");
    let alive: Vec<_> = all["conductors"].as_array().unwrap().iter().map(|one| &one["alive"]).collect();
    assert_eq!(alive, [&json!(true), &json!(true), &json!(false)]);
    assert_eq!(all["conductors"][1]["drivers"], json!(["fake-hardware"]));
    assert_eq!(all["conductors"][1]["conductor_group"], "rack2");

    let page = site.get("/v1/conductors?sort_key=hostname&sort_dir=desc&limit=2").await.is(200).json();
    assert_eq!(names(&page), ["seed", "rack2-b"]);
    let next = page["next"].as_str().unwrap().strip_prefix("http://h:1").unwrap();
    let page = site.get(next).await.is(200).json();
    assert_eq!((names(&page), page.get("next")), (vec!["rack2-a"], None));
    assert_eq!(site.get("/v1/conductors/rack2-a").await.is(200).json()["alive"], false);
    site.get("/v1/conductors/front").await.is(404);
    site.get("/v1/conductors?marker=nobody").await.is(404);
}

#[tokio::test]
async fn nodes_are_shown_with_whoever_serves_them_and_refused_where_nobody_does() {
    let site = Site::new().await;
    site.conductor.join().await.unwrap();
    let session = joins(&site, "rack2", "rack2", &["conductor"]).await;
    let look = async || site.conductor.share_now().await.map(drop).unwrap();
    look().await;
    let ours = site.node("n1").await;
    let theirs = site.node("n2").await;
    let path = format!("/v1/nodes/{theirs}");
    let group = json!([{"op": "add", "path": "/conductor_group", "value": "rack2"}]);
    assert_eq!(site.call("PATCH", &path, Some(group)).await.is(200).json()["conductor"], "rack2");
    for (host, uuid) in [("seed", ours), ("rack2", theirs)] {
        let list =
            site.get(&format!("/v1/nodes?conductor={host}&fields=uuid,conductor")).await.is(200).json();
        assert_eq!(list["nodes"].as_array().map(Vec::len), Some(1));
        assert_eq!((&list["nodes"][0]["uuid"], &list["nodes"][0]["conductor"]), (&json!(uuid), &json!(host)));
    }
    let hosts = site.get("/v1/drivers/fake-hardware").await.is(200).json()["hosts"].clone();
    assert_eq!(hosts, json!(["seed", "rack2"]));
    let hosts = site.get("/v1/drivers/ipmi").await.is(200).json()["hosts"].clone();
    assert_eq!(hosts, json!(["seed"]), "the other one doesn't have it");

    site.store.leave(session).await.unwrap();
    look().await;
    let verb = site.call("PUT", &format!("{path}/states/provision"), Some(json!({"target": "manage"}))).await;
    assert_eq!(
        verb.is(404).fault(),
        "No valid host was found. Reason: No conductor service registered which supports driver fake-hardware for conductor \
         group \"rack2\"."
    );
    site.call("PUT", &format!("{path}/states/power"), Some(json!({"target": "power on"}))).await.is(404);
    site.get(&format!("{path}/management/boot_device")).await.is(404);
    assert_eq!(site.get(&path).await.is(200).json()["conductor"], Value::Null);
    // An operator gets it out of there.
    let back = json!([{"op": "replace", "path": "/conductor_group", "value": ""}]);
    assert_eq!(site.call("PATCH", &path, Some(back)).await.is(200).json()["conductor"], "seed");
}

//! Past its limits the service says so at once, and what it took on it carries out.

use crate::site::{Answer, Site};
use api::Settings;
use api::gate::{Class, Gates, Room, Rooms};
use axum::body::Body;
use axum::http::Request;
use model::Secret;
use model::state::ProvisionState;
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use store::NodeQuery;
use tokio::task::{JoinHandle, JoinSet};

/// A site that works on one request of a class at once, lets some more wait, and has room for everything else.
async fn site(set: impl Fn(&mut Rooms, Room), waiting: usize) -> Arc<Site> {
    let mut rooms = Rooms::for_cores(2);
    set(&mut rooms, Room { at_once: 1, waiting, patience: Duration::from_secs(600) });
    Arc::new(Site::set(Settings { cloud: true, gates: Gates::new(rooms), ..Settings::default() }).await)
}

fn spawn(
    site: &Arc<Site>,
    method: &'static str,
    path: String,
    body: Option<serde_json::Value>,
) -> JoinHandle<Answer> {
    let site = Arc::clone(site);
    tokio::spawn(async move { site.call(method, &path, body).await })
}

/// Waits until a class refuses whoever comes.
async fn filled(site: &Site, class: Class) {
    let full = async {
        while site.state.settings.gates.look(class).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), full).await.expect("within the limit");
}

#[tokio::test]
async fn heartbeats_are_served_while_listings_wait_and_are_refused() {
    let site = site(|rooms, room| rooms.look = room, 3).await;
    let node = site.node("n1").await;
    site.edit(node, |node| {
        node.provision_state = ProvisionState::DeployWait;
        node.agent.token = Some(Secret::new("t"));
    })
    .await;
    // One listing is at work for as long as this lives.
    let at_work = site.state.settings.gates.enter(Class::Look).await.unwrap();
    let waiting: Vec<_> = (0..3).map(|_| spawn(&site, "GET", "/v1/nodes/detail".into(), None)).collect();
    filled(&site, Class::Look).await;

    let refused = site.get("/v1/nodes").await.is(503);
    assert!((1..=3).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    assert!(refused.fault().contains("Nothing was done"), "{}", refused.text);
    let heartbeat = Request::post(format!("/v1/heartbeat/{node}"))
        .header("x-openstack-ironic-api-version", "1.72")
        .header("content-type", "application/json")
        .body(Body::from(json!({"callback_url": "https://192.0.2.5:9999", "agent_token": "t"}).to_string()))
        .unwrap();
    Site::send(&site.ramdisk, heartbeat).await.is(202);
    assert!(site.store.node("n1").await.unwrap().node.agent.last_heartbeat.is_some());
    site.call("PUT", "/v1/nodes/n1/maintenance", Some(json!({"reason": "changes have their own room"})))
        .await
        .is(202);
    site.get("/").await.is(200);
    assert!(waiting.iter().all(|listing| !listing.is_finished()), "the heartbeat was before them");

    drop(at_work);
    for listing in waiting {
        listing.await.unwrap().is(200);
    }
}

#[tokio::test]
async fn every_service_refuses_in_its_own_words() {
    let site = site(|rooms, room| rooms.look = room, 0).await;
    let _at_work = site.state.settings.gates.enter(Class::Look).await.unwrap();
    for (path, pointer) in [
        ("/compute/v2.1/servers", "/serviceUnavailable/message"),
        ("/networking/v2.0/networks", "/NeutronError/message"),
        ("/identity/v3/projects", "/error/message"),
        ("/placement/resource_providers", "/errors/0/detail"),
    ] {
        let request = Request::get(path).header("x-auth-token", "t").body(Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(site.operator.clone(), request).await.unwrap();
        assert_eq!(response.status(), 503, "{path}");
        assert!(response.headers().contains_key("retry-after"), "{path}");
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let text = body.pointer(pointer).and_then(serde_json::Value::as_str);
        assert!(text.is_some_and(|text| text.contains("Nothing was done")), "{path}: {body}");
    }
}

#[tokio::test]
async fn what_was_refused_left_nothing_and_what_was_accepted_is_there() {
    let site = site(|rooms, room| rooms.change = room, 5).await;
    let at_work = site.state.settings.gates.enter(Class::Change).await.unwrap();
    let mut crowd = JoinSet::new();
    for number in 0..40 {
        let site = Arc::clone(&site);
        crowd.spawn(async move {
            let body = json!({"driver": "fake-hardware", "name": format!("n{number}")});
            (number, site.call("POST", "/v1/nodes", Some(body)).await)
        });
    }
    // Those that are refused are so while nothing moves.
    let mut refused = HashSet::new();
    while refused.len() < 35 {
        let (number, answer) = crowd.join_next().await.unwrap().unwrap();
        answer.is(503);
        refused.insert(number);
    }
    assert_eq!(crowd.len(), 5);
    drop(at_work);
    let mut accepted = HashSet::new();
    while let Some(done) = crowd.join_next().await {
        let (number, answer) = done.unwrap();
        answer.is(201);
        accepted.insert(format!("n{number}"));
    }
    let all = NodeQuery { limit: 100, ..NodeQuery::default() };
    let there = site.store.nodes(&all).await.unwrap().into_iter().filter_map(|row| row.node.name).collect();
    assert_eq!(accepted, there);
}

#[tokio::test]
async fn a_client_that_gives_up_after_it_was_let_in_gets_its_work_done_and_frees_the_room() {
    let site = site(|rooms, room| rooms.change = room, 1).await;
    let at_work = site.state.settings.gates.enter(Class::Change).await.unwrap();
    let gone =
        spawn(&site, "POST", "/v1/nodes".into(), Some(json!({"driver": "fake-hardware", "name": "gone"})));
    filled(&site, Class::Change).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    drop(at_work);
    site.node("next").await;
    site.call("GET", "/v1/nodes/gone", None).await.is(404);
}

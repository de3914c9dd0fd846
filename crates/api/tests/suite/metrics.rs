//! `GET /metrics`: what it tells, and whom.

use crate::site::Site;
use crate::stub_keystone::{StubKeystone, body};
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::json;
use std::net::SocketAddr;
use tower::ServiceExt;

async fn scrape(site: &Site, from: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::get("/metrics").extension(ConnectInfo(from.parse::<SocketAddr>().unwrap()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = site.operator.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, 16 << 20).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(text.to_vec()).unwrap())
}

#[tokio::test]
async fn what_was_done_is_told() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    site.get("/v1/nodes/n1").await.is(200);
    site.get("/v1/nodes/none").await.is(404);
    site.call("PUT", "/v1/nodes/n1/states/provision", Some(json!({"target": "manage"}))).await.is(202);
    site.work_until(node, |node| node.provision_state == model::state::ProvisionState::Manageable).await;
    let (status, headers, text) = scrape(&site, "127.0.0.1:9", &[]).await;
    assert_eq!(status, 200);
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let has = |line: &str| text.lines().any(|found| found == line);
    for line in [
        r#"billet_nodes{fault="",maintenance="false",power_state="power off",provision_state="manageable"} 1"#,
        r#"billet_http_requests_total{method="GET",route="/v1/nodes/{node}",service="baremetal",status="200"} 1"#,
        r#"billet_http_requests_total{method="GET",route="/v1/nodes/{node}",service="baremetal",status="404"} 1"#,
        r#"billet_node_transitions_total{from="enroll",to="verifying"} 1"#,
        r#"billet_node_transitions_total{from="verifying",to="manageable"} 1"#,
        r#"billet_node_state_duration_seconds_count{provision_state="verifying"} 1"#,
        r#"billet_bmc_requests_total{interface="fake",operation="power status",outcome="ok"} 1"#,
        r#"billet_node_events_total{kind="transition",outcome="ok"} 2"#,
        "billet_claims_taken_total 1",
        "billet_claims_held 0",
        "billet_nodes_due 0",
        r#"billet_http_requests_in_flight{class="look"} 0"#,
    ] {
        assert!(has(line), "no {line} in\n{text}");
    }
    for name in ["billet_database_commit_changes_bucket", "process_resident_memory_bytes"] {
        assert!(text.contains(name), "no {name}");
    }
    assert!(!text.contains(&node.to_string()) && !text.contains("n1"), "numbers name no nodes");
}

#[tokio::test]
async fn who_is_here_needs_no_token_and_others_must_be_operators() {
    let keystone = StubKeystone::start().await;
    keystone.knows("operator", body("o", "system", &["reader"]));
    keystone.knows("tenant", body("t", "owner", &["admin", "member", "reader"]));
    let site = Site::with(keystone.auth()).await;
    assert_eq!(scrape(&site, "127.0.0.1:9", &[]).await.0, 200);
    assert_eq!(scrape(&site, "[::ffff:127.0.0.1]:9", &[]).await.0, 200);
    for header in ["x-forwarded-for", "forwarded", "via"] {
        assert_eq!(scrape(&site, "127.0.0.1:9", &[(header, "198.51.100.7")]).await.0, 401, "{header}");
    }
    assert_eq!(scrape(&site, "192.0.2.7:9", &[]).await.0, 401);
    assert_eq!(scrape(&site, "192.0.2.7:9", &[("x-auth-token", "tenant")]).await.0, 403);
    assert_eq!(scrape(&site, "192.0.2.7:9", &[("x-auth-token", "operator")]).await.0, 200);
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let of_ramdisks = site.ramdisk.clone().oneshot(request).await.unwrap();
    assert_eq!(of_ramdisks.status(), 404);
}

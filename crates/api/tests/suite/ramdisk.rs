use crate::site::{Answer, Site};
use axum::body::Body;
use axum::http::Request;
use model::state::ProvisionState;
use serde_json::{Value, json};

async fn ramdisk(site: &Site, method: &str, path: &str, body: Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-openstack-ironic-api-version", "1.72")
        .header("content-type", "application/json")
        .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) })
        .unwrap();
    Site::send(&site.ramdisk, request).await
}

#[tokio::test]
async fn the_ramdisks_router_has_nothing_but_what_a_ramdisk_needs() {
    let site = Site::new().await;
    site.node("n1").await;
    for path in ["/", "/v1"] {
        ramdisk(&site, "GET", path, Value::Null).await.is(200);
    }
    for path in ["/v1/nodes", "/v1/nodes/n1", "/v1/drivers", "/healthcheck", "/billet/v1/nodes/n1/events"] {
        ramdisk(&site, "GET", path, Value::Null).await.is(404);
    }
    ramdisk(&site, "GET", "/v1/lookup", Value::Null).await.is(400);
}

#[tokio::test]
async fn the_token_is_handed_out_once_and_a_heartbeat_needs_it() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    site.call("POST", "/v1/ports", Some(json!({"address": "52:54:00:aa:00:01", "node_uuid": node})))
        .await
        .is(201);
    let lookup = "/v1/lookup?addresses=ff:ff,52:54:00:AA:00:01";
    let hidden = ramdisk(&site, "GET", lookup, Value::Null).await.is(404);
    assert_eq!(hidden.fault(), "Resource could not be found.", "a wrong state reads as an unknown node");
    let unknown = ramdisk(&site, "GET", "/v1/lookup?addresses=52:54:00:aa:00:02", Value::Null).await.is(404);
    assert_eq!(unknown.fault(), hidden.fault());
    site.edit(node, |node| {
        node.provision_state = ProvisionState::CleanWait;
        node.target_provision_state = Some(ProvisionState::Available);
        node.driver_info.insert("ipmi_password".into(), "s3cr3t".into());
    })
    .await;
    // Clients from before the token do not use it up.
    let old = site.at(61, "GET", lookup, None).await.is(200).json();
    assert_eq!(old["config"]["agent_token"], Value::Null);
    let found = ramdisk(&site, "GET", lookup, Value::Null).await.is(200);
    let config = &found.json()["config"];
    let token = config["agent_token"].as_str().unwrap().to_owned();
    assert!(token.len() >= 32);
    assert_eq!(config["heartbeat_timeout"], 300);
    assert_eq!(found.json()["node"]["uuid"], json!(node));
    assert_eq!(found.json()["node"]["driver_internal_info"]["agent_secret_token"], "******");
    let again = ramdisk(&site, "GET", lookup, Value::Null).await.is(200).json();
    assert_eq!(again["config"]["agent_token"], "******");
    let url = format!("/v1/heartbeat/{node}");
    for (body, text) in [
        (json!({}), "Missing mandatory parameter: callback_url"),
        (json!({"callback_url": "x"}), "An issue with the supplied \"callback_url\" has been detected."),
        (
            json!({"callback_url": "https://192.0.2.1:9999"}),
            "Agent token is required for heartbeat processing.",
        ),
    ] {
        assert_eq!(ramdisk(&site, "POST", &url, body).await.is(400).fault(), text);
    }
    let stolen = json!({"callback_url": "https://192.0.2.1:9999", "agent_token": "x".repeat(43), "agent_version": "11.0"});
    ramdisk(&site, "POST", &url, stolen).await.is(400);
    let right =
        json!({"callback_url": "https://192.0.2.1:9999", "agent_token": token, "agent_version": "11.0"});
    ramdisk(&site, "POST", &url, right).await.is(202);
    let shown = site.get("/v1/nodes/n1").await.json();
    assert_eq!(shown["driver_internal_info"]["agent_url"], "https://192.0.2.1:9999");
    assert!(!shown.to_string().contains(&token));
}

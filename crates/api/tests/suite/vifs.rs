use crate::site::Site;
use serde_json::{Value, json};

const URL: &str = "/v1/nodes/n1/vifs";

async fn create(site: &Site, path: &str, body: Value) -> String {
    site.call("POST", path, Some(body)).await.is(201).json()["uuid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn vifs_take_free_ports_and_leave_them() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    assert_eq!(site.get(URL).await.is(200).json(), json!({"vifs": []}));
    site.call("POST", URL, Some(json!({"id": "vif-1"}))).await.is(400);
    site.call("POST", "/v1/ports", Some(json!({"address": "52:54:00:aa:00:01", "node_uuid": node})))
        .await
        .is(201);
    site.call("POST", URL, Some(json!({"id": "vif-1", "of": "a client's own"}))).await.is(204);
    assert_eq!(site.get(URL).await.json(), json!({"vifs": [{"id": "vif-1"}]}));
    site.call("POST", URL, Some(json!({"id": "vif-1"}))).await.is(409);
    site.call("POST", URL, Some(json!({"id": "vif-2"}))).await.is(400);
    for (body, text) in [
        (json!({}), "Schema error for vif: 'id' is a required property"),
        (json!({"id": 1}), "Schema error for vif: 1 is not of type 'string'"),
        (json!({"id": "a b"}), "Expected UUID or name for id: a b"),
    ] {
        assert_eq!(site.call("POST", URL, Some(body)).await.is(400).fault(), text);
    }
    site.call("DELETE", &format!("{URL}/vif-2"), None).await.is(400);
    site.call("DELETE", &format!("{URL}/vif-1"), None).await.is(204);
    assert_eq!(site.get(URL).await.json(), json!({"vifs": []}));
    assert_eq!(site.get("/v1/nodes/n1").await.json()["reservation"], Value::Null);
}

#[tokio::test]
async fn vifs_take_port_groups_before_ports_and_what_is_asked_for() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let group = create(&site, "/v1/portgroups", json!({"node_uuid": node})).await;
    let port = async |number: u8, group: Value| {
        let address = format!("52:54:00:bb:00:{number:02x}");
        create(&site, "/v1/ports", json!({"node_uuid": node, "address": address, "portgroup_uuid": group}))
            .await
    };
    let alone = port(1, Value::Null).await;
    let member = port(2, json!(group)).await;
    site.call("POST", URL, Some(json!({"id": "v1"}))).await.is(204);
    let shown = site.get(&format!("/v1/portgroups/{group}")).await.json();
    assert_eq!(shown["internal_info"], json!({"tenant_vif_port_id": "v1"}));
    let twice = site.call("POST", URL, Some(json!({"id": "v1", "port_uuid": alone}))).await.is(409);
    assert_eq!(
        twice.fault(),
        format!("Unable to attach VIF because VIF v1 is already attached to Ironic Portgroup {group}")
    );
    let both = json!({"id": "v2", "port_uuid": alone, "portgroup_uuid": group});
    let both = site.call("POST", URL, Some(both)).await.is(400);
    assert_eq!(both.fault(), "Cannot specify both port_uuid and portgroup_uuid");
    let taken = site.call("POST", URL, Some(json!({"id": "v2", "portgroup_uuid": group}))).await.is(400);
    assert_eq!(taken.fault(), "Unable to attach VIF v2, not enough free physical ports.");
    site.call("POST", URL, Some(json!({"id": "v2", "port_uuid": member}))).await.is(400);
    site.call("POST", URL, Some(json!({"id": "v2", "port_uuid": alone}))).await.is(204);
    assert_eq!(site.get(URL).await.json(), json!({"vifs": [{"id": "v2"}, {"id": "v1"}]}), "ports come first");
    for vif in ["v1", "v2"] {
        site.call("DELETE", &format!("{URL}/{vif}"), None).await.is(204);
    }
    assert_eq!(site.get(URL).await.json(), json!({"vifs": []}));
}

#[tokio::test]
async fn a_port_that_carries_a_vif_stays() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let port = create(&site, "/v1/ports", json!({"node_uuid": node, "address": "52:54:00:bb:00:01"})).await;
    site.call("POST", URL, Some(json!({"id": "v1"}))).await.is(204);
    let url = format!("/v1/ports/{port}");
    let bound = site.call("DELETE", &url, None).await.is(409);
    assert_eq!(bound.fault(), format!("Cannot delete the port {port} as it is bound to VIF v1 for use."));
    site.edit(node, |node| node.maintenance = true).await;
    site.call("DELETE", &url, None).await.is(204);
}

use crate::site::Site;
use model::state::ProvisionState;
use serde_json::{Value, json};

#[tokio::test]
async fn a_port_is_made_found_changed_and_deleted() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let body = json!({"address": "52:54:00:AA:00:01", "node_uuid": node, "name": "p1", "extra": {"a": 1}});
    let made = site.call("POST", "/v1/ports", Some(body)).await.is(201);
    let port = made.json();
    let uuid = port["uuid"].as_str().unwrap();
    assert_eq!(made.header("location"), format!("http://h:1/v1/ports/{uuid}"));
    assert_eq!(port["address"], "52:54:00:aa:00:01");
    assert_eq!(port["pxe_enabled"], true);
    assert_eq!(site.get("/v1/ports/p1").await.is(200).json(), port);
    let old = site.at(87, "GET", "/v1/ports/p1", None).await.is(200).json();
    assert!(old.get("name").is_none());
    for query in ["", "?node=n1", "?address=52:54:00:AA:00:01", &format!("?node_uuid={node}")] {
        let list = site.get(&format!("/v1/ports{query}")).await.is(200).json();
        assert_eq!(list["ports"].as_array().map(Vec::len), Some(1), "{query}");
        assert_eq!(list["ports"][0].as_object().map(|row| row.len()), Some(3), "{query}");
    }
    assert_eq!(site.get("/v1/ports?address=52:54:00:aa:00:02").await.json()["ports"], json!([]));
    assert_eq!(site.get("/v1/nodes/n1/ports").await.json()["ports"].as_array().map(Vec::len), Some(1));
    assert_eq!(site.get("/v1/ports/detail").await.json()["ports"][0], port);
    let patch = json!([
        {"op": "replace", "path": "/pxe_enabled", "value": "false"},
        {"op": "remove", "path": "/extra/a"},
        {"op": "add", "path": "/local_link_connection", "value": {"port_id": "1", "switch_id": "52:54:00:BB:00:01"}}
    ]);
    let changed = site.call("PATCH", &format!("/v1/ports/{uuid}"), Some(patch)).await.is(200).json();
    assert_eq!(changed["pxe_enabled"], false);
    assert_eq!(changed["extra"], json!({}));
    assert_eq!(changed["local_link_connection"]["switch_id"], "52:54:00:bb:00:01");
    assert!(changed["updated_at"].is_string());
    assert_eq!(site.get("/v1/nodes/n1").await.json()["reservation"], Value::Null, "the node is let go");
    site.call("DELETE", "/v1/ports/p1", None).await.is(400);
    site.call("DELETE", &format!("/v1/ports/{uuid}"), None).await.is(204);
    site.get(&format!("/v1/ports/{uuid}")).await.is(404);
}

#[tokio::test]
async fn ports_are_refused_in_the_contracts_words() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let good = json!({"address": "52:54:00:aa:00:01", "node_ident": "n1"});
    site.call("POST", "/v1/ports", Some(good.clone())).await.is(201);
    let twice = site.call("POST", "/v1/ports", Some(good.clone())).await.is(409);
    assert_eq!(twice.fault(), "A port with MAC address 52:54:00:aa:00:01 already exists.");
    site.at(93, "POST", "/v1/ports", Some(good)).await.is(406);
    for (body, text) in [
        (json!({}), "Schema error for port: 'address' is a required property"),
        (json!({"address": "zz", "node_uuid": node}), "Expected valid MAC address for address: zz"),
        (
            json!({"address": "52:54:00:aa:00:02", "node_uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"}),
            "Node 1be26c0b-03f2-4d2e-ae87-c02d7f33c123 could not be found.",
        ),
        (
            json!({"address": "52:54:00:aa:00:02", "node_uuid": node, "physical_network": ""}),
            "A non-empty value is required when setting physical_network",
        ),
        (
            json!({"address": "52:54:00:aa:00:02", "node_uuid": node, "is_smartnic": true, "local_link_connection": {"port_id": "a", "switch_id": "0a:1b:2c:3d:4e:5f"}}),
            "Smart NIC port must have port_id and hostname in local_link_connection",
        ),
    ] {
        assert_eq!(site.call("POST", "/v1/ports", Some(body)).await.is(400).fault(), text);
    }
    site.call("POST", "/v1/ports", Some(json!({"address": "52:54:00:aa:00:02"}))).await.is(400);
    site.at(
        18,
        "POST",
        "/v1/ports",
        Some(json!({"address": "52:54:00:aa:00:02", "node_uuid": node, "pxe_enabled": true})),
    )
    .await
    .is(406);
    site.get("/v1/ports?node=n1&shard=a").await.is(403);
    site.get("/v1/ports?node=nope").await.is(404);
    site.get("/v1/ports?address=zz").await.is(400);
}

#[tokio::test]
async fn what_connects_a_deployed_node_stays() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let body = json!({"address": "52:54:00:aa:00:01", "node_uuid": node});
    let uuid =
        site.call("POST", "/v1/ports", Some(body)).await.is(201).json()["uuid"].as_str().unwrap().to_owned();
    site.edit(node, |node| node.provision_state = ProvisionState::Active).await;
    let url = format!("/v1/ports/{uuid}");
    for (path, value) in [("/address", json!("52:54:00:aa:00:09")), ("/pxe_enabled", json!(false))] {
        site.call("PATCH", &url, Some(json!([{"op": "add", "path": path, "value": value}]))).await.is(409);
    }
    site.call("PATCH", &url, Some(json!([{"op": "add", "path": "/extra/a", "value": 1}]))).await.is(200);
    site.edit(node, |node| node.maintenance = true).await;
    site.call("PATCH", &url, Some(json!([{"op": "add", "path": "/pxe_enabled", "value": false}])))
        .await
        .is(200);
}

#[tokio::test]
async fn ports_are_filtered_by_what_they_and_their_nodes_are() {
    let site = Site::new().await;
    let (one, other) = site.two_nodes().await;
    for (node, number, description) in [(one, 1, "uplink 100%"), (other, 2, "spare")] {
        let address = format!("52:54:00:aa:00:0{number}");
        let body = json!({"node_uuid": node, "address": address, "description": description});
        site.call("POST", "/v1/ports", Some(body)).await.is(201);
    }
    for (query, numbers) in [
        ("?shard=s1", vec![2]),
        ("?shard=s2", vec![]),
        ("?shard=", vec![1, 2]),
        ("?conductor_groups=rack", vec![2]),
        ("?description_contains=link%20100%25", vec![1]),
        ("?description_contains=link%25", vec![]),
        ("?description_contains=", vec![1, 2]),
        ("?shard=s1&description_contains=spare", vec![2]),
        ("?sort_key=description", vec![2, 1]),
        ("?sort_key=vendor&sort_dir=desc", vec![2, 1]),
    ] {
        let list = site.get(&format!("/v1/ports{query}")).await.is(200).json();
        let shown: Vec<_> =
            list["ports"].as_array().unwrap().iter().map(|row| row["address"].clone()).collect();
        let expected: Vec<_> =
            numbers.iter().map(|number| json!(format!("52:54:00:aa:00:0{number}"))).collect();
        assert_eq!(shown, expected, "{query}");
    }
    site.at(81, "GET", "/v1/ports?shard=s1", None).await.is(406);
    site.at(23, "GET", "/v1/ports?portgroup=g", None).await.is(406);
    let refused = site.get("/v1/ports?conductor_groups=a&node=n1").await.is(400);
    assert!(refused.fault().starts_with("Filtering by conductor_groups cannot be combined with"));
    site.get("/v1/ports?portgroup=nope").await.is(404);
    site.get("/v1/ports?portgroup=g&node=n1").await.is(403);
}

#[tokio::test]
async fn old_clients_change_what_they_know_of_newer_ports() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let link = json!({"network_type": "unmanaged"});
    let body = json!({"address": "52:54:00:aa:00:01", "node_uuid": node, "local_link_connection": link});
    site.at(63, "POST", "/v1/ports", Some(body.clone())).await.is(406);
    let made = site.call("POST", "/v1/ports", Some(body)).await.is(201).json();
    assert_eq!(made["available_for_dynamic_portgroup"], true);
    let url = format!("/v1/ports/{}", made["uuid"].as_str().unwrap());
    let patch = json!([{"op": "add", "path": "/extra/a", "value": 1}]);
    site.at(40, "PATCH", &url, Some(patch)).await.is(200);
    let patch =
        json!([{"op": "replace", "path": "/local_link_connection/network_type", "value": "unmanaged"}]);
    site.at(63, "PATCH", &url, Some(patch)).await.is(406);
    let link = json!({"port_id": "p", "vtep-logical-switch": "l", "vtep-physical-switch": "q"});
    let body = json!({"address": "52:54:00:aa:00:02", "node_uuid": node, "local_link_connection": link});
    for (minor, status) in [(89, 406), (105, 406), (90, 201)] {
        site.at(minor, "POST", "/v1/ports", Some(body.clone())).await.is(status);
    }
    for (minor, shown) in [(89, json!({})), (104, link), (105, json!({}))] {
        let list = site.at(minor, "GET", "/v1/ports/detail?address=52:54:00:aa:00:02", None).await.json();
        assert_eq!(list["ports"][0]["local_link_connection"], shown, "1.{minor}");
    }
    let patch = json!([{"op": "replace", "path": "/available_for_dynamic_portgroup", "value": false}]);
    let changed = site.call("PATCH", &url, Some(patch)).await.is(200).json();
    assert_eq!(changed["available_for_dynamic_portgroup"], false);
    assert!(site.at(110, "GET", &url, None).await.json().get("available_for_dynamic_portgroup").is_none());
    for bad in [json!("no"), Value::Null] {
        let patch = json!([{"op": "replace", "path": "/available_for_dynamic_portgroup", "value": bad}]);
        let refused = site.call("PATCH", &url, Some(patch)).await.is(400);
        assert!(refused.fault().ends_with("is not of type 'boolean'"));
    }
}

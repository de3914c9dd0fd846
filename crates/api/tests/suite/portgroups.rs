use crate::site::Site;
use model::state::ProvisionState;
use serde_json::{Value, json};
use uuid::Uuid;

async fn create(site: &Site, path: &str, body: Value) -> String {
    site.call("POST", path, Some(body)).await.is(201).json()["uuid"].as_str().unwrap().to_owned()
}

fn replace(path: &str, value: Value) -> Option<Value> {
    Some(json!([{"op": "replace", "path": path, "value": value}]))
}

#[tokio::test]
async fn a_port_group_is_made_shown_changed_and_deleted() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let body = json!({
        "node_uuid": node, "name": "bond0", "address": "52:54:00:AA:00:01", "mode": "802.3ad",
        "properties": {"miimon": 100, "slaves": [1, null]}, "standalone_ports_supported": "no", "category": "fast"
    });
    let made = site.call("POST", "/v1/portgroups", Some(body)).await.is(201);
    let group = made.json();
    let uuid = group["uuid"].as_str().unwrap();
    let url = format!("/v1/portgroups/{uuid}");
    assert_eq!(made.header("location"), format!("http://h:1{url}"));
    assert_eq!(group["address"], "52:54:00:aa:00:01");
    assert_eq!(group["standalone_ports_supported"], false);
    assert_eq!(group["dynamic_portgroup"], false);
    assert_eq!(group["properties"], json!({"miimon": 100, "slaves": [1, null]}));
    assert_eq!(group["ports"][0]["href"], format!("http://h:1{url}/ports"));
    assert_eq!(site.get("/v1/portgroups/bond0").await.is(200).json(), group);
    assert_eq!(site.at(90, "GET", "/v1/portgroups/bond0.json", None).await.is(200).json()["uuid"], uuid);
    assert_eq!(site.get("/v1/nodes/n1/portgroups/detail").await.json()["portgroups"], json!([group]));
    let row = &site.get("/v1/portgroups").await.json()["portgroups"][0];
    assert_eq!(row.as_object().map(|row| row.len()), Some(4));
    let patch = json!([
        {"op": "replace", "path": "/name", "value": "bond1"},
        {"op": "remove", "path": "/properties/miimon"},
        {"op": "remove", "path": "/standalone_ports_supported"},
        {"op": "remove", "path": "/address"}
    ]);
    let changed = site.call("PATCH", "/v1/portgroups/bond0", Some(patch)).await.is(200).json();
    assert_eq!(changed["name"], "bond1");
    assert_eq!(changed["properties"], json!({"slaves": [1, null]}));
    assert_eq!(changed["standalone_ports_supported"], true, "back to its default");
    assert_eq!(changed["address"], Value::Null);
    assert!(changed["updated_at"].is_string());
    assert_eq!(site.get("/v1/nodes/n1").await.json()["reservation"], Value::Null, "the node is let go");
    site.call("DELETE", "/v1/portgroups/bond1", None).await.is(204);
    let gone = site.get(&url).await.is(404);
    assert_eq!(gone.fault(), format!("Portgroup {uuid} could not be found."));
}

#[tokio::test]
async fn port_groups_grow_with_the_microversion() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let uuid = create(&site, "/v1/portgroups", json!({"node_uuid": node, "mode": "balance-xor"})).await;
    let url = format!("/v1/portgroups/{uuid}");
    for (minor, keys) in [(23, 11), (25, 11), (26, 13), (101, 13), (102, 14), (103, 15), (110, 15), (111, 16)]
    {
        let shown = site.at(minor, "GET", &url, None).await.is(200).json();
        assert_eq!(shown.as_object().map(|shown| shown.len()), Some(keys), "1.{minor}");
    }
    site.at(22, "GET", &url, None).await.is(404);
    site.at(22, "POST", "/v1/portgroups", Some(json!({"node_uuid": node}))).await.is(404);
    site.at(23, "GET", "/v1/nodes/n1/portgroups", None).await.is(404);
    site.at(24, "GET", "/v1/nodes/n1/portgroups", None).await.is(200);
    site.at(23, "GET", &format!("{url}/ports"), None).await.is(404);
    let early = json!({"node_uuid": node, "mode": "balance-xor"});
    site.at(25, "POST", "/v1/portgroups", Some(early)).await.is(406);
    site.at(25, "PATCH", &url, replace("/mode", json!("x"))).await.is(406);
    site.at(25, "GET", "/v1/portgroups?sort_key=mode", None).await.is(406);
    let shard = site.at(105, "GET", "/v1/portgroups?shard=a", None).await.is(406);
    assert!(shard.fault().ends_with("should be 1.106"));
}

#[tokio::test]
async fn port_groups_are_refused_in_the_contracts_words() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let uuid = create(
        &site,
        "/v1/portgroups",
        json!({"node_uuid": node, "name": "g1", "address": "52:54:00:aa:00:01"}),
    )
    .await;
    for (key, value, text) in [
        ("uuid", uuid.as_str(), format!("A portgroup with UUID {uuid} already exists.")),
        ("name", "g1", "A portgroup with name g1 already exists.".into()),
        (
            "address",
            "52:54:00:AA:00:01",
            "A portgroup with MAC address 52:54:00:aa:00:01 already exists.".into(),
        ),
    ] {
        let body = json!({"node_uuid": node, key: value});
        assert_eq!(site.call("POST", "/v1/portgroups", Some(body)).await.is(409).fault(), text);
    }
    let strange = Uuid::new_v4();
    for (body, text) in [
        (json!({}), "Schema error for portgroup: 'node_uuid' is a required property".to_owned()),
        (json!({"node_uuid": "n1"}), "Expected UUID for node_uuid: n1".into()),
        (json!({"node_uuid": strange}), format!("Node {strange} could not be found.")),
        (json!({"node_uuid": node, "name": "a b"}), "Cannot create portgroup with invalid name 'a b'".into()),
        (json!({"node_uuid": node, "name": strange}), format!("Cannot create portgroup with invalid name '{strange}'")),
        (json!({"node_uuid": node, "address": "zz"}), "Expected valid MAC address for address: zz".into()),
        (
            json!({"node_uuid": node, "dynamic_portgroup": true}),
            "Schema error for portgroup: Additional properties are not allowed ('dynamic_portgroup' was unexpected)".into(),
        ),
    ] {
        assert_eq!(site.call("POST", "/v1/portgroups", Some(body)).await.is(400).fault(), text);
    }
    for (patch, text) in [
        (
            replace("/internal_info", json!({})),
            "Cannot patch /internal_info. Only the following can be updated: address, extra, mode, name, node_uuid, properties, \
             standalone_ports_supported, physical_network, category",
        ),
        (replace("/name", json!("a b")), "Portgroup g1: Cannot change name to invalid name 'a b'"),
        (
            Some(json!([{"op": "remove", "path": "/mode"}])),
            "'mode' is a mandatory attribute and can not be removed",
        ),
        (
            replace("/node_uuid", json!("nope")),
            "Unable to apply the requested node_uuid 'nope'. Requested value was invalid.",
        ),
    ] {
        assert_eq!(site.call("PATCH", "/v1/portgroups/g1", patch).await.is(400).fault(), text);
    }
    for (query, status, text) in [
        ("?marker=x", 400, "Schema error: 'x' is not a 'uuid'"),
        ("?address=zz", 400, "Schema error: 'zz' is not a 'mac-address'"),
        ("?node=nope", 404, "Node nope could not be found."),
        (
            "?node=n1&address=52:54:00:aa:00:01",
            400,
            "Filtering by node, address, or shard simultaneously is not supported.",
        ),
        ("?node_uuid=x", 400, "Unexpected arguments: node_uuid"),
        ("?sort_key=properties", 400, "The sort_key value properties is an invalid field for sorting"),
        ("/nope", 404, "Portgroup nope could not be found."),
        ("/a%20b", 400, "Expected UUID or name for portgroup: a b"),
    ] {
        assert_eq!(site.get(&format!("/v1/portgroups{query}")).await.is(status).fault(), text, "{query}");
    }
}

#[tokio::test]
async fn port_groups_are_filtered_by_what_their_nodes_are() {
    let site = Site::new().await;
    let (one, other) = site.two_nodes().await;
    for (node, name) in [(one, "a"), (other, "b")] {
        create(&site, "/v1/portgroups", json!({"node_uuid": node, "name": name})).await;
    }
    for (query, names) in [
        ("", vec!["a", "b"]),
        ("?node=n1", vec!["a"]),
        ("?shard=s1", vec!["b"]),
        ("?shard=s2", vec![]),
        ("?shard=", vec!["a", "b"]),
        ("?conductor_groups=rack,cellar", vec!["b"]),
        ("?sort_key=name&sort_dir=desc", vec!["b", "a"]),
    ] {
        let list = site.get(&format!("/v1/portgroups{query}")).await.is(200).json();
        let shown: Vec<_> =
            list["portgroups"].as_array().unwrap().iter().map(|row| row["name"].clone()).collect();
        assert_eq!(shown, names, "{query}");
    }
}

#[tokio::test]
async fn ports_join_groups_of_their_node_and_share_its_physical_network() {
    let site = Site::new().await;
    let (node, strange) = (site.node("n1").await, site.node("n2").await);
    let group = create(&site, "/v1/portgroups", json!({"node_uuid": node, "name": "g1"})).await;
    let foreign = create(&site, "/v1/portgroups", json!({"node_uuid": strange})).await;
    let port = |number: u8, more: Value| {
        let mut body = json!({"node_uuid": node, "address": format!("52:54:00:bb:00:{number:02x}")});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        body
    };
    let refused =
        site.call("POST", "/v1/ports", Some(port(1, json!({"portgroup_uuid": foreign})))).await.is(400);
    assert_eq!(refused.fault(), "Port can not be added to a portgroup belonging to a different node.");
    let missing = Uuid::new_v4();
    let refused =
        site.call("POST", "/v1/ports", Some(port(1, json!({"portgroup_uuid": missing})))).await.is(400);
    assert_eq!(refused.fault(), format!("Portgroup {missing} could not be found."));
    site.at(23, "POST", "/v1/ports", Some(port(1, json!({"portgroup_uuid": group})))).await.is(406);

    let first = port(1, json!({"portgroup_uuid": group, "physical_network": "p1"}));
    let first = create(&site, "/v1/ports", first).await;
    let url = "/v1/portgroups/g1";
    assert_eq!(site.get(url).await.json()["physical_network"], "p1", "taken from its first port");
    let second =
        site.call("POST", "/v1/ports", Some(port(2, json!({"portgroup_uuid": group})))).await.is(409);
    assert_eq!(
        second.fault(),
        format!(
            "Port with physical network None cannot become a member of port group {group} which has ports in physical \
             network p1."
        )
    );
    let second = create(&site, "/v1/ports", port(2, json!({}))).await;
    let join = json!([
        {"op": "add", "path": "/portgroup_uuid", "value": group},
        {"op": "add", "path": "/physical_network", "value": "p1"}
    ]);
    let joined = site.call("PATCH", &format!("/v1/ports/{second}"), Some(join)).await.is(200).json();
    assert_eq!(joined["portgroup_uuid"], json!(group));
    let alone =
        site.call("PATCH", &format!("/v1/ports/{second}"), replace("/physical_network", json!("p2"))).await;
    assert_eq!(
        alone.is(400).fault(),
        "physical_network cannot be changed while the port belongs to a portgroup."
    );
    site.call("PATCH", url, replace("/physical_network", json!("p2"))).await.is(200);
    for port in [&first, &second] {
        let shown = site.get(&format!("/v1/ports/{port}")).await.json();
        assert_eq!(shown["physical_network"], "p2", "all ports of a group go with it");
    }
    for list in
        [format!("{url}/ports"), "/v1/ports?portgroup=g1".into(), format!("/v1/ports?portgroup={group}")]
    {
        let list = site.get(&list).await.is(200).json();
        assert_eq!(list["ports"].as_array().map(Vec::len), Some(2));
    }
    assert_eq!(
        site.get(&format!("{url}/ports/detail")).await.json()["ports"][0]["portgroup_uuid"],
        json!(group)
    );
    let moved = site.call("PATCH", url, replace("/node_uuid", json!(strange))).await.is(400);
    assert!(moved.fault().ends_with("because there are ports associated with this portgroup."));
    let moved =
        site.call("PATCH", &format!("/v1/ports/{first}"), replace("/node_uuid", json!(strange))).await;
    assert_eq!(moved.is(400).fault(), "Port can not be added to a portgroup belonging to a different node.");
    let full = site.call("DELETE", url, None).await.is(400);
    assert_eq!(
        full.fault(),
        format!("Cannot complete the requested action because portgroup {group} contains ports.")
    );
    for port in [&first, &second] {
        let left = site
            .call(
                "PATCH",
                &format!("/v1/ports/{port}"),
                Some(json!([{"op": "remove", "path": "/portgroup_uuid"}])),
            )
            .await
            .is(200)
            .json();
        assert_eq!(left["portgroup_uuid"], Value::Null);
    }
    site.call("PATCH", url, replace("/node_uuid", json!("n2"))).await.is(200);
    site.call("DELETE", url, None).await.is(204);
}

#[tokio::test]
async fn a_group_without_standalone_ports_has_none() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let group =
        create(&site, "/v1/portgroups", json!({"node_uuid": node, "standalone_ports_supported": false}))
            .await;
    let port = json!({"node_uuid": node, "address": "52:54:00:bb:00:01", "portgroup_uuid": group, "pxe_enabled": true});
    let refused = site.call("POST", "/v1/ports", Some(port)).await.is(409);
    assert!(refused.fault().ends_with("as the port's 'pxe_enabled' field was set to True."));
    let port = create(&site, "/v1/ports", json!({"node_uuid": node, "address": "52:54:00:bb:00:01"})).await;
    let url = format!("/v1/ports/{port}");
    let refused = site.call("PATCH", &url, replace("/portgroup_uuid", json!(group))).await.is(409);
    assert!(refused.fault().ends_with("because of: 'pxe_enabled' was set to True"));
    let join = json!([
        {"op": "replace", "path": "/pxe_enabled", "value": false},
        {"op": "replace", "path": "/portgroup_uuid", "value": group}
    ]);
    site.call("PATCH", &url, Some(join)).await.is(200);
    site.call("PATCH", &url, replace("/pxe_enabled", json!(true))).await.is(409);
    let free = format!("/v1/portgroups/{group}");
    site.call("PATCH", &free, replace("/standalone_ports_supported", json!(true))).await.is(200);
    site.call("PATCH", &url, replace("/pxe_enabled", json!(true))).await.is(200);
    let refused =
        site.call("PATCH", &free, replace("/standalone_ports_supported", json!(false))).await.is(409);
    assert_eq!(
        refused.fault(),
        format!(
            "standalone_ports_supported can not be set to False, because the port group {group} contains port with \
             'pxe_enabled' is set to True"
        )
    );
}

#[tokio::test]
async fn groups_stay_with_a_node_that_is_in_use() {
    let site = Site::new().await;
    let (node, active) = (site.node("n1").await, site.node("n2").await);
    let group = create(&site, "/v1/portgroups", json!({"node_uuid": node})).await;
    site.edit(active, |node| node.provision_state = ProvisionState::Active).await;
    let url = format!("/v1/portgroups/{group}");
    let refused = site.call("PATCH", &url, replace("/node_uuid", json!(active))).await.is(409);
    assert_eq!(
        refused.fault(),
        format!(
            "Portgroup {group} can not be associated to node {active} unless the node is in a enroll, inspecting, inspect \
             wait, manageable state or in maintenance mode. Current state is 'active'."
        )
    );
    site.edit(active, |node| node.maintenance = true).await;
    site.call("PATCH", &url, replace("/node_uuid", json!(active))).await.is(200);
    site.edit(active, |node| node.provision_state = ProvisionState::Inspecting).await;
    site.call("PATCH", &url, replace("/name", json!("g"))).await.is(409);
    site.at(38, "PATCH", &url, replace("/name", json!("g"))).await.is(200);
}

#[tokio::test]
async fn a_node_takes_its_groups_along() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let group = create(&site, "/v1/portgroups", json!({"node_uuid": node})).await;
    let port = json!({"node_uuid": node, "address": "52:54:00:bb:00:01", "portgroup_uuid": group});
    create(&site, "/v1/ports", port).await;
    site.call("DELETE", "/v1/nodes/n1", None).await.is(204);
    assert_eq!(site.get("/v1/portgroups").await.json(), json!({"portgroups": []}));
    assert_eq!(site.get("/v1/ports").await.json(), json!({"ports": []}));
}

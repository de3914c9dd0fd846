use crate::site::Site;
use model::state::ProvisionState;
use serde_json::{Value, json};

#[tokio::test]
async fn a_node_is_made_shown_changed_and_deleted() {
    let site = Site::new().await;
    let body = json!({
        "driver": "ipmi", "name": "n1", "driver_info": {"ipmi_address": "10.0.0.1", "ipmi_password": "s3cr3t"},
        "extra": {"rack": {"unit": 7, "list": [1, 2.5, "x"]}}, "resource_class": "large", "automated_clean": "yes"
    });
    let made = site.call("POST", "/v1/nodes", Some(body)).await.is(201);
    let node = made.json();
    assert_eq!(made.header("location"), format!("http://h:1/v1/nodes/{}", node["uuid"].as_str().unwrap()));
    assert_eq!(node["provision_state"], "enroll");
    assert_eq!(node["automated_clean"], true);
    assert_eq!(node["deploy_interface"], "autodetect");
    assert_eq!(node["driver_info"]["ipmi_password"], "******");
    assert_eq!(node["conductor"], "seed");
    assert_eq!(
        node["extra"],
        json!({"rack": {"unit": 7, "list": [1, 2.5, "x"]}}),
        "values come back exactly"
    );
    assert!(!made.text.contains("s3cr3t"));
    let shown = site.get("/v1/nodes/n1").await.is(200);
    assert_eq!(shown.json(), node);
    assert_eq!(
        site.get("/v1/nodes/n1?fields=name,driver").await.json().as_object().map(|map| map.len()),
        Some(3)
    );
    let patch = json!([
        {"op": "replace", "path": "/driver_info", "value": {"ipmi_address": "10.0.0.2", "ipmi_password": "******"}},
        {"op": "add", "path": "/instance_info/image_url", "value": "http://temp"},
        {"op": "remove", "path": "/extra"}
    ]);
    let changed = site.call("PATCH", "/v1/nodes/n1", Some(patch)).await.is(200);
    assert_eq!(changed.json()["extra"], json!({}));
    assert_eq!(changed.json()["instance_info"]["image_url"], "******");
    let stored =
        site.store.node_with_secrets(node["uuid"].as_str().unwrap().parse().unwrap()).await.unwrap().node;
    assert_eq!(stored.driver_info["ipmi_password"], "s3cr3t", "a mask that comes back keeps what is stored");
    assert_eq!(stored.driver_info["ipmi_address"], "10.0.0.2");
    assert_eq!(stored.instance_info["image_url"], "http://temp");
    site.call("DELETE", "/v1/nodes/n1", None).await.is(204);
    assert_eq!(site.get("/v1/nodes/n1").await.is(404).fault(), "Node n1 could not be found.");
}

#[tokio::test]
async fn nodes_of_old_clients_begin_in_available() {
    let site = Site::new().await;
    let made = site.at(10, "POST", "/v1/nodes", Some(json!({"driver": "ipmi"}))).await.is(201).json();
    assert_eq!(made["provision_state"], "available");
    let oldest =
        site.at(1, "POST", "/v1/nodes", Some(json!({"driver": "agent_ipmitool"}))).await.is(201).json();
    assert_eq!(oldest["provision_state"], Value::Null);
    assert_eq!(oldest["driver"], "agent_ipmitool");
    let uuid = oldest["uuid"].as_str().unwrap();
    assert_eq!(site.get(&format!("/v1/nodes/{uuid}")).await.json()["deploy_interface"], "direct");
}

#[tokio::test]
async fn creation_is_refused_in_the_contracts_words() {
    let site = Site::new().await;
    site.node("n1").await;
    for (minor, body, status, text) in [
        (115, json!({}), 400, "Schema error for node: 'driver' is a required property"),
        (115, json!([1]), 400, "Schema error for node: [1] is not of type 'object'"),
        (
            115,
            json!({"driver": "ipmi", "foo": 1}),
            400,
            "Schema error for node: Additional properties are not allowed ('foo' was unexpected)",
        ),
        (
            115,
            json!({"driver": "nope"}),
            400,
            "No valid host was found. Reason: No conductor service registered which supports driver nope for conductor group \"\". Ensure the driver is valid and enabled.",
        ),
        (
            115,
            json!({"driver": "redfish"}),
            400,
            "No valid host was found. Reason: No conductor service registered which supports driver redfish for conductor group \"\". Ensure the driver is valid and enabled.",
        ),
        (115, json!({"driver": "ipmi", "name": "a b"}), 400, "Cannot create node with invalid name 'a b'"),
        (115, json!({"driver": "ipmi", "uuid": "xx"}), 400, "Expected UUID for uuid: xx"),
        (115, json!({"driver": "ipmi", "name": "n1"}), 409, "A node with name n1 already exists."),
        (
            115,
            json!({"driver": "ipmi", "parent_node": "nope"}),
            400,
            "Unable to apply the requested parent_node 'nope'. Requested value was invalid.",
        ),
        (5, json!({"driver": "ipmi", "resource_class": "x"}), 406, "Request not acceptable."),
        (4, json!({"driver": "ipmi", "name": "x"}), 406, "Request not acceptable."),
        (9, json!({"driver": "ipmi", "name": "a_b"}), 400, "Cannot create node with invalid name 'a_b'"),
    ] {
        let answer = site.at(minor, "POST", "/v1/nodes", Some(body.clone())).await.is(status);
        assert_eq!(answer.fault(), text, "{body}");
    }
    for reserved in ["validate", "states", "vendor_passthru", "maintenance", "management", "detail", "ports"]
    {
        site.call("POST", "/v1/nodes", Some(json!({"driver": "ipmi", "name": reserved}))).await.is(400);
    }
    let nodes = site.get("/v1/nodes").await.json();
    assert_eq!(nodes["nodes"].as_array().map(Vec::len), Some(1), "a refusal leaves no row behind");
}

#[tokio::test]
async fn pages_follow_one_another_and_end() {
    let site = Site::new().await;
    for name in ["c", "a", "d", "b", "e"] {
        site.node(name).await;
    }
    let mut url = "/v1/nodes?limit=2&sort_key=name&sort_dir=desc&fields=name,uuid".to_owned();
    let mut names = Vec::new();
    for _ in 0..4 {
        let page = site.get(&url).await.is(200).json();
        names.extend(
            page["nodes"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => url = next.strip_prefix("http://h:1").unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!(names, ["e", "d", "c", "b", "a"]);
    assert!(site.get("/v1/nodes?limit=5").await.json()["next"].is_string(), "a full page links on");
    assert!(site.get("/v1/nodes").await.json()["next"].is_null());
    let row = &site.get("/v1/nodes").await.json()["nodes"][0];
    assert_eq!(row.as_object().map(|row| row.len()), Some(7));
    assert_eq!(row["links"][1]["href"].as_str().unwrap().split('/').nth(3), Some("nodes"));
    let whole = site.get("/v1/nodes?detail=true&limit=1").await.json();
    assert_eq!(whole["nodes"][0].as_object().map(|row| row.len()), Some(69));
    assert!(whole["next"].as_str().unwrap().contains("detail=True"));
    assert_eq!(
        site.get("/v1/nodes/detail").await.json()["nodes"][0].as_object().map(|row| row.len()),
        Some(69)
    );
}

#[tokio::test]
async fn filters_choose_and_bad_ones_are_refused() {
    let site = Site::new().await;
    let one = site.node("one").await;
    site.node("two").await;
    site.edit(one, |node| {
        node.maintenance = true;
        node.owner = Some("me".into());
        node.instance_uuid = Some("1be26c0b-03f2-4d2e-ae87-c02d7f33c123".into());
        node.description = Some("a 100% special_one".into());
    })
    .await;
    let child = site.node("child").await;
    site.edit(child, |node| node.parent_node = Some(one)).await;
    let count = async |query: &str| {
        let body = site.get(&format!("/v1/nodes?{query}")).await.is(200).json();
        body["nodes"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 2, "children are hidden");
    for (query, expected) in [
        ("include_children=true", 3),
        ("maintenance=true", 1),
        ("maintenance=no", 1),
        ("associated=True", 1),
        ("instance_uuid=1be26c0b-03f2-4d2e-ae87-c02d7f33c123", 1),
        ("owner=me", 1),
        ("project=me", 1),
        ("driver=fake-hardware", 2),
        ("driver=ipmi", 0),
        ("provision_state=enroll", 2),
        ("description_contains=100%25", 1),
        ("description_contains=l_o", 1),
        ("conductor=seed", 2),
        ("conductor=other", 0),
        ("shard=a,b", 0),
        ("sharded=false", 2),
    ] {
        assert_eq!(count(query).await, expected, "{query}");
    }
    assert_eq!(count(&format!("parent_node={one}")).await, 1);
    for (query, text) in [
        ("foo=1", "Unexpected arguments: foo"),
        ("limit=0", "Limit must be positive"),
        ("limit=x", "Expected an integer for limit: x"),
        ("sort_key=extra", "The sort_key value extra is an invalid field for sorting"),
        ("sort_key=foo", "The sort_key value \"foo\" is an invalid field for sorting"),
        ("sort_dir=up", "Invalid sort direction: up. Acceptable values are 'asc' or 'desc'"),
        ("marker=foo", "Expected UUID for marker: foo"),
        ("provision_state=foo", "Provision state \"foo\" is not valid"),
        ("fields=foo", "Field foo is not a valid field."),
        ("fields=uuid&detail=true", "Can not specify ?detail=True and fields in the same request."),
        ("health=OK", "Unexpected arguments: health"),
    ] {
        assert_eq!(site.get(&format!("/v1/nodes?{query}")).await.is(400).fault(), text, "{query}");
    }
    site.get("/v1/nodes?marker=1be26c0b-03f2-4d2e-ae87-c02d7f33c123").await.is(404);
    for (minor, query) in [
        (7, "fields=uuid"),
        (8, "provision_state=enroll"),
        (15, "driver=x"),
        (49, "owner=x"),
        (81, "shard=x"),
        (46, "fields=automated_clean"),
        (4, "sort_key=name"),
    ] {
        site.at(minor, "GET", &format!("/v1/nodes?{query}"), None).await.is(406);
    }
    site.at(42, "GET", "/v1/nodes?detail=true", None).await.is(400);
    assert_eq!(site.get("/v1/nodes/one/children").await.json()["children"], json!([child]));
}

#[tokio::test]
async fn a_patch_follows_the_rules_of_the_state() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    let patch = async |path: &str, value: Value| {
        site.call("PATCH", "/v1/nodes/n1", Some(json!([{"op": "add", "path": path, "value": value}]))).await
    };
    assert!(
        patch("/uuid", json!("x"))
            .await
            .is(400)
            .fault()
            .starts_with("Cannot patch /uuid. Only the following can be updated: automated_clean, ")
    );
    patch("/protected", json!(true)).await.is(409);
    assert!(patch("/protected_reason", json!("x")).await.is(400).fault().contains("protected is True"));
    assert!(patch("/retired_reason", json!("x")).await.is(400).fault().contains("retired is True"));
    patch("/instance_uuid", json!("1be26c0b-03f2-4d2e-ae87-c02d7f33c123")).await.is(200);
    patch("/instance_uuid", json!("2be26c0b-03f2-4d2e-ae87-c02d7f33c123")).await.is(409);
    let nobody = patch("/conductor_group", json!("Rack-1")).await.is(400).fault();
    assert!(nobody.contains("supports driver fake-hardware for conductor group \"rack-1\""), "{nobody}");
    patch("/name", Value::Null).await.is(400);
    patch("/parent_node", json!("nope")).await.is(400);
    patch("/instance_info", json!({"display_name": "web"})).await.is(200);
    assert_eq!(site.get("/v1/nodes/n1").await.json()["instance_name"], "web");
    site.edit(uuid, |node| {
        node.provision_state = ProvisionState::DeployWait;
        node.target_provision_state = Some(ProvisionState::Active);
    })
    .await;
    let refused = patch("/extra/a", json!(1)).await.is(409);
    assert_eq!(refused.fault(), "Node n1 can not be updated while a state transition is in progress.");
    // The one exception: freeing the instance of a node in maintenance.
    site.edit(uuid, |node| node.maintenance = true).await;
    patch("/extra/a", json!(1)).await.is(409);
    let free = json!([{"op": "remove", "path": "/instance_uuid"}]);
    site.call("PATCH", "/v1/nodes/n1", Some(free)).await.is(200);
    site.edit(uuid, |node| {
        node.provision_state = ProvisionState::DeployFailed;
        node.fault = Some(model::node::Fault::Power);
        node.maintenance_reason = Some("why".into());
    })
    .await;
    patch("/extra/a", json!(1)).await.is(200);
    let cleared = patch("/maintenance", json!(false)).await.is(200).json();
    assert_eq!((&cleared["fault"], &cleared["maintenance_reason"]), (&Value::Null, &Value::Null));
    patch("/deploy_interface", json!("direct")).await.is(409);
    site.edit(uuid, |node| {
        node.provision_state = ProvisionState::Active;
        node.target_provision_state = None;
    })
    .await;
    patch("/protected", json!("true")).await.is(200);
    assert!(site.call("DELETE", "/v1/nodes/n1", None).await.is(403).fault().contains("is protected"));
    site.call(
        "PATCH",
        "/v1/nodes/n1?reset_interfaces=true",
        Some(json!([{"op": "add", "path": "/extra/a", "value": 1}])),
    )
    .await
    .is(400);
    site.at(44, "PATCH", "/v1/nodes/n1?reset_interfaces=true", Some(json!([]))).await.is(406);
    site.at(
        46,
        "PATCH",
        "/v1/nodes/n1",
        Some(json!([{"op": "add", "path": "/automated_clean", "value": true}])),
    )
    .await
    .is(406);
}

#[tokio::test]
async fn a_held_node_is_locked_and_a_state_decides_over_deletion() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    let claim = site.store.claim(uuid, &store::Holder::new("other", uuid::Uuid::new_v4())).await.unwrap();
    assert_eq!(site.get("/v1/nodes/n1").await.json()["reservation"], "other");
    let refused = site
        .call("PATCH", "/v1/nodes/n1", Some(json!([{"op": "add", "path": "/extra/a", "value": 1}])))
        .await;
    assert_eq!(
        refused.is(409).fault(),
        format!(
            "Node {uuid} is locked by host other, please retry after the current operation is completed."
        )
    );
    // Maintenance works at any time.
    site.call("PUT", "/v1/nodes/n1/maintenance", Some(json!({"reason": "smoke"}))).await.is(202);
    site.store.release(&claim).await.unwrap();
    let node = site.get("/v1/nodes/n1").await.json();
    assert_eq!((&node["maintenance"], &node["maintenance_reason"]), (&json!(true), &json!("smoke")));
    site.call("DELETE", "/v1/nodes/n1/maintenance", None).await.is(202);
    site.edit(uuid, |node| node.provision_state = ProvisionState::Active).await;
    assert!(
        site.call("DELETE", "/v1/nodes/n1", None)
            .await
            .is(409)
            .fault()
            .contains("or set the node into maintenance mode")
    );
    site.edit(uuid, |node| node.maintenance = true).await;
    site.call("DELETE", "/v1/nodes/n1", None).await.is(204);
}

#[tokio::test]
async fn traits_are_set_added_and_removed() {
    let site = Site::new().await;
    site.node("n1").await;
    let url = "/v1/nodes/n1/traits";
    site.call("PUT", url, Some(json!({"traits": ["CUSTOM_B", "HW_CPU_X86_VMX"]}))).await.is(204);
    let added = site.call("PUT", &format!("{url}/CUSTOM_A"), None).await.is(204);
    assert_eq!(added.header("location"), "http://h:1/v1/nodes/n1/traits/CUSTOM_A");
    assert_eq!(site.get(url).await.json()["traits"], json!(["CUSTOM_A", "CUSTOM_B", "HW_CPU_X86_VMX"]));
    site.call("DELETE", &format!("{url}/CUSTOM_B"), None).await.is(204);
    assert!(
        site.call("DELETE", &format!("{url}/CUSTOM_B"), None)
            .await
            .is(404)
            .fault()
            .ends_with("doesn't have a trait 'CUSTOM_B'")
    );
    site.call("PUT", url, None).await.is(400);
    site.call("PUT", url, Some(json!({"traits": ["no"]}))).await.is(400);
    site.call("PUT", url, Some(json!({"traits": "CUSTOM_A"}))).await.is(400);
    site.call("PUT", &format!("{url}/CUSTOM_C"), Some(json!({"x": 1}))).await.is(400);
    let many: Vec<_> = (0..51).map(|number| format!("CUSTOM_{number}")).collect();
    assert!(
        site.call("PUT", url, Some(json!({"traits": many}))).await.is(400).fault().contains("(51 vs. 50)")
    );
    site.call("DELETE", url, None).await.is(204);
    assert_eq!(site.get(url).await.json()["traits"], json!([]));
}

#[tokio::test]
async fn the_event_log_tells_who_did_what() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    site.call("PATCH", "/v1/nodes/n1", Some(json!([{"op": "add", "path": "/extra/a", "value": 1}])))
        .await
        .is(200);
    let log = site.get("/billet/v1/nodes/n1/events").await.is(200).json();
    assert_eq!(log["node_uuid"], json!(uuid));
    let names: Vec<_> = log["events"].as_array().unwrap().iter().map(|event| event["name"].clone()).collect();
    assert_eq!(names, ["create", "update"]);
    assert_eq!(log["events"][1]["detail"], "/extra/a, by anonymous");
    assert_eq!(
        site.get("/billet/v1/nodes/n1/events?limit=1").await.json()["events"].as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn a_list_shows_a_node_as_it_is_shown_alone_to_the_byte() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    site.edit(uuid, |node| {
        for (place, value) in [
            (
                &mut node.driver_info,
                json!({"ipmi_password": "s3cr3t", "deep": {"auth_token": "t", "list": [1.50, null]}}),
            ),
            (&mut node.driver_internal_info, json!({"agent_secret_token": "t", "is_whole_disk_image": true})),
            (&mut node.instance_info, json!({"configdrive": "data", "image_url": "u", "root_gb": 1e2})),
            (&mut node.properties, json!({"z": 1, "a \"quoted\" name": "ü\n\u{7}</script>"})),
            (&mut node.extra, json!({"big": 18446744073709551615u64, "empty": {}})),
            (&mut node.network_data, json!({"links": [{"id": "x"}]})),
        ] {
            *place = value.as_object().cloned().unwrap();
        }
        node.work.steps = vec![model::step::Step::core("deploy", "deploy", 100)];
    })
    .await;
    for minor in [1, 31, 81, 115] {
        let alone = site.at(minor, "GET", &format!("/v1/nodes/{uuid}"), None).await.is(200).text;
        let listed = site.at(minor, "GET", "/v1/nodes/detail", None).await.is(200).text;
        assert_eq!(listed, format!("{{\"nodes\":[{alone}]}}"));
        assert!(!listed.contains("s3cr3t"));
    }
    let fields = "fields=uuid,driver_info,extra,properties";
    let alone = site.get(&format!("/v1/nodes/{uuid}?{fields}")).await.is(200).text;
    assert_eq!(
        site.get(&format!("/v1/nodes?{fields}")).await.is(200).text,
        format!("{{\"nodes\":[{alone}]}}")
    );
}

/// Nodes that have something in most fields: a child, one in maintenance and held, one with hostile words.
async fn varied(site: &Site) -> Vec<String> {
    const PARENT: &str = "0f1f2b7e-9a49-4f35-8a35-6c3a3a9f2c10";
    let chassis = site.call("POST", "/v1/chassis", Some(json!({}))).await.is(201).json();
    let mut uuids = Vec::new();
    for body in [
        json!({"uuid": PARENT, "driver": "ipmi", "name": "n1", "driver_info": {"ipmi_password": "s3cr3t"}, "extra": {"a": [1, null]},
               "owner": "o", "lessee": "l", "shard": "s", "resource_class": "rc", "conductor_group": "",
               "chassis_uuid": chassis["uuid"], "description": "\"ü\" \\ \u{7f}\n", "instance_info": {"configdrive": "x"}}),
        json!({"driver": "fake-hardware", "name": "n2", "instance_uuid": "5d1f2b7e-9a49-4f35-8a35-6c3a3a9f2c11",
               "properties": {"cpus": 4}, "retired": true, "retired_reason": "old", "instance_name": "i"}),
        json!({"driver": "fake-hardware", "name": "n3", "parent_node": PARENT, "owner": "o"}),
    ] {
        let made = site.call("POST", "/v1/nodes", Some(body)).await.is(201).json();
        uuids.push(made["uuid"].as_str().unwrap().to_owned());
    }
    site.call("PUT", "/v1/nodes/n1/maintenance", Some(json!({"reason": "r"}))).await.is(202);
    site.call("PUT", "/v1/nodes/n2/traits", Some(json!({"traits": ["CUSTOM_X"]}))).await.is(204);
    uuids
}

#[tokio::test]
async fn a_list_that_is_written_from_columns_says_what_documents_say() {
    let site = Site::new().await;
    varied(&site).await;
    let held = site.store.node("n1").await.unwrap().node.uuid;
    let claim = site.conductor.claim(held).await.unwrap();
    let fields = "uuid,name,instance_uuid,instance_name,power_state,provision_state,provision_updated_at,maintenance,\
                  retired,fault,driver,resource_class,conductor_group,chassis_uuid,owner,lessee,shard,parent_node,\
                  description,reservation";
    let fields: String = fields.split_whitespace().collect();
    let path = |more: &str| format!("/v1/nodes?include_children=true&sort_key=name&fields={fields}{more}");
    let columns = site.get(&path("")).await.is(200).json();
    // `extra` has no column, so that this one is read from the documents.
    let mut documents = site.get(&path(",extra")).await.is(200).json();
    for node in documents["nodes"].as_array_mut().unwrap() {
        assert!(node.as_object_mut().unwrap().remove("extra").is_some());
    }
    assert_eq!(columns, documents);
    assert_eq!(columns["nodes"].as_array().map(Vec::len), Some(3));
    assert_eq!(columns["nodes"][0]["reservation"], "seed");
    assert_eq!(columns["nodes"][2]["parent_node"], columns["nodes"][0]["uuid"]);
    let page = site.get("/v1/nodes?limit=1&fields=name").await.json();
    let next = page["next"].as_str().unwrap();
    let uuid = columns["nodes"][0]["uuid"].as_str().unwrap();
    assert!(next.ends_with(&format!("&fields=name&limit=1&marker={uuid}")), "{next}");
    let bare = site.get("/v1/nodes?fields=").await.is(200).json();
    assert_eq!(bare["nodes"][0].as_object().map(|node| node.len()), Some(1), "nothing but its links: {bare}");
    // A state that old clients know by no name.
    site.at(10, "POST", "/v1/nodes", Some(json!({"driver": "ipmi"}))).await.is(201);
    let last =
        async |minor| site.at(minor, "GET", "/v1/nodes", None).await.is(200).json()["nodes"][2].clone();
    assert_eq!(last(1).await["provision_state"], Value::Null);
    assert_eq!(last(2).await["provision_state"], "available");
    claim.release().await.unwrap();
}

#[tokio::test]
async fn a_whole_node_of_a_list_is_the_node_whatever_was_listed_before() {
    let site = Site::new().await;
    let uuids = varied(&site).await;
    for turn in 0..3 {
        for minor in [1, 30, 72, model::version::Microversion::MAX.minor()] {
            // Once from the documents, once from what was made of them.
            for _ in 0..2 {
                let list = site.at(minor, "GET", "/v1/nodes/detail", None).await.is(200).json();
                let nodes = list["nodes"].as_array().unwrap();
                assert_eq!(nodes.len(), 2);
                for (node, uuid) in nodes.iter().zip(&uuids) {
                    let alone =
                        site.at(minor, "GET", &format!("/v1/nodes/{uuid}"), None).await.is(200).json();
                    assert_eq!(*node, alone, "turn {turn}, 1.{minor}");
                }
            }
        }
        let patch = json!([{"op": "add", "path": "/extra/turn", "value": turn}]);
        site.call("PATCH", "/v1/nodes/n1", Some(patch)).await.is(200);
        // Whoever holds it is not in its document.
        if turn == 1 {
            let node = site.store.node("n2").await.unwrap().node.uuid;
            std::mem::forget(site.conductor.claim(node).await.unwrap());
        }
    }
    let held = site.get("/v1/nodes/detail").await.json();
    assert_eq!(held["nodes"][1]["reservation"], "seed");
    // Another node under the same UUID is another node.
    let delete = format!("/v1/nodes/{}", uuids[0]);
    site.call("DELETE", "/v1/nodes/n3", None).await.is(204);
    site.call("DELETE", &delete, None).await.is(204);
    let again = json!({"driver": "ipmi", "name": "anew", "uuid": uuids[0]});
    site.call("POST", "/v1/nodes", Some(again)).await.is(201);
    let list = site.get("/v1/nodes/detail").await.json();
    assert_eq!(list["nodes"][1]["name"], "anew");
}

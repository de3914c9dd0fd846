use crate::site::Site;
use model::node::PowerState;
use model::state::ProvisionState;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const UNKNOWN: &str = "2be26c0b-03f2-4d2e-ae87-c02d7f33c123";

/// A node that an allocation of class `gold` may get.
async fn free(site: &Site, name: &str) -> Uuid {
    let uuid = site.node(name).await;
    site.edit(uuid, |node| {
        node.resource_class = Some("gold".to_owned());
        node.provision_state = ProvisionState::Available;
        node.power_state = Some(PowerState::Off);
    })
    .await;
    uuid
}

/// Lets the site's conductor find nodes for the length of the test.
fn run(site: &Site) {
    let conductor = site.conductor.clone();
    tokio::spawn(async move { conductor.run(CancellationToken::new()).await });
}

/// Waits until an allocation has its node, or hasn't.
async fn settled(site: &Site, ident: &str) -> Value {
    let began = Instant::now();
    loop {
        let shown = site.get(&format!("/v1/allocations/{ident}")).await.is(200).json();
        if shown["state"] != "allocating" {
            return shown;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{shown}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_allocation_gets_a_node_and_gives_it_back() {
    let site = Site::new().await;
    let node = free(&site, "n1").await;
    run(&site);
    let body = json!({
        "resource_class": "gold", "name": "a1", "extra": {"k": [1]}, "candidate_nodes": ["n1"], "traits": null,
        "uuid": "1BE26C0B-03F2-4D2E-AE87-C02D7F33C123"
    });
    let made = site.call("POST", "/v1/allocations", Some(body)).await.is(201);
    let uuid = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123";
    assert_eq!(made.header("location"), format!("http://h:1/v1/allocations/{uuid}"));
    let made = made.json();
    assert_eq!(made["state"], "allocating", "the answer comes before the search");
    assert_eq!((&made["node_uuid"], &made["last_error"]), (&Value::Null, &Value::Null));
    assert_eq!(made["candidate_nodes"], json!([node]));
    let shown = settled(&site, "a1").await;
    assert_eq!(shown["state"], "active");
    assert_eq!(shown["node_uuid"], json!(node));
    assert!(shown["updated_at"].is_string());
    let on_node = site.get("/v1/nodes/n1").await.json();
    assert_eq!(on_node["instance_uuid"], uuid);
    assert_eq!(on_node["allocation_uuid"], uuid);
    assert_eq!(on_node["instance_info"], json!({"traits": []}));
    assert_eq!(site.get("/v1/nodes/n1/allocation").await.is(200).json(), shown);
    assert_eq!(site.get("/v1/nodes/n1/allocation?fields=name").await.json()["name"], "a1");
    for query in ["node=n1", "resource_class=gold", "state=active", "limit=1"] {
        let list = site.get(&format!("/v1/allocations?{query}")).await.is(200).json();
        assert_eq!(list["allocations"], json!([shown]), "{query}");
    }
    for query in ["resource_class=lead", "state=error", "owner=p"] {
        let list = site.get(&format!("/v1/allocations?{query}")).await.is(200).json();
        assert_eq!(list["allocations"], json!([]), "{query}");
    }
    // In use it stays, unless the node is in maintenance.
    site.edit(node, |node| node.provision_state = ProvisionState::Active).await;
    for path in ["/v1/allocations/a1", "/v1/nodes/n1/allocation"] {
        let text = site.call("DELETE", path, None).await.is(409).fault();
        assert_eq!(
            text,
            format!(
                "Cannot remove allocation {uuid} for node {node}, because the node is active (and maintenance mode is off)"
            )
        );
    }
    let removal = json!([{"op": "remove", "path": "/instance_uuid"}]);
    let text = site.call("PATCH", "/v1/nodes/n1", Some(removal.clone())).await.is(409).fault();
    assert!(text.contains("with an allocation can not have instance_uuid removed unless"), "{text}");
    site.edit(node, |node| node.maintenance = true).await;
    site.call("DELETE", "/v1/nodes/n1/allocation", None).await.is(204);
    let freed = site.get("/v1/nodes/n1").await.json();
    assert_eq!((&freed["instance_uuid"], &freed["allocation_uuid"]), (&Value::Null, &Value::Null));
    site.get("/v1/allocations/a1").await.is(404);
    assert_eq!(
        site.get("/v1/nodes/n1/allocation").await.is(404).fault(),
        "Allocation for node n1 was not found"
    );
}

#[tokio::test]
async fn taking_the_instance_off_a_node_ends_its_allocation() {
    let site = Site::new().await;
    free(&site, "n1").await;
    run(&site);
    let body = json!({"resource_class": "gold", "name": "a1"});
    site.call("POST", "/v1/allocations", Some(body.clone())).await.is(201);
    assert_eq!(settled(&site, "a1").await["state"], "active");
    let removal = json!([{"op": "remove", "path": "/instance_uuid"}]);
    let node = site.call("PATCH", "/v1/nodes/n1", Some(removal)).await.is(200).json();
    assert_eq!(node["allocation_uuid"], Value::Null);
    site.get("/v1/allocations/a1").await.is(404);
    site.call("POST", "/v1/allocations", Some(body)).await.is(201);
    assert_eq!(settled(&site, "a1").await["state"], "active", "the node is free again");
}

#[tokio::test]
async fn who_gets_none_is_told_why() {
    let site = Site::new().await;
    let node = free(&site, "n1").await;
    site.edit(node, |node| node.maintenance = true).await;
    run(&site);
    let body = json!({"resource_class": "gold", "name": "a1"});
    let uuid = site.call("POST", "/v1/allocations", Some(body)).await.is(201).json()["uuid"].clone();
    let shown = settled(&site, "a1").await;
    assert_eq!(shown["state"], "error");
    assert_eq!(
        shown["last_error"],
        format!(
            "Failed to process allocation {}: no available nodes match the resource class gold. 1 node of the class: 1 in \
             maintenance.",
            uuid.as_str().unwrap()
        )
    );
    site.call("DELETE", "/v1/allocations/a1", None).await.is(204);
}

#[tokio::test]
async fn a_deployed_node_is_backfilled_and_nothing_is_left_of_one_that_does_not_fit() {
    let site = Site::new().await;
    let node = free(&site, "n1").await;
    let none = async || assert_eq!(site.get("/v1/allocations").await.json()["allocations"], json!([]));
    let post = async |body: Value| site.call("POST", "/v1/allocations", Some(body)).await;
    let bad = json!({
        "node": "n1", "resource_class": "lead", "traits": ["CUSTOM_Z"], "candidate_nodes": [site.node("n2").await],
        "uuid": UNKNOWN
    });
    let text = post(bad).await.is(400).fault();
    assert!(text.starts_with(&format!(
        "Failed to process allocation {UNKNOWN}: Cannot backfill an allocation for node {node}: Node must be in the \"active\" \
         state, but the current state is \"available\"; Resource class gold does not match the requested resource class lead; \
         List of traits [] does not match the requested traits ['CUSTOM_Z']; Candidate nodes must be empty or contain the \
         target node, but got ['"
    )), "{text}");
    assert_eq!(post(json!({"node": "nope"})).await.is(400).fault(), "Node nope could not be found.");
    none().await;
    let instance = Uuid::new_v4();
    site.edit(node, |node| {
        node.provision_state = ProvisionState::Active;
        node.instance_uuid = Some(instance.to_string());
    })
    .await;
    let other = post(json!({"node": "n1", "uuid": UNKNOWN})).await.is(409).fault();
    assert_eq!(other, format!("Node {node} is associated with instance {instance}."));
    none().await;
    let made = post(json!({"node": "n1", "name": "b1"})).await.is(201).json();
    assert_eq!(made["state"], "active");
    assert_eq!(made["uuid"], json!(instance));
    assert_eq!(made["resource_class"], "gold");
    assert_eq!(site.get("/v1/nodes/n1").await.json()["allocation_uuid"], json!(instance));
    assert_eq!(
        post(json!({"node": "n1"})).await.is(409).fault(),
        format!("An allocation with UUID {instance} already exists.")
    );
}

#[tokio::test]
async fn bad_allocations_are_refused_in_the_contracts_words() {
    let site = Site::new().await;
    site.node("n1").await;
    for (body, text) in [
        (json!({}), "The resource_class field is mandatory when not backfilling"),
        (json!({"resource_class": ""}), "The resource_class field is mandatory when not backfilling"),
        (json!({"resource_class": 1}), "Schema error: 1 is not of type 'string', 'null'"),
        (
            json!({"resource_class": "gold", "name": "a b"}),
            "Cannot create allocation with invalid name 'a b'",
        ),
        (json!({"resource_class": "gold", "uuid": "xyz!"}), "Expected UUID for uuid: xyz!"),
        (
            json!({"resource_class": "gold", "state": "active"}),
            "Schema error: Additional properties are not allowed ('state' was unexpected)",
        ),
        (
            json!({"resource_class": "gold", "traits": ["bad"]}),
            "Schema error: 'bad' is not valid under any of the given schemas. Possible root cause: 'bad' does not match \
             '^CUSTOM_[A-Z0-9_]+$'",
        ),
        (
            json!({"resource_class": "gold", "candidate_nodes": ["nope", "n1", UNKNOWN]}),
            "Nodes cannot be found: nope, 2be26c0b-03f2-4d2e-ae87-c02d7f33c123",
        ),
        (
            json!({"resource_class": "gold", "candidate_nodes": ["a b"]}),
            "Schema error: 'a b' is not valid under any of the given schemas. Possible root cause: 'a b' is not a 'uuid'",
        ),
        (json!({"resource_class": "gold", "extra": []}), "Schema error: [] is not of type 'object', 'null'"),
        (json!([]), "Schema error: [] is not of type 'object'"),
    ] {
        assert_eq!(site.call("POST", "/v1/allocations", Some(body)).await.is(400).fault(), text);
    }
    let long = json!({"resource_class": "x".repeat(81)});
    assert!(site.call("POST", "/v1/allocations", Some(long)).await.is(400).fault().ends_with("is too long"));
    assert_eq!(site.get("/v1/allocations").await.json()["allocations"], json!([]), "nothing is left of them");
    for (query, status) in [
        ("foo=1", 400),
        ("detail=true", 400),
        ("node=nope", 400),
        ("sort_key=traits", 400),
        ("sort_key=node_uuid", 400),
        ("limit=0", 400),
        ("marker=nope", 400),
        ("marker=2be26c0b-03f2-4d2e-ae87-c02d7f33c123", 404),
        ("fields=foo", 400),
    ] {
        site.get(&format!("/v1/allocations?{query}")).await.is(status);
    }
    assert_eq!(
        site.get("/v1/allocations/a%20b").await.is(400).fault(),
        "Expected a logical name or UUID but received a b."
    );
    site.get("/v1/allocations/nope").await.is(404);
    assert_eq!(site.get("/v1/nodes/nope/allocation").await.is(400).fault(), "Node nope could not be found.");
    site.call("DELETE", "/v1/nodes/nope/allocation", None).await.is(404);
}

#[tokio::test]
async fn names_and_extra_can_be_changed() {
    let site = Site::new().await;
    for name in ["a1", "a2"] {
        let body = json!({"resource_class": "gold", "name": name});
        site.call("POST", "/v1/allocations", Some(body)).await.is(201);
    }
    let twice = json!({"resource_class": "gold", "name": "a1"});
    assert_eq!(
        site.call("POST", "/v1/allocations", Some(twice)).await.is(409).fault(),
        "An allocation with name a1 already exists."
    );
    let uuid = site.get("/v1/allocations/a1").await.json()["uuid"].as_str().unwrap().to_owned();
    let url = format!("/v1/allocations/{uuid}");
    let patch = async |op: &str, path: &str, value: Value| {
        site.call("PATCH", &url, Some(json!([{"op": op, "path": path, "value": value}]))).await
    };
    assert_eq!(patch("replace", "/name", json!("b1")).await.is(200).json()["name"], "b1");
    assert_eq!(patch("add", "/extra/x", json!([1])).await.is(200).json()["extra"], json!({"x": [1]}));
    assert_eq!(
        patch("replace", "/name", json!("a2")).await.is(409).fault(),
        "An allocation with name a2 already exists."
    );
    for (path, value, text) in [
        ("/name", json!("a b"), "Cannot update allocation with invalid name 'a b'"),
        ("/name", json!(5), "Cannot update allocation with invalid name '5'"),
        ("/owner", json!("p"), "Cannot patch /owner. Only the following can be updated: name, extra"),
        ("/extra", json!("x"), "Schema error for patch: 'x' is not of type 'object', 'null'"),
    ] {
        assert_eq!(patch("replace", path, value).await.is(400).fault(), text);
    }
    let both = json!([{"op": "remove", "path": "/name"}, {"op": "remove", "path": "/extra"}]);
    let reset = site.call("PATCH", &url, Some(both)).await.is(200).json();
    assert_eq!((&reset["name"], &reset["extra"]), (&Value::Null, &json!({})));
    let before = site.get(&url).await.json();
    assert_eq!(site.call("PATCH", &url, Some(json!([]))).await.is(200).json(), before);
}

#[tokio::test]
async fn allocations_follow_the_microversion() {
    let site = Site::new().await;
    site.node("n1").await;
    let body = || Some(json!({"resource_class": "gold", "name": "a1"}));
    let owned = || Some(json!({"resource_class": "gold", "name": "a2", "owner": "p"}));
    site.at(51, "GET", "/v1/allocations", None).await.is(404);
    site.at(51, "GET", "/v1/nodes/n1/allocation", None).await.is(404);
    site.at(51, "POST", "/v1/allocations", body()).await.is(405);
    site.at(51, "DELETE", "/v1/allocations/a1", None).await.is(405);
    let made = site.at(52, "POST", "/v1/allocations", body()).await.is(201).json();
    assert!(made.get("owner").is_none());
    site.at(56, "PATCH", "/v1/allocations/a1", Some(json!([]))).await.is(405);
    site.at(57, "PATCH", "/v1/allocations/a1", Some(json!([]))).await.is(200);
    let old = site.at(57, "POST", "/v1/allocations", Some(json!({"node": "n1"}))).await.is(400).fault();
    assert_eq!(old, "Schema error: Additional properties are not allowed ('node' was unexpected)");
    site.at(59, "POST", "/v1/allocations", owned()).await.is(406);
    site.at(59, "GET", "/v1/allocations?owner=p", None).await.is(406);
    site.at(59, "GET", "/v1/allocations?fields=owner", None).await.is(400);
    assert_eq!(site.at(60, "POST", "/v1/allocations", owned()).await.is(201).json()["owner"], "p");
    let list = site.at(60, "GET", "/v1/allocations?owner=p&fields=name", None).await.json();
    assert_eq!(list["allocations"].as_array().map(Vec::len), Some(1));
}

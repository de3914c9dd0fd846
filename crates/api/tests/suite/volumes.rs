use crate::site::Site;
use model::node::PowerState;
use model::state::ProvisionState;
use serde_json::{Value, json};
use uuid::Uuid;

const CONNECTORS: &str = "/v1/volume/connectors";
const TARGETS: &str = "/v1/volume/targets";

async fn create(site: &Site, path: &str, body: Value) -> String {
    site.call("POST", path, Some(body)).await.is(201).json()["uuid"].as_str().unwrap().to_owned()
}

async fn off(site: &Site, node: Uuid) {
    site.edit(node, |node| node.power_state = Some(PowerState::Off)).await;
}

fn replace(path: &str, value: Value) -> Option<Value> {
    Some(json!([{"op": "replace", "path": path, "value": value}]))
}

#[tokio::test]
async fn the_roots_link_to_both_collections() {
    let site = Site::new().await;
    site.node("n1").await;
    for base in ["volume", "nodes/n1/volume"] {
        let root = site.get(&format!("/v1/{base}")).await.is(200).json();
        for (key, tail) in [("links", ""), ("connectors", "connectors"), ("targets", "targets")] {
            assert_eq!(
                root[key],
                json!([
                    {"href": format!("http://h:1/v1/{base}/{tail}"), "rel": "self"},
                    {"href": format!("http://h:1/{base}/{tail}"), "rel": "bookmark"},
                ])
            );
        }
        site.at(31, "GET", &format!("/v1/{base}"), None).await.is(404);
    }
    site.get("/v1/nodes/nope/volume").await.is(404);
}

#[tokio::test]
async fn a_connector_is_made_shown_changed_and_deleted() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let body =
        json!({"node_uuid": node, "type": "iqn", "connector_id": "iqn.2017-05.org:1", "extra": {"a": 1}});
    let made = site.at(32, "POST", CONNECTORS, Some(body.clone())).await.is(201);
    let connector = made.json();
    let uuid = connector["uuid"].as_str().unwrap();
    let url = format!("{CONNECTORS}/{uuid}");
    assert_eq!(made.header("location"), format!("http://h:1{url}"));
    assert_eq!(connector.as_object().map(|shown| shown.len()), Some(8));
    assert_eq!(site.get(&url).await.is(200).json(), connector);
    assert_eq!(site.get(&format!("{CONNECTORS}?detail=True")).await.json()["connectors"], json!([connector]));
    for list in [CONNECTORS, "/v1/nodes/n1/volume/connectors", &format!("{CONNECTORS}?node=n1")] {
        let list = site.get(list).await.is(200).json();
        assert_eq!(list["connectors"][0].as_object().map(|row| row.len()), Some(5));
    }
    let twice = site.call("POST", CONNECTORS, Some(body)).await.is(409);
    assert_eq!(
        twice.fault(),
        "A volume connector with type iqn and connector ID iqn.2017-05.org:1 already exists."
    );
    let patch = || replace("/type", json!("wwnn"));
    let refused = site.call("PATCH", &url, patch()).await.is(400);
    assert_eq!(
        refused.fault(),
        format!(
            "The requested action \"volume connector update\" can not be performed on node \"{node}\" while it is in state \
             \"None\"."
        )
    );
    off(&site, node).await;
    let changed = site.call("PATCH", &url, patch()).await.is(200).json();
    assert_eq!(changed["type"], "wwnn");
    assert!(changed["updated_at"].is_string());
    site.edit(node, |node| {
        node.power_state = Some(PowerState::On);
        node.provision_state = ProvisionState::Available;
    })
    .await;
    let running = site.call("DELETE", &url, None).await.is(400);
    assert!(running.fault().contains("\"volume connector deletion\""));
    assert!(running.fault().contains("state \"power on\""));
    site.edit(node, |node| node.provision_state = ProvisionState::Manageable).await;
    site.call("DELETE", &url, None).await.is(204);
    let gone = site.get(&url).await.is(404);
    assert_eq!(gone.fault(), format!("Volume connector {uuid} could not be found."));
}

#[tokio::test]
async fn secrets_of_a_target_are_masked_kept_and_never_quoted() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    off(&site, node).await;
    let properties = json!({
        "target_iqn": "iqn", "auth_password": "calvin", "paths": [{"auth_password": "hobbes", "portal": "1.2.3.4:3260"}]
    });
    let masked = json!({
        "target_iqn": "iqn", "auth_password": "******", "paths": [{"auth_password": "******", "portal": "1.2.3.4:3260"}]
    });
    let body = json!({"node_uuid": node, "volume_type": "iscsi", "volume_id": "v", "boot_index": 0, "properties": properties});
    let made = site.call("POST", TARGETS, Some(body)).await.is(201).json();
    assert_eq!(made["properties"], masked);
    let uuid: Uuid = made["uuid"].as_str().unwrap().parse().unwrap();
    let url = format!("{TARGETS}/{uuid}");
    assert_eq!(site.get(&url).await.json()["properties"], masked);
    assert_eq!(
        site.get(&format!("{TARGETS}?fields=properties")).await.json()["targets"][0]["properties"],
        masked
    );
    site.call("PATCH", &url, replace("/properties", masked.clone())).await.is(200);
    site.call("PATCH", &url, replace("/volume_id", json!("w"))).await.is(200);
    let stored = site.store.volume_target_with_secrets(uuid).await.unwrap();
    assert_eq!(Value::Object(stored.properties), properties, "a mask that comes back keeps the secret");
    assert_eq!(stored.volume_id, "w");
    for path in ["/properties/auth_password/x", "/properties/x/y"] {
        let patch = Some(json!([{"op": "add", "path": path, "value": 1}]));
        let refused = site.call("PATCH", &url, patch).await.is(400);
        assert!(!refused.text.contains("calvin") && !refused.text.contains("hobbes"), "{}", refused.text);
    }
    let patch = replace("/properties/auth_password", json!("susie"));
    assert_eq!(site.call("PATCH", &url, patch).await.is(200).json()["properties"], masked);
    let stored = site.store.volume_target_with_secrets(uuid).await.unwrap();
    assert_eq!(stored.properties["auth_password"], "susie");
    let patch = Some(json!([{"op": "remove", "path": "/properties"}]));
    assert_eq!(site.call("PATCH", &url, patch).await.is(200).json()["properties"], json!({}));
    site.call("DELETE", &url, None).await.is(204);
}

#[tokio::test]
async fn a_boot_index_is_a_place_of_its_own() {
    let site = Site::new().await;
    let (node, other) = (site.node("n1").await, site.node("n2").await);
    off(&site, node).await;
    off(&site, other).await;
    let body = |node: Uuid, index: Value| json!({"node_uuid": node, "volume_type": "iscsi", "volume_id": "v", "boot_index": index});
    let first = create(&site, TARGETS, body(node, json!(0))).await;
    let twice = site.call("POST", TARGETS, Some(body(node, json!(0)))).await.is(409);
    assert_eq!(twice.fault(), "A volume target with boot index '0' for the same node already exists.");
    let foreign = create(&site, TARGETS, body(other, json!(0))).await;
    let moved = site.call("PATCH", &format!("{TARGETS}/{foreign}"), replace("/node_uuid", json!(node))).await;
    assert_eq!(
        moved.is(409).fault(),
        "A volume target with boot index '0' for the same node already exists."
    );
    let whole = site.call("POST", TARGETS, Some(body(node, json!(1.0)))).await.is(201).json();
    assert_eq!(whole["boot_index"], 1);
    for bad in [json!("1"), json!(1.5), json!(true), Value::Null] {
        let refused = site.call("POST", TARGETS, Some(body(node, bad))).await.is(400);
        assert!(refused.fault().ends_with("is not of type 'integer'"), "{}", refused.text);
    }
    site.call("POST", TARGETS, Some(body(node, json!(u64::MAX)))).await.is(400);
    site.call("POST", TARGETS, Some(body(node, json!(1e300)))).await.is(400);
    let same =
        json!({"uuid": first, "node_uuid": node, "volume_type": "i", "volume_id": "v", "boot_index": 5});
    let same = site.call("POST", TARGETS, Some(same)).await.is(409);
    assert_eq!(same.fault(), format!("A volume target with UUID {first} already exists."));
}

#[tokio::test]
async fn volumes_are_refused_in_the_contracts_words() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    off(&site, node).await;
    let uuid = create(&site, CONNECTORS, json!({"node_uuid": node, "type": "ip", "connector_id": "1"})).await;
    let url = format!("{CONNECTORS}/{uuid}");
    let strange = Uuid::new_v4();
    for (body, text) in [
        (json!({}), "Schema error for connector: 'connector_id' is a required property".to_owned()),
        (
            json!({"node_uuid": strange, "type": "ip", "connector_id": "2"}),
            format!("Invalid input for field/attribute node_uuid. Value: '{strange}'. "),
        ),
        (
            json!({"node_uuid": "n1", "type": "ip", "connector_id": "2"}),
            "Expected UUID for node_uuid: n1".into(),
        ),
    ] {
        assert_eq!(site.call("POST", CONNECTORS, Some(body)).await.is(400).fault(), text);
    }
    for (patch, text) in [
        (
            replace("/uuid", json!(strange)),
            "Cannot patch /uuid. Only the following can be updated: connector_id, extra, node_uuid, type",
        ),
        (replace("/node_uuid", json!("n1")), "Expected a UUID for node_uuid, but received n1."),
        (replace("/type", Value::Null), "Schema error for patch: None is not of type 'string'"),
    ] {
        assert_eq!(site.call("PATCH", &url, patch).await.is(400).fault(), text);
    }
    let moved = site.call("PATCH", &url, replace("/node_uuid", json!(strange))).await.is(400);
    assert_eq!(
        moved.fault(),
        format!("Unable to apply the requested node_uuid '{strange}'. Requested value was invalid.")
    );
    for (query, status, text) in [
        ("?fields=uuid&detail=True", 400, "Can't fetch a subset of fields with 'detail' set"),
        (
            "?fields=foo",
            400,
            "Schema error: 'foo' is not one of ['connector_id', 'created_at', 'extra', 'links', 'node_uuid', 'type', \
             'updated_at', 'uuid']",
        ),
        ("?sort_key=node_uuid", 400, "The sort_key value \"node_uuid\" is an invalid field for sorting"),
        ("?node=nope", 404, "Node nope could not be found."),
        ("/detail", 400, "Expected UUID for connector_uuid: detail"),
    ] {
        assert_eq!(site.get(&format!("{CONNECTORS}{query}")).await.is(status).fault(), text, "{query}");
    }
    for path in [CONNECTORS, TARGETS, &url] {
        site.at(31, "GET", path, None).await.is(404);
    }
    site.call("DELETE", "/v1/nodes/n1", None).await.is(204);
    assert_eq!(site.get(CONNECTORS).await.json(), json!({"connectors": []}), "a node takes them along");
}

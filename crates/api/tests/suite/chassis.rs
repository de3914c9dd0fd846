use crate::site::Site;
use serde_json::{Value, json};
use uuid::Uuid;

async fn chassis(site: &Site, description: &str) -> String {
    let body = json!({"description": description});
    let made = site.call("POST", "/v1/chassis", Some(body)).await.is(201).json();
    made["uuid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_chassis_is_made_shown_changed_and_deleted() {
    let site = Site::new().await;
    let body = json!({"description": "rack one", "extra": {"a": [1, null]}});
    let made = site.at(1, "POST", "/v1/chassis", Some(body)).await.is(201);
    let chassis = made.json();
    let uuid = chassis["uuid"].as_str().unwrap();
    let url = format!("/v1/chassis/{uuid}");
    assert_eq!(made.header("location"), format!("http://h:1{url}"));
    assert_eq!(chassis["extra"], json!({"a": [1, null]}));
    assert_eq!(chassis["updated_at"], Value::Null);
    assert_eq!(chassis["links"][0], json!({"href": format!("http://h:1{url}"), "rel": "self"}));
    assert_eq!(
        chassis["nodes"],
        json!([[
            {"href": format!("http://h:1{url}/nodes"), "rel": "self"},
            {"href": format!("http://h:1/chassis/{uuid}/nodes"), "rel": "bookmark"},
        ]]),
        "a list within a list, as Ironic has it"
    );
    assert_eq!(site.get(&url).await.is(200).json(), chassis);
    assert_eq!(site.get("/v1/chassis/detail").await.json()["chassis"], json!([chassis]));
    let row = &site.get("/v1/chassis").await.json()["chassis"][0];
    assert_eq!(row.as_object().map(|row| row.len()), Some(3));
    let patch =
        json!([{"op": "remove", "path": "/description"}, {"op": "add", "path": "/extra/b", "value": 2}]);
    let changed = site.call("PATCH", &url, Some(patch)).await.is(200).json();
    assert_eq!(changed["description"], Value::Null);
    assert_eq!(changed["extra"], json!({"a": [1, null], "b": 2}));
    assert!(changed["updated_at"].is_string());
    site.call("DELETE", &url, None).await.is(204);
    assert_eq!(site.get(&url).await.is(404).fault(), format!("Chassis {uuid} could not be found."));
}

#[tokio::test]
async fn chassis_are_refused_in_the_contracts_words() {
    let site = Site::new().await;
    let uuid = chassis(&site, "c").await;
    let url = format!("/v1/chassis/{uuid}");
    let other = Uuid::new_v4();
    let twice = site.call("POST", "/v1/chassis", Some(json!({"uuid": uuid}))).await.is(409);
    assert_eq!(twice.fault(), format!("A chassis with UUID {uuid} already exists."));
    for (body, text) in [
        (json!({"uuid": "x"}), "Expected UUID for uuid: x"),
        (
            json!({"foo": 1}),
            "Schema error for chassis: Additional properties are not allowed ('foo' was unexpected)",
        ),
        (json!({"extra": []}), "Schema error for chassis: [] is not of type 'object', 'null'"),
        (json!([]), "Schema error for chassis: [] is not of type 'object'"),
    ] {
        assert_eq!(site.call("POST", "/v1/chassis", Some(body)).await.is(400).fault(), text);
    }
    for (patch, text) in [
        (
            json!([{"op": "add", "path": "/foo", "value": 1}]),
            "Cannot patch /foo. Only the following can be updated: uuid, extra, description",
        ),
        (
            json!([{"op": "replace", "path": "/uuid", "value": other}]),
            "Cannot overwrite UUID for an existing Chassis.",
        ),
        (json!([{"op": "remove", "path": "/uuid"}]), "Cannot overwrite UUID for an existing Chassis."),
    ] {
        assert_eq!(site.call("PATCH", &url, Some(patch)).await.is(400).fault(), text);
    }
    let same = json!([{"op": "replace", "path": "/uuid", "value": uuid}]);
    site.call("PATCH", &url, Some(same)).await.is(200);
    for (query, status, text) in [
        ("?sort_dir=up", 400, "Schema error: 'up' is not one of ['asc', 'desc']"),
        ("?sort_key=extra", 400, "The sort_key value extra is an invalid field for sorting"),
        ("?sort_key=nodes", 400, "The sort_key value \"nodes\" is an invalid field for sorting"),
        (
            "?fields=foo",
            400,
            "Schema error: 'foo' is not one of ['created_at', 'description', 'extra', 'links', 'nodes', 'updated_at', 'uuid']",
        ),
        ("?foo=1", 400, "Unexpected arguments: foo"),
        ("/name", 400, "Expected UUID for chassis_uuid: name"),
    ] {
        assert_eq!(site.get(&format!("/v1/chassis{query}")).await.is(status).fault(), text, "{query}");
    }
    site.at(42, "GET", "/v1/chassis?detail=True", None).await.is(400);
    site.at(7, "GET", "/v1/chassis?fields=uuid", None).await.is(406);
}

#[tokio::test]
async fn chassis_are_walked_page_by_page() {
    let site = Site::new().await;
    for name in ["b", "c", "a"] {
        chassis(&site, name).await;
    }
    let mut url = "/v1/chassis?sort_key=description&limit=2".to_owned();
    let mut walked = Vec::new();
    loop {
        let page = site.get(&url).await.is(200).json();
        let rows = page["chassis"].as_array().unwrap();
        walked.extend(rows.iter().map(|row| row["description"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => {
                assert!(
                    next.contains(
                        "?sort_key=description&sort_dir=asc&fields=uuid,description&limit=2&marker="
                    )
                );
                url = next.replace("http://h:1", "");
            }
            None => break,
        }
    }
    assert_eq!(walked, ["a", "b", "c"]);
    let strange = Uuid::new_v4();
    site.get(&format!("/v1/chassis?marker={strange}")).await.is(404);
}

#[tokio::test]
async fn a_node_is_in_a_chassis_that_is_there_and_keeps_it() {
    let site = Site::new().await;
    let uuid = chassis(&site, "c").await;
    let empty = chassis(&site, "d").await;
    let strange = Uuid::new_v4();
    let body = |chassis: &str| json!({"driver": "fake-hardware", "name": "n1", "chassis_uuid": chassis});
    let refused = site.call("POST", "/v1/nodes", Some(body(&strange.to_string()))).await.is(400);
    assert_eq!(refused.fault(), format!("Chassis {strange} could not be found."));
    let node = site.call("POST", "/v1/nodes", Some(body(&uuid))).await.is(201).json();
    assert_eq!(node["chassis_uuid"], json!(uuid));
    let names = async |url: &str| {
        let list = site.get(url).await.is(200).json();
        list["nodes"].as_array().unwrap().iter().map(|node| node["name"].clone()).collect::<Vec<_>>()
    };
    site.node("n2").await;
    assert_eq!(names(&format!("/v1/chassis/{uuid}/nodes")).await, ["n1"]);
    assert_eq!(names(&format!("/v1/chassis/{uuid}/nodes/detail")).await, ["n1"]);
    assert_eq!(names(&format!("/v1/nodes?chassis_uuid={uuid}")).await, ["n1"]);
    assert!(names(&format!("/v1/chassis/{empty}/nodes")).await.is_empty());
    site.get(&format!("/v1/chassis/{strange}/nodes")).await.is(404);
    site.get(&format!("/v1/nodes?chassis_uuid={strange}")).await.is(404);
    site.get(&format!("/v1/chassis/{uuid}/nodes?chassis_uuid={empty}")).await.is(400);
    let url = format!("/v1/chassis/{uuid}");
    let full = site.call("DELETE", &url, None).await.is(400);
    assert_eq!(
        full.fault(),
        format!("Cannot complete the requested action because chassis {uuid} contains nodes.")
    );
    let to = |value: Value| Some(json!([{"op": "replace", "path": "/chassis_uuid", "value": value}]));
    let refused = site.call("PATCH", "/v1/nodes/n1", to(json!(strange))).await.is(400);
    assert_eq!(refused.fault(), format!("Chassis {strange} could not be found."));
    site.call("PATCH", "/v1/nodes/n1", to(json!(empty))).await.is(200);
    site.call("DELETE", &url, None).await.is(204);
    site.at(24, "PATCH", "/v1/nodes/n1", to(Value::Null)).await.is(406);
    site.call("PATCH", "/v1/nodes/n1", to(Value::Null)).await.is(200);
    site.call("DELETE", &format!("/v1/chassis/{empty}"), None).await.is(204);
}

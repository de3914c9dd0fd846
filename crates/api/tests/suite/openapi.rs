use crate::site::Site;
use api::auth::{Auth, PasswordFile};
use serde_json::{Value, json};

#[tokio::test]
async fn the_document_is_public_the_same_for_all_and_describes_what_is_served() {
    let site = Site::new().await;
    let document = site.get("/openapi.json").await.is(200);
    assert_eq!(document.header("content-type"), "application/json");
    // `.json` is part of this path, also for clients for which it is a suffix elsewhere.
    assert_eq!(site.at(1, "GET", "/openapi.json", None).await.is(200).text, document.text);
    let document = document.json();
    assert_eq!(document["openapi"], "3.1.1");
    let create = &document["paths"]["/v1/nodes"]["post"];
    assert_eq!(create["x-openstack-policy"], "baremetal:node:create");
    let body = &create["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["required"], json!(["driver"]));
    assert_eq!(body["properties"]["owner"]["x-openstack-min-microversion"], "1.50");
    site.call("GET", "/openapi.json?x=1", None).await.is(400);
    site.call("POST", "/openapi.json", None).await.is(405);
}

#[tokio::test]
async fn the_document_says_what_callers_must_show() {
    let open = Site::new().await.get("/openapi.json").await.json();
    assert_eq!(open["security"], json!([]));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("htpasswd");
    std::fs::write(&path, "").unwrap();
    let guarded = Site::with(Auth::Basic(PasswordFile::open(&path).unwrap())).await;
    let document = guarded.get("/openapi.json").await.is(200).json();
    assert_eq!(document["security"], json!([{"basic": []}]));
    assert_eq!(document["components"]["securitySchemes"]["basic"]["scheme"], "basic");
    assert_eq!(document["paths"]["/v1"]["get"]["security"], json!([]), "discovery is open to all");
}

/// The fields of a real answer are those of its schema: none is missing at the newest microversion, none is more.
#[tokio::test]
async fn resources_look_as_their_schemas_say() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    let port = json!({"node_uuid": uuid, "address": "52:54:00:00:00:01"});
    let port = site.call("POST", "/v1/ports", Some(port)).await.is(201).json();
    let node = site.get("/v1/nodes/n1").await.json();
    let document = site.get("/openapi.json").await.json();
    for (name, value) in [("Node", node), ("Port", port)] {
        let schema = document["components"]["schemas"][name]["properties"].as_object().unwrap();
        let shown = value.as_object().unwrap();
        assert!(schema.keys().eq(shown.keys()), "{name}");
        for (field, value) in shown {
            let kind = match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "integer",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            let types = &schema[field]["type"];
            assert!(
                types == kind || types.as_array().is_some_and(|all| all.contains(&kind.into())),
                "{field}"
            );
        }
    }
}

use crate::site::Site;
use jiff::Timestamp;
use model::bios::BiosSetting;
use serde_json::{Value, json};
use store::{Guard, StoreError};
use uuid::Uuid;

async fn with_settings(site: &Site) -> Uuid {
    let node = site.node("n1").await;
    let now = Timestamp::from_second(5).unwrap();
    let mut known = BiosSetting::new(Uuid::new_v4(), node, "Virt", Some("on".into()), now);
    known.registry.attribute_type = Some("Enumeration".into());
    known.registry.allowable_values = vec!["on".into(), "off".into()];
    known.registry.unique = Some(false);
    let plain = BiosSetting::new(Uuid::new_v4(), node, "Asset", None, now);
    site.store
        .edit_node(node, Guard::Any, now, |edit| {
            edit.bios = Some(vec![known, plain]);
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    node
}

#[tokio::test]
async fn settings_are_listed_by_name_with_what_was_asked_for() {
    let site = Site::new().await;
    let uuid = with_settings(&site).await;
    let rows = site.get("/v1/nodes/n1/bios").await.is(200).json();
    assert_eq!(
        rows["bios"][1],
        json!({
            "name": "Virt", "value": "on", "created_at": "1970-01-01T00:00:05+00:00", "updated_at": null,
            "links": [
                {"href": "http://h:1/v1/nodes/n1/bios/Virt", "rel": "self"},
                {"href": "http://h:1/nodes/n1/bios/Virt", "rel": "bookmark"},
            ],
        })
    );
    assert_eq!((&rows["bios"][0]["name"], &rows["bios"][0]["value"]), (&json!("Asset"), &Value::Null));
    let detail = site.get("/v1/nodes/n1/bios?detail=true").await.is(200).json();
    assert_eq!(detail["bios"][1]["allowable_values"], json!(["on", "off"]));
    assert_eq!(detail["bios"][0]["allowable_values"], json!([]));
    assert_eq!(detail["bios"][0].as_object().unwrap().len(), 14);
    let some = site.get("/v1/nodes/n1/bios?fields=value,unique").await.is(200).json();
    let mut keys: Vec<_> = some["bios"][0].as_object().unwrap().keys().cloned().collect();
    keys.sort_unstable();
    assert_eq!(keys, ["created_at", "links", "unique", "updated_at", "value"]);
    let one = site.get("/v1/nodes/n1/bios/Virt").await.is(200).json();
    assert_eq!(one["Virt"]["attribute_type"], "Enumeration");
    assert_eq!(one["Virt"]["links"][0]["href"], format!("http://h:1/v1/nodes/{uuid}/bios/Virt"));
}

#[tokio::test]
async fn older_versions_have_less_and_refuse_more() {
    let site = Site::new().await;
    let uuid = with_settings(&site).await;
    site.at(39, "GET", "/v1/nodes/n1/bios", None).await.is(404);
    site.at(39, "GET", "/v1/nodes/n1/bios/Virt", None).await.is(404);
    let one = site.at(73, "GET", "/v1/nodes/n1/bios/Virt", None).await.is(200).json();
    assert!(one["Virt"].get("attribute_type").is_none());
    for name in ["detail", "fields"] {
        assert_eq!(
            site.at(73, "GET", &format!("/v1/nodes/n1/bios?{name}=true"), None).await.is(400).fault(),
            format!("Schema error: Additional properties are not allowed ('{name}' was unexpected)")
        );
    }
    let unknown = site.get("/v1/nodes/n1/bios?fields=foo").await.is(400).fault();
    assert!(unknown.starts_with("Schema error: 'foo' is not one of ['allowable_values', "), "{unknown}");
    assert_eq!(
        site.get("/v1/nodes/n1/bios?fields=name&detail=true").await.is(400).fault(),
        "Can not specify ?detail=True and fields in the same request."
    );
    assert_eq!(
        site.get("/v1/nodes/n1/bios/foo").await.is(404).fault(),
        format!("Node {uuid} doesn't have a BIOS setting 'foo'")
    );
}

use crate::site::Site;
use jiff::Timestamp;
use model::firmware::FirmwareComponent;
use serde_json::json;
use store::{Guard, StoreError};
use uuid::Uuid;

#[tokio::test]
async fn components_are_listed_with_the_fields_of_the_version() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let now = Timestamp::from_second(5).unwrap();
    let mut bmc = FirmwareComponent::new(Uuid::new_v4(), node, "bmc", "1.0", now);
    bmc.flash("1.1", now);
    bmc.vendor = Some("Acme".into());
    let bios = FirmwareComponent::new(Uuid::new_v4(), node, "bios", "7", now);
    site.store
        .edit_node(node, Guard::Any, now, |edit| {
            edit.firmware = Some(vec![bmc, bios]);
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    let url = "/v1/nodes/n1/firmware";
    let old = site.at(113, "GET", url, None).await.is(200).json();
    assert_eq!(
        old["firmware"][1],
        json!({
            "component": "bmc", "initial_version": "1.0", "current_version": "1.1", "last_version_flashed": "1.1",
            "created_at": "1970-01-01T00:00:05+00:00", "updated_at": "1970-01-01T00:00:05+00:00",
        })
    );
    assert_eq!(old["firmware"][0]["component"], "bios");
    for path in [url.to_owned(), format!("{url}?detail=true")] {
        let row = site.get(&path).await.is(200).json()["firmware"][1].clone();
        assert_eq!((row.as_object().unwrap().len(), &row["vendor"]), (9, &json!("Acme")));
    }
    let some = site.get(&format!("{url}?fields=vendor")).await.is(200).json();
    assert_eq!(some["firmware"][0].as_object().unwrap().len(), 3);
    assert_eq!(
        site.at(113, "GET", &format!("{url}?fields=vendor,component,model"), None).await.is(400).fault(),
        "Fields model, vendor are not allowed in this API version. They require at least API version 1.114."
    );
    let unknown = site.get(&format!("{url}?fields=foo")).await.is(400).fault();
    assert!(unknown.starts_with("Schema error: 'foo' is not one of ['created_at', "), "{unknown}");
    site.at(85, "GET", url, None).await.is(404);
    site.get("/v1/nodes/nope/firmware").await.is(404);
}

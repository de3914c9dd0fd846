use crate::site::Site;
use model::node::InterfaceKind;
use serde_json::json;

const URL: &str = "/v1/nodes/n1/states/raid";

#[tokio::test]
async fn a_target_is_kept_and_taken_back() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    let target = json!({"logical_disks": [
        {"raid_level": "1", "size_gb": 50, "is_root_volume": true, "volume_name": "root"},
        {"raid_level": "5+0", "size_gb": "MAX", "controller": "c", "physical_disks": ["a", "b"]},
    ]});
    assert_eq!(site.call("PUT", URL, Some(target.clone())).await.is(204).text, "");
    let states = site.get("/v1/nodes/n1/states").await.json();
    assert_eq!((&states["target_raid_config"], &states["raid_config"]), (&target, &json!({})));
    site.edit(uuid, |node| node.interfaces.set(InterfaceKind::Raid, "no-raid")).await;
    let refused = site.call("PUT", URL, Some(target)).await.is(404);
    assert_eq!(refused.fault(), "Driver fake-hardware does not support raid (disabled or not implemented).");
    for body in [Some(json!({})), None] {
        site.call("PUT", URL, body).await.is(204);
        assert_eq!(site.get("/v1/nodes/n1").await.json()["target_raid_config"], json!({}));
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_changes_nothing() {
    let site = Site::new().await;
    site.node("n1").await;
    let disk = json!({"logical_disks": [{"raid_level": "1", "size_gb": 50}]});
    site.call("PUT", URL, Some(disk.clone())).await.is(204);
    for (body, text) in [
        (json!([]), "Expected types <class 'dict'> for target_raid_config: []"),
        (json!("x"), "Expected types <class 'dict'> for target_raid_config: x"),
        (json!({"foo": 1}), "RAID config validation error: 'logical_disks' is a required property"),
        (
            json!({"logical_disks": [{"raid_level": "1", "size_gb": 2.0}]}),
            "RAID config validation error: 2.0 is not valid under any of the given schemas",
        ),
    ] {
        assert_eq!(site.call("PUT", URL, Some(body)).await.is(400).fault(), text);
    }
    let newer = site.at(11, "PUT", URL, Some(disk.clone())).await.is(406).fault();
    assert!(newer.starts_with("Request not acceptable."), "{newer}");
    let extra = site.call("PUT", &format!("{URL}?x=1"), Some(disk.clone())).await.is(400).fault();
    assert_eq!(extra, "Unexpected arguments: x");
    site.call("PUT", "/v1/nodes/nope/states/raid", Some(disk.clone())).await.is(404);
    assert_eq!(site.get("/v1/nodes/n1/states").await.json()["target_raid_config"], disk);
}

#[tokio::test]
async fn drivers_tell_what_a_logical_disk_may_have() {
    let site = Site::new().await;
    for driver in ["fake-hardware", "ipmi"] {
        let url = format!("/v1/drivers/{driver}/raid/logical_disk_properties");
        let rows = site.get(&url).await.is(200).json();
        let rows = rows.as_object().unwrap();
        assert_eq!(rows.len(), 10);
        assert!(rows.values().all(|text| {
            text.as_str().is_some_and(|text| text.contains("equired") || text.contains("ptional"))
        }));
        site.at(11, "GET", &url, None).await.is(406);
    }
    let nobody = site.get("/v1/drivers/nope/raid/logical_disk_properties").await.is(404);
    assert_eq!(nobody.fault(), "The driver 'nope' is unknown.");
}

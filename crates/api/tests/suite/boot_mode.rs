use crate::site::Site;
use model::state::ProvisionState;
use serde_json::{Value, json};

#[tokio::test]
async fn a_change_that_the_hardware_can_not_make_is_told_in_last_error() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    let put = async |what: &str, target: Value| {
        let url = format!("/v1/nodes/n1/states/{what}");
        let answer = site.call("PUT", &url, Some(json!({"target": target}))).await.is(202);
        assert_eq!(answer.header("location"), "http://h:1/v1/nodes/n1/states");
        site.work(uuid).await.last_error.unwrap()
    };
    assert_eq!(
        put("boot_mode", json!("uefi")).await,
        "Failed to change boot mode to 'uefi: Driver fake-hardware does not support set_boot_mode (disabled or not implemented)."
    );
    for target in [json!(true), json!("yes"), json!(1)] {
        assert_eq!(
            put("secure_boot", target).await,
            "Failed to change secure_boot state to 'True': Driver fake-hardware does not support set_secure_boot_state \
             (disabled or not implemented)."
        );
    }
    let states = site.get("/v1/nodes/n1/states").await.json();
    assert_eq!((&states["boot_mode"], &states["secure_boot"]), (&Value::Null, &Value::Null));
    assert!(site.at(74, "GET", "/v1/nodes/n1/states", None).await.json().get("boot_mode").is_none());
}

#[tokio::test]
async fn wishes_are_checked_before_they_are_recorded() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    let (mode, secure) = ("/v1/nodes/n1/states/boot_mode", "/v1/nodes/n1/states/secure_boot");
    for (url, body, text) in [
        (mode, json!({}), "Missing mandatory parameter: target"),
        (
            mode,
            json!({"target": "x"}),
            "Invalid boot mode x requested for node. Allowed boot modes are: bios, uefi",
        ),
        (
            mode,
            json!({"target": null}),
            "Invalid boot mode None requested for node. Allowed boot modes are: bios, uefi",
        ),
        (mode, json!({"target": 1}), "Expected string for target: 1"),
        (mode, json!({"target": "uefi", "x": 1}), "Unexpected arguments: x"),
        (
            secure,
            json!({"target": null}),
            "Invalid secure_boot None requested for node. Allowed secure_boot states are: True, False) ",
        ),
    ] {
        assert_eq!(site.call("PUT", url, Some(body)).await.is(400).fault(), text);
    }
    site.call("PUT", secure, Some(json!({"target": "x"}))).await.is(400);
    site.at(75, "PUT", mode, Some(json!({"target": "uefi"}))).await.is(404);
    site.call("PUT", "/v1/nodes/nope/states/boot_mode", Some(json!({"target": "uefi"}))).await.is(404);
    site.edit(uuid, |node| node.provision_state = ProvisionState::CleanWait).await;
    let busy = site.call("PUT", mode, Some(json!({"target": "uefi"}))).await.is(409).fault();
    assert!(busy.starts_with("Node is in clean wait state. Since node is transitioning"), "{busy}");
    assert_eq!(site.store.node("n1").await.unwrap().node.errand, None);
}

#[tokio::test]
async fn ipmi_without_an_address_is_refused_at_once() {
    let site = Site::new().await;
    site.call("POST", "/v1/nodes", Some(json!({"driver": "ipmi", "name": "n1"}))).await.is(201);
    let refused = site.call("PUT", "/v1/nodes/n1/states/boot_mode", Some(json!({"target": "uefi"}))).await;
    assert_eq!(
        refused.is(400).fault(),
        "Missing the following IPMI credentials in node's driver_info: ['ipmi_address']."
    );
}

#[tokio::test]
async fn one_wish_at_a_time() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    let url = "/v1/nodes/n1/states/boot_mode";
    site.call("PUT", url, Some(json!({"target": "uefi"}))).await.is(202);
    let second = site.call("PUT", url, Some(json!({"target": "bios"}))).await.is(409);
    assert_eq!(
        second.fault(),
        format!("Node {uuid} is locked by host seed, please retry after the current operation is completed.")
    );
}

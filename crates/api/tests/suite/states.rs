use crate::site::Site;
use model::state::ProvisionState;
use serde_json::{Value, json};

#[tokio::test]
async fn a_verb_is_accepted_and_points_to_the_states() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    let url = "/v1/nodes/n1/states/provision";
    let accepted = site.call("PUT", url, Some(json!({"target": "manage"}))).await.is(202);
    assert_eq!(accepted.header("location"), "http://h:1/v1/nodes/n1/states");
    assert_eq!(accepted.text, "");
    let states = site.get("/v1/nodes/n1/states").await.is(200).json();
    assert_eq!(states["provision_state"], "verifying");
    assert_eq!(states["target_provision_state"], "manageable");
    assert!(states["provision_updated_at"].is_string());
    assert!(
        site.at(11, "GET", &format!("/v1/nodes/{uuid}/states"), None)
            .await
            .json()
            .get("raid_config")
            .is_none()
    );
    assert_eq!(states["raid_config"], json!({}));
}

#[tokio::test]
async fn verbs_are_refused_by_version_then_state_then_form() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    let url = format!("/v1/nodes/{uuid}/states/provision");
    let put = async |minor: u16, body: Value| site.at(minor, "PUT", &url, Some(body)).await;
    let wrong = |verb: &str, state: &str| {
        format!(
            "The requested action \"{verb}\" can not be performed on node \"{uuid}\" while it is in state \"{state}\"."
        )
    };
    assert_eq!(put(115, json!({})).await.is(400).fault(), "Missing mandatory parameter: target");
    assert_eq!(put(115, json!({"target": "foo"})).await.is(400).fault(), wrong("foo", "enroll"));
    assert_eq!(put(115, json!({"target": "done"})).await.is(400).fault(), wrong("done", "enroll"));
    assert_eq!(put(115, json!({"target": "provide"})).await.is(400).fault(), wrong("provide", "enroll"));
    assert_eq!(put(115, json!({"target": "clean"})).await.is(400).fault(), wrong("clean", "enroll"));
    put(3, json!({"target": "manage"})).await.is(406);
    put(115, json!({"target": "manage", "foo": 1})).await.is(400);
    site.edit(uuid, |node| node.provision_state = ProvisionState::Manageable).await;
    for (minor, body, status) in [
        (5, json!({"target": "inspect"}), 406),
        (14, json!({"target": "clean"}), 406),
        (16, json!({"target": "adopt"}), 406),
        (115, json!({"target": "clean"}), 400),
        (115, json!({"target": "clean", "clean_steps": []}), 400),
        (115, json!({"target": "clean", "clean_steps": "x"}), 400),
        (115, json!({"target": "clean", "clean_steps": [{"interface": "deploy"}]}), 400),
        (115, json!({"target": "clean", "clean_steps": [{"interface": "vendor", "step": "send_raw"}]}), 400),
        (
            69,
            json!({"target": "clean", "clean_steps": [{"interface": "deploy", "step": "x"}], "disable_ramdisk": true}),
            406,
        ),
        (115, json!({"target": "provide", "clean_steps": [{"interface": "deploy", "step": "x"}]}), 400),
        (115, json!({"target": "provide", "rescue_password": "x"}), 400),
        (115, json!({"target": "provide", "configdrive": "aGk="}), 400),
        (115, json!({"target": "provide", "disable_ramdisk": true}), 400),
        (91, json!({"target": "provide", "runbook": "x"}), 406),
        (115, json!({"target": "provide", "runbook": "x"}), 404),
    ] {
        put(minor, body.clone()).await.is(status);
        assert_eq!(
            site.get(&format!("/v1/nodes/{uuid}")).await.json()["provision_state"],
            "manageable",
            "{body}"
        );
    }
    site.edit(uuid, |node| node.provision_state = ProvisionState::Active).await;
    put(37, json!({"target": "rescue", "rescue_password": "x"})).await.is(406);
    assert!(
        put(115, json!({"target": "rescue", "rescue_password": " "}))
            .await
            .is(400)
            .fault()
            .contains("non-empty")
    );
    put(86, json!({"target": "service", "service_steps": [{"interface": "deploy", "step": "x"}]}))
        .await
        .is(406);
    put(72, json!({"target": "undeploy"})).await.is(406);
    put(115, json!({"target": "rebuild", "configdrive": {"nope": 1}})).await.is(400);
    site.edit(uuid, |node| node.maintenance = true).await;
    assert!(
        put(115, json!({"target": "rebuild"})).await.is(400).fault().contains("it's in maintenance mode")
    );
    site.edit(uuid, |node| node.provision_state = ProvisionState::DeployWait).await;
    put(109, json!({"target": "abort"})).await.is(406);
    put(12, json!({"target": "abort"})).await.is(406);
}

#[tokio::test]
async fn power_is_recorded_or_refused() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    let url = "/v1/nodes/n1/states/power";
    let accepted = site.call("PUT", url, Some(json!({"target": "power on"}))).await.is(202);
    assert_eq!(accepted.header("location"), "http://h:1/v1/nodes/n1/states");
    for (minor, body, status) in [
        (115, json!({}), 400),
        (115, json!({"target": "foo"}), 400),
        (115, json!({"target": "power on", "timeout": 0}), 400),
        (115, json!({"target": "power on", "timeout": -1}), 400),
        (115, json!({"target": "power on", "timeout": "x"}), 400),
        (26, json!({"target": "power on", "timeout": 5}), 406),
        (26, json!({"target": "soft rebooting"}), 406),
    ] {
        site.at(minor, "PUT", url, Some(body)).await.is(status);
    }
    site.edit(uuid, |node| {
        node.disable_power_off = true;
        node.target_power_state = None;
    })
    .await;
    let kept = site.call("PUT", url, Some(json!({"target": "power off"}))).await.is(409);
    assert_eq!(kept.fault(), "Failed to set node power state to power off.");
    site.edit(uuid, |node| node.provision_state = ProvisionState::CleanWait).await;
    let busy = site.call("PUT", url, Some(json!({"target": "power on"}))).await.is(400);
    assert_eq!(
        busy.fault(),
        "The requested action \"power on\" can not be performed on node \"n1\" while it is in state \"clean wait\"."
    );
}

#[tokio::test]
async fn boot_device_and_validation_answer() {
    let site = Site::new().await;
    site.node("n1").await;
    let url = "/v1/nodes/n1/management/boot_device";
    assert_eq!(
        site.get(&format!("{url}/supported")).await.is(200).json()["supported_boot_devices"],
        json!(["pxe"])
    );
    assert_eq!(site.get(url).await.is(200).json(), json!({"boot_device": "pxe", "persistent": false}));
    site.call("PUT", url, Some(json!({"boot_device": "pxe", "persistent": "yes"}))).await.is(204);
    assert_eq!(site.get(url).await.is(200).json(), json!({"boot_device": "pxe", "persistent": true}));
    let refused = site.call("PUT", url, Some(json!({"boot_device": "foo"}))).await.is(400);
    assert_eq!(refused.fault(), "Invalid boot device foo specified.");
    site.call("PUT", url, Some(json!({}))).await.is(400);
    for path in ["/v1/nodes/n1/validate", "/v1/nodes/validate?node=n1"] {
        let rows = site.get(path).await.is(200).json();
        assert_eq!(rows.as_object().map(|rows| rows.len()), Some(12));
        assert_eq!(rows["power"], json!({"result": true}), "no reason where all is well");
        assert!(rows.get("vendor").is_none());
    }
}

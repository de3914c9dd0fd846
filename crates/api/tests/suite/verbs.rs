//! Runbooks in verbs, steps on children, and the ramdisk's report of what it found.

use crate::site::Site;
use model::state::ProvisionState as S;
use serde_json::json;

#[tokio::test]
async fn a_runbook_is_run_on_nodes_that_have_one_of_its_traits() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    site.edit(node, |node| node.provision_state = S::Manageable).await;
    let steps = json!([{"interface": "bios", "step": "factory_reset", "args": {}, "order": 1}]);
    let made = site
        .call("POST", "/v1/runbooks", Some(json!({"name": "CUSTOM_RESET", "steps": steps})))
        .await
        .is(201);
    let runbook = made.json()["uuid"].as_str().unwrap().to_owned();
    let path = "/v1/nodes/n1/states/provision";
    let ask = |target: &str| Some(json!({"target": target, "runbook": runbook}));

    site.at(91, "PUT", path, ask("clean")).await.is(406);
    let refused = site.at(111, "PUT", path, ask("clean")).await.is(400).fault();
    assert!(
        refused.starts_with(&format!("This runbook has not been approved for use on this node {node}.")),
        "{refused}"
    );
    assert_eq!(
        site.call("PUT", path, Some(json!({"target": "clean", "runbook": "CUSTOM_NONE"})))
            .await
            .is(404)
            .fault(),
        "Runbook CUSTOM_NONE could not be found."
    );
    site.edit(node, |node| {
        node.traits.insert("CUSTOM_RESET".into());
    })
    .await;
    let both =
        json!({"target": "clean", "runbook": runbook, "clean_steps": [{"interface": "bios", "step": "x"}]});
    assert_eq!(
        site.at(111, "PUT", path, Some(both)).await.is(400).fault(),
        "Please provide either \"clean_steps\" or a runbook, but not both."
    );
    assert_eq!(
        site.at(111, "PUT", path, ask("inspect")).await.is(400).fault(),
        "\"runbooks\" is only valid when setting target provision state to any of ['clean', 'service']"
    );
    site.at(111, "PUT", path, ask("clean")).await.is(202);
    let shown = site.get("/v1/nodes/n1").await.json();
    assert_eq!(shown["provision_state"], "cleaning");
    assert_eq!(
        shown["driver_internal_info"]["clean_steps"],
        json!([{"interface": "bios", "step": "factory_reset"}])
    );
}

#[tokio::test]
async fn steps_on_children_name_them_by_uuid() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    site.edit(node, |node| node.provision_state = S::Manageable).await;
    let ask = |child: &str| {
        let step = json!({
            "interface": "power", "step": "power_on", "execute_on_child_nodes": true, "limit_child_node_execution": [child],
        });
        Some(json!({"target": "clean", "clean_steps": [step]}))
    };
    let path = "/v1/nodes/n1/states/provision";
    let refused = site.call("PUT", path, ask("somebody")).await.is(400).fault();
    assert!(
        refused.contains("Invalid entry detected for execute_on_child_node parameter in step power_on."),
        "{refused}"
    );
    site.call("PUT", path, ask(&node.to_string())).await.is(202);
}

#[tokio::test]
async fn a_report_is_taken_from_the_node_that_is_inspected_and_from_nobody_else() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let port = json!({"address": "52:54:00:aa:00:01", "node_uuid": node});
    site.call("POST", "/v1/ports", Some(port)).await.is(201);
    let inventory = json!({
        "interfaces": [{"name": "eth0", "mac_address": "52:54:00:AA:00:01", "ipv4_address": "10.0.0.1"}],
        "cpu": {"architecture": "aarch64", "count": 2}, "boot": {"pxe_interface": "52:54:00:aa:00:01"},
    });
    let body = || Some(json!({"inventory": inventory, "extra_thing": [1]}));
    let path = "/v1/continue_inspection";

    let none = site.get("/v1/nodes/n1/inventory").await.is(404).fault();
    assert_eq!(none, format!("Node inventory record for node {node} could not be found."));
    site.at(80, "GET", "/v1/nodes/n1/inventory", None).await.is(404);
    assert_eq!(
        site.at(83, "POST", path, body()).await.is(404).fault(),
        "API version 1.84 or newer is required"
    );
    site.at(1, "POST", &format!("{path}?node_uuid={node}"), body()).await.is(404);
    for wrong in [
        json!({}),
        json!({"inventory": {}}),
        json!({"inventory": {"interfaces": [{}]}}),
        json!({"inventory": 7}),
    ] {
        let refused = site.at(84, "POST", path, Some(wrong.clone())).await.is(400).fault();
        assert!(refused.starts_with("Schema error for data: "), "{wrong}: {refused}");
    }
    let nothing = json!({"inventory": {"interfaces": [{"mac_address": "x"}]}});
    assert_eq!(
        site.at(84, "POST", path, Some(nothing)).await.is(400).fault(),
        "No lookup information provided"
    );
    assert_eq!(site.at(84, "POST", path, body()).await.is(404).fault(), "Resource could not be found.");

    let awaited = |node: &mut model::node::Node| {
        node.provision_state = S::InspectWait;
        node.target_provision_state = Some(S::Manageable);
        node.interfaces.set(model::node::InterfaceKind::Inspect, "agent");
    };
    site.edit(node, awaited).await;
    let other = uuid::Uuid::new_v4();
    site.at(84, "POST", &format!("{path}?node_uuid={other}"), body()).await.is(404);
    assert_eq!(site.at(1, "POST", path, body()).await.is(202).json(), json!({"uuid": node}));
    site.at(84, "POST", path, body()).await.is(404);
    let done =
        site.work_until(node, |node| !matches!(node.provision_state, S::InspectWait | S::Inspecting)).await;
    assert_eq!((done.provision_state, done.last_error), (S::Manageable, None));
    let found = site.get("/v1/nodes/n1/inventory").await.is(200).json();
    assert_eq!(found["inventory"], inventory, "it comes back as it was sent");
    assert_eq!(found["plugin_data"]["extra_thing"], json!([1]));

    site.edit(node, awaited).await;
    let told = site.at(84, "POST", &format!("{path}?node_uuid={node}"), body()).await.is(202).json();
    assert_eq!(told["node"]["uuid"], json!(node));
    assert!(told["config"]["agent_token"].as_str().unwrap().len() > 32);
}

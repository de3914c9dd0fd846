use crate::site::Site;
use serde_json::{Value, json};

fn step() -> Value {
    json!({"interface": "deploy", "step": "x", "args": {"a": 1, "password": "s3cr3t"}, "priority": "80"})
}

#[tokio::test]
async fn a_template_is_made_found_changed_and_deleted() {
    let site = Site::new().await;
    let uuid = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123";
    let body =
        json!({"name": "CUSTOM_A", "steps": [step()], "extra": {"k": 1}, "uuid": uuid, "description": "d"});
    let made = site.call("POST", "/v1/deploy_templates", Some(body)).await.is(201);
    assert_eq!(made.header("location"), format!("http://h:1/v1/deploy_templates/{uuid}"));
    let made = made.json();
    let keys: Vec<_> = made.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["created_at", "extra", "links", "name", "steps", "updated_at", "uuid"]);
    assert_eq!(
        made["steps"],
        json!([{"interface": "deploy", "step": "x", "args": {"a": 1, "password": "******"}, "priority": 80}])
    );
    assert_eq!(site.get("/v1/deploy_templates/CUSTOM_A").await.is(200).json(), made);
    let list = site.get("/v1/deploy_templates").await.is(200).json();
    assert_eq!(list["deploy_templates"][0].as_object().map(|row| row.len()), Some(3));
    assert_eq!(site.get("/v1/deploy_templates?detail=true").await.json()["deploy_templates"], json!([made]));
    assert!(
        site.get("/v1/deploy_templates?limit=1").await.json()["next"]
            .as_str()
            .unwrap()
            .contains("fields=uuid,name")
    );
    let patch = async |operations: Value| {
        site.call("PATCH", &format!("/v1/deploy_templates/{uuid}"), Some(operations)).await
    };
    let changed = patch(json!([
        {"op": "replace", "path": "/name", "value": "HW_CPU_X86_VMX"},
        {"op": "remove", "path": "/extra"},
        {"op": "replace", "path": "/steps/0/priority", "value": 5},
        {"op": "add", "path": "/steps/-", "value": {"interface": "raid", "step": "y", "args": {}, "priority": 1}}
    ]))
    .await
    .is(200)
    .json();
    assert_eq!((&changed["name"], &changed["extra"]), (&json!("HW_CPU_X86_VMX"), &json!({})));
    assert_eq!(changed["steps"][0]["priority"], 5);
    assert!(changed["updated_at"].is_string());
    let stored: model::deploy_template::DeployTemplate = site.store.get(uuid).await.unwrap();
    assert_eq!(stored.steps[0].args["password"], "s3cr3t", "the mask that came back kept the secret");
    for (operations, text) in [
        (json!([{"op": "remove", "path": "/name"}]), "Schema error for patch: 'name' is a required property"),
        (
            json!([{"op": "replace", "path": "/steps", "value": []}]),
            "Schema error for patch: [] should be non-empty",
        ),
        (
            json!([{"op": "replace", "path": "/steps/0/priority", "value": -5}]),
            "Schema error for patch: -5 is less than the minimum of 0",
        ),
        (
            json!([{"op": "replace", "path": "/uuid", "value": uuid}]),
            "Cannot patch /uuid. Only the following can be updated: extra, name, steps, description",
        ),
        (
            json!([{"op": "add", "path": "/description", "value": "d"}]),
            "Adding a new attribute (/description) to the root of the resource is not allowed",
        ),
        (
            json!([{"op": "remove", "path": "/steps/7"}]),
            "Couldn't apply patch '{'op': 'remove', 'path': '/steps/7'}'. Reason: can't remove a non-existent object '7'",
        ),
    ] {
        assert_eq!(patch(operations).await.is(400).fault(), text);
    }
    let name = "/v1/deploy_templates/HW_CPU_X86_VMX";
    site.call("DELETE", name, None).await.is(204);
    assert_eq!(
        site.call("DELETE", name, None).await.is(404).fault(),
        "Deploy template HW_CPU_X86_VMX could not be found."
    );
}

#[tokio::test]
async fn bad_templates_are_refused_in_the_contracts_words() {
    let site = Site::new().await;
    let post = async |body: Value| site.call("POST", "/v1/deploy_templates", Some(body)).await;
    let good = json!({"name": "CUSTOM_A", "steps": [step()]});
    post(good.clone()).await.is(201);
    assert_eq!(post(good).await.is(409).fault(), "A deploy template with name CUSTOM_A already exists.");
    let with = |steps: Value| json!({"name": "CUSTOM_B", "steps": steps});
    let but = |key: &str, value: Value| {
        let mut step = step();
        step[key] = value;
        with(json!([step]))
    };
    for (body, text) in [
        (json!({"name": "CUSTOM_B"}), "Schema error for template: 'steps' is a required property"),
        (json!({"steps": [step()]}), "Schema error for template: 'name' is a required property"),
        (with(json!([])), "Schema error for template: [] should be non-empty"),
        (with(json!("x")), "Schema error for template: 'x' is not of type 'array'"),
        (with(json!(["x"])), "Schema error for template: 'x' is not of type 'object'"),
        (
            with(json!([step(), step()])),
            "Deploy template invalid: Duplicate deploy steps. A template cannot have multiple deploy steps with the same \
             interface and step. Duplicates: interface: deploy, step: x.",
        ),
        (
            but("interface", json!("network")),
            "Schema error for template: 'network' is not one of ['vendor', 'power', 'management', 'firmware', 'deploy', \
             'bios', 'raid']",
        ),
        (but("step", json!("")), "Schema error for template: '' should be non-empty"),
        (but("args", json!([])), "Schema error for template: [] is not of type 'object'"),
        (but("priority", json!(-1)), "Schema error for template: -1 is less than the minimum of 0"),
        (but("priority", json!("x")), "Schema error for template: 'x' does not match '^[0-9]+$'"),
        (
            but("order", json!(1)),
            "Schema error for template: Additional properties are not allowed ('order' was unexpected)",
        ),
        (
            json!({"name": "b", "steps": [step()]}),
            "Schema error for template: 'b' is not valid under any of the given schemas. Possible root cause: 'b' does not \
             match '^CUSTOM_[A-Z0-9_]+$'",
        ),
        (json!({"name": "CUSTOM_B", "steps": [step()], "uuid": "xx"}), "Expected UUID for uuid: xx"),
    ] {
        assert_eq!(post(body).await.is(400).fault(), text);
    }
    for (path, status) in [
        ("?fields=foo", 400),
        ("?foo=1", 400),
        ("?detail=true&fields=name", 400),
        ("?sort_key=steps", 400),
        ("?marker=2be26c0b-03f2-4d2e-ae87-c02d7f33c123", 404),
        ("/nope", 404),
        ("/no%20pe", 400),
    ] {
        site.get(&format!("/v1/deploy_templates{path}")).await.is(status);
    }
    for (method, path, status) in [
        ("GET", "", 404),
        ("POST", "", 405),
        ("GET", "/CUSTOM_A", 404),
        ("PATCH", "/CUSTOM_A", 405),
        ("DELETE", "/CUSTOM_A", 405),
    ] {
        site.at(54, method, &format!("/v1/deploy_templates{path}"), None).await.is(status);
    }
}

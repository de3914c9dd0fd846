use crate::site::Site;
use serde_json::{Value, json};

fn step() -> Value {
    json!({"interface": "deploy", "step": "x", "order": "7"})
}

#[tokio::test]
async fn a_runbook_is_made_found_changed_and_deleted() {
    let site = Site::new().await;
    let body = json!({"name": "rb~1", "steps": [step()], "description": "d", "disable_ramdisk": true});
    let made = site.call("POST", "/v1/runbooks", Some(body)).await.is(201);
    let location = made.header("location").to_owned();
    let made = made.json();
    assert_eq!(location, format!("http://h:1/v1/runbooks/{}", made["uuid"].as_str().unwrap()));
    assert_eq!(made["steps"], json!([{"interface": "deploy", "step": "x", "args": {}, "order": 7}]));
    assert_eq!(made["disable_ramdisk"], true);
    assert_eq!((&made["public"], &made["owner"], &made["traits"]), (&json!(false), &Value::Null, &json!([])));
    assert_eq!(site.get("/v1/runbooks/rb~1").await.is(200).json(), made);
    assert_eq!(site.get("/v1/runbooks?detail=true").await.json()["runbooks"], json!([made]));
    let patch = async |operations: Value| site.call("PATCH", "/v1/runbooks/rb~1", Some(operations)).await;
    let set = |path: &str, value: Value| json!({"op": "replace", "path": path, "value": value});
    assert_eq!(patch(json!([set("/owner", json!("q"))])).await.is(200).json()["owner"], "q");
    let public = patch(json!([set("/public", json!("True"))])).await.is(200).json();
    assert_eq!(
        (&public["public"], &public["owner"]),
        (&json!(true), &Value::Null),
        "what is public has no owner"
    );
    let operations = json!([set("/owner", json!("q"))]);
    assert_eq!(
        patch(operations).await.is(400).fault(),
        "Couldn't apply patch '[{'op': 'replace', 'path': '/owner', 'value': 'q'}]'. Reason: There cannot be an owner for a \
         public runbook"
    );
    let both = patch(json!([set("/owner", json!("q")), set("/public", json!(false))])).await.is(200).json();
    assert_eq!((&both["public"], &both["owner"]), (&json!(false), &json!("q")));
    assert_eq!(
        patch(json!([set("/steps/0/order", json!("9"))])).await.is(200).json()["steps"][0]["order"],
        9
    );
    let reset =
        json!([{"op": "remove", "path": "/disable_ramdisk"}, {"op": "remove", "path": "/description"}]);
    let reset = patch(reset).await.is(200).json();
    assert_eq!((&reset["disable_ramdisk"], &reset["description"]), (&json!(false), &Value::Null));
    for (operations, text) in [
        (
            json!([set("/disable_ramdisk", json!(1))]),
            "Schema error for patch: 1 is not of type 'string', 'boolean', 'null'",
        ),
        (
            json!([set("/name", json!("1 2"))]),
            r"Schema error for patch: '1 2' does not match '^[A-Za-z0-9\\-._~]+$'",
        ),
        (
            json!([set("/traits", json!([]))]),
            "Cannot patch /traits. Only the following can be updated: disable_ramdisk, extra, name, owner, public, steps, \
             description",
        ),
    ] {
        assert_eq!(patch(operations).await.is(400).fault(), text);
    }
    site.call("DELETE", "/v1/runbooks/rb~1", None).await.is(204);
    assert_eq!(site.get("/v1/runbooks/rb~1").await.is(404).fault(), "Runbook rb~1 could not be found.");
}

#[tokio::test]
async fn traits_say_on_which_nodes_a_runbook_may_run() {
    let site = Site::new().await;
    site.call("POST", "/v1/runbooks", Some(json!({"name": "t", "steps": [step()]}))).await.is(201);
    let url = "/v1/runbooks/t/traits";
    let added = site.call("PUT", &format!("{url}/CUSTOM_Z"), None).await.is(204);
    assert_eq!(added.header("location"), "http://h:1/v1/runbooks/t/traits/CUSTOM_Z");
    site.call("PUT", &format!("{url}/CUSTOM_Z"), Some(json!({}))).await.is(204);
    let list = json!({"traits": ["CUSTOM_B", "CUSTOM_A", "CUSTOM_A"]});
    site.call("PUT", url, Some(list)).await.is(204);
    assert_eq!(site.get(url).await.is(200).json(), json!({"traits": ["CUSTOM_A", "CUSTOM_B"]}));
    assert_eq!(site.get("/v1/runbooks/t").await.json()["traits"], json!(["CUSTOM_A", "CUSTOM_B"]));
    site.call("DELETE", &format!("{url}/CUSTOM_A"), None).await.is(204);
    site.call("DELETE", &format!("{url}/CUSTOM_NONE"), None).await.is(204);
    assert_eq!(site.get(url).await.json(), json!({"traits": ["CUSTOM_B"]}));
    for (path, body, text) in [
        (format!("{url}/bad"), None, "Schema error for trait: 'bad' is not valid"),
        (url.to_owned(), Some(json!({"traits": ["bad"]})), "Schema error for body: 'bad' is not valid"),
        (url.to_owned(), Some(json!({"traits": null})), "Schema error for body: None is not of type 'array'"),
        (url.to_owned(), Some(json!({"traits": [], "x": 1})), "Schema error for body: Additional properties"),
        (url.to_owned(), None, "A single runbook trait may be added via PUT"),
        (
            format!("{url}/CUSTOM_Z"),
            Some(json!({"traits": []})),
            "A single runbook trait may be added via PUT",
        ),
    ] {
        let said = site.call("PUT", &path, body).await.is(400).fault();
        assert!(said.starts_with(text), "{said}");
    }
    site.get(&format!("{url}?x=1")).await.is(400);
    site.get("/v1/runbooks/nope/traits").await.is(404);
    site.call("DELETE", url, None).await.is(204);
    assert_eq!(site.get(url).await.json(), json!({"traits": []}));
}

#[tokio::test]
async fn runbooks_follow_the_microversion() {
    let site = Site::new().await;
    let body = |name: &str| Some(json!({"name": name, "steps": [step()]}));
    for (method, path, status) in [
        ("GET", "/v1/runbooks", 404),
        ("POST", "/v1/runbooks", 405),
        ("GET", "/v1/runbooks/x", 404),
        ("PATCH", "/v1/runbooks/x", 405),
        ("DELETE", "/v1/runbooks/x", 405),
    ] {
        site.at(91, method, path, body("x")).await.is(status);
    }
    let old = site.at(111, "POST", "/v1/runbooks", body("CUSTOM_OLD")).await.is(201).json();
    assert!(old.get("traits").is_none() && old.get("description").is_none());
    let text = site.at(111, "POST", "/v1/runbooks", body("free")).await.is(400).fault();
    assert!(text.starts_with("Schema error for runbook: 'free' is not valid under any"), "{text}");
    let mut described = body("CUSTOM_D").unwrap();
    described["description"] = json!("d");
    assert_eq!(
        site.at(111, "POST", "/v1/runbooks", Some(described)).await.is(400).fault(),
        "Schema error for runbook: Additional properties are not allowed ('description' was unexpected)"
    );
    site.at(111, "GET", "/v1/runbooks/CUSTOM_OLD/traits", None).await.is(404);
    site.at(111, "PUT", "/v1/runbooks/CUSTOM_OLD/traits/CUSTOM_Z", None).await.is(404);
    assert_eq!(
        site.at(111, "GET", "/v1/runbooks/CUSTOM_OLD?fields=traits", None).await.is(400).fault(),
        "Field(s) \"traits\" are not valid"
    );
    let patch = json!([{"op": "add", "path": "/description", "value": "q"}]);
    site.at(111, "PATCH", "/v1/runbooks/CUSTOM_OLD", Some(patch.clone())).await.is(400);
    site.at(112, "PATCH", "/v1/runbooks/CUSTOM_OLD", Some(patch)).await.is(200);
    site.at(112, "POST", "/v1/runbooks", body("free")).await.is(201);
    // A name that older clients could not have given stays changeable for them.
    let rename = json!([{"op": "replace", "path": "/name", "value": "free2"}]);
    site.at(92, "PATCH", "/v1/runbooks/free", Some(rename)).await.is(200);
    for (body, text) in [
        (json!({"name": "a b", "steps": [step()]}), r"'a b' does not match '^[A-Za-z0-9\\-._~]+$'"),
        (json!({"name": "", "steps": [step()]}), "'' should be non-empty"),
        (json!({"name": "x", "steps": [step(), step()]}), "Deploy template invalid: Duplicate deploy steps."),
        (json!({"name": "x", "steps": [step()], "public": "x"}), "Invalid public: Unrecognized value 'x'"),
        (
            json!({"name": "x", "steps": [{"interface": "deploy", "step": "x"}]}),
            "'order' is a required property",
        ),
        (json!({"name": "x", "steps": [step()], "traits": []}), "('traits' was unexpected)"),
    ] {
        let said = site.call("POST", "/v1/runbooks", Some(body)).await.is(400).fault();
        assert!(said.contains(text), "{said}");
    }
    site.get("/v1/runbooks?project=proj").await.is(400);
    site.get("/v1/runbooks?sort_key=traits").await.is(400);
    site.get("/v1/runbooks/no%20pe").await.is(400);
}

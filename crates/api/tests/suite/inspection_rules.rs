use crate::site::Site;
use serde_json::{Value, json};

const UUID: &str = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123";

fn action() -> Value {
    json!({"op": "set-attribute", "args": {"path": "/properties/a", "value": "b"}})
}

#[tokio::test]
async fn a_rule_is_made_found_changed_and_deleted() {
    let site = Site::new().await;
    let condition = json!({"op": "!eq", "args": {"values": [1, 2]}, "loop": [1], "other": 1});
    let body = json!({"uuid": UUID, "actions": [action()], "conditions": [condition], "priority": 7.0, "description": "d"});
    let made = site.call("POST", "/v1/inspection_rules", Some(body)).await.is(201);
    assert_eq!(made.header("location"), format!("http://h:1/v1/inspection_rules/{UUID}"));
    let made = made.json();
    assert_eq!(made["actions"], json!([action()]));
    assert_eq!(
        made["conditions"],
        json!([{"op": "!eq", "args": {"values": [1, 2]}, "loop": [1], "multiple": "any"}])
    );
    assert_eq!(
        (&made["priority"], &made["phase"], &made["sensitive"]),
        (&json!(7), &json!("main"), &json!(false))
    );
    let url = format!("/v1/inspection_rules/{UUID}");
    assert_eq!(site.get(&url).await.is(200).json(), made);
    let list = site.get("/v1/inspection_rules").await.is(200).json();
    assert_eq!(list["inspection_rules"][0].as_object().map(|row| row.len()), Some(5));
    assert_eq!(site.get("/v1/inspection_rules?phase=early").await.json()["inspection_rules"], json!([]));
    let patch = async |operations: Value| site.call("PATCH", &url, Some(operations)).await;
    let changed = patch(json!([
        {"op": "replace", "path": "/priority", "value": 9},
        {"op": "add", "path": "/actions/-", "value": {"op": "fail", "args": {"msg": "x"}}},
        {"op": "remove", "path": "/conditions"},
        {"op": "remove", "path": "/phase"}
    ]))
    .await
    .is(200)
    .json();
    assert_eq!((&changed["priority"], &changed["phase"]), (&json!(9), &json!("main")));
    assert_eq!(changed["actions"].as_array().map(Vec::len), Some(2));
    assert_eq!(changed["conditions"], json!([]));
    for (operations, text) in [
        (
            json!([{"op": "replace", "path": "/priority", "value": -9}]),
            "Schema error for patch: -9 is less than the minimum of 0",
        ),
        (
            json!([{"op": "replace", "path": "/priority", "value": 10_000}]),
            "Priority must be between 0 and 9999 for user-defined rules.",
        ),
        (
            json!([{"op": "remove", "path": "/actions"}]),
            "Schema error for patch: 'actions' is a required property",
        ),
        (
            json!([{"op": "replace", "path": "/phase", "value": "x"}]),
            "Invalid phase: x. Valid phases are: main",
        ),
        (
            json!([{"op": "replace", "path": "/uuid", "value": UUID}]),
            "Cannot patch /uuid. Only the following can be updated: actions, conditions, description, phase, priority, sensitive",
        ),
    ] {
        assert_eq!(patch(operations).await.is(400).fault(), text);
    }
    assert_eq!(site.get(&url).await.json(), changed, "what was refused changed nothing");
    site.call("DELETE", &url, None).await.is(204);
    assert_eq!(
        site.call("DELETE", &url, None).await.is(404).fault(),
        format!("Rule {UUID} could not be found.")
    );
}

#[tokio::test]
async fn what_is_sensitive_is_never_shown_again() {
    let site = Site::new().await;
    let hidden = json!({"op": "fail", "args": {"msg": "s3cr3t"}});
    let body = json!({"uuid": UUID, "actions": [hidden], "sensitive": true});
    let made = site.call("POST", "/v1/inspection_rules", Some(body)).await.is(201).json();
    assert_eq!((&made["actions"], &made["conditions"]), (&Value::Null, &Value::Null));
    let url = format!("/v1/inspection_rules/{UUID}");
    let open = json!([{"op": "replace", "path": "/sensitive", "value": false}]);
    let text = site.call("PATCH", &url, Some(open)).await.is(400).fault();
    assert!(text.ends_with("Reason: Inspection rules cannot have the sensitive flag unset."), "{text}");
    for bad in [
        json!([{"op": "add", "path": "/actions/0/args/msg/x", "value": 1}]),
        json!([{"op": "replace", "path": "/actions/0/op", "value": "nope"}]),
        json!([{"op": "remove", "path": "/actions/0/args/x"}]),
        json!([{"op": "add", "path": "/actions/0/args/msg/x/y", "value": 1}]),
    ] {
        let text = site.call("PATCH", &url, Some(bad)).await.is(400).text;
        assert!(!text.contains("s3cr3t"), "{text}");
    }
    for path in [url.clone(), "/v1/inspection_rules?detail=true".to_owned()] {
        assert!(!site.get(&path).await.is(200).text.contains("s3cr3t"));
    }
}

#[tokio::test]
async fn all_rules_can_be_forgotten_at_once() {
    let site = Site::new().await;
    for _ in 0..3 {
        // As the client sends it.
        let body = json!({"actions": [action()], "conditions": null});
        site.call("POST", "/v1/inspection_rules", Some(body)).await.is(201);
    }
    site.call("DELETE", "/v1/inspection_rules", None).await.is(204);
    assert_eq!(site.get("/v1/inspection_rules").await.json()["inspection_rules"], json!([]));
}

#[tokio::test]
async fn bad_rules_are_refused_with_a_reason() {
    let site = Site::new().await;
    let post = async |body: Value| site.call("POST", "/v1/inspection_rules", Some(body)).await;
    let act = |op: &str, args: Value| json!({"actions": [{"op": op, "args": args}]});
    let when = |condition: Value| json!({"actions": [action()], "conditions": [condition]});
    for (body, text) in [
        (json!({}), "Schema error: 'actions' is a required property"),
        (json!({"actions": []}), "Schema error: [] should be non-empty"),
        (json!({"actions": [1]}), "Schema error: 1 is not of type 'object'"),
        (json!({"actions": [action()], "uuid": "zz"}), "Expected UUID for uuid: zz"),
        (json!({"actions": [action()], "phase": null}), "Invalid phase: None. Valid phases are: main"),
        (json!({"actions": [action()], "priority": "1"}), "Schema error: '1' is not of type 'integer'"),
        (json!({"actions": [action()], "conditions": 1}), "Schema error: 1 is not of type 'array', 'null'"),
        (json!({"actions": [{"op": "fail"}]}), "Schema error: 'args' is a required property"),
        (act("fail", json!("x")), "Schema error: 'x' is not of type 'array', 'object'"),
        (
            act("fail", json!({})),
            "Invalid parameters for action operator fail: missing required argument(s): msg",
        ),
        (
            when(json!({"op": "eq", "args": {"value": 1}})),
            "Invalid parameters for condition operator eq: missing required argument(s): values; unexpected argument(s): value",
        ),
        (
            when(json!({"op": "eq", "args": [[1]], "multiple": "foo"})),
            "Schema error: 'foo' is not one of ['any', 'all', 'first', 'last']",
        ),
    ] {
        assert_eq!(post(body).await.is(400).fault(), text);
    }
    for (body, text) in [
        (act("foo", json!({})), "Schema error: 'foo' is not one of ['fail', 'log', "),
        (act("!fail", json!(["x"])), "Schema error: '!fail' is not one of ['fail', 'log', "),
        (when(json!({"op": "!!eq", "args": [[1]]})), "Schema error: '!!eq' is not one of ['eq', "),
        (
            when(json!({"op": "matches", "args": ["x", "("]})),
            "Invalid parameters for condition operator matches: invalid reg",
        ),
        (act("api-call", json!(["http://x"])), "The action api-call is not served"),
        (
            json!({"actions": [{"op": "fail", "args": {}}], "priority": 10_000}),
            "Multiple validation errors occurred: Priority must be between",
        ),
    ] {
        let said = post(body).await.is(400).fault();
        assert!(said.starts_with(text), "{said}");
    }
    assert_eq!(
        site.get("/v1/inspection_rules").await.json()["inspection_rules"],
        json!([]),
        "nothing is left of them"
    );
    for (method, path, status) in [
        ("GET", "/v1/inspection_rules", 404),
        ("POST", "/v1/inspection_rules", 405),
        ("DELETE", "/v1/inspection_rules", 405),
        ("GET", &format!("/v1/inspection_rules/{UUID}"), 404),
        ("PATCH", &format!("/v1/inspection_rules/{UUID}"), 405),
        ("DELETE", &format!("/v1/inspection_rules/{UUID}"), 405),
    ] {
        site.at(95, method, path, None).await.is(status);
    }
    site.get("/v1/inspection_rules/foo").await.is(400);
    site.get("/v1/inspection_rules?sort_key=actions").await.is(400);
    site.get("/v1/inspection_rules?fields=foo").await.is(400);
}

use crate::site::Site;
use axum::body::Body;
use axum::http::Request;
use proptest::prelude::*;
use serde_json::{Value, json};

#[tokio::test]
async fn bodies_that_are_too_deep_too_large_or_no_json_are_refused() {
    let site = Site::new().await;
    let send = async |body: Vec<u8>| {
        let request = Request::post("/v1/nodes")
            .header("x-openstack-ironic-api-version", "1.115")
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        Site::send(&site.operator, request).await
    };
    assert!(send(b"{bad".to_vec()).await.is(400).fault().contains("not valid JSON"));
    assert!(send(vec![0xff, 0xfe]).await.is(400).fault().contains("not valid JSON"));
    let deep = send(b"[".repeat(100_000)).await.is(400);
    assert_eq!(
        deep.json(),
        json!({
            "faultcode": "Client",
            "faultstring": "Request body JSON is nested too deeply. Please contact the service administrator."
        })
    );
    let large = send(vec![b' '; (1 << 20) + 1]).await.is(413);
    assert!(large.json()["faultstring"].as_str().unwrap().starts_with("Request body is too large."));
    // A config drive may be larger, on its own route only.
    let uuid = site.node("n1").await;
    let drive = json!({"target": "manage", "configdrive": "A".repeat(2 << 20)});
    site.call("PUT", &format!("/v1/nodes/{uuid}/states/provision"), Some(drive)).await.is(400);
}

#[tokio::test]
async fn strange_paths_queries_and_headers_are_refused_with_a_reason() {
    let site = Site::new().await;
    for path in [
        "/v1/nodes/%ff%fe",
        "/v1/nodes/a%20b",
        "/v1/nodes/%00",
        "/v1/nodes/..%2f..",
        "/v1/nodes?limit=99999999999999999999",
        "/v1/nodes?limit=-1",
        "/v1/nodes?limit=1&limit=2",
        "/v1/nodes?marker=%ff",
        "/v1/ports/%ff",
        "/v1/conductors?marker=%00",
    ] {
        let answer = site.get(path).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
        assert!(!answer.fault().is_empty());
    }
    let request = Request::get("/").header("host", "evil\"><script>").body(Body::empty()).unwrap();
    let root = Site::send(&site.operator, request).await.is(200);
    assert!(!root.text.contains("evil"), "links are not built from nonsense");
}

/// Any JSON, not too large.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop_oneof![
            "add",
            "remove",
            "replace",
            "/extra/a",
            "/driver_info",
            "/name",
            "ipmi",
            "fake-hardware",
            "power on",
            "manage"
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(
                prop_oneof![
                    "target",
                    "op",
                    "path",
                    "value",
                    "driver",
                    "extra",
                    "driver_info",
                    "traits",
                    "id",
                    "address",
                    "node_uuid",
                    "reason",
                    "boot_device",
                    "callback_url",
                    "clean_steps",
                    "configdrive",
                    "[a-z]{1,6}"
                ],
                inner,
                0..6
            )
            .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const ROUTES: &[(&str, &str)] = &[
    ("POST", "/v1/nodes"),
    ("PATCH", "/v1/nodes/n1"),
    ("PUT", "/v1/nodes/n1/maintenance"),
    ("PUT", "/v1/nodes/n1/states/power"),
    ("PUT", "/v1/nodes/n1/states/provision"),
    ("PUT", "/v1/nodes/n1/states/console"),
    ("PUT", "/v1/nodes/n1/management/boot_device"),
    ("PUT", "/v1/nodes/n1/traits"),
    ("POST", "/v1/nodes/n1/vifs"),
    ("POST", "/v1/ports"),
    ("POST", "/v1/heartbeat/n1"),
];

#[test]
fn no_json_makes_a_server_error() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let site = runtime.block_on(Site::new());
    runtime.block_on(site.node("n1"));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let input = (prop::sample::select(ROUTES), any_json(), 1u16..=115);
    runner
        .run(&input, |((method, path), body, minor)| {
            let answer = runtime.block_on(site.at(minor, method, path, Some(body)));
            prop_assert!(!answer.status.is_server_error(), "{} {}: {}", method, path, answer.text);
            Ok(())
        })
        .unwrap();
}

use crate::site::Site;
use model::node::InterfaceKind;
use serde_json::{Value, json};

const URL: &str = "/v1/nodes/n1/vendor_passthru";

#[tokio::test]
async fn methods_are_listed_and_called() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    let methods = site.get(&format!("{URL}/methods")).await.is(200).json();
    let names: Vec<_> = methods.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["fourth_method_shared_lock", "log_passthrough", "second_method", "third_method_sync"]);
    assert_eq!(methods["third_method_sync"]["async"], false);
    assert_eq!(methods["second_method"]["http_methods"], json!(["POST"]));
    for (bar, result) in [("meow", true), ("woof", false)] {
        for url in [format!("{URL}?method=third_method_sync"), format!("{URL}/third_method_sync")] {
            let answer = site.call("POST", &url, Some(json!({"bar": bar}))).await.is(200);
            assert_eq!(answer.json(), json!(result));
        }
    }
    for method in ["second_method", "fourth_method_shared_lock", "log_passthrough"] {
        let url = format!("{URL}?method={method}");
        site.call("POST", &url, Some(json!({"bar": "x"}))).await.is(202);
        assert_eq!(site.work(uuid).await.last_error, None);
    }
    let told = site.store.events(uuid, 100).await.unwrap();
    assert!(
        told.iter().any(|event| event.name == "vendor.log_passthrough" && event.detail == "{'bar': 'x'}")
    );
    site.edit(uuid, |node| node.interfaces.set(InterfaceKind::Vendor, "no-vendor")).await;
    assert_eq!(site.get(&format!("{URL}/methods")).await.is(200).json(), json!({}));
}

#[tokio::test]
async fn calls_that_can_not_be_made_say_why() {
    let site = Site::new().await;
    site.node("n1").await;
    let call = async |method: &str, path: &str, body: Value| {
        site.call(method, &format!("{URL}{path}"), Some(body)).await.is(400).fault()
    };
    let body = json!({"bar": "meow"});
    assert_eq!(call("POST", "", body.clone()).await, "Missing mandatory parameter: method");
    assert_eq!(call("POST", "?method=", body.clone()).await, "Method not specified");
    assert_eq!(call("POST", "?method=foo", body.clone()).await, "No handler for method foo");
    assert_eq!(call("POST", "/methods", body.clone()).await, "No handler for method methods");
    for verb in ["PUT", "PATCH", "DELETE"] {
        assert_eq!(
            call(verb, "?method=second_method", body.clone()).await,
            format!("The method second_method does not support HTTP {verb}")
        );
    }
    let get = site.get(&format!("{URL}?method=second_method")).await.is(400).fault();
    assert_eq!(get, "The method second_method does not support HTTP GET");
    for method in ["second_method", "third_method_sync", "fourth_method_shared_lock"] {
        assert_eq!(
            call("POST", &format!("?method={method}"), json!({})).await,
            format!("Parameter 'bar' not passed to method '{method}'.")
        );
    }
    let extra = call("POST", "?method=third_method_sync", json!({"bar": "meow", "baz": 1})).await;
    assert!(extra.contains("\"baz\""), "{extra}");
    assert_eq!(call("POST", "?method=third_method_sync&bar=x", json!({})).await, "Unexpected arguments: bar");
    assert_eq!(
        call("POST", "?method=third_method_sync&method=x", body).await,
        "Expected string for method: ['third_method_sync', 'x']"
    );
    call("POST", "?method=third_method_sync", json!([])).await;
}

#[tokio::test]
async fn ipmi_takes_raw_bytes_and_resets() {
    let site = Site::new().await;
    let ipmi =
        json!({"driver": "ipmi", "name": "n1", "driver_info": {"ipmi_address": "127.0.0.1", "ipmi_port": 1}});
    site.call("POST", "/v1/nodes", Some(ipmi)).await.is(201);
    let methods = site.get(&format!("{URL}/methods")).await.is(200).json();
    assert_eq!(methods.as_object().unwrap().keys().collect::<Vec<_>>(), ["bmc_reset", "send_raw"]);
    let raw = format!("{URL}?method=send_raw");
    assert_eq!(
        site.call("POST", &raw, Some(json!({}))).await.is(400).fault(),
        "Parameter raw_bytes (string of bytes) was not specified."
    );
    let wrong = site.call("POST", &raw, Some(json!({"raw_bytes": "zz"}))).await.is(400).fault();
    assert!(wrong.contains("0x06 0x01"), "{wrong}");
    let warm = site.call("POST", &format!("{URL}?method=bmc_reset"), Some(json!({"warm": "x"}))).await;
    assert!(warm.is(400).fault().contains("warm"));
    assert_eq!(site.store.node("n1").await.unwrap().node.errand, None);
}

#[tokio::test]
async fn drivers_have_no_methods_of_their_own() {
    let site = Site::new().await;
    for driver in ["fake-hardware", "ipmi"] {
        let url = format!("/v1/drivers/{driver}/vendor_passthru");
        assert_eq!(site.get(&format!("{url}/methods")).await.is(200).json(), json!({}));
        for path in ["?method=third_method_sync", "/third_method_sync"] {
            let refused = site.call("POST", &format!("{url}{path}"), Some(json!({"bar": "x"}))).await.is(400);
            assert_eq!(refused.fault(), "No handler for method third_method_sync");
        }
        let nothing = site.call("POST", &url, Some(json!({}))).await.is(400);
        assert_eq!(nothing.fault(), "Missing mandatory parameter: method");
    }
    let nobody = site.get("/v1/drivers/nope/vendor_passthru/methods").await.is(404);
    assert_eq!(nobody.fault(), "The driver 'nope' is unknown.");
}

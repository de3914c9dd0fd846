use crate::site::Site;
use model::node::InterfaceKind;
use serde_json::{Value, json};

const URL: &str = "/v1/nodes/n1/states/console";

#[tokio::test]
async fn a_pretended_console_is_started_and_stopped() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    let off = json!({"console_enabled": false, "console_info": null});
    assert_eq!(site.get(URL).await.is(200).json(), off);
    for (enabled, shown) in [
        (json!(true), json!({"console_enabled": true, "console_info": {}})),
        (json!("on"), json!({"console_enabled": true, "console_info": {}})),
        (json!(false), off.clone()),
        (Value::Null, off.clone()),
    ] {
        let answer = site.call("PUT", URL, Some(json!({"enabled": enabled}))).await.is(202);
        assert_eq!(answer.header("location"), "http://h:1/v1/nodes/n1/states/console");
        site.work(uuid).await;
        assert_eq!(site.get(URL).await.is(200).json(), shown);
    }
    for (body, text) in [
        (json!({}), "Missing mandatory parameter: enabled"),
        (json!({"enabled": true, "x": 1}), "Unexpected arguments: x"),
    ] {
        assert_eq!(site.call("PUT", URL, Some(body)).await.is(400).fault(), text);
    }
    site.call("PUT", URL, Some(json!({"enabled": "x"}))).await.is(400);
}

#[tokio::test]
async fn a_console_that_is_not_there_is_refused() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    let missing = "Driver fake-hardware does not support console (disabled or not implemented).";
    for (name, text) in [
        ("no-console", missing.to_owned()),
        (
            "fake-graphical",
            format!("{missing} This version of Billet does not serve the console interface fake-graphical."),
        ),
    ] {
        site.edit(uuid, |node| node.interfaces.set(InterfaceKind::Console, name)).await;
        assert_eq!(site.call("PUT", URL, Some(json!({"enabled": true}))).await.is(400).fault(), text);
        site.get(URL).await.is(200);
    }
    site.edit(uuid, |node| node.console_enabled = true).await;
    assert_eq!(site.get(URL).await.is(400).fault(), missing);
}

use crate::site::Site;
use model::node::InterfaceKind;
use serde_json::{Value, json};

#[tokio::test]
async fn pretended_leds_are_listed_read_and_not_set() {
    let site = Site::new().await;
    site.node("n1").await;
    let url = "/v1/nodes/n1/management/indicators";
    let rows = site.get(url).await.is(200).json();
    let row = |name: &str, component: &str, read_only: bool, states: Value| {
        json!({
            "name": name, "component": component, "readonly": read_only, "states": states,
            "links": [
                {"href": format!("http://h:1/v1/nodes/n1/management/indicators/{name}"), "rel": "self"},
                {"href": format!("http://h:1/nodes/n1/management/indicators/{name}"), "rel": "bookmark"},
            ],
        })
    };
    assert_eq!(
        rows["indicators"],
        json!([
            row("led-0@chassis", "chassis", true, json!(["off", "on"])),
            row("led@system", "system", false, json!(["blinking", "off", "on"])),
        ])
    );
    assert_eq!(site.get(&format!("{url}/led@system")).await.is(200).json(), json!({"state": "on"}));
    for (name, text) in [
        ("led", "Malformed indicator name \"led\""),
        ("foo@system", "Invalid indicator foo specified."),
        ("led@nope", "Invalid component nope specified."),
    ] {
        assert_eq!(site.get(&format!("{url}/{name}")).await.is(400).fault(), text);
    }
    let led = format!("{url}/led@system");
    assert_eq!(
        site.call("PUT", &led, Some(json!({"state": "OFF"}))).await.is(400).fault(),
        "Driver fake-hardware does not support set_indicator_state (disabled or not implemented)."
    );
    assert_eq!(
        site.call("PUT", &led, Some(json!({}))).await.is(400).fault(),
        "Missing mandatory parameter: state"
    );
    for (method, path) in [("GET", url), ("GET", &led), ("PUT", &led)] {
        site.at(62, method, path, (method == "PUT").then(|| json!({"state": "on"}))).await.is(404);
    }
}

#[tokio::test]
async fn what_the_hardware_does_not_have_is_refused_in_ironics_words() {
    let site = Site::new().await;
    site.node("fake").await;
    let ipmi = json!({"driver": "ipmi", "name": "ipmi", "driver_info": {"ipmi_address": "127.0.0.1"}});
    site.call("POST", "/v1/nodes", Some(ipmi)).await.is(201);
    for (path, extension) in
        [("indicators", "get_supported_indicators"), ("indicators/a@b", "get_indicator_state")]
    {
        let refused = site.get(&format!("/v1/nodes/ipmi/management/{path}")).await.is(400);
        assert_eq!(
            refused.fault(),
            format!("Driver ipmi does not support {extension} (disabled or not implemented).")
        );
    }
    let nmi = "/v1/nodes/fake/management/inject_nmi";
    assert_eq!(
        site.call("PUT", nmi, Some(json!({}))).await.is(400).fault(),
        "Driver fake-hardware does not support inject_nmi (disabled or not implemented)."
    );
    assert_eq!(site.call("PUT", nmi, Some(json!({"x": 1}))).await.is(400).fault(), "Unexpected arguments: x");
    site.at(28, "PUT", nmi, Some(json!({}))).await.is(404);
}

#[tokio::test]
async fn boot_devices_follow_the_management_interface() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    let url = "/v1/nodes/n1/management/boot_device";
    site.edit(uuid, |node| node.interfaces.set(InterfaceKind::Management, "noop")).await;
    assert_eq!(
        site.get(&format!("{url}/supported")).await.is(200).json(),
        json!({"supported_boot_devices": ["pxe", "disk"]})
    );
    assert_eq!(site.get(url).await.is(200).json(), json!({"boot_device": "pxe", "persistent": true}));
    site.call("PUT", url, Some(json!({"boot_device": "disk"}))).await.is(204);
    assert_eq!(
        site.call("PUT", url, Some(json!({"boot_device": "bios"}))).await.is(400).fault(),
        "Invalid boot device bios specified, supported are pxe, disk."
    );
    site.edit(uuid, |node| node.interfaces.set(InterfaceKind::Management, "ipmitool")).await;
    for (method, body) in [("GET", None), ("PUT", Some(json!({"boot_device": "foo"})))] {
        assert_eq!(
            site.call(method, url, body).await.is(400).fault(),
            "Missing the following IPMI credentials in node's driver_info: ['ipmi_address']."
        );
    }
    assert_eq!(
        site.get(&format!("{url}/supported")).await.is(200).json(),
        json!({"supported_boot_devices": ["pxe", "disk", "cdrom", "bios", "safe"]})
    );
}

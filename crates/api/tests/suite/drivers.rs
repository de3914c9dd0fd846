use crate::site::Site;
use serde_json::{Value, json};

fn names(body: &Value) -> Vec<String> {
    let drivers = body["drivers"].as_array().unwrap();
    drivers.iter().map(|driver| driver["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn lists_follow_type_detail_and_version() {
    let site = Site::new().await;
    let get =
        async |minor: u16, query: &str| site.at(minor, "GET", &format!("/v1/drivers{query}"), None).await;
    assert_eq!(names(&get(115, "?type=dynamic").await.is(200).json()), ["fake-hardware", "ipmi"]);
    assert_eq!(get(115, "?type=classic").await.is(200).json(), json!({"drivers": []}));
    assert_eq!(
        get(115, "?type=x").await.is(400).fault(),
        "\"type\" filter must be one of \"classic\" or \"dynamic\", if specified."
    );
    for query in ["?type=classic", "?detail=true"] {
        assert_eq!(
            get(29, query).await.is(406).fault(),
            "Request not acceptable. The minimal required API version should be 1.30"
        );
    }
    for (minor, kinds) in [(30, 9), (33, 10), (38, 11), (40, 12), (86, 13)] {
        let rows = get(minor, "?detail=true").await.is(200).json();
        let row = rows["drivers"][0].as_object().unwrap();
        assert_eq!(row.keys().filter(|key| key.starts_with("default_")).count(), kinds, "1.{minor}");
        assert_eq!(row.keys().filter(|key| key.starts_with("enabled_")).count(), kinds, "1.{minor}");
    }
    let plain = get(13, "").await.is(200).json();
    assert_eq!(plain["drivers"][0].as_object().unwrap().len(), 3);
    let one = site.get("/v1/drivers/fake-hardware").await.is(200).json();
    assert_eq!((&one["default_vendor_interface"], &one["type"]), (&json!("fake"), &json!("dynamic")));
    assert_eq!(one["enabled_raid_interfaces"], json!(["agent", "fake", "no-raid"]));
}

#[tokio::test]
async fn fields_are_chosen_or_refused() {
    let site = Site::new().await;
    let rows = site.get("/v1/drivers?fields=name,type").await.is(200).json();
    assert_eq!(rows["drivers"][0].as_object().unwrap().len(), 3, "links are always there");
    let one = site.get("/v1/drivers/ipmi?fields=default_bios_interface").await.is(200).json();
    assert_eq!(one["default_bios_interface"], "no-bios");
    assert_eq!(
        site.get("/v1/drivers?fields=hosts,default_bios_interface").await.is(400).fault(),
        "Field(s) \"default_bios_interface\" are not valid"
    );
    for path in ["/v1/drivers?fields=foo", "/v1/drivers/ipmi?fields=default_bios_interface,foo"] {
        let refused = site.get(path).await.is(400).fault();
        assert!(
            refused.starts_with("Schema error: 'foo' is not one of ['hosts', 'links', 'name', "),
            "{refused}"
        );
        assert!(refused.ends_with("'enabled_firmware_interfaces', 'properties', 'type']"), "{refused}");
        site.at(76, "GET", path, None).await.is(406);
    }
    let old = site.at(85, "GET", "/v1/drivers?fields=default_firmware_interface", None).await.is(400).fault();
    assert!(old.starts_with("Schema error: 'default_firmware_interface'"), "{old}");
    assert_eq!(
        site.get("/v1/drivers?fields=name&detail=true").await.is(400).fault(),
        "Can not specify ?detail=True and fields in the same request."
    );
    site.get("/v1/drivers/ipmi?detail=true").await.is(400);
    assert_eq!(
        site.get("/v1/drivers/nope").await.is(404).fault(),
        "Could not find the following driver(s) or hardware type(s): nope."
    );
}

#[tokio::test]
async fn properties_name_every_key_that_the_driver_reads() {
    let site = Site::new().await;
    let fake = site.get("/v1/drivers/fake-hardware/properties").await.is(200).json();
    assert_eq!(fake.as_object().unwrap().keys().collect::<Vec<_>>(), ["B1", "B2"]);
    let ipmi = site.get("/v1/drivers/ipmi/properties").await.is(200).json();
    for key in [
        "ipmi_address",
        "ipmi_cipher_suite",
        "ipmi_hex_kg_key",
        "ipmi_terminal_port",
        "deploy_kernel",
        "rescue_ramdisk",
        "agent_verify_ca",
        "image_no_proxy",
        "deploy_forces_oob_reboot",
        "kernel_append_params",
        "cleaning_network",
    ] {
        assert!(ipmi[key].is_string(), "{key}");
    }
    assert_eq!(
        site.get("/v1/drivers/nope/properties").await.is(404).fault(),
        "The driver 'nope' is unknown."
    );
}

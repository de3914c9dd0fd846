use crate::site::Site;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

#[tokio::test]
async fn a_406_tells_the_range_and_why() {
    let site = Site::new().await;
    for (value, why) in [
        ("1.116", "Version 1.116 was requested but the minor version is not supported"),
        ("1.0", "Version 1.0 was requested"),
        ("2.1", "Mutually exclusive versions requested. Version 2.1"),
        ("x", "Invalid value for X-OpenStack-Ironic-API-Version header"),
    ] {
        let request = Request::get("/v1/nodes")
            .header("x-openstack-ironic-api-version", value)
            .body(Body::empty())
            .unwrap();
        let answer = Site::send(&site.operator, request).await.is(406);
        assert!(answer.fault().contains(why), "{value}: {}", answer.fault());
        assert_eq!(answer.header("x-openstack-ironic-api-version"), "", "none was used");
    }
}

#[tokio::test]
async fn the_version_in_use_is_told_and_1_1_is_the_default() {
    let site = Site::new().await;
    let send = async |header: Option<(&str, &str)>| {
        let mut request = Request::get("/v1/nodes");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let answer = Site::send(&site.operator, request.body(Body::empty()).unwrap()).await.is(200);
        answer.header("x-openstack-ironic-api-version").to_owned()
    };
    assert_eq!(send(None).await, "1.1");
    assert_eq!(send(Some(("x-openstack-ironic-api-version", "1.31"))).await, "1.31");
    assert_eq!(send(Some(("openstack-api-version", "baremetal latest"))).await, "1.115");
}

#[tokio::test]
async fn discovery_lists_one_version_and_the_collections_of_it() {
    let site = Site::new().await;
    let root = site.get("/").await.is(200).json();
    assert_eq!(root["versions"].as_array().map(Vec::len), Some(1));
    assert_eq!(root["default_version"]["version"], "1.115");
    assert_eq!(root["versions"][0]["links"][0]["href"], "http://h:1/v1/");
    let old = site.at(21, "GET", "/v1", None).await.is(200).json();
    assert!(old.get("lookup").is_none());
    let new = site.at(49, "GET", "/v1/", None).await.is(200).json();
    assert_eq!(new["lookup"][0]["href"], "http://h:1/v1/lookup/");
    assert_eq!(new["conductors"][1], json!({"href": "http://h:1/conductors/", "rel": "bookmark"}));
    assert_eq!(new["version"]["min_version"], "1.1");
    assert_eq!(new["media_types"]["base"], "application/json");
    // An unreadable version does not keep anybody from discovering the right ones.
    let request =
        Request::get("/").header("x-openstack-ironic-api-version", "9.9").body(Body::empty()).unwrap();
    Site::send(&site.operator, request).await.is(200);
    assert_eq!(site.get("/healthcheck").await.is(200).text, "OK");
}

#[tokio::test]
async fn old_habits_of_paths_work() {
    let site = Site::new().await;
    site.node("n1").await;
    site.get("/nodes").await.is(200);
    site.get("/nodes/n1/").await.is(200);
    site.at(90, "GET", "/v1/nodes/n1.json", None).await.is(200);
    site.at(91, "GET", "/v1/nodes/n1.json", None).await.is(404);
    site.node("n2.json").await;
    site.at(90, "GET", "/v1/nodes/n2.json", None).await.is(200);
    site.at(115, "GET", "/v1/nodes/n2.json", None).await.is(200);
    site.get("/v1/nodes/n%31").await.is(200);
}

#[tokio::test]
async fn routes_come_with_their_microversion() {
    let site = Site::new().await;
    site.node("n1").await;
    for (minor, path) in [
        (28, "/v1/nodes/n1/vifs"),
        (83, "/v1/nodes/n1/children"),
        (49, "/v1/conductors"),
        (49, "/v1/conductors/seed"),
    ] {
        site.at(minor, "GET", path, None).await.is(200);
        site.at(minor - 1, "GET", path, None).await.is(404);
    }
    site.at(37, "GET", "/v1/nodes/n1/traits", None).await.is(200);
    site.at(36, "GET", "/v1/nodes/n1/traits", None).await.is(406);
    site.at(36, "PUT", "/v1/nodes/n1/traits/CUSTOM_A", None).await.is(405);
    site.at(36, "DELETE", "/v1/nodes/n1/traits", None).await.is(404);
    // Below 1.5 nodes have no names.
    site.at(4, "GET", "/v1/nodes/n1", None).await.is(404);
    site.at(5, "GET", "/v1/nodes/n1", None).await.is(200);
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    let site = Site::new().await;
    assert!(site.get("/v1/nothing").await.is(404).fault().contains("/v1/nothing"));
    let answer = site.call("PUT", "/v1/nodes", None).await.is(405);
    assert_eq!(answer.header("allow"), "GET, POST");
    site.call("OPTIONS", "/v1/nodes", None).await.is(405);
    assert_eq!(site.call("HEAD", "/v1/nodes", None).await.status.as_u16(), 200);
}

#[tokio::test]
async fn drivers_are_hardware_types_and_old_clients_also_see_classic_names() {
    let site = Site::new().await;
    let names = |body: Value| -> Vec<String> {
        body["drivers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(site.get("/v1/drivers").await.json()), ["fake-hardware", "ipmi"]);
    let old = names(site.at(9, "GET", "/v1/drivers", None).await.json());
    assert!(
        ["agent_ipmitool", "pxe_ipmitool", "fake", "ipmi"]
            .iter()
            .all(|name| old.iter().any(|own| own == name))
    );
    let ipmi = site.get("/v1/drivers/ipmi").await.is(200).json();
    assert_eq!(ipmi["hosts"], json!(["seed"]));
    assert_eq!(ipmi["default_deploy_interface"], "autodetect");
    assert_eq!(ipmi["enabled_boot_interfaces"], json!(["ipxe", "pxe"]));
    assert!(site.at(29, "GET", "/v1/drivers/ipmi", None).await.json().get("type").is_none());
    assert!(
        site.at(85, "GET", "/v1/drivers/ipmi", None).await.json().get("default_firmware_interface").is_none()
    );
    site.get("/v1/drivers/agent_ipmitool/properties").await.is(200);
    site.get("/v1/drivers/redfish").await.is(404);
    site.at(29, "GET", "/v1/drivers?detail=true", None).await.is(406);
    site.get("/v1/drivers?fields=name&detail=true").await.is(400);
}

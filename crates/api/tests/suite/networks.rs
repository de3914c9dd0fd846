//! Networks and subnets as Neutron's clients see them.

use crate::cloud::Cloud;
use crate::site::Answer;
use serde_json::{Value, json};

/// The error's name and text.
pub fn fault(answer: &Answer) -> (String, String) {
    let error = answer.json()["NeutronError"].clone();
    let text = |key: &str| error[key].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned();
    assert_eq!(error["detail"], "");
    (text("type"), text("message"))
}

/// Sends what must be refused with this status and type; out comes the text.
pub async fn refused(
    cloud: &Cloud,
    token: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
    expected: (u16, &str),
) -> String {
    let answer = cloud.by(token, method, &format!("/networking/v2.0{path}"), body).await.is(expected.0);
    let (kind, text) = fault(&answer);
    assert_eq!(kind, expected.1, "{text}");
    text
}

/// Creates a resource; `path` is its collection.
pub async fn create(cloud: &Cloud, token: &str, path: &str, one: &str, attributes: Value) -> Value {
    let path = format!("/networking/v2.0/{path}");
    cloud.by(token, "POST", &path, Some(json!({one: attributes}))).await.is(201).json()[one].take()
}

/// Reads.
pub async fn get(cloud: &Cloud, token: &str, path: &str) -> Value {
    cloud.by(token, "GET", &format!("/networking/v2.0{path}"), None).await.is(200).json()
}

/// A network and a subnet of it.
pub async fn network_with(cloud: &Cloud, token: &str, network: Value, subnet: Value) -> (Value, Value) {
    let network = create(cloud, token, "networks", "network", network).await;
    let mut subnet = subnet;
    subnet["network_id"] = network["id"].clone();
    let subnet = create(cloud, token, "subnets", "subnet", subnet).await;
    (network, subnet)
}

fn names(list: &Value, collection: &str) -> Vec<String> {
    let items = list[collection].as_array().unwrap_or_else(|| panic!("{list}"));
    items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_walks_network_is_made_with_texts_for_numbers_and_flags() {
    let cloud = Cloud::new().await;
    let wanted = json!({
        "name": "sharednet1", "shared": "True", "admin_state_up": "true", "provider:network_type": "flat",
        "provider:physical_network": "physnet1", "mtu": "9000",
    });
    let network = create(&cloud, "operator", "networks", "network", wanted.clone()).await;
    assert_eq!(network["status"], "ACTIVE");
    assert_eq!(
        (&network["shared"], &network["mtu"], &network["subnets"]),
        (&json!(true), &json!(9000), &json!([]))
    );
    assert_eq!(network["provider:segmentation_id"], Value::Null);
    assert_eq!(network["tenant_id"], network["project_id"]);
    let path = "/networks";
    let text = refused(
        &cloud,
        "operator",
        "POST",
        path,
        Some(json!({"network": wanted})),
        (409, "FlatNetworkInUse"),
    )
    .await;
    assert!(text.contains("physnet1"), "{text}");
    let subnet = json!({
        "name": "s", "network_id": network["id"], "ip_version": "4", "cidr": "10.77.0.9/24", "gateway_ip": "10.77.0.1",
        "allocation_pools": [{"start": "10.77.0.20", "end": "10.77.0.30"}], "enable_dhcp": "True",
        "dns_nameservers": ["10.77.0.53"], "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "10.77.0.2"}],
    });
    let subnet = create(&cloud, "operator", "subnets", "subnet", subnet).await;
    assert_eq!((&subnet["cidr"], &subnet["ip_version"]), (&json!("10.77.0.0/24"), &json!(4)));
    assert_eq!(subnet["allocation_pools"], json!([{"start": "10.77.0.20", "end": "10.77.0.30"}]));
    let shown = get(&cloud, "alice", &format!("/networks/{}", network["id"].as_str().unwrap())).await;
    assert_eq!(shown["network"]["subnets"], json!([subnet["id"]]));
    assert!(shown["network"].get("provider:network_type").is_none(), "tenants don't see the wire");
    assert_eq!(names(&get(&cloud, "bob", "/subnets").await, "subnets"), ["s"]);
}

#[tokio::test]
async fn wires_are_chosen_named_and_kept() {
    let cloud = Cloud::new().await;
    let first = create(&cloud, "alice", "networks", "network", json!({"name": "a"})).await;
    let path = format!("/networks/{}", first["id"].as_str().unwrap());
    let shown = get(&cloud, "operator", &path).await["network"].take();
    assert_eq!(
        (&shown["provider:network_type"], &shown["provider:segmentation_id"]),
        (&json!("vlan"), &json!(1000))
    );
    let vlan = |vlan: Value| json!({"network": {"provider:network_type": "vlan", "provider:physical_network": "physnet1", "provider:segmentation_id": vlan}});
    let second =
        cloud.by("operator", "POST", "/networking/v2.0/networks", Some(vlan(json!("7")))).await.is(201);
    assert_eq!(second.json()["network"]["provider:segmentation_id"], 7);
    refused(&cloud, "operator", "POST", "/networks", Some(vlan(json!(7))), (409, "VlanIdInUse")).await;
    refused(&cloud, "operator", "POST", "/networks", Some(vlan(json!(4095))), (400, "InvalidInput")).await;
    let gre = json!({"network": {"provider:network_type": "gre"}});
    let text = refused(&cloud, "operator", "POST", "/networks", Some(gre), (400, "InvalidInput")).await;
    assert!(text.contains("flat and vlan"), "{text}");
    let moved = json!({"network": {"provider:segmentation_id": 8}});
    refused(&cloud, "operator", "PUT", &path, Some(moved), (400, "InvalidInput")).await;
    for attribute in ["shared", "router:external"] {
        let body = json!({"network": {attribute: true}});
        let text = refused(&cloud, "alice", "PUT", &path, Some(body), (403, "PolicyNotAuthorized")).await;
        assert!(text.contains(attribute), "{text}");
    }
    let renamed = json!({"network": {"shared": false, "name": "b"}});
    let same =
        cloud.by("alice", "PUT", &format!("/networking/v2.0{path}"), Some(renamed)).await.is(200).json();
    assert_eq!((&same["network"]["name"], &same["network"]["revision_number"]), (&json!("b"), &json!(1)));
}

#[tokio::test]
async fn subnets_that_do_not_go_together_are_refused_by_what_is_wrong() {
    let cloud = Cloud::new().await;
    let (network, first) =
        network_with(&cloud, "alice", json!({"name": "n"}), json!({"ip_version": 4, "cidr": "10.0.0.0/24"}))
            .await;
    assert_eq!(first["gateway_ip"], "10.0.0.1");
    assert_eq!(first["allocation_pools"], json!([{"start": "10.0.0.2", "end": "10.0.0.254"}]));
    let subnet = |attributes: Value| {
        let mut subnet = json!({"network_id": network["id"], "ip_version": 4, "cidr": "10.1.0.0/24"});
        subnet.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        Some(json!({"subnet": subnet}))
    };
    for (attributes, kind, said) in [
        (json!({"cidr": "10.0.0.128/25"}), "InvalidInput", first["id"].as_str().unwrap()),
        (json!({"cidr": "10.1.0.0/33"}), "HTTPBadRequest", "not a valid IP subnet"),
        (json!({"cidr": "0.0.0.0/0"}), "InvalidInput", "prefix of 0"),
        (json!({"ip_version": 6}), "InvalidInput", "ip_version"),
        (json!({"gateway_ip": "10.1.0.255"}), "InvalidInput", "no host address"),
        (json!({"gateway_ip": "x"}), "HTTPBadRequest", "gateway_ip"),
        (
            json!({"gateway_ip": "10.1.0.5", "allocation_pools": [{"start": "10.1.0.2", "end": "10.1.0.9"}]}),
            "InvalidInput",
            "10.1.0.2-10.1.0.9",
        ),
        (
            json!({"allocation_pools": [{"start": "10.1.0.2", "end": "10.2.0.9"}]}),
            "InvalidInput",
            "not within",
        ),
        (
            json!({"allocation_pools": [{"start": "10.1.0.9", "end": "10.1.0.2"}]}),
            "InvalidInput",
            "ends before",
        ),
        (json!({"allocation_pools": [{"start": "10.1.0.9"}]}), "HTTPBadRequest", "end"),
        (json!({"dns_nameservers": ["8.8.8.8", "8.8.8.8"]}), "HTTPBadRequest", "twice"),
        (
            json!({"dns_nameservers": ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5", "1.1.1.6"]}),
            "HTTPBadRequest",
            "5 items",
        ),
        (json!({"host_routes": [{"destination": "10.9.0.0/16"}]}), "HTTPBadRequest", "nexthop"),
        (json!({"ipv6_ra_mode": "slaac"}), "InvalidInput", "IPv6 only"),
        (json!({"subnetpool_id": network["id"]}), "InvalidInput", "subnetpool_id"),
        (json!({"colour": "red"}), "HTTPBadRequest", "colour"),
        (json!({"network_id": "x"}), "HTTPBadRequest", "network_id"),
    ] {
        let text = refused(&cloud, "alice", "POST", "/subnets", subnet(attributes), (400, kind)).await;
        assert!(text.contains(said), "{text}");
    }
    assert_eq!(
        get(&cloud, "alice", "/subnets").await["subnets"].as_array().unwrap().len(),
        1,
        "nothing half-made"
    );

    let lone = create(
        &cloud,
        "alice",
        "subnets",
        "subnet",
        subnet(json!({"gateway_ip": null})).unwrap()["subnet"].take(),
    )
    .await;
    assert_eq!(lone["gateway_ip"], Value::Null);
    assert_eq!(lone["allocation_pools"], json!([{"start": "10.1.0.1", "end": "10.1.0.254"}]));
    let path = format!("/networking/v2.0/subnets/{}", lone["id"].as_str().unwrap());
    let changed = json!({"subnet": {"gateway_ip": "10.1.0.1", "allocation_pools": [{"start": "10.1.0.2", "end": "10.1.0.3"}]}});
    let changed = cloud.by("alice", "PUT", &path, Some(changed)).await.is(200).json();
    assert_eq!(changed["subnet"]["gateway_ip"], "10.1.0.1");
    let text =
        cloud.by("alice", "PUT", &path, Some(json!({"subnet": {"cidr": "10.2.0.0/24"}}))).await.is(400);
    assert!(fault(&text).1.contains("read-only attribute cidr"));
}

#[tokio::test]
async fn lists_are_filtered_sorted_paged_and_narrowed() {
    let cloud = Cloud::new().await;
    let many: Vec<Value> = ["d", "b", "a", "c"].iter().map(|name| json!({"name": name})).collect();
    let made =
        cloud.by("alice", "POST", "/networking/v2.0/networks", Some(json!({"networks": many}))).await.is(201);
    assert_eq!(names(&made.json(), "networks"), ["d", "b", "a", "c"]);
    let list = async |query: &str| get(&cloud, "alice", &format!("/networks?{query}")).await;
    assert_eq!(names(&list("").await, "networks"), ["d", "b", "a", "c"]);
    assert_eq!(names(&list("name=a&name=d&name=x").await, "networks"), ["d", "a"]);
    assert_eq!(names(&list("sort_key=name&sort_dir=desc").await, "networks"), ["d", "c", "b", "a"]);
    assert!(names(&list("shared=True").await, "networks").is_empty());
    assert_eq!(list("name=a&fields=name&fields=mtu").await["networks"], json!([{"name": "a", "mtu": 1500}]));
    assert!(
        names(&list("provider:network_type=vlan").await, "networks").is_empty(),
        "not shown, not filtered by"
    );

    let first = list("sort_key=name&limit=3").await;
    assert_eq!(names(&first, "networks"), ["a", "b", "c"]);
    let next = first["networks_links"][0].clone();
    assert_eq!(next["rel"], "next");
    let next = next["href"].as_str().unwrap().strip_prefix("http://h:1").unwrap().to_owned();
    let second = cloud.by("alice", "GET", &next, None).await.is(200).json();
    assert_eq!(names(&second, "networks"), ["d"]);
    assert_eq!(second["networks_links"][0]["rel"], "previous");
    let back =
        second["networks_links"][0]["href"].as_str().unwrap().strip_prefix("http://h:1").unwrap().to_owned();
    let back = cloud.by("alice", "GET", &back, None).await.is(200).json();
    assert_eq!(names(&back, "networks"), ["a", "b", "c"]);
    for (query, status, kind) in [
        ("colour=red", 400, "InvalidInput"),
        ("sort_key=colour", 400, "InvalidInput"),
        ("sort_key=name&sort_dir=up", 400, "InvalidInput"),
        ("limit=-1", 400, "HTTPBadRequest"),
        ("marker=00000000-0000-4000-8000-000000000000", 404, "NetworkNotFound"),
    ] {
        refused(&cloud, "alice", "GET", &format!("/networks?{query}"), None, (status, kind)).await;
    }
}

#[tokio::test]
async fn several_are_made_together_or_not_at_all() {
    let cloud = Cloud::new().await;
    cloud
        .by(
            "operator",
            "PUT",
            "/networking/v2.0/quotas/id-of-project-a",
            Some(json!({"quota": {"network": "2", "subnet": 1, "port": 1}})),
        )
        .await
        .is(200);
    let three = json!({"networks": [{"name": "a"}, {"name": "b"}, {"name": "c"}]});
    let text = refused(&cloud, "alice", "POST", "/networks", Some(three), (409, "OverQuota")).await;
    assert!(text.contains("network"), "{text}");
    assert_eq!(get(&cloud, "alice", "/networks").await["networks"], json!([]));
    let network = create(&cloud, "alice", "networks", "network", json!({})).await;
    let subnet = |cidr: &str| json!({"network_id": network["id"], "ip_version": 4, "cidr": cidr});
    let two = json!({"subnets": [subnet("10.0.0.0/24"), subnet("10.0.1.0/24")]});
    refused(&cloud, "alice", "POST", "/subnets", Some(two), (409, "OverQuota")).await;
    assert_eq!(get(&cloud, "alice", "/subnets").await["subnets"], json!([]));
    create(&cloud, "alice", "subnets", "subnet", subnet("10.0.0.0/24")).await;
    let two = json!({"ports": [{"network_id": network["id"]}, {"network_id": network["id"]}]});
    refused(&cloud, "alice", "POST", "/ports", Some(two), (409, "OverQuota")).await;
    assert_eq!(get(&cloud, "alice", "/ports").await["ports"], json!([]));
    for body in [
        json!({"networks": []}),
        json!({"network": {}, "networks": [{}]}),
        json!([]),
        json!({"networks": [1]}),
    ] {
        refused(&cloud, "alice", "POST", "/networks", Some(body), (400, "HTTPBadRequest")).await;
    }
}

#[tokio::test]
async fn changes_are_held_to_the_revision_that_is_known() {
    let cloud = Cloud::new().await;
    let network = create(&cloud, "alice", "networks", "network", json!({"name": "n"})).await;
    let path = format!("/networking/v2.0/networks/{}", network["id"].as_str().unwrap());
    let change = async |revision: &str| {
        let request = axum::http::Request::builder()
            .method("PUT")
            .uri(&path)
            .header("content-type", "application/json")
            .header("if-match", revision)
            .body(axum::body::Body::from(json!({"network": {"description": "d"}}).to_string()))
            .unwrap();
        cloud.send("alice", request).await.status().as_u16()
    };
    assert_eq!(change("revision_number=1").await, 412);
    assert_eq!(change("revision_number=0").await, 200);
    assert_eq!(change("revision_number=0").await, 412);
    assert_eq!(change("W/nonsense").await, 400);
    assert_eq!(change("\"revision_number=1\"").await, 200);
}

#[tokio::test]
async fn tags_are_set_filtered_by_and_removed() {
    let cloud = Cloud::new().await;
    let (network, subnet) =
        network_with(&cloud, "alice", json!({"name": "n"}), json!({"ip_version": 4, "cidr": "10.0.0.0/24"}))
            .await;
    let port =
        create(&cloud, "alice", "ports", "port", json!({"network_id": network["id"], "name": "p"})).await;
    let group = create(&cloud, "alice", "security-groups", "security_group", json!({"name": "g"})).await;
    for (collection, resource) in
        [("networks", &network), ("subnets", &subnet), ("ports", &port), ("security-groups", &group)]
    {
        let path = format!("/networking/v2.0/{collection}/{}/tags", resource["id"].as_str().unwrap());
        let by =
            async |method: &str, path: &str, body: Option<Value>| cloud.by("alice", method, path, body).await;
        let set = by("PUT", &path, Some(json!({"tags": ["red", "blue", "red"]}))).await.is(200).json();
        assert_eq!(set, json!({"tags": ["red", "blue"]}));
        by("PUT", &format!("{path}/green"), None).await.is(201);
        by("GET", &format!("{path}/green"), None).await.is(204);
        by("DELETE", &format!("{path}/blue"), None).await.is(204);
        by("DELETE", &format!("{path}/blue"), None).await.is(404);
        assert_eq!(by("GET", &path, None).await.is(200).json(), json!({"tags": ["red", "green"]}));
        let key = collection.replace('-', "_");
        for (query, count) in
            [("tags=red,green", 1), ("tags=red,blue", 0), ("tags-any=blue,red", 1), ("not-tags-any=red", 0)]
        {
            let name = resource["name"].as_str().unwrap();
            let found = get(&cloud, "alice", &format!("/{collection}?name={name}&{query}")).await;
            assert_eq!(found[&key].as_array().unwrap().len(), count, "{query}");
        }
        by("PUT", &path, Some(json!({"tags": ["a,b"]}))).await.is(400);
        by("DELETE", &path, None).await.is(204);
        cloud.by("bob", "GET", &path, None).await.is(404);
        cloud.by("bob", "PUT", &path, Some(json!({"tags": []}))).await.is(404);
    }
}

#[tokio::test]
async fn the_service_says_what_it_is() {
    let cloud = Cloud::new().await;
    let root = cloud.by("", "GET", "/networking/", None).await.is(200).json();
    assert_eq!(root["versions"][0]["id"], "v2.0");
    let resources = cloud.by("", "GET", "/networking/v2.0/", None).await.is(200).json();
    assert!(
        resources["resources"].as_array().unwrap().iter().any(|resource| resource["collection"] == "ports")
    );
    let extensions = get(&cloud, "alice", "/extensions").await;
    let aliases: Vec<_> =
        extensions["extensions"].as_array().unwrap().iter().map(|e| e["alias"].as_str().unwrap()).collect();
    assert!(aliases.contains(&"provider") && !aliases.contains(&"router"));
    assert_eq!(get(&cloud, "alice", "/extensions/quotas").await["extension"]["alias"], "quotas");
    refused(&cloud, "alice", "GET", "/extensions/router", None, (404, "ExtensionNotFound")).await;
    assert_eq!(get(&cloud, "alice", "/availability_zones").await["availability_zones"][0]["name"], "nova");
    for (path, key) in [
        ("routers", "routers"),
        ("floatingips", "floatingips"),
        ("subnetpools", "subnetpools"),
        ("address-scopes", "address_scopes"),
    ] {
        assert_eq!(get(&cloud, "alice", &format!("/{path}")).await[key], json!([]));
        let text =
            refused(&cloud, "alice", "POST", &format!("/{path}"), Some(json!({})), (404, "HTTPNotFound"))
                .await;
        assert!(text.contains("none here"), "{text}");
    }
    assert_eq!(
        get(&cloud, "operator", "/agents").await["agents"],
        json!([]),
        "nothing is served by DHCP here"
    );
    cloud.site.store.put_own_addresses("seed", &[("br0".into(), [10, 77, 0, 1].into())]).await.unwrap();
    let agents = get(&cloud, "operator", "/agents").await["agents"].take();
    assert_eq!((&agents[0]["agent_type"], &agents[0]["host"]), (&json!("DHCP agent"), &json!("seed")));
    assert_eq!(agents[0]["configurations"]["interfaces"], json!({"br0": "10.77.0.1"}));
    let path = format!("/agents/{}", agents[0]["id"].as_str().unwrap());
    assert_eq!(get(&cloud, "operator", &path).await["agent"]["alive"], true);
    refused(&cloud, "operator", "GET", "/agents/x", None, (404, "AgentNotFound")).await;
    let (network, _) =
        network_with(&cloud, "alice", json!({}), json!({"ip_version": 4, "cidr": "10.0.0.0/24"})).await;
    let of_network = format!("/networks/{}/dhcp-agents", network["id"].as_str().unwrap());
    assert_eq!(get(&cloud, "operator", &of_network).await["agents"].as_array().unwrap().len(), 1);
    assert_eq!(
        get(&cloud, "operator", &format!("{path}/dhcp-networks")).await["networks"].as_array().unwrap().len(),
        1
    );
}

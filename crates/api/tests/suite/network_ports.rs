//! Ports, and what belongs to a project: quotas, security groups, and who may see and do what.

use crate::cloud::Cloud;
use crate::networks::{create, get, network_with, refused};
use serde_json::{Value, json};

const A: &str = "id-of-project-a";

/// A shared network of the operator's with a pool of three.
async fn shared(cloud: &Cloud) -> (Value, Value) {
    let subnet = json!({"ip_version": 4, "cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.10", "end": "10.0.0.12"}]});
    network_with(cloud, "operator", json!({"name": "shared", "shared": true}), subnet).await
}

fn at(collection: &str, resource: &Value) -> String {
    format!("/{collection}/{}", resource["id"].as_str().unwrap_or_else(|| panic!("{resource}")))
}

async fn change(cloud: &Cloud, token: &str, collection: &str, resource: &Value, body: Value) -> Value {
    let path = format!("/networking/v2.0{}", at(collection, resource));
    cloud.by(token, "PUT", &path, Some(body)).await.is(200).json()
}

#[tokio::test]
async fn a_port_has_all_that_neutron_shows() {
    let cloud = Cloud::new().await;
    let (network, subnet) = shared(&cloud).await;
    let port = create(
        &cloud,
        "alice",
        "ports",
        "port",
        json!({"network_id": network["id"], "name": "p", "dns_name": "web-1"}),
    )
    .await;
    assert_eq!(port["fixed_ips"], json!([{"subnet_id": subnet["id"], "ip_address": "10.0.0.10"}]));
    assert!(port["mac_address"].as_str().unwrap().starts_with("fa:16:3e:"));
    assert_eq!(
        (&port["status"], &port["device_id"], &port["project_id"]),
        (&json!("DOWN"), &json!(""), &json!(A))
    );
    assert_eq!(port["dns_assignment"][0]["hostname"], "web-1");
    assert_eq!(port["binding:vnic_type"], "normal");
    assert!(port.get("binding:host_id").is_none(), "where it is is the operators' matter");
    let group = &port["security_groups"][0];
    let groups = get(&cloud, "alice", "/security-groups?name=default").await;
    assert_eq!(groups["security_groups"][0]["id"], *group);
    let profile = json!({"local_link_information": [{"switch_id": "aa:bb:cc:dd:ee:ff", "port_id": "1"}]});
    let body = json!({"port": {"binding:host_id": "node-1", "binding:vnic_type": "baremetal", "binding:profile": profile, "mac_address": "52-54-00-12-34-56"}});
    let bound = change(&cloud, "operator", "ports", &port, body).await["port"].take();
    assert_eq!((&bound["binding:vif_type"], &bound["status"]), (&json!("other"), &json!("ACTIVE")));
    assert_eq!((&bound["binding:profile"], &bound["mac_address"]), (&profile, &json!("52:54:00:12:34:56")));
    for query in [
        "mac_address=52:54:00:12:34:56",
        "fixed_ips=ip_address%3D10.0.0.10",
        "binding:host_id=node-1",
        "status=ACTIVE",
        "name=p",
        "device_id=",
    ] {
        let found = get(&cloud, "operator", &format!("/ports?{query}&fields=id")).await;
        assert_eq!(found["ports"], json!([{"id": port["id"]}]), "{query}");
    }
    let none = get(&cloud, "operator", &format!("/ports?network_id={}", port["id"].as_str().unwrap())).await;
    assert_eq!(none["ports"], json!([]));
    let options = json!({"port": {"extra_dhcp_opts": [{"opt_name": "ntp-server", "opt_value": "10.0.0.5"}, {"opt_name": "mtu", "opt_value": "1400"}]}});
    let with = change(&cloud, "alice", "ports", &port, options).await["port"].take();
    assert_eq!(
        with["extra_dhcp_opts"][0],
        json!({"opt_name": "ntp-server", "opt_value": "10.0.0.5", "ip_version": 4})
    );
    let options = json!({"port": {"extra_dhcp_opts": [{"opt_name": "ntp-server", "opt_value": null}]}});
    let with = change(&cloud, "alice", "ports", &port, options).await["port"].take();
    assert_eq!(with["extra_dhcp_opts"].as_array().unwrap().len(), 1);
    cloud.by("alice", "DELETE", &format!("/networking/v2.0{}", at("ports", &port)), None).await.is(204);
    refused(&cloud, "alice", "GET", &at("ports", &port), None, (404, "PortNotFound")).await;
}

#[tokio::test]
async fn addresses_are_wished_for_used_up_and_named_in_errors() {
    let cloud = Cloud::new().await;
    let (network, subnet) = shared(&cloud).await;
    let port = |attributes: Value| {
        let mut port = json!({"network_id": network["id"]});
        port.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        json!({"port": port})
    };
    let make = async |attributes: Value| {
        create(&cloud, "operator", "ports", "port", port(attributes)["port"].take()).await
    };
    let first =
        make(json!({"fixed_ips": [{"ip_address": "10.0.0.11"}], "mac_address": "52:54:00:00:00:01"})).await;
    assert_eq!(first["fixed_ips"][0]["ip_address"], "10.0.0.11");
    assert_eq!(make(json!({"fixed_ips": []})).await["fixed_ips"], json!([]));
    let second = make(json!({"fixed_ips": [{"subnet_id": subnet["id"]}, {"subnet_id": subnet["id"], "ip_address": "10.0.0.200"}]})).await;
    assert_eq!(second["fixed_ips"][0]["ip_address"], "10.0.0.10");
    for (attributes, status, kind, said) in [
        (json!({"fixed_ips": [{"ip_address": "10.0.0.11"}]}), 409, "IpAddressInUse", "10.0.0.11"),
        (json!({"fixed_ips": [{"ip_address": "10.9.0.11"}]}), 400, "InvalidInput", "not in any subnet"),
        (json!({"fixed_ips": [{"ip_address": "10.0.0.255"}]}), 400, "InvalidInput", "no host address"),
        (json!({"fixed_ips": [{"subnet_id": network["id"]}]}), 400, "InvalidInput", "not one of network"),
        (json!({"fixed_ips": [{}]}), 400, "HTTPBadRequest", "neither"),
        (json!({"fixed_ips": [{"ip_address": "ten"}]}), 400, "HTTPBadRequest", "ten"),
        (json!({"mac_address": "52:54:00:00:00:01"}), 409, "MacAddressInUse", "52:54:00:00:00:01"),
        (json!({"mac_address": "01:00:00:00:00:01"}), 400, "HTTPBadRequest", "mac_address"),
        (json!({"dns_name": "not a name"}), 400, "HTTPBadRequest", "dns_name"),
        (json!({"binding:vnic_type": "magic"}), 400, "HTTPBadRequest", "baremetal"),
        (json!({"security_groups": [network["id"]]}), 404, "SecurityGroupNotFound", "does not exist"),
        (
            json!({"allowed_address_pairs": [{"ip_address": "x"}]}),
            400,
            "HTTPBadRequest",
            "allowed_address_pairs",
        ),
        (json!({"qos_policy_id": network["id"]}), 400, "InvalidInput", "qos_policy_id"),
        (json!({"colour": "red"}), 400, "HTTPBadRequest", "colour"),
    ] {
        let text =
            refused(&cloud, "operator", "POST", "/ports", Some(port(attributes)), (status, kind)).await;
        assert!(text.contains(said), "{text}");
    }
    make(json!({})).await;
    let text = refused(
        &cloud,
        "alice",
        "POST",
        "/ports",
        Some(port(json!({}))),
        (409, "IpAddressGenerationFailure"),
    )
    .await;
    for part in [network["id"].as_str().unwrap(), subnet["id"].as_str().unwrap(), "10.0.0.10-10.0.0.12"] {
        assert!(text.contains(part), "{text}");
    }
    refused(&cloud, "operator", "DELETE", &at("networks", &network), None, (409, "NetworkInUse")).await;
    refused(&cloud, "operator", "DELETE", &at("subnets", &subnet), None, (409, "SubnetInUse")).await;
    let moved = json!({"port": {"fixed_ips": [{"ip_address": "10.0.0.77"}]}});
    let moved = change(&cloud, "operator", "ports", &first, moved).await["port"].take();
    assert_eq!(moved["fixed_ips"][0]["ip_address"], "10.0.0.77");
    create(&cloud, "alice", "ports", "port", port(json!({}))["port"].take()).await;
    let lost = json!({"port": {"network_id": subnet["id"]}});
    refused(&cloud, "operator", "PUT", &at("ports", &first), Some(lost), (400, "HTTPBadRequest")).await;
    let six = json!({"network_id": network["id"], "ip_version": 6, "cidr": "2001:db8::/64", "ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"});
    create(&cloud, "operator", "subnets", "subnet", six).await;
    let both = make(json!({"mac_address": "52:54:00:12:34:56", "fixed_ips": [{"ip_address": "10.0.0.78"}, {"ip_address": "2001:db8::5054:ff:fe12:3456"}]})).await;
    assert_eq!(both["fixed_ips"][1]["ip_address"], "2001:db8::5054:ff:fe12:3456");
}

#[tokio::test]
async fn a_project_sees_its_own_and_what_is_shared() {
    let cloud = Cloud::new().await;
    let (shared, shared_subnet) = shared(&cloud).await;
    let (own, own_subnet) = network_with(
        &cloud,
        "alice",
        json!({"name": "own"}),
        json!({"ip_version": 4, "cidr": "10.0.0.0/24"}),
    )
    .await;
    let port = create(&cloud, "alice", "ports", "port", json!({"network_id": own["id"]})).await;
    let guest = create(&cloud, "alice", "ports", "port", json!({"network_id": shared["id"]})).await;
    let group = create(&cloud, "alice", "security-groups", "security_group", json!({"name": "g"})).await;
    let rule = group["security_group_rules"][0].clone();
    for (collection, resource, kind, one) in [
        ("networks", &own, "NetworkNotFound", "network"),
        ("subnets", &own_subnet, "SubnetNotFound", "subnet"),
        ("ports", &port, "PortNotFound", "port"),
        ("ports", &guest, "PortNotFound", "port"),
        ("security-groups", &group, "SecurityGroupNotFound", "security_group"),
        ("security-group-rules", &rule, "SecurityGroupRuleNotFound", "security_group_rule"),
    ] {
        let path = at(collection, resource);
        let missing = format!("/{collection}/{}", "00000000-0000-4000-8000-000000000000");
        let text = refused(&cloud, "bob", "GET", &path, None, (404, kind)).await;
        let other = refused(&cloud, "bob", "GET", &missing, None, (404, kind)).await;
        let id = resource["id"].as_str().unwrap();
        assert_eq!(text.replace(id, ""), other.replace("00000000-0000-4000-8000-000000000000", ""));
        refused(&cloud, "bob", "DELETE", &path, None, (404, kind)).await;
        if collection != "security-group-rules" {
            refused(&cloud, "bob", "PUT", &path, Some(json!({one: {"name": "mine"}})), (404, kind)).await;
            refused(
                &cloud,
                "reader",
                "PUT",
                &path,
                Some(json!({one: {"name": "mine"}})),
                (403, "PolicyNotAuthorized"),
            )
            .await;
        }
        get(&cloud, "reader", &path).await;
        get(&cloud, "operator", &path).await;
        let listed = get(&cloud, "bob", &format!("/{collection}")).await;
        assert!(!listed.to_string().contains(id), "{listed}");
        assert!(get(&cloud, "reader", &format!("/{collection}")).await.to_string().contains(id));
        assert!(get(&cloud, "operator", &format!("/{collection}")).await.to_string().contains(id));
    }
    refused(
        &cloud,
        "bob",
        "POST",
        "/ports",
        Some(json!({"port": {"network_id": own["id"]}})),
        (404, "NetworkNotFound"),
    )
    .await;
    let subnet = json!({"subnet": {"network_id": own["id"], "ip_version": 4, "cidr": "10.1.0.0/24"}});
    refused(&cloud, "bob", "POST", "/subnets", Some(subnet.clone()), (404, "NetworkNotFound")).await;
    // What is shared is seen, and belongs to its owner still.
    get(&cloud, "bob", &at("networks", &shared)).await;
    get(&cloud, "bob", &at("subnets", &shared_subnet)).await;
    refused(&cloud, "bob", "DELETE", &at("networks", &shared), None, (403, "PolicyNotAuthorized")).await;
    refused(&cloud, "bob", "DELETE", &at("subnets", &shared_subnet), None, (403, "PolicyNotAuthorized"))
        .await;
    let mut there = subnet;
    there["subnet"]["network_id"] = shared["id"].clone();
    refused(&cloud, "bob", "POST", "/subnets", Some(there), (403, "PolicyNotAuthorized")).await;
    for (attributes, said) in [
        (json!({"fixed_ips": [{"ip_address": "10.0.0.99"}]}), "fixed_ips"),
        (json!({"mac_address": "52:54:00:00:00:09"}), "mac_address"),
        (json!({"device_owner": "network:dhcp"}), "device_owner"),
        (json!({"binding:host_id": "n"}), "binding:host_id"),
        (json!({"port_security_enabled": false}), "port_security_enabled"),
    ] {
        let mut body = json!({"port": attributes});
        let text = refused(
            &cloud,
            "alice",
            "PUT",
            &at("ports", &guest),
            Some(body.clone()),
            (403, "PolicyNotAuthorized"),
        )
        .await;
        assert!(text.contains(said), "{text}");
        body["port"]["network_id"] = shared["id"].clone();
        refused(&cloud, "alice", "POST", "/ports", Some(body), (403, "PolicyNotAuthorized")).await;
    }
    change(&cloud, "alice", "ports", &port, json!({"port": {"fixed_ips": [{"ip_address": "10.0.0.99"}]}}))
        .await;
    let foreign = json!({"network": {"project_id": "id-of-project-b"}});
    refused(&cloud, "alice", "POST", "/networks", Some(foreign.clone()), (400, "HTTPBadRequest")).await;
    let given = create(&cloud, "operator", "networks", "network", foreign["network"].clone()).await;
    get(&cloud, "bob", &at("networks", &given)).await;
    // The owner of a network sees and removes what is on it.
    let guest_of_b = create(&cloud, "operator", "ports", "port", json!({"network_id": given["id"]})).await;
    get(&cloud, "bob", &at("ports", &guest_of_b)).await;
    cloud.by("bob", "DELETE", &format!("/networking/v2.0{}", at("ports", &guest_of_b)), None).await.is(204);
}

#[tokio::test]
async fn quotas_are_shown_set_and_kept_to() {
    let cloud = Cloud::new().await;
    let quota = get(&cloud, "alice", &format!("/quotas/{A}")).await["quota"].take();
    assert_eq!((&quota["port"], &quota["network"], &quota["router"]), (&json!(500), &json!(100), &json!(0)));
    refused(&cloud, "alice", "GET", "/quotas/id-of-project-b", None, (403, "PolicyNotAuthorized")).await;
    assert_eq!(get(&cloud, "alice", "/quotas/tenant").await["tenant"]["tenant_id"], A);
    assert_eq!(get(&cloud, "operator", "/quotas").await["quotas"], json!([]));
    let path = format!("/networking/v2.0/quotas/{A}");
    let set =
        cloud.by("operator", "PUT", &path, Some(json!({"quota": {"port": 1, "tenant_id": A}}))).await.is(200);
    assert_eq!(set.json()["quota"]["port"], 1);
    assert_eq!(get(&cloud, "operator", "/quotas").await["quotas"][0]["project_id"], A);
    let (network, _) =
        network_with(&cloud, "alice", json!({}), json!({"ip_version": 4, "cidr": "10.0.0.0/24"})).await;
    create(&cloud, "alice", "ports", "port", json!({"network_id": network["id"]})).await;
    let text = refused(
        &cloud,
        "alice",
        "POST",
        "/ports",
        Some(json!({"port": {"network_id": network["id"]}})),
        (409, "OverQuota"),
    )
    .await;
    assert!(text.contains("port"), "{text}");
    for details in ["details", "details.json"] {
        let details = get(&cloud, "alice", &format!("/quotas/{A}/{details}")).await["quota"].take();
        assert_eq!(details["port"], json!({"limit": 1, "used": 1, "reserved": 0}));
    }
    assert_eq!(get(&cloud, "alice", &format!("/quotas/{A}/default")).await["quota"]["port"], 500);
    let lowered = json!({"quota": {"port": 0, "check_limit": true}});
    refused(&cloud, "operator", "PUT", &format!("/quotas/{A}"), Some(lowered), (400, "QuotaException")).await;
    for body in [json!({"quota": {"port": -2}}), json!({"quota": {"pony": 1}})] {
        refused(&cloud, "operator", "PUT", &format!("/quotas/{A}"), Some(body), (400, "HTTPBadRequest"))
            .await;
    }
    cloud.by("operator", "DELETE", &path, None).await.is(204);
    create(&cloud, "alice", "ports", "port", json!({"network_id": network["id"]})).await;
    let counted = get(&cloud, "operator", "/network-ip-availabilities?ip_version=4").await;
    assert_eq!(counted["network_ip_availabilities"][0]["used_ips"].as_f64(), Some(2.0));
    assert_eq!(counted["network_ip_availabilities"][0]["total_ips"].as_f64(), Some(253.0));
}

#[tokio::test]
async fn security_groups_and_their_rules() {
    let cloud = Cloud::new().await;
    let groups = get(&cloud, "alice", "/security-groups").await["security_groups"].take();
    assert_eq!(
        (&groups[0]["name"], groups[0]["security_group_rules"].as_array().unwrap().len()),
        (&json!("default"), 4)
    );
    let group = create(
        &cloud,
        "alice",
        "security-groups",
        "security_group",
        json!({"name": "web", "description": "d"}),
    )
    .await;
    assert_eq!(group["security_group_rules"].as_array().unwrap().len(), 2);
    let rule = json!({"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp", "port_range_min": "22", "port_range_max": "22", "remote_ip_prefix": "10.0.0.0/8"});
    let made = create(&cloud, "alice", "security-group-rules", "security_group_rule", rule.clone()).await;
    assert_eq!((&made["ethertype"], &made["port_range_min"]), (&json!("IPv4"), &json!(22)));
    refused(
        &cloud,
        "alice",
        "POST",
        "/security-group-rules",
        Some(json!({"security_group_rule": rule})),
        (409, "SecurityGroupRuleExists"),
    )
    .await;
    let listed = get(
        &cloud,
        "alice",
        &format!("/security-group-rules?security_group_id={}", group["id"].as_str().unwrap()),
    )
    .await;
    assert_eq!(listed["security_group_rules"].as_array().unwrap().len(), 3);
    for (attributes, kind) in [
        (json!({"direction": "up"}), "HTTPBadRequest"),
        (json!({"ethertype": "IPv6"}), "SecurityGroupRuleParameterConflict"),
        (json!({"port_range_min": 30}), "SecurityGroupInvalidPortRange"),
        (json!({"protocol": null}), "InvalidInput"),
        (json!({"remote_ip_prefix": "ten"}), "HTTPBadRequest"),
    ] {
        let mut wrong = rule.clone();
        wrong.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        refused(
            &cloud,
            "alice",
            "POST",
            "/security-group-rules",
            Some(json!({"security_group_rule": wrong})),
            (400, kind),
        )
        .await;
    }
    let rule_path = format!("/networking/v2.0{}", at("security-group-rules", &made));
    cloud.by("alice", "DELETE", &rule_path, None).await.is(204);
    cloud.by("alice", "DELETE", &rule_path, None).await.is(404);
    let renamed =
        change(&cloud, "alice", "security-groups", &group, json!({"security_group": {"name": "www"}})).await;
    assert_eq!(renamed["security_group"]["name"], "www");
    let default = json!({"security_group": {"name": "default"}});
    refused(
        &cloud,
        "alice",
        "POST",
        "/security-groups",
        Some(default.clone()),
        (409, "SecurityGroupDefaultAlreadyExists"),
    )
    .await;
    refused(
        &cloud,
        "alice",
        "PUT",
        &at("security-groups", &group),
        Some(default),
        (409, "SecurityGroupCannotUpdateDefault"),
    )
    .await;
    refused(
        &cloud,
        "alice",
        "DELETE",
        &at("security-groups", &groups[0]),
        None,
        (409, "SecurityGroupCannotRemoveDefault"),
    )
    .await;
    let (network, _) =
        network_with(&cloud, "alice", json!({}), json!({"ip_version": 4, "cidr": "10.0.0.0/24"})).await;
    let port = create(
        &cloud,
        "alice",
        "ports",
        "port",
        json!({"network_id": network["id"], "security_groups": [group["id"]]}),
    )
    .await;
    refused(&cloud, "alice", "DELETE", &at("security-groups", &group), None, (409, "SecurityGroupInUse"))
        .await;
    change(&cloud, "alice", "ports", &port, json!({"port": {"security_groups": []}})).await;
    cloud
        .by("alice", "DELETE", &format!("/networking/v2.0{}", at("security-groups", &group)), None)
        .await
        .is(204);
}

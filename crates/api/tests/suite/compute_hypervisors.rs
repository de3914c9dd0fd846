//! Nodes as hypervisors; services; availability zones.

use crate::cloud::Cloud;
use crate::compute::NEWEST;
use model::state::ProvisionState;
use serde_json::{Value, json};

#[tokio::test]
async fn each_node_is_a_hypervisor() {
    let cloud = Cloud::new().await;
    let (one, other) = (cloud.free_node("n1").await, cloud.free_node("n2").await);
    let list = cloud.read("operator", "/os-hypervisors").await["hypervisors"].clone();
    assert_eq!(list[0], json!({"id": one, "hypervisor_hostname": one, "state": "up", "status": "enabled"}));
    let detail = cloud.nova(87, "operator", "GET", "/os-hypervisors/detail", None).await.is(200).json();
    let first = &detail["hypervisors"][0];
    assert_eq!(
        (&first["vcpus"], &first["memory_mb"], &first["local_gb"]),
        (&json!(8), &json!(4096), &json!(20))
    );
    assert_eq!(
        (&first["vcpus_used"], &first["running_vms"], &first["free_ram_mb"]),
        (&json!(0), &json!(0), &json!(4096))
    );
    assert_eq!((&first["hypervisor_type"], &first["service"]["host"]), (&json!("ironic"), &json!("seed")));
    let newest = cloud.read("operator", &format!("/os-hypervisors/{one}")).await["hypervisor"].clone();
    assert_eq!((newest.get("vcpus"), &newest["uptime"]), (None, &Value::Null));

    // A node in use, and one that nobody can have.
    let server = cloud.put_server("web", |server| server.node = Some(one)).await;
    cloud.site.edit(one, |node| node.instance_uuid = Some(server.uuid.to_string())).await;
    cloud.site.edit(other, |node| node.provision_state = ProvisionState::Manageable).await;
    let sums = cloud.nova(87, "operator", "GET", "/os-hypervisors/statistics", None).await.is(200).json();
    let sums = &sums["hypervisor_statistics"];
    assert_eq!((&sums["count"], &sums["vcpus"], &sums["vcpus_used"]), (&json!(2), &json!(8), &json!(8)));
    assert_eq!((&sums["running_vms"], &sums["free_disk_gb"]), (&json!(1), &json!(0)));
    cloud.nova(88, "operator", "GET", "/os-hypervisors/statistics", None).await.is(404);
    let with = cloud.read("operator", "/os-hypervisors?with_servers=true").await["hypervisors"].clone();
    assert_eq!((&with[0]["servers"][0]["uuid"], &with[1]["servers"]), (&json!(server.uuid), &json!([])));
}

#[tokio::test]
async fn hypervisors_are_numbered_below_2_53_and_found_by_pattern() {
    let cloud = Cloud::new().await;
    let (one, _) = (cloud.free_node("n1").await, cloud.free_node("n2").await);
    let list = cloud.nova(52, "operator", "GET", "/os-hypervisors", None).await.is(200).json();
    let number = list["hypervisors"][0]["id"].as_u64().unwrap();
    let shown =
        cloud.nova(52, "operator", "GET", &format!("/os-hypervisors/{number}"), None).await.is(200).json();
    assert_eq!(shown["hypervisor"]["hypervisor_hostname"], json!(one));
    let part = &one.to_string()[..13];
    let found =
        cloud.nova(52, "operator", "GET", &format!("/os-hypervisors/{part}/search"), None).await.is(200);
    assert_eq!(found.json()["hypervisors"].as_array().unwrap().len(), 1);
    cloud.nova(52, "operator", "GET", &format!("/os-hypervisors/{part}/servers"), None).await.is(200);
    cloud.nova(53, "operator", "GET", &format!("/os-hypervisors/{part}/search"), None).await.is(404);
    let found = cloud.read("operator", &format!("/os-hypervisors?hypervisor_hostname_pattern={part}")).await;
    assert_eq!(found["hypervisors"][0]["id"], json!(one));
    let page = cloud.read("operator", "/os-hypervisors/detail?limit=1").await;
    let next = page["hypervisors_links"][0]["href"].as_str().unwrap();
    assert!(next.ends_with(&format!("/os-hypervisors/detail?limit=1&marker={one}")), "{next}");
    let last = cloud.read("operator", &format!("/os-hypervisors?limit=1&marker={one}")).await;
    assert_eq!((last["hypervisors"].as_array().unwrap().len(), last.get("hypervisors_links")), (1, None));
    for (minor, path, key) in [
        (NEWEST, "/os-hypervisors?hypervisor_hostname_pattern=xyz", "itemNotFound"),
        (NEWEST, "/os-hypervisors?hypervisor_hostname_pattern=a&limit=1", "badRequest"),
        (NEWEST, "/os-hypervisors?marker=xyz", "badRequest"),
        (NEWEST, "/os-hypervisors/xyz", "badRequest"),
        (NEWEST, "/os-hypervisors/00000000-0000-0000-0000-000000000000", "itemNotFound"),
        (52, "/os-hypervisors/xyz", "itemNotFound"),
    ] {
        cloud.refused(minor, "operator", "GET", path, None, key).await;
    }
    cloud
        .refused(87, "operator", "GET", &format!("/os-hypervisors/{one}/uptime"), None, "notImplemented")
        .await;
    cloud.nova(NEWEST, "alice", "GET", "/os-hypervisors", None).await.is(403);
}

#[tokio::test]
async fn services_are_all_in_this_process() {
    let cloud = Cloud::new().await;
    let list = cloud.read("operator", "/os-services?binary=nova-compute").await["services"].clone();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(
        (&list[0]["host"], &list[0]["zone"], &list[0]["state"]),
        (&json!("seed"), &json!("nova"), &json!("up"))
    );
    assert_eq!(list[0]["forced_down"], false);
    let own = format!("/os-services/{}", list[0]["id"].as_str().unwrap());
    let again = cloud.read("operator", "/os-services").await["services"].clone();
    assert_eq!((again.as_array().unwrap().len(), &again[2]["id"]), (3, &list[0]["id"]));
    let old = cloud.nova(10, "operator", "GET", "/os-services?host=seed", None).await.is(200).json();
    assert!(old["services"][0]["id"].is_u64() && old["services"][0].get("forced_down").is_none());
    cloud.refused(NEWEST, "operator", "PUT", &own, Some(json!({"status": "disabled"})), "badRequest").await;
    cloud.refused(NEWEST, "operator", "DELETE", &own, None, "conflictingRequest").await;
    cloud.refused(NEWEST, "operator", "DELETE", "/os-services/x", None, "itemNotFound").await;
    cloud.nova(NEWEST, "alice", "GET", "/os-services", None).await.is(403);
}

#[tokio::test]
async fn conductor_groups_are_zones() {
    let cloud = Cloud::new().await;
    let node = cloud.free_node("n1").await;
    cloud.site.edit(node, |node| node.conductor_group = "rack1".to_owned()).await;
    let zones = cloud.read("alice", "/os-availability-zone").await["availabilityZoneInfo"].clone();
    assert_eq!(
        zones,
        json!([
            {"zoneName": "nova", "zoneState": {"available": true}, "hosts": null},
            {"zoneName": "rack1", "zoneState": {"available": true}, "hosts": null},
        ])
    );
    cloud.nova(NEWEST, "alice", "GET", "/os-availability-zone/detail", None).await.is(403);
    let detail = cloud.read("operator", "/os-availability-zone/detail").await["availabilityZoneInfo"].clone();
    assert_eq!(detail[0]["zoneName"], "internal");
    assert_eq!(detail[2]["hosts"]["seed"]["nova-compute"]["available"], true);
}

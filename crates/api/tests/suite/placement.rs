//! Placement, as it follows from the nodes.

use crate::cloud::Cloud;
use crate::site::Answer;
use model::state::ProvisionState;
use serde_json::{Value, json};
use uuid::Uuid;

struct Placement {
    cloud: Cloud,
    free: Uuid,
    taken: Uuid,
}

impl Placement {
    /// Two nodes: one to be had, one that a server has.
    async fn new() -> Self {
        let cloud = Cloud::new().await;
        let mut nodes = Vec::new();
        for name in ["free", "taken"] {
            let body = json!({"driver": "fake-hardware", "name": name, "resource_class": "big-iron"});
            let made = cloud
                .at("baremetal 1.80", "operator", "POST", "/baremetal/v1/nodes", Some(body))
                .await
                .is(201);
            let uuid: Uuid = made.json()["uuid"].as_str().unwrap().parse().unwrap();
            cloud.site.edit(uuid, |node| node.provision_state = ProvisionState::Available).await;
            nodes.push(uuid);
        }
        let (free, taken) = (nodes[0], nodes[1]);
        cloud.site.edit(free, |node| node.traits.extend(["CUSTOM_GPU".to_owned()])).await;
        cloud
            .site
            .edit(taken, |node| {
                node.instance_uuid = Some(SERVER.into());
                node.lessee = Some("p".into());
                node.provision_state = ProvisionState::Active;
            })
            .await;
        Self { cloud, free, taken }
    }

    async fn get(&self, minor: u16, path: &str) -> Answer {
        self.cloud
            .at(&format!("placement 1.{minor}"), "operator", "GET", &format!("/placement{path}"), None)
            .await
    }

    async fn uuids(&self, query: &str) -> Vec<Value> {
        let listed = self.get(39, &format!("/resource_providers{query}")).await.is(200).json();
        listed["resource_providers"].as_array().unwrap().iter().map(|one| one["uuid"].clone()).collect()
    }
}

const SERVER: &str = "0b2a3c7e-1111-4222-8333-444455556666";

#[tokio::test]
async fn each_node_is_a_provider() {
    let site = Placement::new().await;
    let (free, taken) = (site.free, site.taken);
    assert_eq!(site.uuids("").await, [json!(free), json!(taken)]);
    assert_eq!(site.uuids(&format!("?name={taken}")).await, [json!(taken)]);
    assert!(site.uuids("?name=free").await.is_empty(), "providers are called by the nodes' UUIDs");
    assert_eq!(site.uuids("?resources=CUSTOM_BIG_IRON:1").await, [json!(free)]);
    assert_eq!(site.uuids("?required=!CUSTOM_GPU").await, [json!(taken)]);
    let old = site.get(0, &format!("/resource_providers/{free}")).await.is(200).json();
    assert_eq!(old["links"].as_array().unwrap().len(), 3);
    assert!(old.get("root_provider_uuid").is_none());
    let new = site.get(14, &format!("/resource_providers/{free}")).await.is(200).json();
    assert_eq!((&new["name"], &new["root_provider_uuid"]), (&json!(free), &json!(free)));
    assert_eq!(new["links"].as_array().unwrap().len(), 6);
    site.get(3, "/resource_providers?resources=VCPU:1").await.is(400);
    for path in ["/resource_providers/free", &format!("/resource_providers/{}", Uuid::new_v4())] {
        let missing = site.get(39, path).await.is(404).json();
        assert_eq!(missing["errors"][0]["code"], "placement.resource_provider.not_found");
        assert!(missing["errors"][0]["request_id"].as_str().unwrap().starts_with("req-"));
    }
}

#[tokio::test]
async fn what_a_provider_has_follows_from_its_node() {
    let site = Placement::new().await;
    let (free, taken) = (site.free, site.taken);
    let inventory = async |node: Uuid| {
        site.get(39, &format!("/resource_providers/{node}/inventories")).await.is(200).json()["inventories"]
            .clone()
    };
    assert_eq!(inventory(free).await["CUSTOM_BIG_IRON"]["reserved"], 0);
    assert_eq!(inventory(taken).await["CUSTOM_BIG_IRON"]["reserved"], 1);
    let one =
        site.get(39, &format!("/resource_providers/{free}/inventories/CUSTOM_BIG_IRON")).await.is(200).json();
    assert_eq!((&one["total"], &one["allocation_ratio"]), (&json!(1), &json!(1.0)));
    site.get(39, &format!("/resource_providers/{free}/inventories/VCPU")).await.is(404);
    let usages = site.get(39, &format!("/resource_providers/{taken}/usages")).await.is(200).json();
    assert_eq!(usages["usages"], json!({"CUSTOM_BIG_IRON": 1}));
    let usages = site.get(9, "/usages?project_id=p").await.is(200).json();
    assert_eq!(usages["usages"], json!({"CUSTOM_BIG_IRON": 1}));
    let usages = site.get(38, "/usages?project_id=p").await.is(200).json();
    assert_eq!(usages["usages"]["INSTANCE"], json!({"CUSTOM_BIG_IRON": 1, "consumer_count": 1}));
    for nobody in ["/usages?project_id=q", "/usages?project_id=p&user_id=u"] {
        assert_eq!(site.get(39, nobody).await.json()["usages"], json!({}), "{nobody}");
    }
    let traits = site.get(39, &format!("/resource_providers/{free}/traits")).await.is(200).json();
    assert_eq!(traits["traits"], json!(["CUSTOM_GPU"]));
    let aggregates = site.get(39, &format!("/resource_providers/{free}/aggregates")).await.is(200).json();
    assert_eq!(aggregates["aggregates"], json!([]));
    site.cloud.site.edit(free, |node| node.maintenance = true).await;
    assert_eq!(inventory(free).await["CUSTOM_BIG_IRON"]["reserved"], 1);
}

#[tokio::test]
async fn who_has_what_is_told_from_both_sides() {
    let site = Placement::new().await;
    let taken = site.taken.to_string();
    let of_server = site.get(39, &format!("/allocations/{SERVER}")).await.is(200).json();
    assert_eq!(of_server["allocations"][&taken]["resources"], json!({"CUSTOM_BIG_IRON": 1}));
    assert_eq!((&of_server["project_id"], &of_server["consumer_type"]), (&json!("p"), &json!("INSTANCE")));
    let of_node = site.get(39, &format!("/resource_providers/{taken}/allocations")).await.is(200).json();
    assert_eq!(of_node["allocations"][SERVER]["resources"], json!({"CUSTOM_BIG_IRON": 1}));
    let of_nobody = site.get(39, &format!("/allocations/{}", Uuid::new_v4())).await.is(200).json();
    assert_eq!(of_nobody, json!({"allocations": {}}));
}

#[tokio::test]
async fn candidates_are_nodes_that_could_be_given() {
    let site = Placement::new().await;
    let free = site.free.to_string();
    let found = site
        .get(39, "/allocation_candidates?resources=CUSTOM_BIG_IRON:1&required=CUSTOM_GPU")
        .await
        .is(200)
        .json();
    assert_eq!(
        found["allocation_requests"],
        json!([{"allocations": {&free: {"resources": {"CUSTOM_BIG_IRON": 1}}}, "mappings": {"": [&free]}}])
    );
    assert_eq!(
        found["provider_summaries"][&free]["resources"],
        json!({"CUSTOM_BIG_IRON": {"capacity": 1, "used": 0}})
    );
    let old = site.get(10, "/allocation_candidates?resources=CUSTOM_BIG_IRON:1").await.is(200).json();
    assert_eq!(old["allocation_requests"][0]["allocations"][0]["resource_provider"]["uuid"], free.as_str());
    let none = site.get(39, "/allocation_candidates?resources=VCPU:1").await.is(200).json();
    assert_eq!(none, json!({"allocation_requests": [], "provider_summaries": {}}));
    site.get(39, "/allocation_candidates").await.is(400);
    site.get(9, "/allocation_candidates?resources=VCPU:1").await.is(404);
}

#[tokio::test]
async fn classes_and_traits_are_those_of_nodes() {
    let site = Placement::new().await;
    let classes = site.get(39, "/resource_classes").await.is(200).json();
    let names: Vec<_> = classes["resource_classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"VCPU") && names.contains(&"CUSTOM_BIG_IRON"));
    site.get(39, "/resource_classes/CUSTOM_BIG_IRON").await.is(200);
    site.get(39, "/resource_classes/CUSTOM_OTHER").await.is(404);
    let traits =
        async |query: &str| site.get(39, &format!("/traits{query}")).await.is(200).json()["traits"].clone();
    assert_eq!(traits("").await, json!(["CUSTOM_GPU"]));
    assert_eq!(traits("?name=startswith:HW_").await, json!([]));
    assert_eq!(traits("?name=in:CUSTOM_GPU,CUSTOM_X").await, json!(["CUSTOM_GPU"]));
    assert_eq!(traits("?associated=false").await, json!([]));
    site.get(39, "/traits?name=CUSTOM_GPU").await.is(400);
    site.get(39, "/traits/CUSTOM_GPU").await.is(204);
    site.get(39, "/traits/CUSTOM_X").await.is(404);
    site.get(5, "/traits").await.is(404);
}

#[tokio::test]
async fn what_is_derived_is_not_written() {
    let site = Placement::new().await;
    let body = json!({"name": "x"});
    let told = site
        .cloud
        .at("placement 1.39", "operator", "POST", "/placement/resource_providers", Some(body))
        .await
        .is(405);
    assert_eq!(told.header("allow"), "GET");
    assert!(told.json()["errors"][0]["detail"].as_str().unwrap().contains("create or delete a node"));
    site.cloud.by("alice", "POST", "/placement/resource_providers", None).await.is(403);
}

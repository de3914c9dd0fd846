//! Flavors, their extra specs, and who may use them.

use crate::cloud::Cloud;
use crate::compute::NEWEST;
use crate::stub_keystone::project_id;
use serde_json::{Value, json};

fn gold() -> Value {
    json!({"flavor": {"name": "gold", "vcpus": 8, "ram": 4096, "disk": 20, "id": "1"}})
}

#[tokio::test]
async fn a_flavor_is_made_shown_described_and_forgotten() {
    let cloud = Cloud::new().await;
    let mut body = gold();
    body["flavor"]["OS-FLV-EXT-DATA:ephemeral"] = json!(5);
    let made = cloud.nova(1, "operator", "POST", "/flavors", Some(body)).await.is(200).json();
    assert_eq!(
        made["flavor"],
        json!({
            "id": "1", "name": "gold", "vcpus": 8, "ram": 4096, "disk": 20, "swap": "",
            "OS-FLV-EXT-DATA:ephemeral": 5, "OS-FLV-DISABLED:disabled": false, "os-flavor-access:is_public": true,
            "rxtx_factor": 1.0,
            "links": [
                {"rel": "self", "href": "http://h:1/compute/v2.1/flavors/1"},
                {"rel": "bookmark", "href": "http://h:1/compute/flavors/1"},
            ],
        })
    );
    let at = async |minor| {
        cloud.nova(minor, "alice", "GET", "/flavors/1", None).await.is(200).json()["flavor"].clone()
    };
    assert_eq!((at(54).await.get("description"), at(55).await["description"].clone()), (None, Value::Null));
    assert_eq!((at(60).await.get("extra_specs"), at(61).await["extra_specs"].clone()), (None, json!({})));
    assert_eq!((at(74).await["swap"].clone(), at(75).await["swap"].clone()), (json!(""), json!(0)));

    let described = json!({"flavor": {"description": "fast"}});
    cloud.nova(54, "operator", "PUT", "/flavors/1", Some(described.clone())).await.is(404);
    let changed = cloud.nova(55, "operator", "PUT", "/flavors/1", Some(described)).await.is(200).json();
    assert_eq!(changed["flavor"]["description"], "fast");
    cloud.nova(55, "operator", "PUT", "/flavors/1", Some(json!({"flavor": {"name": "x"}}))).await.is(400);

    for (verb, path) in [("POST", "/flavors"), ("PUT", "/flavors/1"), ("DELETE", "/flavors/1")] {
        cloud.nova(NEWEST, "alice", verb, path, Some(gold())).await.is(403);
    }
    cloud.nova(NEWEST, "operator", "DELETE", "/flavors/1", None).await.is(202);
    let gone = cloud.refused(NEWEST, "operator", "GET", "/flavors/1", None, "itemNotFound").await;
    assert_eq!(gone, "Flavor 1 could not be found.");
}

#[tokio::test]
async fn ids_are_made_given_or_refused() {
    let cloud = Cloud::new().await;
    for (index, id) in [json!("auto"), Value::Null, json!(7), json!("m1.large")].into_iter().enumerate() {
        let mut body = gold();
        body["flavor"]["name"] = json!(format!("f{index}"));
        body["flavor"]["id"] = id.clone();
        let made = cloud.nova(1, "operator", "POST", "/flavors", Some(body)).await.is(200).json();
        let own = made["flavor"]["id"].as_str().unwrap().to_owned();
        match id {
            Value::Number(_) => assert_eq!(own, "7"),
            Value::String(text) if text != "auto" => assert_eq!(own, text),
            _ => assert_eq!(own.len(), 36),
        }
    }
    let taken =
        |name: &str, id: &str| json!({"flavor": {"name": name, "id": id, "vcpus": 1, "ram": 1, "disk": 0}});
    let text =
        cloud.refused(1, "operator", "POST", "/flavors", Some(taken("f0", "x")), "conflictingRequest").await;
    assert_eq!(text, "Flavor with name f0 already exists.");
    let text =
        cloud.refused(1, "operator", "POST", "/flavors", Some(taken("x", "7")), "conflictingRequest").await;
    assert_eq!(text, "Flavor with ID 7 already exists.");
}

#[tokio::test]
async fn nonsense_is_refused_by_name() {
    let cloud = Cloud::new().await;
    for (field, value) in [
        ("name", json!("")),
        ("name", json!(" x")),
        ("id", json!("a/b")),
        ("id", json!(" x")),
        ("vcpus", json!(0)),
        ("ram", json!("many")),
        ("ram", json!(2_147_483_648_i64)),
        ("disk", json!(-1)),
        ("swap", json!(1.5)),
        ("rxtx_factor", json!(0)),
        ("os-flavor-access:is_public", json!("perhaps")),
        ("description", json!("only from 2.55 on")),
    ] {
        let mut body = gold();
        body["flavor"][field] = value;
        let text = cloud.refused(54, "operator", "POST", "/flavors", Some(body), "badRequest").await;
        assert!(text.contains(field), "{field}: {text}");
    }
    for body in [json!({}), json!([]), json!({"flavor": []}), json!({"flavor": {"name": "x"}})] {
        cloud.refused(1, "operator", "POST", "/flavors", Some(body), "badRequest").await;
    }
    assert_eq!(cloud.site.store.flavors().await.unwrap(), []);
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() {
    let cloud = Cloud::new().await;
    for (name, ram, disk, is_public) in
        [("c", 100, 10, true), ("a", 300, 5, true), ("b", 200, 20, true), ("secret", 50, 1, false)]
    {
        let flavor = json!({"name": name, "id": name, "vcpus": 1, "ram": ram, "disk": disk,
            "os-flavor-access:is_public": is_public});
        cloud.nova(1, "operator", "POST", "/flavors", Some(json!({"flavor": flavor}))).await.is(200);
    }
    let names = async |token: &'static str, query: &str| {
        let list = cloud.read(token, &format!("/flavors{query}")).await;
        let names: Vec<_> = list["flavors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|flavor| flavor["name"].as_str().unwrap().to_owned())
            .collect();
        names.join(" ")
    };
    assert_eq!(names("alice", "").await, "a b c");
    assert_eq!(names("alice", "?is_public=None").await, "a b c");
    assert_eq!(names("operator", "?is_public=None").await, "a b c secret");
    assert_eq!(names("operator", "?is_public=False").await, "secret");
    assert_eq!(names("alice", "?minRam=200").await, "a b");
    assert_eq!(names("alice", "?minDisk=10&sort_key=memory_mb&sort_dir=desc").await, "b c");
    assert_eq!(names("alice", "?limit=2").await, "a b");
    let page = cloud.read("alice", "/flavors/detail?limit=2&minRam=1").await;
    assert_eq!(
        page["flavors_links"],
        json!([{"rel": "next", "href": "http://h:1/compute/v2.1/flavors/detail?limit=2&minRam=1&marker=b"}])
    );
    let last = cloud.read("alice", "/flavors/detail?limit=2&minRam=1&marker=b").await;
    assert_eq!((last["flavors"][0]["ram"].clone(), last.get("flavors_links")), (json!(100), None));
    for query in
        ["marker=x", "limit=-1", "sort_key=colour", "sort_dir=up", "minRam=x", "is_public=x&colour=red"]
    {
        cloud.refused(NEWEST, "operator", "GET", &format!("/flavors?{query}"), None, "badRequest").await;
    }
    // Below 2.75 arguments that nobody knows mean nothing.
    cloud.nova(74, "alice", "GET", "/flavors?colour=red", None).await.is(200);
}

#[tokio::test]
async fn extra_specs_come_and_go_and_must_make_sense() {
    let cloud = Cloud::new().await;
    cloud.flavor().await;
    let path = "/flavors/1/os-extra_specs";
    let specs =
        json!({"extra_specs": {"trait:CUSTOM_FAST": "required", "capabilities:boot_mode": "uefi", "n": 5}});
    let made = cloud.nova(1, "operator", "POST", path, Some(specs)).await.is(200).json();
    assert_eq!(made["extra_specs"]["n"], "5");
    assert_eq!(cloud.read("alice", path).await["extra_specs"]["resources:CUSTOM_GOLD"], "1");
    let one = format!("{path}/capabilities:boot_mode");
    let set =
        cloud.nova(1, "operator", "PUT", &one, Some(json!({"capabilities:boot_mode": "bios"}))).await.is(200);
    assert_eq!(set.json(), json!({"capabilities:boot_mode": "bios"}));
    assert_eq!(cloud.read("alice", &one).await, json!({"capabilities:boot_mode": "bios"}));
    cloud.nova(1, "operator", "PUT", &one, Some(json!({"other": "x"}))).await.is(400);
    cloud.nova(1, "operator", "DELETE", &one, None).await.is(200);
    let gone = cloud.refused(1, "operator", "DELETE", &one, None, "itemNotFound").await;
    assert_eq!(gone, "Flavor 1 has no extra specs with key capabilities:boot_mode.");
    for (key, value) in [
        ("resources:CUSTOM_SILVER", "1"),
        ("resources:gold", "1"),
        ("resources:CUSTOM_GOLD", "2"),
        ("trait:HW_CPU_X86_NONSENSE", "required"),
        ("trait:CUSTOM_X", "wanted"),
        ("a/b", "x"),
    ] {
        let body = json!({"extra_specs": {key: value}});
        cloud.refused(1, "operator", "POST", path, Some(body), "badRequest").await;
    }
    cloud.nova(1, "operator", "POST", path, Some(json!({"extra_specs": {"x": [1]}}))).await.is(400);
    for (verb, path) in [("POST", path), ("PUT", one.as_str()), ("DELETE", one.as_str())] {
        cloud.nova(1, "alice", verb, path, Some(json!({}))).await.is(403);
    }
}

#[tokio::test]
async fn a_private_flavor_is_there_for_its_projects_only() {
    let cloud = Cloud::new().await;
    let mut body = gold();
    body["flavor"]["os-flavor-access:is_public"] = json!(false);
    cloud.nova(1, "operator", "POST", "/flavors", Some(body)).await.is(200);
    let (a, action) = (project_id("a"), "/flavors/1/action");
    cloud.nova(1, "alice", "GET", "/flavors/1", None).await.is(404);
    let add = json!({"addTenantAccess": {"tenant": a}});
    let list = cloud.nova(1, "operator", "POST", action, Some(add.clone())).await.is(200).json();
    assert_eq!(list["flavor_access"], json!([{"flavor_id": "1", "tenant_id": a}]));
    cloud.refused(1, "operator", "POST", action, Some(add.clone()), "conflictingRequest").await;
    cloud.read("alice", "/flavors/1").await;
    assert_eq!(cloud.read("alice", "/flavors").await["flavors"][0]["id"], "1");
    cloud.nova(1, "bob", "GET", "/flavors/1", None).await.is(404);
    cloud.nova(1, "bob", "GET", "/flavors/1/os-extra_specs", None).await.is(404);
    assert_eq!(cloud.read("operator", "/flavors/1/os-flavor-access").await, list);
    let remove = json!({"removeTenantAccess": {"tenant": a}});
    cloud.nova(1, "operator", "POST", action, Some(remove.clone())).await.is(200);
    cloud.refused(1, "operator", "POST", action, Some(remove), "itemNotFound").await;
    cloud.nova(1, "operator", "POST", action, Some(json!({"paint": {}}))).await.is(400);
    cloud.nova(1, "alice", "POST", action, Some(add)).await.is(403);
    cloud.nova(1, "operator", "DELETE", "/flavors/1", None).await.is(202);
    cloud.flavor().await;
    let text = cloud.refused(1, "operator", "GET", "/flavors/1/os-flavor-access", None, "itemNotFound").await;
    assert_eq!(text, "Access list not available for public flavors.");
    cloud
        .refused(
            1,
            "operator",
            "POST",
            action,
            Some(json!({"addTenantAccess": {"tenant": "x"}})),
            "conflictingRequest",
        )
        .await;
}

//! Quotas, limits, use; server groups and aggregates.

use crate::cloud::Cloud;
use crate::compute::NEWEST;
use crate::stub_keystone::project_id;
use jiff::{SignedDuration, Timestamp};
use model::compute::VmState;
use serde_json::{Value, json};

fn path(project: &str) -> String {
    format!("/os-quota-sets/{}", project_id(project))
}

#[tokio::test]
async fn a_quota_is_shown_set_and_given_back() {
    let cloud = Cloud::new().await;
    let own = path("a");
    let shown = cloud.read("alice", &own).await["quota_set"].clone();
    assert_eq!(
        (&shown["id"], &shown["instances"], &shown["cores"]),
        (&json!(project_id("a")), &json!(10), &json!(-1))
    );
    let count = async |minor| {
        cloud.nova(minor, "alice", "GET", &own, None).await.is(200).json()["quota_set"]
            .as_object()
            .unwrap()
            .len()
    };
    assert_eq!((count(35).await, count(36).await, count(57).await), (15, 11, 8));
    let set = json!({"quota_set": {"instances": "3", "cores": 100, "ram": null, "force": false}});
    let set =
        cloud.nova(NEWEST, "operator", "PUT", &own, Some(set)).await.is(200).json()["quota_set"].clone();
    assert_eq!((&set["instances"], &set["cores"], set.get("id")), (&json!(3), &json!(100), None));
    assert_eq!(cloud.read("bob", &path("b")).await["quota_set"]["instances"], 10);
    let class = json!({"quota_class_set": {"instances": 7}});
    cloud.nova(NEWEST, "operator", "PUT", "/os-quota-class-sets/default", Some(class)).await.is(200);
    assert_eq!(cloud.read("bob", &path("b")).await["quota_set"]["instances"], 7);
    assert_eq!(cloud.read("alice", &own).await["quota_set"]["instances"], 3);
    assert_eq!(cloud.read("alice", &format!("{own}/defaults")).await["quota_set"]["instances"], 7);
    assert_eq!(
        cloud.read("operator", "/os-quota-class-sets/default").await["quota_class_set"]["instances"],
        7
    );
    cloud.nova(NEWEST, "operator", "DELETE", &own, None).await.is(202);
    assert_eq!(cloud.read("alice", &own).await["quota_set"]["instances"], 7);
}

#[tokio::test]
async fn quotas_are_the_operators_to_set_and_ones_own_to_see() {
    let cloud = Cloud::new().await;
    for suffix in ["", "/defaults", "/detail"] {
        cloud.nova(NEWEST, "bob", "GET", &format!("{}{suffix}", path("a")), None).await.is(403);
        cloud.read("operator", &format!("{}{suffix}", path("a"))).await;
        cloud.read("reader", &format!("{}{suffix}", path("a"))).await;
    }
    for (verb, path) in
        [("PUT", path("a")), ("DELETE", path("a")), ("GET", "/os-quota-class-sets/default".to_owned())]
    {
        cloud.nova(NEWEST, "alice", verb, &path, Some(json!({"quota_set": {}}))).await.is(403);
    }
    let put = |set: Value| {
        cloud.refused(
            NEWEST,
            "operator",
            "PUT",
            "/os-quota-sets/x",
            Some(json!({"quota_set": set})),
            "badRequest",
        )
    };
    for set in [
        json!({"instances": -2}),
        json!({"instances": "x"}),
        json!({"colours": 1}),
        json!({"floating_ips": 1}),
    ] {
        put(set).await;
    }
    cloud
        .nova(NEWEST, "operator", "PUT", "/os-quota-sets/x?user_id=y", Some(json!({"quota_set": {}})))
        .await
        .is(400);
    cloud.nova(NEWEST, "operator", "GET", "/os-quota-class-sets/other", None).await.is(404);
}

#[tokio::test]
async fn what_is_used_counts_and_stops() {
    let cloud = Cloud::new().await;
    cloud.server("alice", "one").await;
    let detail = cloud.read("alice", &format!("{}/detail", path("a"))).await["quota_set"].clone();
    assert_eq!(detail["instances"], json!({"limit": 10, "in_use": 1, "reserved": 0}));
    assert_eq!((&detail["cores"]["in_use"], &detail["ram"]["in_use"]), (&json!(8), &json!(4096)));
    let limits = cloud.read("alice", "/limits").await["limits"]["absolute"].clone();
    assert_eq!((&limits["totalInstancesUsed"], &limits["maxTotalInstances"]), (&json!(1), &json!(10)));
    assert_eq!((&limits["totalCoresUsed"], &limits["totalRAMUsed"]), (&json!(8), &json!(4096)));
    let old =
        cloud.nova(35, "alice", "GET", "/limits", None).await.is(200).json()["limits"]["absolute"].clone();
    assert!(old.get("maxSecurityGroups").is_some() && limits.get("maxSecurityGroups").is_none());
    assert!(old.get("maxImageMeta").is_some() && limits.get("maxPersonality").is_none());
    let of_a = format!("/limits?tenant_id={}", project_id("a"));
    assert_eq!(cloud.read("operator", &of_a).await["limits"]["absolute"], limits);
    cloud.nova(NEWEST, "bob", "GET", &of_a, None).await.is(403);

    let lower = |force: bool| Some(json!({"quota_set": {"instances": 0, "force": force}}));
    let text = cloud.refused(NEWEST, "operator", "PUT", &path("a"), lower(false), "badRequest").await;
    assert!(text.contains("already used and reserved 1"), "{text}");
    cloud.nova(NEWEST, "operator", "PUT", &path("a"), lower(true)).await.is(200);
    for (resource, limit, word) in
        [("instances", 1, "instances"), ("cores", 15, "cores"), ("ram", 5000, "ram")]
    {
        cloud.nova(NEWEST, "operator", "DELETE", &path("a"), None).await.is(202);
        let set = json!({"quota_set": {resource: limit}});
        cloud.nova(NEWEST, "operator", "PUT", &path("a"), Some(set)).await.is(200);
        let body = cloud.request("two").await;
        let text = cloud.refused(NEWEST, "alice", "POST", "/servers", Some(body), "forbidden").await;
        assert!(text.starts_with(&format!("Quota exceeded for {word}: Requested")), "{text}");
    }
    assert_eq!(cloud.read("alice", "/servers").await["servers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_project_that_there_is_not_has_no_quota() {
    let cloud = Cloud::new().await;
    let set = || Some(json!({"quota_set": {"instances": 3}}));
    // Without users and projects of its own this site believes that there is one.
    cloud.nova(NEWEST, "operator", "PUT", "/os-quota-sets/elsewhere", set()).await.is(200);
    let (data, _) = api::identity::bootstrap::first_data().unwrap();
    let known = format!("/os-quota-sets/{}", data.projects[0].id);
    assert!(cloud.site.store.identity().write_first_data(&data).await.unwrap());
    cloud.nova(NEWEST, "operator", "PUT", &known, set()).await.is(200);
    for (method, more) in [("PUT", ""), ("GET", ""), ("GET", "/defaults"), ("GET", "/detail")] {
        let path = format!("/os-quota-sets/nowhere{more}");
        let body = if method == "PUT" { set() } else { None };
        let text = cloud.refused(NEWEST, "operator", method, &path, body, "badRequest").await;
        assert!(text.starts_with("Project ID nowhere is not a valid project."), "{text}");
    }
    // What is left of one that was deleted can be removed.
    cloud.nova(NEWEST, "operator", "DELETE", "/os-quota-sets/elsewhere", None).await.is(202);
}

#[tokio::test]
async fn hours_are_counted_of_servers_that_ran() {
    let cloud = Cloud::new().await;
    let hours_ago = |hours: i64| Timestamp::now().checked_sub(SignedDuration::from_hours(hours)).unwrap();
    let never = cloud.put_server("never", |_| {}).await;
    let web = cloud
        .put_server("web", |server| {
            server.vm_state = VmState::Active;
            server.launched_at = Some(hours_ago(4));
        })
        .await;
    let start = hours_ago(2).strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let end = hours_ago(-24).strftime("%Y-%m-%d %H:%M:%S.000000").to_string().replace(' ', "%20");
    let of_a = format!("/{}", project_id("a"));
    let one = format!("/os-simple-tenant-usage{of_a}?start={start}&end={end}");
    let usage = cloud.read("alice", &one).await["tenant_usage"].clone();
    let hours = usage["total_hours"].as_f64().unwrap();
    assert!((1.99..2.1).contains(&hours), "{usage}");
    assert!((usage["total_vcpus_usage"].as_f64().unwrap() - 8.0 * hours).abs() < 0.1, "{usage}");
    assert_eq!(usage["server_usages"].as_array().unwrap().len(), 1);
    let all = cloud.read("operator", &format!("/os-simple-tenant-usage?start={start}&end={end}")).await;
    assert_eq!(
        (&all["tenant_usages"][0]["tenant_id"], all["tenant_usages"][0].get("server_usages")),
        (&json!(project_id("a")), None)
    );
    for word in ["1", "True"] {
        let all = format!("/os-simple-tenant-usage?start={start}&end={end}&detailed={word}");
        let usage = cloud.read("operator", &all).await["tenant_usages"][0].clone();
        assert_eq!(usage["server_usages"].as_array().unwrap().len(), 1);
    }
    cloud.nova(NEWEST, "alice", "GET", "/os-simple-tenant-usage", None).await.is(403);
    cloud.nova(NEWEST, "bob", "GET", &one, None).await.is(403);
    // What was deleted an hour ago has run for one of the two hours; what never ran leaves nothing.
    for server in [&web, &never] {
        let deleted =
            cloud.site.store.delete_server::<store::StoreError>(server.uuid, hours_ago(1), |_| Ok(()));
        deleted.await.unwrap();
    }
    for (token, path) in
        [("alice", one.clone()), ("operator", format!("{}&detailed=1", one.replace(&of_a, "")))]
    {
        let answer = cloud.read(token, &path).await;
        let usage = answer.get("tenant_usage").unwrap_or(&answer["tenant_usages"][0]);
        let hours = usage["total_hours"].as_f64().unwrap();
        assert!((0.99..1.1).contains(&hours), "{usage}");
        let row = &usage["server_usages"][0];
        assert_eq!((&row["name"], &row["state"]), (&json!("web"), &json!("terminated")));
        assert!(row["ended_at"].is_string() && row["uptime"].as_i64().unwrap() / 60 == 180, "{row}");
    }
    let later = hours_ago(0).strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let since = format!("/os-simple-tenant-usage/{}?start={later}&end={end}", project_id("a"));
    assert_eq!(cloud.read("alice", &since).await["tenant_usage"], json!({}));
    for query in ["start=x", "start=2026-02-02T00:00:00&end=2026-01-01T00:00:00"] {
        cloud
            .refused(
                NEWEST,
                "operator",
                "GET",
                &format!("/os-simple-tenant-usage?{query}"),
                None,
                "badRequest",
            )
            .await;
    }
}

#[tokio::test]
async fn groups_hold_their_servers_to_their_rule() {
    let cloud = Cloud::new().await;
    let make = |minor, group: Value| {
        cloud.nova(minor, "alice", "POST", "/os-server-groups", Some(json!({"server_group": group})))
    };
    let old = make(1, json!({"name": "old", "policies": ["affinity"]})).await.is(200).json()["server_group"]
        .clone();
    assert_eq!(
        (&old["policies"], &old["metadata"], old.get("project_id")),
        (&json!(["affinity"]), &json!({}), None)
    );
    let group = json!({"name": "apart", "policy": "anti-affinity", "rules": {"max_server_per_host": 1}});
    let apart = make(64, group).await.is(200).json()["server_group"].clone();
    assert_eq!(
        (&apart["policy"], &apart["rules"]),
        (&json!("anti-affinity"), &json!({"max_server_per_host": 1}))
    );
    for (minor, group) in [
        (1, json!({"name": "x", "policies": ["soft-affinity"]})),
        (1, json!({"name": "x", "policies": []})),
        (64, json!({"name": "x", "policies": ["affinity"]})),
        (64, json!({"name": "x", "policy": "together"})),
        (64, json!({"name": "x", "policy": "affinity", "rules": {"max_server_per_host": 1}})),
        (64, json!({"policy": "affinity"})),
    ] {
        make(minor, group).await.is(400);
    }
    let join = async |group: &Value, name: &str| {
        let mut body = cloud.request(name).await;
        body["os:scheduler_hints"] = json!({"group": group["id"]});
        cloud.nova(NEWEST, "alice", "POST", "/servers", Some(body)).await
    };
    let first = join(&old, "one").await.is(202).json()["server"]["id"].clone();
    let text =
        join(&old, "two").await.is(409).json()["conflictingRequest"]["message"].as_str().unwrap().to_owned();
    assert!(text.contains("a machine carries one server"), "{text}");
    join(&apart, "two").await.is(202);
    join(&apart, "three").await.is(202);
    let shown = cloud.read("alice", &format!("/os-server-groups/{}", apart["id"].as_str().unwrap())).await;
    assert_eq!(shown["server_group"]["members"].as_array().unwrap().len(), 2);
    let server = cloud.read("alice", &format!("/servers/{}", first.as_str().unwrap())).await;
    assert_eq!(server["server"]["server_groups"], json!([old["id"]]));
    let all = cloud.read("operator", "/os-server-groups?all_projects=True").await;
    assert_eq!(all["server_groups"].as_array().unwrap().len(), 2);
    assert_eq!(join(&json!({"id": "no-group"}), "x").await.status, 400);
    let own = format!("/os-server-groups/{}", old["id"].as_str().unwrap());
    cloud.nova(1, "alice", "DELETE", &own, None).await.is(204);
    cloud.nova(1, "alice", "DELETE", &own, None).await.is(404);
    let set = json!({"quota_set": {"server_groups": 1}});
    cloud.nova(NEWEST, "operator", "PUT", &path("a"), Some(set)).await.is(200);
    make(64, json!({"name": "more", "policy": "affinity"})).await.is(403);
}

#[tokio::test]
async fn aggregates_hold_hosts_and_metadata() {
    let cloud = Cloud::new().await;
    let make = |aggregate: Value| {
        cloud.nova(41, "operator", "POST", "/os-aggregates", Some(json!({"aggregate": aggregate})))
    };
    let made = make(json!({"name": "rack1"})).await.is(200).json()["aggregate"].clone();
    assert_eq!((&made["id"], made["uuid"].is_string(), made.get("hosts")), (&json!(1), true, None));
    make(json!({"name": "rack1"})).await.is(409);
    let zone = make(json!({"name": "rack2", "availability_zone": "z"})).await.is(400);
    assert!(zone.text.contains("conductor group"), "{}", zone.text);
    let act = |body: Value| cloud.nova(41, "operator", "POST", "/os-aggregates/1/action", Some(body));
    act(json!({"add_host": {"host": "elsewhere"}})).await.is(404);
    let with = act(json!({"add_host": {"host": "seed"}})).await.is(200).json()["aggregate"].clone();
    assert_eq!(with["hosts"], json!(["seed"]));
    act(json!({"add_host": {"host": "seed"}})).await.is(409);
    cloud.nova(1, "operator", "DELETE", "/os-aggregates/1", None).await.is(400);
    let with = act(json!({"set_metadata": {"metadata": {"a": "b", "c": "d"}}})).await.is(200).json();
    assert_eq!(with["aggregate"]["metadata"], json!({"a": "b", "c": "d"}));
    let with = act(json!({"set_metadata": {"metadata": {"a": null}}})).await.is(200).json();
    assert_eq!(with["aggregate"]["metadata"], json!({"c": "d"}));
    for bad in
        [json!({}), json!({"set_metadata": {"metadata": {"availability_zone": "z"}}}), json!({"paint": {}})]
    {
        act(bad).await.is(400);
    }
    let renamed = json!({"aggregate": {"name": "row"}});
    let shown = cloud.nova(1, "operator", "PUT", "/os-aggregates/1", Some(renamed)).await.is(200).json();
    assert_eq!((&shown["aggregate"]["name"], shown["aggregate"].get("uuid")), (&json!("row"), None));
    act(json!({"remove_host": {"host": "seed"}})).await.is(200);
    act(json!({"remove_host": {"host": "seed"}})).await.is(404);
    assert_eq!(cloud.read("operator", "/os-aggregates").await["aggregates"][0]["name"], "row");
    cloud.nova(80, "operator", "POST", "/os-aggregates/1/images", Some(json!({"cache": []}))).await.is(404);
    cloud.nova(81, "operator", "POST", "/os-aggregates/1/images", Some(json!({"cache": []}))).await.is(400);
    cloud.nova(1, "operator", "DELETE", "/os-aggregates/1", None).await.is(200);
    cloud.refused(1, "operator", "GET", "/os-aggregates/1", None, "itemNotFound").await;
    cloud.nova(1, "alice", "GET", "/os-aggregates", None).await.is(403);
}

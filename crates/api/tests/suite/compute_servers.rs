//! Servers: made, shown, listed, changed, and what is done with them.

use crate::cloud::Cloud;
use crate::compute::NEWEST;
use crate::stub_keystone::project_id;
use jiff::Timestamp;
use model::compute::{Server, ServerPort, TaskState, VmState};
use model::image::Visibility;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

impl Cloud {
    async fn shown(&self, token: &str, server: Uuid) -> Value {
        self.read(token, &format!("/servers/{server}")).await["server"].clone()
    }

    async fn act(&self, token: &str, server: Uuid, action: Value) -> crate::site::Answer {
        self.nova(NEWEST, token, "POST", &format!("/servers/{server}/action"), Some(action)).await
    }

    async fn stored_server(&self, server: Uuid) -> Server {
        self.site.store.get(&server.to_string()).await.unwrap()
    }

    /// Lets the conductor work until a server is as it should be, or gone.
    async fn work_on_server(&self, server: Uuid, done: impl Fn(Option<&Server>) -> bool) {
        let stop = CancellationToken::new();
        let (running, ended) = (self.site.conductor.clone(), stop.clone());
        let working = tokio::spawn(async move { running.run(ended).await });
        let reached = async {
            loop {
                let stored = self.site.store.get::<Server>(&server.to_string()).await.ok();
                if done(stored.as_ref()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached).await.expect("within the limit");
        stop.cancel();
        working.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_server_is_asked_for_and_shown_to_each_as_it_may() {
    let cloud = Cloud::new().await;
    let key = include_str!("../../../model/src/compute/keypairs.txt")
        .lines()
        .next()
        .unwrap()
        .split_once(' ')
        .unwrap()
        .1;
    let keypair = json!({"keypair": {"name": "mine", "public_key": key}});
    cloud.nova(NEWEST, "alice", "POST", "/os-keypairs", Some(keypair)).await.is(201);
    let mut body = cloud.request("web").await;
    body["server"]["key_name"] = json!("mine");
    body["server"]["metadata"] = json!({"role": "web"});
    body["server"]["tags"] = json!(["blue"]);
    body["server"]["user_data"] = json!("IyEvYmluL3NoCg==");
    body["server"]["description"] = json!("front");
    body["server"]["config_drive"] = json!(true);
    let answer = cloud.nova(NEWEST, "alice", "POST", "/servers", Some(body)).await.is(202);
    let made = answer.json()["server"].clone();
    let id: Uuid = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(answer.header("location"), format!("http://h:1/compute/v2.1/servers/{id}"));
    assert_eq!(made["adminPass"].as_str().unwrap().len(), 12);
    assert_eq!(made["security_groups"], json!([{"name": "default"}]));

    let shown = cloud.shown("alice", id).await;
    for (name, value) in [
        ("name", json!("web")),
        ("status", json!("BUILD")),
        ("progress", json!(0)),
        ("tenant_id", json!(project_id("a"))),
        ("user_id", json!("id-of-alice")),
        ("key_name", json!("mine")),
        ("metadata", json!({"role": "web"})),
        ("tags", json!(["blue"])),
        ("description", json!("front")),
        ("config_drive", json!("True")),
        ("addresses", json!({})),
        ("OS-EXT-STS:vm_state", json!("building")),
        ("OS-EXT-STS:task_state", json!("scheduling")),
        ("OS-EXT-STS:power_state", json!(0)),
        ("OS-SRV-USG:launched_at", Value::Null),
        ("hostId", json!("")),
        ("locked", json!(false)),
        ("server_groups", json!([])),
        ("OS-EXT-SRV-ATTR:hostname", json!("web")),
        ("pinned_availability_zone", Value::Null),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    assert_eq!((&shown["flavor"]["original_name"], &shown["flavor"]["vcpus"]), (&json!("gold"), &json!(8)));
    assert_eq!(shown["flavor"]["extra_specs"], json!({"resources:CUSTOM_GOLD": "1"}));
    assert_eq!(shown.get("OS-EXT-SRV-ATTR:host"), None);
    let seen = cloud.shown("operator", id).await;
    assert_eq!(seen["OS-EXT-SRV-ATTR:user_data"], "IyEvYmluL3NoCg==");
    assert_eq!((&seen["OS-EXT-SRV-ATTR:host"], &seen["host_status"]), (&Value::Null, &json!("")));

    let old = cloud.nova(46, "alice", "GET", &format!("/servers/{id}"), None).await.is(200).json()["server"]
        .clone();
    assert_eq!(old["flavor"]["id"], "1");
    let first =
        cloud.nova(1, "alice", "GET", &format!("/servers/{id}"), None).await.is(200).json()["server"].clone();
    for name in
        ["locked", "description", "tags", "server_groups", "locked_reason", "OS-EXT-SRV-ATTR:hostname"]
    {
        assert_eq!(first.get(name), None, "{name}");
    }
    // The user data is nowhere on the disk as it came, nor as it reads.
    cloud.site.store.close().await;
}

#[tokio::test]
async fn a_server_runs_on_a_node_and_gives_it_back() {
    let cloud = Cloud::new().await;
    let node = cloud.free_node("n1").await;
    cloud.site.edit(node, |node| node.automated_clean = Some(false)).await;
    let id = cloud.server("alice", "web").await;
    cloud.work_on_server(id, |server| server.is_some_and(|server| server.task_state.is_none())).await;
    let shown = cloud.shown("alice", id).await;
    assert_eq!((&shown["status"], &shown["fault"]), (&json!("ACTIVE"), &Value::Null));
    assert_eq!(shown["hostId"].as_str().unwrap().len(), 56);
    let seen = cloud.shown("operator", id).await;
    assert_eq!(
        (&seen["OS-EXT-SRV-ATTR:hypervisor_hostname"], &seen["OS-EXT-SRV-ATTR:host"]),
        (&json!(node), &json!("seed"))
    );
    let path = format!("/servers/{id}/os-instance-actions");
    let actions = cloud.read("alice", &path).await["instanceActions"].clone();
    assert_eq!(actions[0]["action"], "create");
    let request = actions[0]["request_id"].as_str().unwrap().to_owned();
    let action = cloud.read("alice", &format!("{path}/{request}")).await["instanceAction"].clone();
    assert!(!action["events"].as_array().unwrap().is_empty(), "{action}");
    assert_eq!(action["events"][0].get("host"), None);
    let seen = cloud.read("operator", &format!("{path}/{request}")).await["instanceAction"].clone();
    assert_eq!(seen["events"][0]["host"], "seed");
    let old = cloud.nova(50, "alice", "GET", &format!("{path}/{request}"), None).await.is(200).json();
    assert_eq!(old["instanceAction"].get("events"), None);
    cloud.refused(NEWEST, "alice", "GET", &format!("{path}/req-x"), None, "itemNotFound").await;

    cloud.nova(NEWEST, "alice", "DELETE", &format!("/servers/{id}"), None).await.is(204);
    cloud.work_on_server(id, |server| server.is_none()).await;
    cloud.nova(NEWEST, "alice", "GET", &format!("/servers/{id}"), None).await.is(404);
}

#[tokio::test]
async fn a_fault_explains_itself() {
    let cloud = Cloud::new().await;
    let node = cloud.free_node("n1").await;
    cloud.site.edit(node, |node| node.maintenance = true).await;
    let id = cloud.server("alice", "web").await;
    cloud.work_on_server(id, |server| server.is_some_and(|server| server.vm_state == VmState::Error)).await;
    let shown = cloud.shown("alice", id).await;
    assert_eq!(shown["status"], "ERROR");
    let message = shown["fault"]["message"].as_str().unwrap();
    assert!(message.starts_with("No valid host was found") && message.len() > 40, "{message}");
    let listed = cloud.read("alice", "/servers/detail").await["servers"][0].clone();
    assert_eq!(listed["fault"], shown["fault"]);
}

#[tokio::test]
async fn several_are_made_at_once_as_far_as_the_quota_goes() {
    let cloud = Cloud::new().await;
    let mut body = cloud.request("web").await;
    body["server"]["min_count"] = json!("2");
    body["server"]["max_count"] = json!(12);
    body["server"]["return_reservation_id"] = json!(true);
    let made = cloud.nova(NEWEST, "alice", "POST", "/servers", Some(body.clone())).await.is(202).json();
    let reservation = made["reservation_id"].as_str().unwrap();
    let list =
        cloud.read("alice", &format!("/servers?sort_dir=asc&reservation_id={reservation}")).await["servers"]
            .clone();
    let names: Vec<_> =
        list.as_array().unwrap().iter().map(|server| server["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), 10);
    assert_eq!((names[0].as_str(), names[9].as_str()), ("web-1", "web-10"));
    cloud.refused(NEWEST, "alice", "POST", "/servers", Some(body), "forbidden").await;
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let cloud = Cloud::new().await;
    let now = Timestamp::now();
    let web = cloud
        .put_server("web1", |server| {
            server.vm_state = VmState::Active;
            server.task_state = None;
            server.host = Some("seed".to_owned());
            server.tags = ["blue", "old"].map(str::to_owned).into();
            server.ports = vec![ServerPort {
                port: Uuid::new_v4(),
                network: Uuid::new_v4(),
                network_name: "net".to_owned(),
                mac: "52:54:00:00:00:01".to_owned(),
                addresses: vec!["10.0.0.7".parse().unwrap()],
                made: true,
                tag: None,
            }];
        })
        .await;
    cloud.put_server("web2", |server| server.tags = ["blue".to_owned()].into()).await;
    cloud.put_server("db", |server| server.vm_state = VmState::Error).await;
    cloud.put_server("other", |server| server.project_id = project_id("b")).await;
    let names = async |token: &'static str, query: &str| {
        let list = cloud.read(token, &format!("/servers/detail{query}")).await;
        let names: Vec<_> = list["servers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|server| server["name"].as_str().unwrap().to_owned())
            .collect();
        names.join(" ")
    };
    let later = now.strftime("%Y-%m-%dT%H:%M:%SZ");
    for (query, expected) in [
        ("", "db web2 web1"),
        ("?sort_key=display_name&sort_dir=asc", "db web1 web2"),
        ("?name=web", "web2 web1"),
        ("?name=^web1$", "web1"),
        ("?status=active", "web1"),
        ("?status=ACTIVE&status=ERROR", "db web1"),
        ("?status=PAUSED", ""),
        ("?ip=10.0.0", "web1"),
        ("?ip6=fe80", ""),
        ("?flavor=1", "db web2 web1"),
        ("?flavor=2", ""),
        ("?image=x", ""),
        ("?vm_state=error", "db"),
        ("?tags=blue,old", "web1"),
        ("?tags-any=old,x", "web1"),
        ("?not-tags=blue", "db"),
        ("?not-tags-any=old", "db web2"),
        ("?deleted=True", ""),
        ("?deleted=False&limit=2", "db web2"),
        // What a tenant may not ask for means nothing.
        ("?host=elsewhere", "db web2 web1"),
        (format!("?changes-since={later}").as_str(), "db web2 web1"),
        ("?changes-since=2099-01-01T00:00:00", ""),
    ] {
        assert_eq!(names("alice", query).await, expected, "{query}");
    }
    assert_eq!(names("operator", "").await, "");
    assert_eq!(names("operator", "?all_tenants=1").await, "other db web2 web1");
    assert_eq!(names("operator", "?all_tenants&host=seed").await, "web1");
    let b = project_id("b");
    assert_eq!(names("operator", &format!("?all_tenants=True&project_id={b}")).await, "other");
    assert_eq!(names("operator", &format!("?all_tenants=False&project_id={b}")).await, "");
    let page = cloud.read("alice", "/servers?limit=2").await;
    let last = page["servers"][1]["id"].as_str().unwrap();
    assert_eq!(
        page["servers_links"][0]["href"],
        format!("http://h:1/compute/v2.1/servers?limit=2&marker={last}")
    );
    assert_eq!(names("alice", &format!("?limit=2&marker={last}")).await, "web1");
    cloud.refused(NEWEST, "alice", "GET", "/servers?all_tenants=1", None, "forbidden").await;
    for query in [
        "limit=x",
        "marker=x",
        "sort_key=colour",
        "sort_key=host",
        "sort_dir=up",
        "name=(",
        "changes-since=x",
        "status=COLOURFUL",
        "changes-since=2099-01-01T00:00:00&changes-before=2098-01-01T00:00:00",
    ] {
        cloud.refused(NEWEST, "alice", "GET", &format!("/servers?{query}"), None, "badRequest").await;
    }
    assert_eq!(
        cloud.nova(37, "alice", "GET", "/servers?status=COLOURFUL", None).await.is(200).json()["servers"],
        json!([])
    );
    // The marker must be one's own.
    cloud.refused(NEWEST, "bob", "GET", &format!("/servers?marker={}", web.uuid), None, "badRequest").await;
    let ips = cloud.read("alice", &format!("/servers/{}/ips", web.uuid)).await;
    assert_eq!(ips, json!({"addresses": {"net": [{"version": 4, "addr": "10.0.0.7"}]}}));
    assert_eq!(
        cloud.read("alice", &format!("/servers/{}/ips/net", web.uuid)).await["net"][0]["addr"],
        "10.0.0.7"
    );
    cloud.nova(NEWEST, "alice", "GET", &format!("/servers/{}/ips/x", web.uuid), None).await.is(404);
}

#[tokio::test]
async fn words_of_a_server_are_changed() {
    let cloud = Cloud::new().await;
    let id = cloud.server("alice", "web").await;
    let put = async |minor, server: Value| {
        let body = json!({"server": server});
        cloud.nova(minor, "alice", "PUT", &format!("/servers/{id}"), Some(body)).await
    };
    let path = format!("/servers/{id}");
    let set = json!({"server": {"name": "db", "description": null, "hostname": "db-1"}});
    let changed = cloud.nova(NEWEST, "alice", "PUT", &path, Some(set)).await.is(200).json()["server"].clone();
    assert_eq!((&changed["name"], &changed["description"]), (&json!("db"), &Value::Null));
    assert_eq!(changed["OS-EXT-SRV-ATTR:hostname"], "db-1");
    for (minor, server) in [
        (18, json!({"description": "x"})),
        (89, json!({"hostname": "x"})),
        (90, json!({"hostname": "a.b"})),
        (NEWEST, json!({"name": ""})),
        (NEWEST, json!({"accessIPv4": "10.0.0.1"})),
        (NEWEST, json!({"OS-DCF:diskConfig": "x"})),
        (NEWEST, json!({"colour": "red"})),
    ] {
        put(minor, server.clone()).await.is(400);
    }

    let meta = format!("{path}/metadata");
    let nova = async |verb: &'static str, path: String, body: Value| {
        cloud.nova(NEWEST, "alice", verb, &path, Some(body)).await
    };
    nova("POST", meta.clone(), json!({"metadata": {"a": "1", "b": "2"}})).await.is(200);
    let all = nova("POST", meta.clone(), json!({"metadata": {"b": "3"}})).await.is(200).json();
    assert_eq!(all["metadata"], json!({"a": "1", "b": "3"}));
    assert_eq!(cloud.read("alice", &format!("{meta}/b")).await, json!({"meta": {"b": "3"}}));
    nova("PUT", format!("{meta}/c"), json!({"meta": {"c": "4"}})).await.is(200);
    nova("PUT", format!("{meta}/c"), json!({"meta": {"d": "4"}})).await.is(400);
    nova("PUT", meta.clone(), json!({"metadata": {"x": "y"}})).await.is(200);
    assert_eq!(cloud.read("alice", &meta).await, json!({"metadata": {"x": "y"}}));
    nova("DELETE", format!("{meta}/x"), Value::Null).await.is(204);
    nova("DELETE", format!("{meta}/x"), Value::Null).await.is(404);
    let many: serde_json::Map<_, _> = (0..129).map(|n| (format!("k{n}"), json!(""))).collect();
    let text =
        cloud.refused(NEWEST, "alice", "PUT", &meta, Some(json!({"metadata": many})), "forbidden").await;
    assert!(text.contains("exceeds 128"), "{text}");
    nova("PUT", meta.clone(), json!({"metadata": {"x": 7}})).await.is(400);

    let tags = format!("{path}/tags");
    cloud.nova(25, "alice", "GET", &tags, None).await.is(404);
    nova("PUT", tags.clone(), json!({"tags": ["b", "a"]})).await.is(200);
    let added = nova("PUT", format!("{tags}/c"), Value::Null).await.is(201);
    assert_eq!(added.header("location"), format!("http://h:1/compute/v2.1{tags}/c"));
    nova("PUT", format!("{tags}/c"), Value::Null).await.is(204);
    assert_eq!(cloud.read("alice", &tags).await, json!({"tags": ["a", "b", "c"]}));
    nova("GET", format!("{tags}/c"), Value::Null).await.is(204);
    nova("DELETE", format!("{tags}/c"), Value::Null).await.is(204);
    nova("DELETE", format!("{tags}/c"), Value::Null).await.is(404);
    for bad in [
        json!(["a/b"]),
        json!(["a,b"]),
        json!([""]),
        json!(["x".repeat(61)]),
        json!((0..51).map(|n| n.to_string()).collect::<Vec<_>>()),
    ] {
        nova("PUT", tags.clone(), json!({"tags": bad})).await.is(400);
    }
    nova("DELETE", tags.clone(), Value::Null).await.is(204);
    assert_eq!(cloud.read("alice", &tags).await, json!({"tags": []}));
}

#[tokio::test]
async fn actions_are_recorded_and_held_to_state_and_lock() {
    let cloud = Cloud::new().await;
    let node = cloud.free_node("n1").await;
    let server = cloud
        .put_server("web", |server| {
            server.vm_state = VmState::Active;
            server.task_state = None;
            server.node = Some(node);
        })
        .await;
    let id = server.uuid;
    cloud.site.edit(node, |node| node.instance_uuid = Some(id.to_string())).await;
    let task = async || cloud.stored_server(id).await.task_state;
    let rest = async |vm_state| cloud.change_server(id, |server| server.come_to_rest(vm_state)).await;

    cloud.act("alice", id, json!({"os-start": null})).await.is(409);
    cloud.act("alice", id, json!({"os-stop": null})).await.is(202);
    assert_eq!(task().await, Some(TaskState::PoweringOff));
    let text = cloud.act("alice", id, json!({"os-stop": null})).await.is(409).text;
    assert!(text.contains("task_state powering-off"), "{text}");
    rest(VmState::Stopped).await;
    cloud.act("alice", id, json!({"os-start": null})).await.is(202);
    rest(VmState::Active).await;
    cloud.act("alice", id, json!({"reboot": {"type": "soft"}})).await.is(202);
    assert_eq!(cloud.shown("alice", id).await["status"], "REBOOT");
    rest(VmState::Active).await;
    cloud.act("alice", id, json!({"reboot": {"type": "HARD"}})).await.is(202);
    rest(VmState::Active).await;
    cloud.act("alice", id, json!({"reboot": {"type": "gentle"}})).await.is(400);

    cloud.act("alice", id, json!({"lock": {"locked_reason": "mine"}})).await.is(202);
    let shown = cloud.shown("alice", id).await;
    assert_eq!((&shown["locked"], &shown["locked_reason"]), (&json!(true), &json!("mine")));
    for (verb, path, body) in [
        ("POST", "/action", json!({"os-stop": null})),
        ("PUT", "", json!({"server": {"name": "x"}})),
        ("PUT", "/tags", json!({"tags": []})),
        ("POST", "/metadata", json!({"metadata": {"a": "b"}})),
        ("DELETE", "", Value::Null),
    ] {
        let text = cloud
            .refused(NEWEST, "alice", verb, &format!("/servers/{id}{path}"), Some(body), "conflictingRequest")
            .await;
        assert!(text.contains("is locked"), "{text}");
    }
    let old = json!({"lock": {"locked_reason": "x"}});
    cloud.nova(72, "alice", "POST", &format!("/servers/{id}/action"), Some(old)).await.is(400);
    cloud.act("alice", id, json!({"unlock": null})).await.is(202);
    cloud.act("operator", id, json!({"lock": null})).await.is(202);
    cloud.act("alice", id, json!({"unlock": null})).await.is(403);
    cloud.act("operator", id, json!({"unlock": null})).await.is(202);

    let image = cloud.stored_image(Visibility::Public).await.uuid;
    let wish = json!({"rebuild": {"imageRef": image, "name": "new", "metadata": {"a": "b"}, "adminPass": "secret", "user_data": "aGk="}});
    let rebuilt = cloud.act("alice", id, wish).await.is(202).json()["server"].clone();
    assert_eq!(
        (&rebuilt["status"], &rebuilt["name"], &rebuilt["adminPass"]),
        (&json!("REBUILD"), &json!("new"), &json!("secret"))
    );
    assert_eq!((&rebuilt["image"]["id"], &rebuilt["user_data"]), (&json!(image), &json!("aGk=")));
    rest(VmState::Active).await;
    cloud.act("alice", id, json!({"rebuild": {"imageRef": Uuid::new_v4()}})).await.is(400);
    cloud.act("alice", id, json!({"rebuild": {}})).await.is(400);
    cloud.act("alice", id, json!({"rebuild": {"imageRef": image, "key_name": "none-such"}})).await.is(400);

    cloud.act("alice", id, json!({"os-resetState": {"state": "error"}})).await.is(403);
    cloud.act("operator", id, json!({"os-resetState": {"state": "error"}})).await.is(202);
    assert_eq!(cloud.shown("alice", id).await["status"], "ERROR");
    cloud.act("operator", id, json!({"os-resetState": {"state": "active"}})).await.is(202);
    cloud.act("alice", id, json!({"forceDelete": null})).await.is(202);
    assert_eq!(task().await, Some(TaskState::Deleting));
    let names: Vec<_> =
        cloud.read("alice", &format!("/servers/{id}/os-instance-actions")).await["instanceActions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|action| action["action"].as_str().unwrap().to_owned())
            .collect();
    assert_eq!(
        names,
        ["delete", "rebuild", "unlock", "lock", "unlock", "lock", "reboot", "reboot", "start", "stop"]
    );
}

#[tokio::test]
async fn what_a_machine_cannot_do_is_refused_with_a_reason() {
    let cloud = Cloud::new().await;
    let server = cloud.put_server("web", |server| server.come_to_rest(VmState::Active)).await;
    let id = server.uuid;
    for action in [
        "pause",
        "unpause",
        "suspend",
        "resume",
        "resize",
        "confirmResize",
        "revertResize",
        "migrate",
        "os-migrateLive",
        "shelve",
        "unshelve",
        "shelveOffload",
        "createImage",
        "createBackup",
        "changePassword",
        "evacuate",
        "restore",
        "trigger_crash_dump",
        "addFloatingIp",
        "addFixedIp",
        "os-getVNCConsole",
        "os-getSPICEConsole",
        "os-getSerialConsole",
        "resetNetwork",
    ] {
        let path = format!("/servers/{id}/action");
        let text =
            cloud.refused(NEWEST, "alice", "POST", &path, Some(json!({action: null})), "badRequest").await;
        assert!(text.starts_with(&format!("Cannot '{action}' instance {id}: ")), "{text}");
    }
    for body in [json!({}), json!({"os-start": null, "os-stop": null}), json!({"paint": null}), json!([])] {
        cloud.act("alice", id, body).await.is(400);
    }
    cloud.act("alice", id, json!({"os-getConsoleOutput": {"length": 5}})).await.is(409);
    let console = json!({"remote_console": {"protocol": "vnc", "type": "novnc"}});
    let path = |rest: &str| format!("/servers/{id}/{rest}");
    let text = cloud
        .refused(6, "alice", "POST", &path("remote-consoles"), Some(console.clone()), "badRequest")
        .await;
    assert!(text.starts_with("Unavailable console type novnc"), "{text}");
    cloud.nova(5, "alice", "POST", &path("remote-consoles"), Some(console)).await.is(404);
    cloud.refused(NEWEST, "operator", "GET", &path("diagnostics"), None, "notImplemented").await;
    cloud.nova(NEWEST, "alice", "GET", &path("diagnostics"), None).await.is(403);
    assert_eq!(cloud.read("alice", &path("os-server-password")).await, json!({"password": ""}));
    cloud.nova(NEWEST, "alice", "DELETE", &path("os-server-password"), None).await.is(204);
    assert_eq!(cloud.read("alice", &path("os-volume_attachments")).await["volumeAttachments"], json!([]));
    let attach = json!({"volumeAttachment": {"volumeId": Uuid::new_v4()}});
    cloud.nova(NEWEST, "alice", "POST", &path("os-volume_attachments"), Some(attach)).await.is(400);
    cloud.nova(NEWEST, "alice", "GET", &path("os-volume_attachments/x"), None).await.is(404);
    assert_eq!(cloud.read("alice", &path("topology")).await["nodes"], json!([]));
    assert_eq!(cloud.read("operator", &path("migrations")).await["migrations"], json!([]));
    assert_eq!(cloud.read("operator", "/os-migrations").await["migrations"], json!([]));
    cloud.nova(NEWEST, "alice", "GET", "/os-volumes", None).await.is(404);
}

#[tokio::test]
async fn security_groups_are_named_and_ports_are_shown() {
    let cloud = Cloud::new().await;
    let now = Timestamp::now();
    cloud.site.store.default_security_group(&project_id("a"), now).await.unwrap();
    let group =
        model::network::SecurityGroup::new([(); 3].map(|()| Uuid::new_v4()), "web", project_id("a"), now);
    cloud.site.store.create_security_group(&group).await.unwrap();
    let port = ServerPort {
        port: Uuid::new_v4(),
        network: Uuid::new_v4(),
        network_name: "net".to_owned(),
        mac: "52:54:00:00:00:01".to_owned(),
        addresses: vec!["10.0.0.7".parse().unwrap()],
        made: true,
        tag: Some("eth".to_owned()),
    };
    let own = port.clone();
    let server = cloud.put_server("web", |server| server.ports = vec![own]).await;
    let id = server.uuid;
    cloud.act("alice", id, json!({"addSecurityGroup": {"name": "web"}})).await.is(202);
    cloud.act("alice", id, json!({"addSecurityGroup": {"name": "none-such"}})).await.is(404);
    let groups =
        cloud.read("alice", &format!("/servers/{id}/os-security-groups")).await["security_groups"].clone();
    assert_eq!((&groups[0]["name"], &groups[1]["name"]), (&json!("default"), &json!("web")));
    cloud.act("alice", id, json!({"removeSecurityGroup": {"name": group.id}})).await.is(202);
    cloud.act("alice", id, json!({"removeSecurityGroup": {"name": "web"}})).await.is(404);
    assert_eq!(cloud.shown("alice", id).await["security_groups"], json!([{"name": "default"}]));

    let path = format!("/servers/{id}/os-interface");
    let listed = cloud.read("alice", &path).await["interfaceAttachments"].clone();
    assert_eq!(
        (&listed[0]["port_id"], &listed[0]["mac_addr"], &listed[0]["tag"]),
        (&json!(port.port), &json!(port.mac), &json!("eth"))
    );
    let one = format!("{path}/{}", port.port);
    let old = cloud.nova(69, "alice", "GET", &one, None).await.is(200).json()["interfaceAttachment"].clone();
    assert_eq!((&old["fixed_ips"][0]["ip_address"], old.get("tag")), (&json!("10.0.0.7"), None));
    cloud.nova(NEWEST, "alice", "GET", &format!("{path}/{}", Uuid::new_v4()), None).await.is(404);
    cloud.nova(NEWEST, "alice", "PUT", &one, Some(json!({}))).await.is(400);
    for body in [
        json!({"interfaceAttachment": {"port_id": "x"}}),
        json!({"interfaceAttachment": {"port_id": Uuid::new_v4(), "net_id": Uuid::new_v4()}}),
        json!({"interfaceAttachment": {"fixed_ips": [{"ip_address": "10.0.0.1"}]}}),
        json!({"interfaceAttachment": {"net_id": Uuid::new_v4(), "fixed_ips": [{"ip_address": "x"}]}}),
        json!({"interfaceAttachment": {"colour": "red"}}),
    ] {
        cloud.nova(NEWEST, "alice", "POST", &path, Some(body)).await.is(400);
    }
    // It has no machine yet.
    let body = json!({"interfaceAttachment": {"net_id": cloud.network("lan").await.id}});
    cloud.nova(NEWEST, "alice", "POST", &path, Some(body)).await.is(409);
    cloud.nova(NEWEST, "alice", "DELETE", &one, None).await.is(409);
}

//! What may be asked of `POST /servers`, and what may not: each refusal names what it is about, and nothing is half-made.

use crate::cloud::Cloud;
use crate::compute::NEWEST;
use crate::stub_keystone::project_id;
use jiff::Timestamp;
use model::compute::{RequestedNetworks, Server};
use model::image::{Image, Member, MemberStatus, Status, Visibility};
use model::network::Network;
use serde_json::{Value, json};
use store::Query;
use uuid::Uuid;

impl Cloud {
    async fn with(&self, minor: u16, token: &str, changes: Value) -> crate::site::Answer {
        let mut body = self.request("web").await;
        if minor < 37 {
            body["server"].as_object_mut().unwrap().remove("networks");
        }
        for (name, value) in changes.as_object().unwrap() {
            body["server"][name] = value.clone();
        }
        self.nova(minor, token, "POST", "/servers", Some(body)).await
    }

    async fn made(&self, minor: u16, token: &str, changes: Value) -> Server {
        let answer = self.with(minor, token, changes).await.is(202).json();
        self.site.store.get(answer["server"]["id"].as_str().unwrap()).await.unwrap()
    }

    async fn servers(&self) -> usize {
        self.site.store.list::<Server>(&Query::default()).await.unwrap().len()
    }
}

#[tokio::test]
async fn bad_input_is_refused_by_name() {
    let cloud = Cloud::new().await;
    let nothing = Uuid::new_v4();
    for (minor, changes, word) in [
        (NEWEST, json!({"flavorRef": "none-such"}), "none-such"),
        (NEWEST, json!({"imageRef": nothing}), "image"),
        (NEWEST, json!({"imageRef": "x"}), "imageRef"),
        (NEWEST, json!({"imageRef": ""}), "imageRef"),
        (NEWEST, json!({"networks": [{"uuid": nothing}]}), "Network"),
        (NEWEST, json!({"networks": [{"port": nothing}]}), "Port"),
        (NEWEST, json!({"networks": [{"uuid": "x"}]}), "network uuid"),
        (NEWEST, json!({"networks": [{}]}), "uuid"),
        (NEWEST, json!({"networks": [{"port": nothing, "fixed_ip": "10.0.0.1"}]}), "10.0.0.1"),
        (NEWEST, json!({"networks": [{"uuid": nothing, "fixed_ip": "x"}]}), "fixed_ip"),
        (NEWEST, json!({"networks": "some"}), "networks"),
        (36, json!({"networks": "auto"}), "networks"),
        (NEWEST, json!({"key_name": "none-such"}), "none-such"),
        (NEWEST, json!({"user_data": "not base64!"}), "user_data"),
        (NEWEST, json!({"user_data": "A".repeat(65_536)}), "user_data"),
        (NEWEST, json!({"name": " "}), "name"),
        (NEWEST, json!({"name": "x".repeat(256)}), "name"),
        (NEWEST, json!({"metadata": {"a/b": "c"}}), "metadata"),
        (NEWEST, json!({"metadata": {"a": "x".repeat(256)}}), "a"),
        (NEWEST, json!({"tags": ["a,b"]}), "tag"),
        (NEWEST, json!({"min_count": 3, "max_count": 2}), "min_count"),
        (NEWEST, json!({"max_count": 5000}), "max_count"),
        (NEWEST, json!({"max_count": 0}), "max_count"),
        (NEWEST, json!({"availability_zone": "moon"}), "moon"),
        (NEWEST, json!({"hostname": "a_b"}), "hostname"),
        (NEWEST, json!({"personality": []}), "personality"),
        (NEWEST, json!({"config_drive": "perhaps"}), "config_drive"),
        (NEWEST, json!({"security_groups": [{"name": "none-such"}]}), "none-such"),
        (NEWEST, json!({"block_device_mapping": [{"volume_id": nothing}]}), "volumes"),
        (
            NEWEST,
            json!({"block_device_mapping_v2": [{"source_type": "volume", "uuid": nothing, "boot_index": 0}]}),
            "volumes",
        ),
        (NEWEST, json!({"trusted_image_certificates": ["x"]}), "trusted_image_certificates"),
        (NEWEST, json!({"accessIPv6": "::1"}), "accessIPv6"),
        (NEWEST, json!({"colour": "red"}), "colour"),
        (18, json!({"description": "x"}), "description"),
        (51, json!({"tags": []}), "tags"),
        (89, json!({"hostname": "x"}), "hostname"),
    ] {
        let answer = cloud.with(minor, "alice", changes.clone()).await.is(400).json();
        let text = answer["badRequest"]["message"].as_str().unwrap();
        assert!(text.contains(word), "{changes}: {text}");
    }
    let mut body = cloud.request("web").await;
    body["server"].as_object_mut().unwrap().remove("networks");
    cloud.refused(37, "alice", "POST", "/servers", Some(body), "badRequest").await;
    for body in [
        json!({}),
        json!([]),
        json!({"server": []}),
        json!({"server": {"name": "x"}}),
        json!({"server": {}, "x": 1}),
    ] {
        cloud.refused(NEWEST, "alice", "POST", "/servers", Some(body), "badRequest").await;
    }
    cloud.with(NEWEST, "reader", json!({})).await.is(403);
    let many: serde_json::Map<_, _> = (0..129).map(|n| (format!("k{n}"), json!(""))).collect();
    cloud.with(NEWEST, "alice", json!({"metadata": many})).await.is(403);
    assert_eq!(cloud.servers().await, 0);
}

#[tokio::test]
async fn shapes_of_old_microversions_are_read() {
    let cloud = Cloud::new().await;
    let old = cloud.made(1, "alice", json!({})).await;
    assert_eq!((old.networks, old.description.as_deref()), (RequestedNetworks::None, Some("web")));
    let files = json!({"personality": [{"path": "/etc/motd", "contents": "aGk="}], "adminPass": "given"});
    let with_files =
        cloud.made(56, "alice", json!({"personality": files["personality"], "adminPass": "given"})).await;
    let secrets = cloud.site.store.server_secrets(with_files.uuid).await.unwrap();
    assert_eq!(secrets.files[0].0, "/etc/motd");
    assert_eq!(secrets.admin_password.unwrap().expose(), "given");
    cloud.with(56, "alice", json!({"personality": [{"path": "x", "contents": "!"}]})).await.is(400);
    let six = vec![json!({"path": "x", "contents": ""}); 6];
    cloud.with(56, "alice", json!({"personality": six})).await.is(403);
    // A flavor and an image may be named by links, and the image in the mapping of the boot disk.
    let image = cloud.stored_image(Visibility::Public).await.uuid;
    let linked =
        json!({"flavorRef": "http://x/v2.1/flavors/1", "imageRef": format!("http://x/images/{image}")});
    assert_eq!(cloud.made(1, "alice", linked).await.image.unwrap().id, image.to_string());
    let device = json!({"uuid": image, "source_type": "image", "destination_type": "local", "boot_index": 0,
        "delete_on_termination": true});
    let mapped = json!({"imageRef": null, "block_device_mapping_v2": [device]});
    assert_eq!(cloud.made(NEWEST, "alice", mapped).await.image.unwrap().id, image.to_string());
    let other = json!({"block_device_mapping_v2": [device]});
    cloud.with(NEWEST, "alice", other).await.is(400);
}

#[tokio::test]
async fn an_image_must_be_ones_to_use() {
    let cloud = Cloud::new().await;
    cloud.flavor().await;
    let try_image = async |token: &'static str, image: &Image| {
        cloud.with(NEWEST, token, json!({"imageRef": image.uuid})).await.status.as_u16()
    };
    let private = cloud.stored_image(Visibility::Private).await;
    assert_eq!((try_image("alice", &private).await, try_image("bob", &private).await), (400, 202));
    assert_eq!(try_image("operator", &private).await, 202);
    let community = cloud.stored_image(Visibility::Community).await;
    assert_eq!(try_image("alice", &community).await, 202);
    let shared = cloud.stored_image(Visibility::Shared).await;
    assert_eq!(try_image("alice", &shared).await, 400);
    let now = Timestamp::now();
    let member = Member {
        image: shared.uuid,
        project: project_id("a"),
        status: MemberStatus::Accepted,
        created_at: now,
        updated_at: now,
    };
    cloud.site.store.create_image_member(&member, 10).await.unwrap();
    assert_eq!(try_image("alice", &shared).await, 202);
    let edited = cloud.site.store.edit_image(shared.uuid, |image| {
        image.status = Status::Deactivated;
        Ok::<_, store::StoreError>(())
    });
    edited.await.unwrap();
    assert_eq!(try_image("alice", &shared).await, 400);
    let edited = cloud.site.store.edit_image(community.uuid, |image| {
        image.min_ram = 1 << 20;
        Ok::<_, store::StoreError>(())
    });
    edited.await.unwrap();
    let text = cloud.with(NEWEST, "alice", json!({"imageRef": community.uuid})).await.is(400).text;
    assert!(text.contains("memory is too small"), "{text}");
}

#[tokio::test]
async fn networks_are_the_only_one_or_the_named_ones() {
    let cloud = Cloud::new().await;
    cloud.flavor().await;
    cloud.with(NEWEST, "alice", json!({"networks": "auto"})).await.is(400);
    let lan = cloud.network("lan").await;
    let networks = async |changes: Value| match cloud.made(NEWEST, "alice", changes).await.networks {
        RequestedNetworks::These(wanted) => wanted.iter().filter_map(|one| one.network).collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    assert_eq!(networks(json!({"networks": "auto"})).await, [lan.id]);
    assert_eq!(networks(json!({"networks": "none"})).await.len(), 0);
    assert_eq!(
        networks(json!({"networks": [{"uuid": lan.id, "fixed_ip": "10.9.0.50", "tag": "eth"}]})).await,
        [lan.id]
    );
    cloud
        .with(NEWEST, "alice", json!({"networks": [{"uuid": lan.id, "fixed_ip": "10.8.0.50"}]}))
        .await
        .is(400);
    let own = Network::new(Uuid::new_v4(), project_id("b"), Timestamp::now());
    let foreign = cloud.site.store.create_network(own).await.unwrap();
    let text = cloud.with(NEWEST, "alice", json!({"networks": [{"uuid": foreign.id}]})).await.is(400).text;
    assert!(text.contains(&foreign.id.to_string()), "{text}");
    cloud.network("other").await;
    let text = cloud.with(NEWEST, "alice", json!({"networks": "auto"})).await.is(409).text;
    assert!(text.contains("Multiple possible networks"), "{text}");
}

#[tokio::test]
async fn only_operators_choose_the_machine() {
    let cloud = Cloud::new().await;
    let node = cloud.free_node("n1").await;
    cloud.site.edit(node, |node| node.conductor_group = "rack1".to_owned()).await;
    let in_zone = cloud.made(NEWEST, "alice", json!({"availability_zone": "rack1"})).await;
    assert_eq!((in_zone.availability_zone.as_deref(), in_zone.wanted_node), (Some("rack1"), None));
    for place in [
        json!({"availability_zone": "nova:seed"}),
        json!({"availability_zone": "nova::n1"}),
        json!({"host": "seed"}),
        json!({"hypervisor_hostname": node}),
    ] {
        cloud.with(NEWEST, "alice", place.clone()).await.is(403);
        cloud.made(NEWEST, "operator", place).await;
    }
    let pinned =
        cloud.made(NEWEST, "operator", json!({"availability_zone": format!("nova:seed:{node}")})).await;
    assert_eq!(pinned.wanted_node, Some(node.to_string()));
    assert_eq!((pinned.wanted_host.as_deref(), pinned.availability_zone), (Some("seed"), None));
    for place in [
        json!({"availability_zone": "nova:elsewhere"}),
        json!({"availability_zone": "nova::none-such"}),
        json!({"availability_zone": "a:b:c:d"}),
        json!({"availability_zone": "nova:seed", "host": "seed"}),
        json!({"host": "elsewhere"}),
        json!({"hypervisor_hostname": "none-such"}),
    ] {
        cloud.with(NEWEST, "operator", place).await.is(400);
    }
    cloud.with(73, "operator", json!({"host": "seed"})).await.is(400);
    let mut body = cloud.request("x").await;
    body["os:scheduler_hints"] = json!({"same_host": Uuid::new_v4()});
    let text = cloud.refused(NEWEST, "alice", "POST", "/servers", Some(body), "badRequest").await;
    assert!(text.contains("same_host"), "{text}");
}

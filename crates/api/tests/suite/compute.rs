//! The compute service: what holds for all of it, and what its tests need.

use crate::cloud::Cloud;
use crate::site::Answer;
use crate::stub_keystone::project_id;
use jiff::Timestamp;
use model::compute::{Flavor, Server, ServerFlavor};
use model::image::{Image, Status, Visibility};
use model::network::{Network, Subnet};
use model::node::PowerState;
use model::state::ProvisionState;
use serde_json::{Value, json};
use uuid::Uuid;

/// The newest microversion.
pub const NEWEST: u16 = 96;

/// Requests of the compute service.
impl Cloud {
    /// At a microversion; the path begins behind `/compute/v2.1`.
    pub async fn nova(
        &self,
        minor: u16,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let path = format!("/compute/v2.1{path}");
        self.at(&format!("compute 2.{minor}"), token, method, &path, body).await
    }

    /// `GET` at the newest microversion, which must go well.
    pub async fn read(&self, token: &str, path: &str) -> Value {
        self.nova(NEWEST, token, "GET", path, None).await.is(200).json()
    }

    /// A refusal's text, its shape checked.
    pub async fn refused(
        &self,
        minor: u16,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
        key: &str,
    ) -> String {
        let answer = self.nova(minor, token, method, path, body).await;
        let fault = &answer.json()[key];
        assert_eq!(fault["code"], answer.status.as_u16(), "{}", answer.text);
        fault["message"].as_str().unwrap().to_owned()
    }

    /// A public flavor `gold` with the id `1`.
    pub async fn flavor(&self) -> Flavor {
        let mut flavor = Flavor::new(Uuid::new_v4(), "gold", 8, 4096, 20, Timestamp::now());
        flavor.id = "1".to_owned();
        flavor.extra_specs.insert("resources:CUSTOM_GOLD".to_owned(), "1".to_owned());
        self.site.store.create(&flavor).await.unwrap();
        flavor
    }

    /// An active image of this visibility, of project `b`.
    pub async fn stored_image(&self, visibility: Visibility) -> Image {
        let mut image = Image::new(Uuid::new_v4(), Some(project_id("b")), Timestamp::now());
        image.name = Some("debian".to_owned());
        image.visibility = visibility;
        image.status = Status::Active;
        image.data = Some("x".to_owned());
        self.site.store.create_image(&image).await.unwrap();
        image
    }

    /// A shared network with a subnet.
    pub async fn network(&self, name: &str) -> Network {
        let now = Timestamp::now();
        let mut network = Network::new(Uuid::new_v4(), project_id("admin"), now);
        network.name = name.to_owned();
        network.shared = true;
        let network = self.site.store.create_network(network).await.unwrap();
        let cidr = "10.9.0.0/24".parse().unwrap();
        let subnet = Subnet::new(Uuid::new_v4(), network.id, project_id("admin"), cidr, now);
        self.site.store.create_subnet(subnet).await.unwrap();
        network
    }

    /// A node that carries nothing and may carry anything of the class `gold`.
    pub async fn free_node(&self, name: &str) -> Uuid {
        let body = json!({"driver": "fake-hardware", "name": name, "resource_class": "gold"});
        let node = self
            .at("baremetal 1.60", "operator", "POST", "/baremetal/v1/nodes", Some(body))
            .await
            .is(201)
            .json();
        let uuid = node["uuid"].as_str().unwrap().parse().unwrap();
        self.site
            .edit(uuid, |node| {
                node.provision_state = ProvisionState::Available;
                node.power_state = Some(PowerState::Off);
                for (name, value) in
                    [("cpus", json!(8)), ("memory_mb", json!("4096")), ("local_gb", json!(20))]
                {
                    node.properties.insert(name.to_owned(), value);
                }
            })
            .await;
        uuid
    }

    /// What a server is made of: `gold`, a public image, no network.
    pub async fn request(&self, name: &str) -> Value {
        let flavors = self.site.store.flavors().await.unwrap();
        let flavor = match flavors.into_iter().find(|flavor| flavor.id == "1") {
            Some(flavor) => flavor,
            None => self.flavor().await,
        };
        let image = self.stored_image(Visibility::Public).await;
        json!({"server": {"name": name, "flavorRef": flavor.id, "imageRef": image.uuid, "networks": "none"}})
    }

    /// A server that was asked for; nothing moves it.
    pub async fn server(&self, token: &str, name: &str) -> Uuid {
        let body = self.request(name).await;
        let made = self.nova(NEWEST, token, "POST", "/servers", Some(body)).await.is(202).json();
        made["server"]["id"].as_str().unwrap().parse().unwrap()
    }

    /// A server of project `a` in a state of its own, behind the API's back.
    pub async fn put_server(&self, name: &str, change: impl FnOnce(&mut Server)) -> Server {
        let flavor = ServerFlavor {
            id: "1".to_owned(),
            name: "gold".to_owned(),
            vcpus: 8,
            ram_mb: 4096,
            ..ServerFlavor::default()
        };
        let mut server =
            Server::new(Uuid::new_v4(), name, project_id("a"), "id-of-alice", flavor, Timestamp::now());
        change(&mut server);
        self.site.store.create(&server).await.unwrap();
        server
    }

    /// Changes a stored server behind the API's back.
    pub async fn change_server(&self, uuid: Uuid, change: impl FnOnce(&mut Server)) {
        let edited = self.site.store.edit_server(uuid, Timestamp::now(), |edit| {
            change(&mut edit.server);
            Ok::<_, store::StoreError>(())
        });
        edited.await.unwrap();
    }
}

#[tokio::test]
async fn versions_are_found_and_held_to() {
    let cloud = Cloud::new().await;
    let versions = cloud.by("", "GET", "/compute/", None).await.is(200).json();
    assert_eq!(versions["versions"][0]["id"], "v2.1");
    let version = cloud.by("", "GET", "/compute/v2.1/", None).await.is(200).json()["version"].clone();
    assert_eq!((&version["min_version"], &version["version"]), (&json!("2.1"), &json!("2.96")));
    assert_eq!(version["links"][0]["href"], "http://h:1/compute/v2.1/");
    let answer = cloud.nova(61, "alice", "GET", "/flavors", None).await.is(200);
    assert_eq!(answer.header("openstack-api-version"), "compute 2.61");
    assert_eq!(answer.header("x-openstack-nova-api-version"), "2.61");
    let refusal = cloud.refused(97, "alice", "GET", "/flavors", None, "notAcceptable").await;
    assert!(refusal.contains("2.96"), "{refusal}");
    cloud.refused(1, "alice", "GET", "/nothing", None, "itemNotFound").await;
    cloud.refused(1, "alice", "PATCH", "/flavors", None, "badMethod").await;
    cloud.refused(1, "", "GET", "/flavors", None, "unauthorized").await;
}

/// Each route that names a thing of project `a`, asked by project `b`: the answer is the one for a thing that is not there.
#[tokio::test]
async fn what_belongs_to_others_is_not_there() {
    let cloud = Cloud::new().await;
    let server = cloud.server("alice", "web").await;
    let body = json!({"server_group": {"name": "g", "policy": "anti-affinity"}});
    let group = cloud.nova(NEWEST, "alice", "POST", "/os-server-groups", Some(body)).await.is(200).json();
    let group = group["server_group"]["id"].as_str().unwrap().to_owned();
    let mut asked = 0;
    for route in
        api::cloud::SERVICES.iter().find(|service| service.prefix == "compute").unwrap().table.routes()
    {
        let is_operators = route.access == api::cloud::Access::Operator;
        if !route.path.contains("{server}") && !route.path.contains("{group}") || is_operators {
            continue;
        }
        let path = |server: &str, group: &str| {
            let path =
                route.path.replace("{server}", server).replace("{group}", group).replace(['{', '}'], "");
            path.strip_prefix("/v2.1").unwrap().to_owned()
        };
        let (own, none) = (server.to_string(), Uuid::new_v4().to_string());
        let verb = route.verb.as_str();
        let foreign = cloud.nova(NEWEST, "bob", verb, &path(&own, &group), Some(json!({}))).await.is(404);
        let missing = cloud.nova(NEWEST, "bob", verb, &path(&none, &none), Some(json!({}))).await.is(404);
        let neutral = |text: &str| text.replace(&own, "ID").replace(&group, "ID").replace(&none, "ID");
        assert_eq!(neutral(&foreign.text), neutral(&missing.text), "{verb} {}", route.path);
        asked += 1;
        // Readers of the own project look, and change nothing.
        if route.verb != api::route::Verb::Get {
            cloud.nova(NEWEST, "reader", verb, &path(&own, &group), Some(json!({}))).await.is(403);
        }
    }
    assert!(asked > 30, "{asked}");
    cloud.read("reader", &format!("/servers/{server}")).await;
    cloud.read("operator", &format!("/servers/{server}")).await;
    assert_eq!(cloud.read("bob", "/servers").await["servers"], json!([]));
    assert_eq!(cloud.read("bob", "/os-server-groups").await["server_groups"], json!([]));
}

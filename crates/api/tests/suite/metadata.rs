//! The metadata service: who is told what, by the address that asks.

use crate::site::{Answer, Site};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use jiff::Timestamp;
use model::Secret;
use model::compute::{Server, ServerAction, ServerFlavor, ServerKey, ServerPort};
use model::network::{Network, NetworkPort, Subnet};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use store::{AddressWish, NewServer, ServerSecrets, StoreError};
use tower::ServiceExt;
use uuid::Uuid;

struct Metadata {
    site: Site,
    router: Router,
    network: Network,
}

impl Metadata {
    async fn new() -> Self {
        let site = Site::new().await;
        let router = api::metadata::router(site.state.clone());
        let network = network(&site).await;
        Self { site, router, network }
    }

    /// Asks from an address, with a header more or none.
    async fn ask(&self, from: &str, path: &str, header: Option<(&str, &str)>) -> Answer {
        let peer = SocketAddr::new(from.parse().unwrap(), 40_000);
        let mut request = Request::builder().uri(path).extension(ConnectInfo(peer));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn get(&self, from: &str, path: &str) -> Answer {
        self.ask(from, path, None).await
    }

    /// A port with this address that says that it is this server's.
    async fn port(&self, network: &Network, address: &str, server: Uuid) -> NetworkPort {
        let now = Timestamp::now();
        let mut port = NetworkPort::new(Uuid::new_v4(), network.id, "p", now);
        port.device_id = server.to_string();
        port.device_owner = "compute:nova".into();
        let wish = AddressWish::Address(address.parse().unwrap());
        self.site.store.create_network_port(port, Some(&[wish]), now).await.unwrap()
    }

    /// A server with this address.
    async fn server(&self, network: &Network, name: &str, address: &str) -> Server {
        let now = Timestamp::now();
        let uuid = Uuid::new_v4();
        let port = self.port(network, address, uuid).await;
        let mut server = Server::new(uuid, name, "p", "u", ServerFlavor::default(), now);
        server.key = Some(ServerKey {
            name: "mine".into(),
            public_key: format!("ssh-ed25519 {name}"),
            kind: "ssh".into(),
        });
        server.ports.push(ServerPort {
            port: port.id,
            network: network.id,
            network_name: "n".into(),
            mac: port.mac_address.clone(),
            addresses: port.fixed_ips.iter().map(|fixed| fixed.ip_address).collect::<Vec<IpAddr>>(),
            made: true,
            tag: None,
        });
        let secrets = ServerSecrets {
            user_data: Some(Secret::new("IyEvYmluL3NoCg==")),
            admin_password: Some(Secret::new("hush-hush")),
            ..ServerSecrets::default()
        };
        let action = ServerAction::new(Uuid::new_v4(), uuid, "create", "req-1", ("u", "p"), now);
        let new = NewServer { server: server.clone(), action, secrets };
        self.site.store.create_servers("p", &[new], |_| Ok::<_, StoreError>(())).await.unwrap();
        server
    }
}

async fn network(site: &Site) -> Network {
    let now = Timestamp::now();
    let network = Network::new(Uuid::new_v4(), "p", now);
    let network = site.store.create_network(network).await.unwrap();
    let subnet = Subnet::new(Uuid::new_v4(), network.id, "p", "10.77.0.0/24".parse().unwrap(), now);
    site.store.create_subnet(subnet).await.unwrap();
    network
}

#[tokio::test]
async fn a_machine_is_told_what_its_config_drive_has() {
    let site = Metadata::new().await;
    let web = site.server(&site.network, "web", "10.77.0.10").await;
    site.server(&site.network, "db", "10.77.0.11").await;
    let meta_data = site.get("10.77.0.10", "/openstack/latest/meta_data.json").await.is(200);
    assert_eq!(meta_data.header("content-type"), "application/json");
    let meta_data = meta_data.json();
    assert_eq!((&meta_data["uuid"], &meta_data["name"]), (&json!(web.uuid), &json!("web")));
    assert_eq!(meta_data["public_keys"]["mine"], "ssh-ed25519 web");
    assert!(meta_data.get("admin_pass").is_none(), "others on the wire could read it");
    assert_eq!(site.get("10.77.0.11", "/openstack/2018-08-27/meta_data.json").await.json()["name"], "db");
    let network_data = site.get("10.77.0.10", "/openstack/latest/network_data.json").await.is(200).json();
    assert_eq!(network_data["links"].as_array().unwrap().len(), 1);
    assert_eq!(site.get("10.77.0.10", "/openstack/latest/user_data").await.is(200).text, "#!/bin/sh\n");
    assert_eq!(site.get("10.77.0.10", "/openstack/latest/vendor_data.json").await.is(200).json(), json!({}));
    assert!(site.get("10.77.0.10", "/openstack/").await.is(200).text.ends_with("\nlatest"));
    assert!(site.get("10.77.0.10", "/openstack/latest/").await.is(200).text.contains("user_data"));
    assert_eq!(site.get("10.77.0.10", "/latest/meta-data/hostname").await.is(200).text, "web");
    assert_eq!(site.get("10.77.0.10", "/2009-04-04/meta-data/local-ipv4").await.is(200).text, "10.77.0.10");
    assert_eq!(site.get("::ffff:10.77.0.10", "/latest/meta-data/public-keys/").await.is(200).text, "0=mine");
    for path in
        ["/openstack/2001-01-01/meta_data.json", "/openstack/latest/password", "/latest/other", "/etc/passwd"]
    {
        site.get("10.77.0.10", path).await.is(404);
    }
    let deep = "/a".repeat(100);
    site.get("10.77.0.10", &deep).await.is(404);
}

#[tokio::test]
async fn strangers_are_told_nothing() {
    let site = Metadata::new().await;
    let web = site.server(&site.network, "web", "10.77.0.10").await;
    let path = "/openstack/latest/meta_data.json";
    site.get("10.77.0.99", path).await.is(404);
    site.get("127.0.0.1", "/").await.is(404);
    site.ask("10.77.0.10", path, Some(("x-forwarded-for", "10.77.0.10"))).await.is(404);
    let unknown = Request::builder().uri(path).body(Body::empty()).unwrap();
    assert_eq!(site.router.clone().oneshot(unknown).await.unwrap().status(), 404);
    // Whoever makes a port may write any server's name on it.
    site.port(&site.network, "10.77.0.50", web.uuid).await;
    site.get("10.77.0.50", path).await.is(404);
    site.get("10.77.0.10", path).await.is(200);
    // Two networks may have the same addresses; which one asks can't be told.
    let other = network(&site.site).await;
    site.server(&other, "twin", "10.77.0.10").await;
    site.get("10.77.0.10", path).await.is(404);
}

#[tokio::test]
async fn metadata_is_only_read() {
    let site = Metadata::new().await;
    site.server(&site.network, "web", "10.77.0.10").await;
    let peer = ConnectInfo(SocketAddr::new("10.77.0.10".parse().unwrap(), 40_000));
    let request = Request::post("/openstack/latest/password").extension(peer).body(Body::from("x")).unwrap();
    assert_eq!(site.router.clone().oneshot(request).await.unwrap().status(), 405);
}

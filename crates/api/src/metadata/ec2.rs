//! `/{version}/meta-data/…`, as EC2 has it: a tree of names, whose leaves are texts.

use super::Told;
use conductor::ServerMetadata;
use model::compute::Server;
use model::compute::scheduler::DEFAULT_ZONE;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Versions whose tree is the same here.
pub(super) const VERSIONS: &[&str] = &[
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "latest",
];

/// What is at a path behind the version.
pub(super) fn find(server: &Server, told: ServerMetadata, path: &[&str]) -> Option<Told> {
    match path {
        [] if told.user_data.is_some() => Some(Told::Text("meta-data/\nuser-data".to_owned())),
        [] => Some(Told::Text("meta-data/".to_owned())),
        ["user-data"] => told.user_data.map(Told::Bytes),
        ["meta-data", rest @ ..] => {
            let tree = tree(server);
            rest.iter().try_fold(&tree, |at, name| at.get(*name)).map(|at| Told::Text(show(at)))
        }
        _ => None,
    }
}

/// A leaf's text, or the names of a node's children; those that have children themselves end in a slash. Keys are listed as EC2 does:
/// number, and name.
fn show(at: &Value) -> String {
    let Value::Object(children) = at else { return at.as_str().unwrap_or_default().to_owned() };
    let names =
        children.iter().filter(|(name, _)| *name != NAME).map(|(name, child)| match child.get(NAME) {
            Some(key) => format!("{name}={}", key.as_str().unwrap_or_default()),
            None if child.is_object() => format!("{name}/"),
            None => name.clone(),
        });
    names.collect::<Vec<_>>().join("\n")
}

/// Where a node keeps what it is called beside its number; no path's segment has a slash.
const NAME: &str = "/name";

fn tree(server: &Server) -> Value {
    let address =
        server.ports.iter().flat_map(|port| &port.addresses).find(|address| matches!(address, IpAddr::V4(_)));
    let address = address.map(ToString::to_string).unwrap_or_default();
    let zone = server.availability_zone.as_deref().unwrap_or(DEFAULT_ZONE);
    let mut tree = json!({
        "ami-id": identifier("ami", server.image.as_ref().map(|image| image.id.as_str()).unwrap_or_default()),
        "ami-launch-index": server.launch_index.to_string(),
        "ami-manifest-path": "(unknown)",
        "block-device-mapping": {"ami": "sda", "root": "/dev/sda"},
        "hostname": server.hostname,
        "instance-action": "none",
        "instance-id": identifier("i", &server.uuid.to_string()),
        "instance-type": server.flavor.name,
        "local-hostname": server.hostname,
        "local-ipv4": address,
        "placement": {"availability-zone": zone},
        "public-hostname": server.hostname,
        "public-ipv4": "",
        "reservation-id": identifier("r", &server.uuid.to_string()),
        "security-groups": "default",
    });
    if let Some(key) = &server.key {
        let own = Map::from_iter([
            (NAME.to_owned(), json!(key.name)),
            ("openssh-key".to_owned(), json!(key.public_key)),
        ]);
        tree["public-keys"] = json!({"0": own});
    }
    tree
}

/// An identifier in EC2's form, made of the first digits of a UUID.
fn identifier(kind: &str, uuid: &str) -> String {
    format!("{kind}-{}", uuid.get(..8).unwrap_or("00000000"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use model::compute::{ServerFlavor, ServerKey};
    use uuid::Uuid;

    #[test]
    fn a_tree_is_walked() {
        let mut server =
            Server::new(Uuid::nil(), "web", "p", "u", ServerFlavor::default(), Timestamp::UNIX_EPOCH);
        server.key = Some(ServerKey {
            name: "mine".into(),
            public_key: "ssh-ed25519 AAAA".into(),
            kind: "ssh".into(),
        });
        let told = || ServerMetadata {
            meta_data: json!({}),
            network_data: json!({}),
            user_data: Some(b"#!".to_vec()),
            vendor_data: json!({}),
            contents: Vec::new(),
        };
        let text = |path: &str| {
            let path: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
            find(&server, told(), &path).map(|found| match found {
                Told::Text(text) => text,
                Told::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
                Told::Json(value) => value.to_string(),
            })
        };
        assert_eq!(text("").as_deref(), Some("meta-data/\nuser-data"));
        assert_eq!(text("user-data").as_deref(), Some("#!"));
        let names = text("meta-data").unwrap();
        assert!(
            names.lines().any(|line| line == "placement/") && names.lines().any(|line| line == "hostname")
        );
        assert_eq!(text("meta-data/instance-id").as_deref(), Some("i-00000000"));
        assert_eq!(text("meta-data/placement/availability-zone").as_deref(), Some("nova"));
        assert_eq!(text("meta-data/public-keys").as_deref(), Some("0=mine"));
        assert_eq!(text("meta-data/public-keys/0").as_deref(), Some("openssh-key"));
        assert_eq!(text("meta-data/public-keys/0/openssh-key").as_deref(), Some("ssh-ed25519 AAAA"));
        for missing in ["meta-data/other", "meta-data/hostname/x", "dynamic"] {
            assert_eq!(text(missing), None, "{missing}");
        }
    }
}

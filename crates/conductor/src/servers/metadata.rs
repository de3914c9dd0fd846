//! What a machine is told of itself: `meta_data.json`, `network_data.json`, user data and vendor data, on its config drive and by
//! whoever serves metadata on the network (Nova's `api/metadata/base.py`).

use super::visit::Trouble;
use crate::Conductor;
use crate::request::RequestError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use disk::config_drive::{self, ConfigDrive};
use model::compute::Server;
use model::compute::scheduler::DEFAULT_ZONE;
use model::network::metadata::{Attachment, network_data};
use model::network::{Network, NetworkPort, Subnet};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};
use store::{ServerSecrets, StoreError};

/// Octets of chance that a machine's generator is fed with.
const SEED_BYTES: usize = 512;

/// What a machine is told of itself.
#[derive(Clone)]
pub struct ServerMetadata {
    /// `meta_data.json`.
    pub meta_data: Value,
    /// `network_data.json`.
    pub network_data: Value,
    /// `user_data`, as it is.
    pub user_data: Option<Vec<u8>>,
    /// `vendor_data.json`.
    pub vendor_data: Value,
    /// Files that `meta_data.json` names, as they are: the first is `content/0000`.
    pub contents: Vec<Vec<u8>>,
}

impl Conductor {
    /// What the machine of a server is told of itself.
    pub async fn server_metadata(&self, server: &Server) -> Result<ServerMetadata, StoreError> {
        let secrets = self.store().server_secrets(server.uuid).await?;
        let network_data = self.network_data_of(server).await?;
        let user_data = secrets.user_data.as_ref().map(|text| {
            let compact: String = text.expose().split_ascii_whitespace().collect();
            // The API lets in base64 only; what isn't is handed on as it is.
            STANDARD.decode(&compact).unwrap_or_else(|_| text.expose().as_bytes().to_vec())
        });
        let meta_data = meta_data(server, &secrets, &seed());
        // The API lets in base64 only.
        let contents = secrets
            .files
            .iter()
            .map(|(_, text)| STANDARD.decode(text.expose()).unwrap_or_default())
            .collect();
        Ok(ServerMetadata { meta_data, network_data, user_data, vendor_data: json!({}), contents })
    }

    /// The config drive of a server as it is stored with a node.
    pub(super) async fn config_drive_of(&self, server: &Server) -> Result<String, Trouble> {
        let told = self.server_metadata(server).await?;
        let drive = ConfigDrive {
            meta_data: told.meta_data,
            user_data: told.user_data,
            network_data: Some(told.network_data),
            vendor_data: Some(told.vendor_data),
            contents: told.contents,
        };
        let iso = drive
            .to_iso()
            .map_err(|error| Trouble::Refused(RequestError::Invalid(format!("its config drive: {error}"))))?;
        Ok(config_drive::encode(&iso))
    }

    async fn network_data_of(&self, server: &Server) -> Result<Value, StoreError> {
        let store = self.store();
        let mut found: Vec<(NetworkPort, Network, Vec<Subnet>)> = Vec::with_capacity(server.ports.len());
        for port in &server.ports {
            let port: NetworkPort = match store.get(&port.port.to_string()).await {
                Ok(port) => port,
                // A port that was deleted under the server is one connection less.
                Err(StoreError::NotFound { .. }) => continue,
                Err(error) => return Err(error),
            };
            let network: Network = store.get(&port.network_id.to_string()).await?;
            let subnets = store.subnets_of_network(network.id).await?;
            found.push((port, network, subnets));
        }
        let attachments: Vec<_> =
            found.iter().map(|(port, network, subnets)| Attachment { port, network, subnets }).collect();
        Ok(network_data(&attachments))
    }
}

/// Chance in base64; empty where there is none, which a generator bears.
fn seed() -> String {
    let mut bytes = vec![0; SEED_BYTES];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => STANDARD.encode(bytes),
        Err(_) => String::new(),
    }
}

/// `meta_data.json` of a server.
fn meta_data(server: &Server, secrets: &ServerSecrets, seed: &str) -> Value {
    let mut data = json!({
        "uuid": server.uuid,
        "name": server.name,
        "hostname": server.hostname,
        "project_id": server.project_id,
        "availability_zone": server.availability_zone.as_deref().unwrap_or(DEFAULT_ZONE),
        "launch_index": server.launch_index,
        "random_seed": seed,
        "devices": devices(server),
        "dedicated_cpus": [],
    });
    if !server.metadata.is_empty() {
        data["meta"] = json!(server.metadata);
    }
    if let Some(key) = &server.key {
        // cloud-init's keys end with a line's end, as Nova gives them.
        data["public_keys"] = json!({&key.name: key.public_key});
        data["keys"] = json!([{"name": key.name, "type": key.kind, "data": key.public_key}]);
    }
    if !secrets.files.is_empty() {
        let named = secrets.files.iter().enumerate();
        data["files"] = named
            .map(|(number, (path, _))| json!({"path": path, "content_path": format!("/content/{number:04}")}))
            .collect();
    }
    if let Some(password) = &secrets.admin_password {
        data["admin_pass"] = password.expose().into();
    }
    data
}

/// Devices that have a tag.
fn devices(server: &Server) -> Vec<Value> {
    let tagged = server.ports.iter().filter_map(|port| port.tag.as_ref().map(|tag| (port, tag)));
    tagged.map(|(port, tag)| json!({"type": "nic", "bus": "none", "mac": port.mac, "tags": [tag]})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use model::Secret;
    use model::compute::{ServerFlavor, ServerKey};
    use uuid::Uuid;

    #[test]
    fn meta_data_has_what_cloud_init_reads() {
        let mut server =
            Server::new(Uuid::nil(), "My web", "p", "u", ServerFlavor::default(), Timestamp::UNIX_EPOCH);
        let bare = meta_data(&server, &ServerSecrets::default(), "c2VlZA==");
        assert_eq!((&bare["hostname"], &bare["name"]), (&json!("my-web"), &json!("My web")));
        assert!(bare.get("public_keys").is_none() && bare.get("meta").is_none());
        server.key = Some(ServerKey {
            name: "mine".into(),
            public_key: "ssh-ed25519 AAAA me".into(),
            kind: "ssh".into(),
        });
        server.metadata.insert("role".into(), "db".into());
        let secrets = ServerSecrets {
            admin_password: Some(Secret::new("pw")),
            files: vec![("/etc/motd".into(), Secret::new("aGk="))],
            ..ServerSecrets::default()
        };
        let full = meta_data(&server, &secrets, "");
        assert_eq!(full["public_keys"]["mine"], "ssh-ed25519 AAAA me");
        assert_eq!(full["keys"][0]["type"], "ssh");
        assert_eq!(full["meta"]["role"], "db");
        assert_eq!(full["admin_pass"], "pw");
        assert_eq!(full["files"], json!([{"path": "/etc/motd", "content_path": "/content/0000"}]));
        assert_eq!(full["availability_zone"], "nova");
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(seed(), seed());
    }
}

//! A flavor: what kind of machine a server is to have.

use super::server::ServerFlavor;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A flavor as stored. A server keeps a copy of the one that it was made with: flavors may be deleted while servers have them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flavor {
    /// The row's identity, which no client sees.
    pub uuid: Uuid,
    /// What clients call its id: any text, a UUID where none was given.
    pub id: String,
    /// Unique name.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Processors.
    pub vcpus: i64,
    /// Memory, MiB.
    pub ram_mib: i64,
    /// Root disk, GiB; 0 leaves its size to the image.
    pub disk_gib: i64,
    /// Further disk, GiB.
    pub ephemeral_gib: i64,
    /// Swap, MiB.
    pub swap_mib: i64,
    /// A share of the network, which means nothing to a machine: kept for clients.
    pub rxtx_factor: f64,
    /// Every project may use it; else those in `projects`.
    pub is_public: bool,
    /// Projects that may use it where it is not public.
    #[serde(default)]
    pub projects: BTreeSet<String>,
    /// What else a machine must have, and free words: see [`ExtraSpec`](super::extra_spec::ExtraSpec).
    #[serde(default)]
    pub extra_specs: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

impl Flavor {
    /// A flavor of that name with nothing in it but its size.
    pub fn new(
        uuid: Uuid,
        name: impl Into<String>,
        vcpus: i64,
        ram_mib: i64,
        disk_gib: i64,
        now: Timestamp,
    ) -> Self {
        Self {
            uuid,
            id: uuid.to_string(),
            name: name.into(),
            description: None,
            vcpus,
            ram_mib,
            disk_gib,
            ephemeral_gib: 0,
            swap_mib: 0,
            rxtx_factor: 1.0,
            is_public: true,
            projects: BTreeSet::new(),
            extra_specs: BTreeMap::new(),
            created_at: now,
            updated_at: None,
        }
    }

    /// May this project use it?
    pub fn is_for(&self, project: &str) -> bool {
        self.is_public || self.projects.contains(project)
    }

    /// What a server keeps of it.
    pub fn of_server(&self) -> ServerFlavor {
        let size = |number: i64| u64::try_from(number).unwrap_or(0);
        ServerFlavor {
            id: self.id.clone(),
            name: self.name.clone(),
            vcpus: size(self.vcpus),
            ram_mb: size(self.ram_mib),
            disk_gb: size(self.disk_gib),
            ephemeral_gb: size(self.ephemeral_gib),
            swap_mb: size(self.swap_mib),
            extra_specs: self.extra_specs.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_keeps_what_it_was_made_by() {
        let mut flavor = Flavor::new(Uuid::nil(), "gold", 1, 2, 3, Timestamp::UNIX_EPOCH);
        flavor.extra_specs.insert("resources:CUSTOM_GOLD".to_owned(), "1".to_owned());
        flavor.swap_mib = -1;
        let kept = flavor.of_server();
        assert_eq!((kept.vcpus, kept.ram_mb, kept.disk_gb, kept.swap_mb), (1, 2, 3, 0));
        assert_eq!(kept.extra_specs, flavor.extra_specs);
        let stored = serde_json::to_string(&flavor).unwrap();
        assert_eq!(serde_json::from_str::<Flavor>(&stored).unwrap(), flavor);
    }

    #[test]
    fn a_private_flavor_is_for_its_projects() {
        let mut flavor = Flavor::new(Uuid::nil(), "gold", 1, 2, 3, Timestamp::UNIX_EPOCH);
        assert!(flavor.is_for("a"));
        flavor.is_public = false;
        assert!(!flavor.is_for("a"));
        flavor.projects.insert("a".to_owned());
        assert!(flavor.is_for("a") && !flavor.is_for("b"));
    }
}

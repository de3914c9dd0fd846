//! A flavor: what kind of machine a server is to have.

use super::extra_spec::ExtraSpec;
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
    /// What else a machine must have, and free words: see [`ExtraSpec`].
    #[serde(default)]
    pub extra_specs: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

/// What a flavor asks of a node beyond processors, memory and disk: its extra specs, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requirements {
    /// Resource classes of placement (`CUSTOM_GOLD`) and how many of each; 0 takes one of the three usual ones (`VCPU`, `MEMORY_MB`,
    /// `DISK_GB`) out of the question.
    pub resources: BTreeMap<String, u64>,
    /// Traits that the node must have; deployment gets them too.
    pub required_traits: BTreeSet<String>,
    /// Traits that it must not have.
    pub forbidden_traits: BTreeSet<String>,
    /// Capabilities (`boot_mode`) and the values that they must have: of the node, and of the deployment.
    pub capabilities: BTreeMap<String, String>,
}

impl Requirements {
    /// The resource class that the node must be of, if the flavor names one; a machine has just one.
    pub fn resource_class(&self) -> Option<&str> {
        self.resources
            .iter()
            .find(|(class, amount)| class.starts_with("CUSTOM_") && **amount > 0)
            .map(|(class, _)| class.as_str())
    }

    /// Is this usual resource (`VCPU`, `MEMORY_MB`, `DISK_GB`) taken out of the question (`resources:VCPU=0`)?
    pub fn ignores(&self, class: &str) -> bool {
        self.resources.get(class) == Some(&0)
    }
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

    /// What its extra specs ask of a node. Specs that don't read are left out: the API lets none of those in.
    pub fn requirements(&self) -> Requirements {
        let mut asked = Requirements::default();
        for (key, value) in &self.extra_specs {
            match ExtraSpec::parse(key, value) {
                Ok(ExtraSpec::Resource { class, amount }) => {
                    asked.resources.insert(class, amount);
                }
                Ok(ExtraSpec::Trait { name, is_forbidden }) => {
                    let traits =
                        if is_forbidden { &mut asked.forbidden_traits } else { &mut asked.required_traits };
                    traits.insert(name);
                }
                Ok(ExtraSpec::Capability { name, value }) => {
                    asked.capabilities.insert(name, value);
                }
                Ok(ExtraSpec::Other) | Err(_) => {}
            }
        }
        asked
    }
}

/// The resource class of placement that a node's `resource_class` stands for: `baremetal.gold` is `CUSTOM_BAREMETAL_GOLD`.
///
/// Source: os-resource-classes' `normalize_name`, which Nova's ironic driver uses.
pub fn placement_class(resource_class: &str) -> String {
    let upper = resource_class.to_uppercase();
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let mut name = String::from("CUSTOM_");
    name.extend(upper.chars().map(|c| if fits(c) { c } else { '_' }));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_become_requirements() {
        let mut flavor = Flavor::new(Uuid::nil(), "gold", 1, 2, 3, Timestamp::UNIX_EPOCH);
        for (key, value) in [
            ("resources:CUSTOM_GOLD", "1"),
            ("resources:VCPU", "0"),
            ("trait:CUSTOM_A", "required"),
            ("trait:CUSTOM_B", "forbidden"),
            ("capabilities:boot_mode", "uefi"),
            ("free", "word"),
        ] {
            flavor.extra_specs.insert(key.to_owned(), value.to_owned());
        }
        let asked = flavor.requirements();
        assert_eq!(asked.resource_class(), Some("CUSTOM_GOLD"));
        assert!(asked.ignores("VCPU") && !asked.ignores("MEMORY_MB"));
        assert_eq!(asked.required_traits, BTreeSet::from(["CUSTOM_A".to_owned()]));
        assert_eq!(asked.forbidden_traits, BTreeSet::from(["CUSTOM_B".to_owned()]));
        assert_eq!(asked.capabilities["boot_mode"], "uefi");
        let stored = serde_json::to_string(&flavor).unwrap();
        assert_eq!(serde_json::from_str::<Flavor>(&stored).unwrap(), flavor);
    }

    #[test]
    fn a_class_is_named_as_placement_names_it() {
        assert_eq!(placement_class("baremetal.gold-1"), "CUSTOM_BAREMETAL_GOLD_1");
        assert_eq!(placement_class("grün"), "CUSTOM_GR_N");
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

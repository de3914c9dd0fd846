//! Which node a server gets, and why it does not get the others: pure functions over a server and nodes.
//!
//! A node is looked at in two passes. The first takes what columns of the database tell ([`Glimpse`]), so that ten thousand nodes can be
//! looked at for one server; the second takes the node itself. Each returns the first [`Objection`] that it meets, and [`Tally`]
//! makes sentences of many of them.

mod capability;
mod objection;
mod tally;

pub use capability::matches as capability_matches;
pub use objection::Objection;
pub use tally::Tally;

use crate::compute::extra_spec::ExtraSpec;
use crate::compute::server::{RequestedNetworks, Server, ServerImage};
use crate::node::Node;
use crate::state::ProvisionState;
use serde_json::Value;
use uuid::Uuid;

/// Zone of the nodes that are in no other (Nova's `default_availability_zone`).
pub const DEFAULT_ZONE: &str = "nova";

/// What columns of the database tell of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glimpse {
    /// Node.
    pub uuid: Uuid,
    /// Its name.
    pub name: Option<String>,
    /// Provision state.
    pub provision_state: ProvisionState,
    /// Is it in maintenance?
    pub maintenance: bool,
    /// Is it retired?
    pub retired: bool,
    /// Resource class.
    pub resource_class: Option<String>,
    /// Conductor group, which names its zone.
    pub conductor_group: String,
    /// Instance that it carries.
    pub instance_uuid: Option<String>,
    /// Project that it is leased to.
    pub lessee: Option<String>,
    /// Node that contains it.
    pub parent_node: Option<Uuid>,
    /// Its [`Sizes::PROPERTIES`], as far as they are known.
    pub sizes: [(&'static str, Option<u64>); 3],
}

impl Glimpse {
    /// The name if it has one, else the UUID.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.uuid.to_string())
    }
}

impl From<&Node> for Glimpse {
    fn from(node: &Node) -> Self {
        Self {
            uuid: node.uuid,
            name: node.name.clone(),
            provision_state: node.provision_state,
            maintenance: node.maintenance,
            retired: node.retired,
            resource_class: node.resource_class.clone(),
            conductor_group: node.conductor_group.clone(),
            instance_uuid: node.instance_uuid.clone(),
            lessee: node.lessee.clone(),
            parent_node: node.parent_node,
            sizes: Sizes::PROPERTIES.map(|what| (what, size(node, what))),
        }
    }
}

/// The zone of a node: its conductor group, or [`DEFAULT_ZONE`].
pub fn zone(conductor_group: &str) -> &str {
    if conductor_group.is_empty() { DEFAULT_ZONE } else { conductor_group }
}

/// A resource class as placement and flavors write it: `baremetal.gold` is `CUSTOM_BAREMETAL_GOLD` (os-resource-classes,
/// `normalize_name`).
pub fn custom_class(resource_class: &str) -> String {
    let mut made = String::from("CUSTOM_");
    let mut in_gap = false;
    for character in resource_class.to_uppercase().chars() {
        let fits = character.is_ascii_uppercase() || character.is_ascii_digit();
        if fits {
            made.push(character);
        } else if !in_gap {
            made.push('_');
        }
        in_gap = !fits;
    }
    made
}

/// What a server asks of its node, read out of flavor and image once.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    server: &'a Server,
    /// This conductor, which manages every node.
    here: &'a str,
    /// Resource classes as flavors write them.
    classes: Vec<String>,
    required: Vec<String>,
    forbidden: Vec<String>,
    capabilities: Vec<(String, String)>,
    sizes: Sizes,
}

/// Least sizes of the node; 0: any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Sizes {
    /// Processors.
    pub cpus: u64,
    /// Memory in MiB.
    pub memory_mb: u64,
    /// Disk in GiB.
    pub local_gb: u64,
}

impl Sizes {
    /// The properties of a node, and its columns, that tell its sizes: in the order of this type's fields.
    pub const PROPERTIES: [&'static str; 3] = ["cpus", "memory_mb", "local_gb"];
    /// What a processor counts in the sum by which nodes are compared, where a MiB of memory counts 1, as flavors usually go.
    pub const OF_CPU: u64 = 2048;
    /// What a GiB of disk counts.
    pub const OF_GB: u64 = 40;
}

impl<'a> Request<'a> {
    /// What a server asks for; `here` is the name of the conductor.
    pub fn new(server: &'a Server, here: &'a str) -> Self {
        let flavor = &server.flavor;
        let mut request = Self {
            server,
            here,
            classes: Vec::new(),
            required: Vec::new(),
            forbidden: Vec::new(),
            capabilities: Vec::new(),
            sizes: Sizes { cpus: flavor.vcpus, memory_mb: flavor.ram_mb, local_gb: flavor.disk_gb },
        };
        for (key, value) in &flavor.extra_specs {
            request.read_spec(key, value);
        }
        let of_image = server.image.iter().flat_map(|image| &image.properties);
        for (key, value) in of_image.filter(|(key, _)| key.starts_with("trait:")) {
            request.read_spec(key, value);
        }
        // A resource class stands for the sizes, which the flavor then names for people only.
        if !request.classes.is_empty() {
            request.sizes = Sizes::default();
        }
        request
    }

    /// Specs that don't read are left out: the API lets none of those in.
    fn read_spec(&mut self, key: &str, value: &str) {
        match ExtraSpec::parse(key, value) {
            Ok(ExtraSpec::Resource { class, amount }) => match class.as_str() {
                "VCPU" if amount == 0 => self.sizes.cpus = 0,
                "MEMORY_MB" if amount == 0 => self.sizes.memory_mb = 0,
                "DISK_GB" if amount == 0 => self.sizes.local_gb = 0,
                _ if class.starts_with("CUSTOM_") && amount > 0 => self.classes.push(class),
                _ => {}
            },
            Ok(ExtraSpec::Capability { name, value }) => self.capabilities.push((name, value)),
            Ok(ExtraSpec::Trait { name, is_forbidden: true }) => self.forbidden.push(name),
            Ok(ExtraSpec::Trait { name, is_forbidden: false }) => self.required.push(name),
            Ok(ExtraSpec::Other) | Err(_) => {}
        }
    }

    /// Traits that the node must have; they go into `instance_info`.
    pub fn required_traits(&self) -> &[String] {
        &self.required
    }

    /// Capabilities that the flavor names; they go into `instance_info`.
    pub fn capabilities(&self) -> &[(String, String)] {
        &self.capabilities
    }

    /// Least sizes of the node.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// How many of a node's ports it needs.
    pub fn ports(&self) -> usize {
        match &self.server.networks {
            RequestedNetworks::These(ports) => ports.len(),
            RequestedNetworks::Unsaid | RequestedNetworks::Auto | RequestedNetworks::None => 0,
        }
    }

    /// The node that was asked for, by UUID or name.
    pub fn pin(&self) -> Option<&str> {
        self.server.wanted_node.as_deref()
    }

    /// Why a node can't carry the server, as far as columns tell.
    pub fn objection_to_glimpse(&self, node: &Glimpse) -> Option<Objection> {
        if let Some(pin) = self.pin()
            && node.name.as_deref() != Some(pin)
            && !node.uuid.to_string().eq_ignore_ascii_case(pin)
        {
            return Some(Objection::NotTheOne { wanted: pin.to_owned() });
        }
        if let Some(host) = self.server.wanted_host.as_deref().filter(|host| *host != self.here) {
            return Some(Objection::Host { has: self.here.to_owned(), wanted: host.to_owned() });
        }
        let zone = zone(&node.conductor_group);
        if let Some(wanted) = self.server.availability_zone.as_deref().filter(|wanted| *wanted != zone) {
            return Some(Objection::Zone { has: zone.to_owned(), wanted: wanted.to_owned() });
        }
        self.objection_to_class(node.resource_class.as_deref())
            .or_else(|| self.objection_to_state(node))
            .or_else(|| self.objection_to_size(node))
    }

    fn objection_to_class(&self, class: Option<&str>) -> Option<Objection> {
        let of_node = class.map(custom_class);
        let wanted = self.classes.iter().find(|wanted| of_node.as_ref() != Some(wanted))?;
        Some(Objection::OtherClass { has: class.map(str::to_owned), wanted: wanted.clone() })
    }

    /// Resource classes that the node must be of, as flavors write them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    fn objection_to_state(&self, node: &Glimpse) -> Option<Objection> {
        if let Some(parent) = node.parent_node {
            Some(Objection::Child { parent })
        } else if node.retired {
            Some(Objection::Retired)
        } else if let Some(instance) = &node.instance_uuid {
            Some(Objection::Taken { instance: instance.clone() })
        } else if node.maintenance {
            Some(Objection::Maintenance)
        } else if node.provision_state != ProvisionState::Available {
            Some(Objection::State(node.provision_state))
        } else if let Some(lessee) = node.lessee.as_ref().filter(|lessee| **lessee != self.server.project_id)
        {
            Some(Objection::Leased { to: lessee.clone() })
        } else if self.server.work.tried.contains(&node.uuid) {
            Some(Objection::Tried)
        } else {
            None
        }
    }

    /// Why a node can't carry the server; `None`: it can, as far as the node alone tells.
    pub fn objection(&self, node: &Node) -> Option<Objection> {
        self.objection_to_glimpse(&Glimpse::from(node))
            .or_else(|| self.objection_to_traits(node))
            .or_else(|| self.objection_to_capabilities(node))
            .or_else(|| self.server.image.as_ref().and_then(|image| objection_to_image(node, image)))
    }

    fn objection_to_size(&self, node: &Glimpse) -> Option<Objection> {
        let Sizes { cpus, memory_mb, local_gb } = self.sizes;
        [cpus, memory_mb, local_gb].into_iter().zip(node.sizes).find_map(|(wanted, (what, has))| {
            (wanted > has.unwrap_or(0)).then_some(Objection::TooSmall { what, has, wanted })
        })
    }

    fn objection_to_traits(&self, node: &Node) -> Option<Objection> {
        let of_node = |name: &&String| node.traits.contains(*name);
        let lacks: Vec<String> = self.required.iter().filter(|name| !of_node(name)).cloned().collect();
        if !lacks.is_empty() {
            return Some(Objection::Lacks { traits: lacks });
        }
        let has: Vec<String> = self.forbidden.iter().filter(of_node).cloned().collect();
        (!has.is_empty()).then_some(Objection::Forbidden { traits: has })
    }

    fn objection_to_capabilities(&self, node: &Node) -> Option<Objection> {
        self.capabilities.iter().find_map(|(key, wanted)| {
            let has = capability::of_node(node, key);
            (!capability_matches(has.as_deref(), wanted)).then(|| Objection::Capability {
                key: key.clone(),
                has,
                wanted: wanted.clone(),
            })
        })
    }

    /// How much larger the node is than it need be: the smallest node that does is the best.
    pub fn surplus(&self, node: &Node) -> u64 {
        if self.sizes == Sizes::default() {
            return 0;
        }
        let over = |what, wanted: u64| size(node, what).unwrap_or(0).saturating_sub(wanted);
        over("cpus", self.sizes.cpus)
            .saturating_mul(Sizes::OF_CPU)
            .saturating_add(over("memory_mb", self.sizes.memory_mb))
            .saturating_add(over("local_gb", self.sizes.local_gb).saturating_mul(Sizes::OF_GB))
    }
}

/// A size among a node's properties (`cpus`, `memory_mb`, `local_gb`), which come as numbers or as text.
pub fn size(node: &Node, what: &str) -> Option<u64> {
    match node.properties.get(what)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// What an image asks of a machine. A node that says nothing of a matter is believed to do.
fn objection_to_image(node: &Node, image: &ServerImage) -> Option<Objection> {
    let wanted = |keys: &[&str]| keys.iter().find_map(|key| image.properties.get(*key));
    let arch = node.properties.get("cpu_arch").and_then(Value::as_str);
    if let (Some(has), Some(wanted)) = (arch, wanted(&["hw_architecture", "architecture"]))
        && architecture(has) != architecture(wanted)
    {
        return Some(Objection::Architecture { has: has.to_owned(), wanted: wanted.clone() });
    }
    if let (Some(has), Some(wanted)) = (node.capability("boot_mode"), wanted(&["hw_firmware_type"]))
        && !has.eq_ignore_ascii_case(wanted)
    {
        return Some(Objection::Firmware { has, wanted: wanted.clone() });
    }
    [("memory_mb", image.min_ram_mb), ("local_gb", image.min_disk_gb)].into_iter().find_map(
        |(what, wanted)| {
            let has = size(node, what)?;
            (wanted > has).then_some(Objection::TooSmall { what, has: Some(has), wanted })
        },
    )
}

/// One name for each architecture (Nova's `objects/fields.py`, `Architecture.canonicalize`).
fn architecture(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    match name.as_str() {
        "amd64" | "x64" => "x86_64".to_owned(),
        "arm64" => "aarch64".to_owned(),
        "i386" | "i486" | "i586" | "x86" => "i686".to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests;

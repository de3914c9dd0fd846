//! Why a node can't carry a server, and what would change that.

use crate::state::ProvisionState as S;
use uuid::Uuid;

/// Why a node was turned away. The texts go behind a number of nodes: "2 in maintenance".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Objection {
    /// Another node was asked for.
    #[error("not {wanted}, which was asked for")]
    NotTheOne {
        /// UUID or name.
        wanted: String,
    },
    /// Another host was asked for.
    #[error("managed by {has}, where {wanted} was asked for")]
    Host {
        /// The conductor that manages it.
        has: String,
        /// Host that was asked for.
        wanted: String,
    },
    /// Another zone was asked for.
    #[error("in zone {has}, where {wanted} was asked for")]
    Zone {
        /// Its zone.
        has: String,
        /// Zone that was asked for.
        wanted: String,
    },
    /// Another resource class.
    #[error("of resource class {}, where {wanted} is wanted", .has.as_deref().unwrap_or("none"))]
    OtherClass {
        /// Its class.
        has: Option<String>,
        /// As the flavor writes it.
        wanted: String,
    },
    /// It is a part of another node.
    #[error("part of node {parent}")]
    Child {
        /// That node.
        parent: Uuid,
    },
    /// It is retired.
    #[error("retired")]
    Retired,
    /// It carries another instance.
    #[error("with an instance")]
    Taken {
        /// Which.
        instance: String,
    },
    /// It is in maintenance.
    #[error("in maintenance")]
    Maintenance,
    /// It is not available.
    #[error("in state {0}, not available")]
    State(S),
    /// It is leased to another project.
    #[error("leased to another project")]
    Leased {
        /// Which.
        to: String,
    },
    /// The server's deployment failed on it.
    #[error("on which this server's deployment failed")]
    Tried,
    /// It is too small.
    #[error("with {what} {}, where {wanted} are wanted", .has.map_or_else(|| "unknown".to_owned(), |has| has.to_string()))]
    TooSmall {
        /// `cpus`, `memory_mb`, `local_gb`.
        what: &'static str,
        /// What its properties say.
        has: Option<u64>,
        /// At least.
        wanted: u64,
    },
    /// It lacks traits.
    #[error("without {}", .traits.join(", "))]
    Lacks {
        /// Which.
        traits: Vec<String>,
    },
    /// It has traits that it must not have.
    #[error("with {}, which the flavor forbids", .traits.join(", "))]
    Forbidden {
        /// Which.
        traits: Vec<String>,
    },
    /// A capability is missing or another.
    #[error("with capability {key} {}, where \"{wanted}\" is wanted", .has.as_ref().map_or_else(|| "unknown".to_owned(), |has| format!("\"{has}\"")))]
    Capability {
        /// Its name.
        key: String,
        /// What the node says.
        has: Option<String>,
        /// The flavor's requirement.
        wanted: String,
    },
    /// The image is for other machines.
    #[error("of architecture {has}, where the image is for {wanted}")]
    Architecture {
        /// The node's.
        has: String,
        /// The image's.
        wanted: String,
    },
    /// The image is for other firmware.
    #[error("that boot by {has}, where the image boots by {wanted}")]
    Firmware {
        /// The node's.
        has: String,
        /// The image's.
        wanted: String,
    },
    /// It has not enough free ports for the networks.
    #[error("with {has} of the {wanted} free ports that are wanted")]
    FewPorts {
        /// So many.
        has: usize,
        /// For so many networks.
        wanted: usize,
    },
    /// A deployment would be refused.
    #[error("that can't be deployed: {reason}")]
    NotDeployable {
        /// What `validate` says.
        reason: String,
    },
    /// Other work holds it at the moment.
    #[error("held by other work at the moment")]
    Held,
}

impl Objection {
    /// The filter that turned the node away, in a word or two.
    pub const fn filter(&self) -> &'static str {
        match self {
            Objection::NotTheOne { .. } => "requested node",
            Objection::Host { .. } => "requested host",
            Objection::Zone { .. } => "availability zone",
            Objection::OtherClass { .. } => "resource class",
            Objection::Child { .. } => "parent node",
            Objection::Retired => "retired",
            Objection::Taken { .. } => "instance",
            Objection::Maintenance => "maintenance",
            Objection::State(_) => "provision state",
            Objection::Leased { .. } => "lessee",
            Objection::Tried => "retry",
            Objection::TooSmall { .. } => "size",
            Objection::Lacks { .. } | Objection::Forbidden { .. } => "traits",
            Objection::Capability { .. } => "capabilities",
            Objection::Architecture { .. } | Objection::Firmware { .. } => "image properties",
            Objection::FewPorts { .. } => "ports",
            Objection::NotDeployable { .. } => "validation",
            Objection::Held => "reservation",
        }
    }

    /// What would change that for a node: a command for its operator where there is one, else a sentence.
    pub fn remedy(&self, node: &str) -> Option<String> {
        let command = |rest: String| Some(format!("openstack baremetal node {rest}"));
        match self {
            Objection::Maintenance => command(format!("maintenance unset {node}")),
            Objection::Retired => command(format!("unset --retired {node}")),
            Objection::State(state) => of_state(*state, node),
            Objection::OtherClass { wanted, .. } => {
                let class = wanted.strip_prefix("CUSTOM_").unwrap_or(wanted).to_ascii_lowercase();
                command(format!("set --resource-class {class} {node}"))
            }
            Objection::TooSmall { what, wanted, has: None } => {
                command(format!("set --property {what}={wanted} {node} (if it has as many)"))
            }
            Objection::Lacks { traits } => command(format!("add trait {node} {}", traits.join(" "))),
            Objection::Forbidden { traits } => command(format!("remove trait {node} {}", traits.join(" "))),
            Objection::Capability { key, wanted, .. } => command(format!(
                "set --property capabilities={key}:{wanted} {node} (beside those that it has)"
            )),
            Objection::Leased { .. } => command(format!("unset --lessee {node}")),
            Objection::FewPorts { .. } => {
                Some(format!("openstack baremetal port create --node {node} MAC-ADDRESS"))
            }
            Objection::NotDeployable { .. } => command(format!("validate {node}")),
            Objection::Zone { .. } => {
                Some("ask for another zone, or for none (openstack availability zone list)".to_owned())
            }
            Objection::Host { .. } => {
                Some("ask for another host, or for none (openstack hypervisor list)".to_owned())
            }
            Objection::Architecture { .. } | Objection::Firmware { .. } => {
                Some("take an image for these machines".to_owned())
            }
            Objection::TooSmall { .. } => Some("take a smaller flavor or image".to_owned()),
            Objection::Tried => command(format!("show {node} -f value -c last_error")),
            Objection::Held => Some("try again".to_owned()),
            Objection::NotTheOne { .. } | Objection::Child { .. } | Objection::Taken { .. } => None,
        }
    }
}

/// What brings a node from a state to `available`.
fn of_state(state: S, node: &str) -> Option<String> {
    let verb = match state {
        S::Enroll => format!("openstack baremetal node manage {node}, then provide {node}"),
        S::Manageable | S::CleanFailed | S::InspectFailed | S::AdoptFailed => {
            format!("openstack baremetal node manage {node}, then provide {node}")
        }
        S::DeployFailed | S::Error | S::RescueFailed | S::UnrescueFailed | S::ServiceFailed => {
            format!("openstack baremetal node undeploy {node}")
        }
        S::Active | S::Rescue => return None,
        _ => format!("wait until {node} is available (openstack baremetal node show {node})"),
    };
    Some(if state == S::Manageable { format!("openstack baremetal node provide {node}") } else { verb })
}

//! An allocation: the wish for a node of a kind, and the node that was found for it.

use crate::node::{Node, Object};
use crate::state::{ProvisionState, words};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

words! {
    /// How far an allocation has come.
    AllocationState, "allocation state" {
        /// A node is being looked for.
        Allocating => "allocating",
        /// It has its node.
        Active => "active",
        /// No node could be had.
        Error => "error",
    }
}

/// An allocation as stored. Field names are the API's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// Identity; the node's `instance_uuid` too, once it has one.
    pub uuid: Uuid,
    /// Unique name.
    pub name: Option<String>,
    /// Resource class that the node must have. None only where a node without one was backfilled.
    pub resource_class: Option<String>,
    /// Traits that the node must have.
    #[serde(default)]
    pub traits: Vec<String>,
    /// Nodes that it may be; any where empty.
    #[serde(default)]
    pub candidate_nodes: Vec<Uuid>,
    /// Free for the user.
    #[serde(default)]
    pub extra: Object,
    /// Project that owns it; its nodes must be that project's, as owner or lessee.
    pub owner: Option<String>,
    /// The node that was found.
    pub node_uuid: Option<Uuid>,
    /// How far it has come.
    pub state: AllocationState,
    /// Why there is no node.
    pub last_error: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

/// Why a node can't be given to an allocation. The texts go behind a number of nodes: "2 in maintenance".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Objection {
    /// It has another resource class.
    #[error("of another class")]
    OtherClass,
    /// The user did not name it.
    #[error("not among the candidates")]
    NoCandidate,
    /// It is another project's.
    #[error("of another project")]
    OtherProject,
    /// It is in maintenance.
    #[error("in maintenance")]
    Maintenance,
    /// It carries an instance.
    #[error("with an instance")]
    Taken,
    /// It is not available.
    #[error("in state {0}")]
    State(ProvisionState),
    /// Nobody knows whether it is on.
    #[error("of unknown power state")]
    UnknownPower,
    /// It lacks these traits.
    #[error("without {}", .0.join(", "))]
    Lacks(Vec<String>),
}

impl Allocation {
    /// A wish that nobody has looked at yet.
    pub fn new(uuid: Uuid, now: Timestamp) -> Self {
        Self {
            uuid,
            name: None,
            resource_class: None,
            traits: Vec::new(),
            candidate_nodes: Vec::new(),
            extra: Object::new(),
            owner: None,
            node_uuid: None,
            state: AllocationState::Allocating,
            last_error: None,
            created_at: now,
            updated_at: None,
        }
    }

    /// Why a node can't be given to it; `None`: it can.
    pub fn objection(&self, node: &Node) -> Option<Objection> {
        let owner = self.owner.as_deref();
        let lacking = self.traits.iter().filter(|name| !node.traits.contains(*name)).cloned();
        if node.resource_class != self.resource_class {
            Some(Objection::OtherClass)
        } else if !self.candidate_nodes.is_empty() && !self.candidate_nodes.contains(&node.uuid) {
            Some(Objection::NoCandidate)
        } else if owner.is_some() && ![node.owner.as_deref(), node.lessee.as_deref()].contains(&owner) {
            Some(Objection::OtherProject)
        } else if node.maintenance {
            Some(Objection::Maintenance)
        } else if node.instance_uuid.is_some() {
            Some(Objection::Taken)
        } else if node.provision_state != ProvisionState::Available {
            Some(Objection::State(node.provision_state))
        } else if node.power_state.is_none() {
            Some(Objection::UnknownPower)
        } else {
            let lacking: Vec<String> = lacking.collect();
            (!lacking.is_empty()).then_some(Objection::Lacks(lacking))
        }
    }

    /// Marks node and allocation as belonging together; the store writes both in one transaction.
    pub fn take(&mut self, node: &mut Node, now: Timestamp) {
        node.instance_uuid = Some(self.uuid.to_string());
        node.allocation_uuid = Some(self.uuid);
        node.instance_info.insert("traits".to_owned(), self.traits.clone().into());
        self.node_uuid = Some(node.uuid);
        self.state = AllocationState::Active;
        self.last_error = None;
        self.updated_at = Some(now);
    }
}

/// A sentence on why none of these nodes can be given to an allocation: "3 nodes of the class: 2 in maintenance, 1 without CUSTOM_X".
/// Nodes that the user did not ask for or can't see are not counted. Empty where there are no others.
pub fn in_sum<'a>(allocation: &Allocation, nodes: impl Iterator<Item = &'a Node>) -> String {
    let mut counts: BTreeMap<Objection, usize> = BTreeMap::new();
    for objection in nodes.filter_map(|node| allocation.objection(node)) {
        if !matches!(objection, Objection::OtherClass | Objection::NoCandidate | Objection::OtherProject) {
            *counts.entry(objection).or_default() += 1;
        }
    }
    let total: usize = counts.values().sum();
    if total == 0 {
        return String::new();
    }
    let parts: Vec<_> = counts.iter().map(|(objection, count)| format!("{count} {objection}")).collect();
    format!("{total} {} of the class: {}.", if total == 1 { "node" } else { "nodes" }, parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::PowerState;

    fn node() -> Node {
        let mut node = Node::new(Uuid::new_v4(), "fake-hardware", Timestamp::UNIX_EPOCH);
        node.resource_class = Some("gold".to_owned());
        node.provision_state = ProvisionState::Available;
        node.power_state = Some(PowerState::Off);
        node
    }

    fn wish() -> Allocation {
        let mut wish = Allocation::new(Uuid::new_v4(), Timestamp::UNIX_EPOCH);
        wish.resource_class = Some("gold".to_owned());
        wish
    }

    fn with(change: impl FnOnce(&mut Node)) -> Node {
        let mut node = node();
        change(&mut node);
        node
    }

    #[test]
    fn every_rule_has_its_objection() {
        let mut wish = wish();
        wish.traits = vec!["CUSTOM_A".to_owned(), "CUSTOM_B".to_owned()];
        let fitting = with(|node| {
            node.traits.extend(["CUSTOM_A".to_owned(), "CUSTOM_B".to_owned(), "CUSTOM_C".to_owned()]);
        });
        assert_eq!(wish.objection(&fitting), None);
        let but = |change: fn(&mut Node)| {
            let mut node = fitting.clone();
            change(&mut node);
            wish.objection(&node)
        };
        assert_eq!(but(|node| node.resource_class = None), Some(Objection::OtherClass));
        assert_eq!(but(|node| node.maintenance = true), Some(Objection::Maintenance));
        assert_eq!(but(|node| node.instance_uuid = Some("x".to_owned())), Some(Objection::Taken));
        assert_eq!(but(|node| node.power_state = None), Some(Objection::UnknownPower));
        assert_eq!(
            but(|node| node.provision_state = ProvisionState::Manageable),
            Some(Objection::State(ProvisionState::Manageable))
        );
        assert_eq!(
            but(|node| node.traits.retain(|name| name != "CUSTOM_B")),
            Some(Objection::Lacks(vec!["CUSTOM_B".to_owned()]))
        );
        wish.candidate_nodes = vec![Uuid::new_v4()];
        assert_eq!(wish.objection(&fitting), Some(Objection::NoCandidate));
        wish.candidate_nodes.push(fitting.uuid);
        wish.owner = Some("p".to_owned());
        assert_eq!(wish.objection(&fitting), Some(Objection::OtherProject));
        let leased = Node { lessee: Some("p".to_owned()), ..fitting.clone() };
        assert_eq!(wish.objection(&leased), None);
    }

    #[test]
    fn the_sum_counts_what_the_user_may_know() {
        let mut wish = wish();
        wish.traits = vec!["CUSTOM_X".to_owned()];
        let nodes = [
            with(|node| node.maintenance = true),
            with(|node| node.maintenance = true),
            node(),
            with(|node| node.resource_class = None),
        ];
        assert_eq!(
            in_sum(&wish, nodes.iter()),
            "3 nodes of the class: 2 in maintenance, 1 without CUSTOM_X."
        );
        wish.owner = Some("p".to_owned());
        assert_eq!(in_sum(&wish, nodes.iter()), "");
    }
}

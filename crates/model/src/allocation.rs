//! An allocation: the wish for a node of a kind, and the node that was found for it.

use crate::node::{Node, Object};
use crate::state::words;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
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

    /// The traits asked for that a node lacks, in the order in which they were asked for.
    pub fn traits_missing_in<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a str> {
        self.traits.iter().filter(|name| !node.traits.contains(*name)).map(String::as_str)
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

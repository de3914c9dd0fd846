//! What an operator is told of a node's past: the errors, and the beginnings and ends of long work. The event log ([`crate::event`])
//! has every detail; this is the part of it that Ironic's API shows.

use crate::node::Node;
use crate::state::words;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Entries that are kept of one node; the oldest go (`[conductor] node_history_max_entries`).
pub const KEPT: i64 = 300;

words! {
    /// How bad it was.
    Severity, "severity" {
        /// Something failed.
        Error => "ERROR",
        /// For information.
        Info => "INFO",
    }
}

/// One entry. Field names are the API's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Identity.
    pub uuid: Uuid,
    /// Node that it is about.
    pub node_uuid: Uuid,
    /// Conductor that wrote it.
    pub conductor: String,
    /// What was going on: `cleaning`, `provisioning`, `console` … as Ironic names it.
    pub event_type: String,
    /// How bad it was.
    pub severity: Severity,
    /// What happened, for people.
    pub event: String,
    /// User whose request it was, if known.
    pub user: Option<String>,
    /// Project of that user.
    pub project: Option<String>,
    /// Provision state at the time.
    pub state: String,
    /// Where the node was heading.
    pub target_provision_state: Option<String>,
    /// Seconds that it had been in that state.
    pub duration_seconds: Option<i64>,
    /// When.
    pub created_at: Timestamp,
}

impl HistoryEntry {
    /// An entry about a node as it is now.
    pub fn new(
        uuid: Uuid,
        node: &Node,
        conductor: &str,
        severity: Severity,
        event_type: &str,
        event: impl Into<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            uuid,
            node_uuid: node.uuid,
            conductor: conductor.to_owned(),
            event_type: event_type.to_owned(),
            severity,
            event: event.into(),
            user: None,
            project: None,
            state: node.provision_state.to_string(),
            target_provision_state: node.target_provision_state.map(|state| state.to_string()),
            duration_seconds: node.provision_updated_at.map(|since| now.duration_since(since).as_secs()),
            created_at: now,
        }
    }

    /// The same with the user whose request it was.
    pub fn by(mut self, user: Option<String>, project: Option<String>) -> Self {
        self.user = user;
        self.project = project;
        self
    }
}

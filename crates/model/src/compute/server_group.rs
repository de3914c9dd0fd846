//! A group of servers with a rule on which machines they may share.
//!
//! A machine carries one server. So every group is "anti-affine" by nature, and "affinity" holds as long as a group has one member.

use crate::state::words;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

words! {
    /// The rule. The soft ones wish.
    GroupPolicy, "server group policy" {
        /// All on one machine: one server at most.
        Affinity => "affinity",
        /// Each on a machine of its own.
        AntiAffinity => "anti-affinity",
        /// All on one machine if that can be.
        SoftAffinity => "soft-affinity",
        /// Each on a machine of its own if that can be.
        SoftAntiAffinity => "soft-anti-affinity",
    }
}

/// A server group as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerGroup {
    /// Identity.
    pub uuid: Uuid,
    /// Name; need not be unique.
    pub name: String,
    /// Rule.
    pub policy: GroupPolicy,
    /// `max_server_per_host`, which only an anti-affine group may have.
    pub max_server_per_host: Option<u32>,
    /// Project that owns it.
    pub project_id: String,
    /// User who made it.
    pub user_id: String,
    /// Servers that were made in it; ones that are deleted may be among them still.
    #[serde(default)]
    pub members: Vec<Uuid>,
    /// When it was made.
    pub created_at: Timestamp,
}

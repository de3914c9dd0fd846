//! Security groups: kept for clients that insist on them. Bare-metal ports are not filtered here, as under Ironic's flat network.

use crate::state::words;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

words! {
    /// Which traffic a rule is about.
    Direction, "direction" {
        /// To the port.
        Ingress => "ingress",
        /// From the port.
        Egress => "egress",
    }
}

/// A rule of a group. Kept in its group's document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroupRule {
    /// Identity.
    pub id: Uuid,
    /// For people.
    pub description: String,
    /// Which traffic.
    pub direction: Direction,
    /// `IPv4` or `IPv6`.
    pub ethertype: String,
    /// Name or number of the protocol; none: all.
    pub protocol: Option<String>,
    /// Lowest port, or ICMP type.
    pub port_range_min: Option<i64>,
    /// Highest port, or ICMP code.
    pub port_range_max: Option<i64>,
    /// The other side's addresses.
    pub remote_ip_prefix: Option<String>,
    /// The other side's group.
    pub remote_group_id: Option<Uuid>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A security group as stored, with its rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Identity.
    pub id: Uuid,
    /// For people; `default` once for each project.
    pub name: String,
    /// For people.
    pub description: String,
    /// Project that it belongs to.
    pub project_id: String,
    /// Kept for clients.
    pub stateful: bool,
    /// Its rules.
    pub rules: Vec<SecurityGroupRule>,
    /// Free words.
    pub tags: Vec<String>,
    /// Counts changes.
    pub revision_number: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The name of the group that each project has.
pub const DEFAULT_GROUP: &str = "default";

impl SecurityGroup {
    /// A group that lets everything out and nothing in, as Neutron's are. `ids` are the group's and its two rules'.
    pub fn new(ids: [Uuid; 3], name: &str, project_id: impl Into<String>, now: Timestamp) -> Self {
        let egress = |id, ethertype: &str| SecurityGroupRule {
            id,
            description: String::new(),
            direction: Direction::Egress,
            ethertype: ethertype.to_owned(),
            protocol: None,
            port_range_min: None,
            port_range_max: None,
            remote_ip_prefix: None,
            remote_group_id: None,
            created_at: now,
        };
        Self {
            id: ids[0],
            name: name.to_owned(),
            description: String::new(),
            project_id: project_id.into(),
            stateful: true,
            rules: vec![egress(ids[1], "IPv4"), egress(ids[2], "IPv6")],
            tags: Vec::new(),
            revision_number: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// The group `default`, which also lets its own members in. `ids` are the group's and its four rules'.
    pub fn default_of(ids: [Uuid; 5], project_id: impl Into<String>, now: Timestamp) -> Self {
        let [group, a, b, c, d] = ids;
        let mut made = Self::new([group, a, b], DEFAULT_GROUP, project_id, now);
        made.description = "Default security group".to_owned();
        let own: Vec<_> = made
            .rules
            .iter()
            .zip([c, d])
            .map(|(rule, id)| SecurityGroupRule {
                id,
                direction: Direction::Ingress,
                remote_group_id: Some(group),
                ..rule.clone()
            })
            .collect();
        made.rules.extend(own);
        made
    }
}

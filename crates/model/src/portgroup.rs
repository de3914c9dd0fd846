//! A port group: ports of one node that act as one, a bond.

use crate::node::Object;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Mode of a port group where none is given (Ironic's `default_portgroup_mode`).
pub const DEFAULT_MODE: &str = "active-backup";

/// A port group as stored. Field names are the API's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Portgroup {
    /// Identity.
    pub uuid: Uuid,
    /// Node that it belongs to.
    pub node_uuid: Uuid,
    /// Unique name.
    pub name: Option<String>,
    /// MAC address of the whole, lower case, colons.
    pub address: Option<String>,
    /// Bonding mode, by the Linux driver's name.
    pub mode: Option<String>,
    /// The bond's options.
    #[serde(default)]
    pub properties: Object,
    /// Free for the operator.
    #[serde(default)]
    pub extra: Object,
    /// Kept by the network interface.
    #[serde(default)]
    pub internal_info: Object,
    /// May its ports be used by themselves, to boot through them for one?
    pub standalone_ports_supported: bool,
    /// Physical network, the same as its ports'.
    pub physical_network: Option<String>,
    /// Free category.
    pub category: Option<String>,
    /// Made for one attachment, and gone with it?
    #[serde(default)]
    pub dynamic_portgroup: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

impl Portgroup {
    /// A port group as it is first registered: the default mode, its ports usable by themselves, everything else empty.
    pub fn new(uuid: Uuid, node_uuid: Uuid, now: Timestamp) -> Self {
        Self {
            uuid,
            node_uuid,
            name: None,
            address: None,
            mode: Some(DEFAULT_MODE.to_owned()),
            properties: Object::new(),
            extra: Object::new(),
            internal_info: Object::new(),
            standalone_ports_supported: true,
            physical_network: None,
            category: None,
            dynamic_portgroup: false,
            created_at: now,
            updated_at: None,
        }
    }
}

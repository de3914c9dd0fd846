//! A port: one network interface of a node.

use crate::node::Object;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A port as stored. Field names are the API's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// Identity.
    pub uuid: Uuid,
    /// Node that it belongs to.
    pub node_uuid: Uuid,
    /// MAC address, lower case, colons.
    pub address: String,
    /// Unique name.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Free for the operator.
    #[serde(default)]
    pub extra: Object,
    /// Kept by the network interface.
    #[serde(default)]
    pub internal_info: Object,
    /// Switch and switch port.
    #[serde(default)]
    pub local_link_connection: Object,
    /// May the ramdisk boot through it?
    pub pxe_enabled: bool,
    /// Port group.
    pub portgroup_uuid: Option<Uuid>,
    /// Physical network.
    pub physical_network: Option<String>,
    /// Is it a smart NIC's?
    #[serde(default)]
    pub is_smartnic: bool,
    /// Vendor of the NIC.
    pub vendor: Option<String>,
    /// Free category.
    pub category: Option<String>,
    /// May a dynamic port group take it?
    #[serde(default)]
    pub available_for_dynamic_portgroup: Option<bool>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

impl Port {
    /// A port as it is first registered: bootable, everything else empty. `address` is lower case with colons.
    pub fn new(uuid: Uuid, node_uuid: Uuid, address: String, now: Timestamp) -> Self {
        Self {
            uuid,
            node_uuid,
            address,
            name: None,
            description: None,
            extra: Object::new(),
            internal_info: Object::new(),
            local_link_connection: Object::new(),
            pxe_enabled: true,
            portgroup_uuid: None,
            physical_network: None,
            is_smartnic: false,
            vendor: None,
            category: None,
            available_for_dynamic_portgroup: None,
            created_at: now,
            updated_at: None,
        }
    }
}

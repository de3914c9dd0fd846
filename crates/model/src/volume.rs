//! What a node boots from volumes with: connectors (by which a storage system knows it) and targets (the volumes).

use crate::node::Object;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A volume connector as stored. Field names are the API's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VolumeConnector {
    /// Identity.
    pub uuid: Uuid,
    /// Node that it belongs to.
    pub node_uuid: Uuid,
    /// What the identifier is: `iqn`, `ip`, `mac`, `wwnn`, `wwpn`, `port`, `portgroup`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The identifier; unique among those of its type.
    pub connector_id: String,
    /// Free for the operator.
    #[serde(default)]
    pub extra: Object,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

/// A volume target as stored. Field names are the API's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VolumeTarget {
    /// Identity.
    pub uuid: Uuid,
    /// Node that it belongs to.
    pub node_uuid: Uuid,
    /// `iscsi`, `fibre_channel`.
    pub volume_type: String,
    /// The storage system's name of the volume.
    pub volume_id: String,
    /// Place in the order of booting, unique for the node; 0 is the root volume.
    pub boot_index: i64,
    /// How to reach it; has secrets.
    #[serde(default)]
    pub properties: Object,
    /// Free for the operator.
    #[serde(default)]
    pub extra: Object,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

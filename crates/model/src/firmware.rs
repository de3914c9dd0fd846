//! Firmware components of a node and their versions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One component with firmware of its own. Field names are the API's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FirmwareComponent {
    /// Identity of the row; the API names components by node and name.
    pub uuid: Uuid,
    /// Node that it belongs to.
    pub node_uuid: Uuid,
    /// `bios`, `bmc`, `nic:…`; once a node.
    pub component: String,
    /// Version when it was first seen.
    pub initial_version: String,
    /// Version now.
    pub current_version: Option<String>,
    /// Version that was last written by an update.
    pub last_version_flashed: Option<String>,
    /// Who made it.
    pub vendor: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Serial number.
    pub serial_number: Option<String>,
    /// When it was first recorded.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

impl FirmwareComponent {
    /// A component as it is first seen.
    pub fn new(
        uuid: Uuid,
        node: Uuid,
        component: impl Into<String>,
        version: impl Into<String>,
        now: Timestamp,
    ) -> Self {
        let version = version.into();
        Self {
            uuid,
            node_uuid: node,
            component: component.into(),
            initial_version: version.clone(),
            current_version: Some(version),
            last_version_flashed: None,
            vendor: None,
            model: None,
            serial_number: None,
            created_at: now,
            updated_at: None,
        }
    }

    /// An update wrote this version.
    pub fn flash(&mut self, version: &str, now: Timestamp) {
        self.current_version = Some(version.to_owned());
        self.last_version_flashed = Some(version.to_owned());
        self.updated_at = Some(now);
    }
}

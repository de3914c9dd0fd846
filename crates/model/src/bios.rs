//! BIOS settings of a node, as its BIOS interface last read or set them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One BIOS setting. Field names are the API's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BiosSetting {
    /// Identity of the row; the API names settings by node and name.
    pub uuid: Uuid,
    /// Node that it belongs to.
    pub node_uuid: Uuid,
    /// Name, once a node.
    pub name: String,
    /// Value; a number is its digits.
    pub value: Option<String>,
    /// What the BMC's attribute registry says of it.
    #[serde(default)]
    pub registry: BiosRegistry,
    /// When it was first recorded.
    pub created_at: Timestamp,
    /// When its value last changed.
    pub updated_at: Option<Timestamp>,
}

/// What a BMC's attribute registry says of a setting; all of it may be unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BiosRegistry {
    /// `Enumeration`, `String`, `Integer`, `Boolean`, `Password`.
    pub attribute_type: Option<String>,
    /// Values that it may have.
    pub allowable_values: Vec<String>,
    /// Least number.
    pub lower_bound: Option<i64>,
    /// Greatest number.
    pub upper_bound: Option<i64>,
    /// Fewest characters.
    pub min_length: Option<i64>,
    /// Most characters.
    pub max_length: Option<i64>,
    /// Can't be changed.
    pub read_only: Option<bool>,
    /// A change takes effect after a restart.
    pub reset_required: Option<bool>,
    /// Belongs to this machine alone.
    pub unique: Option<bool>,
}

impl BiosSetting {
    /// A setting that nothing but its value is known of.
    pub fn new(
        uuid: Uuid,
        node: Uuid,
        name: impl Into<String>,
        value: Option<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            uuid,
            node_uuid: node,
            name: name.into(),
            value,
            registry: BiosRegistry::default(),
            created_at: now,
            updated_at: None,
        }
    }
}

/// The settings of a node once `wanted` are the only ones: those that keep their name keep their row, and are changed only where
/// the value differs. As Ironic's `BIOSSettingList.sync_node_setting`. New ones get their identity from `identity`.
pub fn synchronise(
    stored: Vec<BiosSetting>,
    node: Uuid,
    wanted: Vec<(String, Option<String>)>,
    now: Timestamp,
    mut identity: impl FnMut() -> Uuid,
) -> Vec<BiosSetting> {
    let mut out: Vec<BiosSetting> = Vec::new();
    for (name, value) in wanted {
        // A name that is given twice counts as it is given last.
        if let Some(twin) = out.iter_mut().find(|setting| setting.name == name) {
            twin.value = value;
            continue;
        }
        let Some(known) = stored.iter().find(|setting| setting.name == name) else {
            out.push(BiosSetting::new(identity(), node, name, value, now));
            continue;
        };
        let mut setting = known.clone();
        if setting.value != value {
            setting.value = value;
            setting.updated_at = Some(now);
        }
        out.push(setting);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_kept_changed_added_and_dropped() {
        let node = Uuid::nil();
        let early = Timestamp::UNIX_EPOCH;
        let now = Timestamp::from_second(5).unwrap();
        let setting = |name: &str, value: &str| {
            BiosSetting::new(Uuid::from_u128(name.len() as u128), node, name, Some(value.to_owned()), early)
        };
        let stored = vec![setting("kept", "1"), setting("changed", "1"), setting("gone", "1")];
        let wanted = [("kept", "1"), ("changed", "2"), ("new", "3"), ("new", "4")]
            .map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
        let after = synchronise(stored.clone(), node, wanted.to_vec(), now, Uuid::max);
        assert_eq!(after.len(), 3);
        assert_eq!(after[0], stored[0]);
        assert_eq!((after[1].uuid, after[1].created_at), (stored[1].uuid, early));
        assert_eq!((after[1].value.as_deref(), after[1].updated_at), (Some("2"), Some(now)));
        assert_eq!((after[2].value.as_deref(), after[2].created_at), (Some("4"), now));
    }
}

//! A host aggregate: a name for some of the conductors.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// An aggregate as stored. Its availability zone would be the metadata of that name, as in Nova; the zones of nodes are their
/// conductor groups, so that the API lets none in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregate {
    /// Identity.
    pub uuid: Uuid,
    /// The number by which clients ask for it.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// Conductors in it.
    #[serde(default)]
    pub hosts: BTreeSet<String>,
    /// Free for the operator.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

/// The metadata that names the zone.
pub const AVAILABILITY_ZONE: &str = "availability_zone";

impl Aggregate {
    /// The zone that its conductors are in.
    pub fn availability_zone(&self) -> Option<&str> {
        self.metadata.get(AVAILABILITY_ZONE).map(String::as_str)
    }
}

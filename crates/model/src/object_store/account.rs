//! An account: what a project has in the object store.

use super::Metadata;
use crate::Secret;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A project's account. It is there as soon as anybody asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// The project's ID; the account's name is `AUTH_` and this.
    pub project: String,
    /// Metadata but for the keys of temporary URLs.
    pub metadata: Metadata,
    /// Keys of temporary URLs.
    pub keys: TempUrlKeys,
    /// Containers.
    pub container_count: i64,
    /// Objects in all containers.
    pub object_count: i64,
    /// Bytes of all objects.
    pub bytes_used: i64,
    /// When something was first said about it; none: never.
    pub created_at: Option<Timestamp>,
}

/// The two keys that may sign temporary URLs, so that one can be changed while the other is in use.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TempUrlKeys {
    /// `…-Meta-Temp-URL-Key`.
    pub first: Option<Secret>,
    /// `…-Meta-Temp-URL-Key-2`.
    pub second: Option<Secret>,
}

impl TempUrlKeys {
    /// Where the key of this metadata name is kept (lower case, without `x-…-meta-`); none: the name is no key's.
    pub fn place(&mut self, name: &str) -> Option<&mut Option<Secret>> {
        match name {
            "temp-url-key" => Some(&mut self.first),
            "temp-url-key-2" => Some(&mut self.second),
            _ => None,
        }
    }

    /// Each key that is set, with its metadata name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &Secret)> {
        [("temp-url-key", &self.first), ("temp-url-key-2", &self.second)].into_iter().filter_map(
            |(name, key)| key.as_ref().filter(|key| !key.expose().is_empty()).map(|key| (name, key)),
        )
    }

    /// Is none set?
    pub fn is_empty(&self) -> bool {
        self.named().next().is_none()
    }
}

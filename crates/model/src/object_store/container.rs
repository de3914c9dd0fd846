//! A container: what objects are grouped by, and who may read them.

use super::{Metadata, TempUrlKeys};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A container as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// Identity, which outlives no deletion: a container that is made again is another one.
    pub uuid: Uuid,
    /// The project that it belongs to.
    pub project: String,
    /// Its name in the account.
    pub name: String,
    /// Metadata but for the keys of temporary URLs.
    #[serde(default)]
    pub metadata: Metadata,
    /// Keys of temporary URLs for this container alone; sealed apart from the document.
    #[serde(skip)]
    pub keys: TempUrlKeys,
    /// `X-Container-Read`.
    #[serde(default)]
    pub read_acl: Option<String>,
    /// `X-Container-Write`: kept and shown; only the account's own project writes.
    #[serde(default)]
    pub write_acl: Option<String>,
    /// Objects in it; counted by the store.
    #[serde(skip)]
    pub object_count: i64,
    /// Their bytes; counted by the store.
    #[serde(skip)]
    pub bytes_used: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its metadata last changed.
    pub updated_at: Option<Timestamp>,
}

impl Container {
    /// An empty container.
    pub fn new(uuid: Uuid, project: impl Into<String>, name: impl Into<String>, now: Timestamp) -> Self {
        Self {
            uuid,
            project: project.into(),
            name: name.into(),
            metadata: Metadata::new(),
            keys: TempUrlKeys::default(),
            read_acl: None,
            write_acl: None,
            object_count: 0,
            bytes_used: 0,
            created_at: now,
            updated_at: None,
        }
    }

    /// May anybody read its objects (`.r:*`)?
    pub fn is_public(&self) -> bool {
        self.grants(".r:*")
    }

    /// May anybody list it (`.r:*` and `.rlistings`)?
    pub fn is_listed_publicly(&self) -> bool {
        self.is_public() && self.grants(".rlistings")
    }

    /// May members of this project read it (`PROJECT:*`, or `PROJECT:USER`)?
    pub fn is_readable_by(&self, project: &str, user: &str) -> bool {
        self.grants(&format!("{project}:*")) || self.grants(&format!("{project}:{user}"))
    }

    fn grants(&self, wanted: &str) -> bool {
        let list = self.read_acl.as_deref().unwrap_or_default();
        list.split(',').map(str::trim).any(|item| {
            let item = item
                .strip_prefix(".ref:")
                .or_else(|| item.strip_prefix(".referer:"))
                .map_or_else(|| item.to_owned(), |rest| format!(".r:{rest}"));
            item == wanted
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_open_to_those_whom_its_list_names() {
        let mut container = Container::new(Uuid::nil(), "p", "c", Timestamp::UNIX_EPOCH);
        assert!(!container.is_public());
        container.read_acl = Some(".r:* , .rlistings,q:*,r:u".into());
        assert!(container.is_public() && container.is_listed_publicly());
        assert!(container.is_readable_by("q", "anybody") && container.is_readable_by("r", "u"));
        assert!(!container.is_readable_by("r", "v") && !container.is_readable_by("s", "u"));
        container.read_acl = Some(".referrer:*,.rlistings".into());
        assert!(!container.is_listed_publicly());
        container.read_acl = Some(".ref:*".into());
        assert!(container.is_public() && !container.is_listed_publicly());
    }
}

//! An object: bytes under a name, and what is said about them.

use super::{Manifest, Metadata};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An object as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// Its name in the container; slashes are characters like others.
    pub name: String,
    /// Where its bytes lie in the backend; none: it has none of its own.
    #[serde(default)]
    pub body: Option<Uuid>,
    /// Bytes of its own, which count for its container.
    pub stored_bytes: i64,
    /// Bytes that reading it gives; of a dynamic large object, its own.
    pub bytes: i64,
    /// MD5 of its bytes in hex; of a static large object, MD5 of its segments' ones.
    pub etag: String,
    /// `Content-Type`.
    pub content_type: String,
    /// Other headers that are given back as they came: `content-encoding`, `content-disposition` …
    #[serde(default)]
    pub headers: Metadata,
    /// Metadata.
    #[serde(default)]
    pub metadata: Metadata,
    /// What it is made of, if it is a large object.
    #[serde(default)]
    pub manifest: Option<Manifest>,
    /// When it ceases to be there.
    #[serde(default)]
    pub delete_at: Option<Timestamp>,
    /// When its bytes or metadata last changed.
    pub modified_at: Timestamp,
}

impl Object {
    /// Headers that belong to an object beside its metadata (`allowed_headers` of Swift's object server), in lower case.
    pub const HEADERS: &'static [&'static str] = &[
        "content-disposition",
        "content-encoding",
        "content-language",
        "cache-control",
        "expires",
        "x-robots-tag",
    ];

    /// Is it made of other objects by a list that was fixed when it was made?
    pub fn is_static_large(&self) -> bool {
        matches!(self.manifest, Some(Manifest::Static(_)))
    }
}

//! Images: what a machine's disk is written from, or what it boots.
//!
//! Field names and words are those of the image service's API (Glance v2); the bytes are kept elsewhere, under [`Image::data`].

mod member;
mod task;

pub use member::{Member, MemberStatus};
pub use task::{Task, TaskStatus};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// How far an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It has no bytes yet.
    Queued,
    /// Its bytes are being uploaded.
    Saving,
    /// Its bytes are being staged, or are staged and wait for their import.
    Uploading,
    /// Its bytes are being fetched or looked at.
    Importing,
    /// It can be used.
    Active,
    /// It has bytes that only operators may have.
    Deactivated,
    /// Its import went wrong for good.
    Killed,
}

impl Status {
    /// All that there are.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Saving,
        Self::Uploading,
        Self::Importing,
        Self::Active,
        Self::Deactivated,
        Self::Killed,
    ];

    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Saving => "saving",
            Self::Uploading => "uploading",
            Self::Importing => "importing",
            Self::Active => "active",
            Self::Deactivated => "deactivated",
            Self::Killed => "killed",
        }
    }
}

/// Who sees an image beside its owner and operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Everybody who knows its identity; it is in nobody's list unasked.
    Community,
    /// The projects that are its members.
    Shared,
    /// Nobody.
    Private,
}

impl Visibility {
    /// All that there are.
    pub const ALL: [Self; 4] = [Self::Public, Self::Community, Self::Shared, Self::Private];

    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Community => "community",
            Self::Shared => "shared",
            Self::Private => "private",
        }
    }

    /// Reads the API's word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|visibility| visibility.as_str() == text)
    }
}

/// Formats of an image's bytes (`[image_format] disk_formats`). The first three are kernels, ramdisks and file systems of their
/// own, as walk-throughs of old have them.
pub const DISK_FORMATS: &[&str] =
    &["ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop", "gpt"];
/// What an image's bytes may be wrapped in (`[image_format] container_formats`).
pub const CONTAINER_FORMATS: &[&str] = &["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"];

/// How an image's bytes are brought in behind the answer (`POST …/import`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// `glance-direct` or `web-download`.
    pub method: String,
    /// Where from, with `web-download`.
    pub uri: Option<String>,
    /// The task that tells of it.
    pub task: Uuid,
}

/// An image as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// Identity; the API's `id`.
    pub uuid: Uuid,
    /// For people; not unique.
    pub name: Option<String>,
    /// How far it is.
    pub status: Status,
    /// Who sees it.
    pub visibility: Visibility,
    /// The project that it belongs to.
    pub owner: Option<String>,
    /// One of [`CONTAINER_FORMATS`].
    pub container_format: Option<String>,
    /// One of [`DISK_FORMATS`].
    pub disk_format: Option<String>,
    /// Bytes of the image file.
    pub size: Option<u64>,
    /// Bytes of the disk that it stands for.
    pub virtual_size: Option<u64>,
    /// MD5 of the file, where the site computes it.
    pub checksum: Option<String>,
    /// Algorithm of `os_hash_value`: `sha256`, `sha512`.
    pub os_hash_algo: Option<String>,
    /// Digest of the file, in hexadecimal.
    pub os_hash_value: Option<String>,
    /// GiB of disk that it needs.
    pub min_disk: u64,
    /// MiB of memory that it needs.
    pub min_ram: u64,
    /// Can't be deleted while this holds.
    pub protected: bool,
    /// Left out of lists unless asked for.
    pub os_hidden: bool,
    /// Words for finding it.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Properties that users gave it: `kernel_id`, `ramdisk_id`, `os_distro` …
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// Name under which the backend keeps its bytes; none while it has none.
    #[serde(default)]
    pub data: Option<String>,
    /// The import that is under way.
    #[serde(default)]
    pub import: Option<Import>,
    /// The session of the process that takes its data in, or last did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Uuid>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Image {
    /// An image that nothing is said about yet.
    pub fn new(uuid: Uuid, owner: Option<String>, now: Timestamp) -> Self {
        Self {
            uuid,
            name: None,
            status: Status::Queued,
            visibility: Visibility::Shared,
            owner,
            container_format: None,
            disk_format: None,
            size: None,
            virtual_size: None,
            checksum: None,
            os_hash_algo: None,
            os_hash_value: None,
            min_disk: 0,
            min_ram: 0,
            protected: false,
            os_hidden: false,
            tags: BTreeSet::new(),
            properties: BTreeMap::new(),
            data: None,
            import: None,
            session: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// Has bytes that a machine may be given.
    pub fn is_usable(&self) -> bool {
        self.status == Status::Active && self.data.is_some()
    }

    /// The image of a disk-image-builder's pair that names its kernel and its ramdisk: a file system, not a whole disk. The image
    /// identities of both, where it names both.
    pub fn kernel_and_ramdisk(&self) -> Option<(&str, &str)> {
        let named = |key: &str| self.properties.get(key).map(String::as_str).filter(|id| !id.is_empty());
        Some((named("kernel_id")?, named("ramdisk_id")?))
    }
}

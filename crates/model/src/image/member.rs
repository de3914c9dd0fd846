//! Members of a shared image: projects that may use it, once they said yes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a project said to being a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberStatus {
    /// Nothing yet: the image can be used, and is not in the project's lists.
    Pending,
    /// Yes: the image is in the project's lists.
    Accepted,
    /// No.
    Rejected,
}

impl MemberStatus {
    /// All that there are.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Accepted, Self::Rejected];

    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }

    /// Reads the API's word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// A project that an image is shared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The image.
    pub image: Uuid,
    /// The project.
    pub project: String,
    /// What it said.
    pub status: MemberStatus,
    /// Since when it is one.
    pub created_at: Timestamp,
    /// When it last said something.
    pub updated_at: Timestamp,
}

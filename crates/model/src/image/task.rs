//! Tasks of the image service: imports, and what came of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// Not begun.
    Pending,
    /// Under way.
    Processing,
    /// Went well.
    Success,
    /// Went wrong; its message says how.
    Failure,
}

impl TaskStatus {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// A task as stored. Field names are the API's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Identity; the API's `id`.
    pub uuid: Uuid,
    /// The image that it works on.
    pub image: Uuid,
    /// How far it is.
    pub status: TaskStatus,
    /// The project that asked for it.
    pub owner: Option<String>,
    /// The user that asked for it.
    pub user_id: Option<String>,
    /// The request that asked for it.
    pub request_id: String,
    /// What was asked for.
    pub input: Value,
    /// What went wrong, or how far it came.
    pub message: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Task {
    /// The one type of task that there is.
    pub const TYPE: &'static str = "api_image_import";
}

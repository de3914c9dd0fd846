//! What is left of servers that were deleted: what they used.

use super::ServerFlavor;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A server that ran once and was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastServer {
    /// Identity.
    pub uuid: Uuid,
    /// Its last name.
    pub name: String,
    /// The project that it was charged to.
    pub project_id: String,
    /// Its size.
    pub flavor: ServerFlavor,
    /// When it first ran.
    pub launched_at: Timestamp,
    /// When it was gone.
    pub ended_at: Timestamp,
}

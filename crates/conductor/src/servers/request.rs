//! Who asks for something with a server, and whether it may be done now. Refusals are Nova's.

use crate::request::RequestError;
use jiff::Timestamp;
use model::Secret;
use model::compute::{Server, ServerAction, ServerImage, TaskState, VmState};
use uuid::Uuid;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// The request's identifier, `req-…`, by which its action is found.
    pub request_id: String,
    /// User.
    pub user_id: String,
    /// Project of the user's token.
    pub project_id: String,
    /// Operators change locked servers too.
    pub is_operator: bool,
}

impl Requester {
    /// The action of this request on a server.
    pub(super) fn action(&self, server: Uuid, action: &str, now: Timestamp) -> ServerAction {
        let by = (self.user_id.as_str(), self.project_id.as_str());
        ServerAction::new(Uuid::new_v4(), server, action, &self.request_id, by, now)
    }
}

/// How a server is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebootKind {
    /// The operating system is asked to.
    Soft,
    /// By its power.
    Hard,
}

/// What a rebuild changes beside what its caller changes in the server itself.
#[derive(Debug, Clone)]
pub struct Rebuild {
    /// The image that is written.
    pub image: ServerImage,
    /// Leave the ephemeral partition alone.
    pub preserve_ephemeral: bool,
    /// User data from now on, where that changes: base64, or none any more.
    pub user_data: Option<Option<Secret>>,
    /// The administrator's password from now on, for the config drive.
    pub admin_password: Option<Secret>,
}

/// Refuses what is done to a locked server by others than operators.
pub(super) fn check_lock(server: &Server, by: &Requester) -> Result<(), RequestError> {
    if server.locked.is_none() || by.is_operator {
        return Ok(());
    }
    Err(RequestError::Conflict(format!("Instance {} is locked", server.uuid)))
}

/// Refuses what can't be done in the state that a server is in, or while something is being done with it.
pub(super) fn check_state(server: &Server, action: &str, allowed: &[VmState]) -> Result<(), RequestError> {
    let refuse = |kind: &str, state: &str| {
        Err(RequestError::Conflict(format!(
            "Cannot '{action}' instance {} while it is in {kind} {state}",
            server.uuid
        )))
    };
    if !allowed.contains(&server.vm_state) {
        return refuse("vm_state", server.vm_state.as_str());
    }
    match server.task_state {
        Some(task) => refuse("task_state", task.as_str()),
        None => Ok(()),
    }
}

/// The node of a server that something is to be done with.
pub(super) fn node_of(server: &Server, action: &str) -> Result<Uuid, RequestError> {
    server.node.ok_or_else(|| {
        RequestError::Conflict(format!(
            "Cannot '{action}' instance {}: it has no machine. {}",
            server.uuid,
            if server.task_state == Some(TaskState::Deleting) {
                "It is being deleted."
            } else {
                "Delete it and make another."
            }
        ))
    })
}

//! Keystone's words for what goes wrong.

use crate::cloud::CloudError;
use axum::http::StatusCode;
use store::StoreError;

/// The same 401 for everything that a log-in can lack, so that nobody learns who exists.
pub fn unauthorized() -> CloudError {
    CloudError::new(StatusCode::UNAUTHORIZED, "The request you have made requires authentication.")
}

/// 403 for an action of Keystone's policy.
pub fn forbidden(action: &str) -> CloudError {
    CloudError::forbidden(format!("You are not authorized to perform the requested action: {action}."))
}

/// 404.
pub fn not_found(what: &str, id: &str) -> CloudError {
    CloudError::not_found(format!("Could not find {what}: {id}."))
}

/// 409.
pub fn duplicate(what: &str, detail: &str) -> CloudError {
    CloudError::conflict(format!(
        "Conflict occurred attempting to store {what} - Duplicate entry found with {detail}."
    ))
}

/// What the store says, in Keystone's words.
pub fn from_store(error: StoreError) -> CloudError {
    match error {
        StoreError::NotFound { what, ident } => not_found(what, &ident),
        StoreError::Duplicate { what, field, value } => {
            let field = if field == "uuid" { "ID" } else { field };
            duplicate(what, &format!("{field} {value}"))
        }
        other => other.into(),
    }
}

/// A refusal that came out of a change of the store: either the handler's own, or the store's.
pub struct Refusal(pub CloudError);

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self(from_store(error))
    }
}

impl From<CloudError> for Refusal {
    fn from(error: CloudError) -> Self {
        Self(error)
    }
}

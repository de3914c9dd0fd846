//! Errors as the bare-metal API shows them: `{"error_message": "<JSON text>"}`, the text being
//! `{"faultcode", "faultstring", "debuginfo"}`. Ironic's clients parse exactly that.

use crate::gate;
use axum::http::StatusCode;
use conductor::RequestError;
use model::driver::InterfaceError;
use serde_json::{Value, json};
use store::StoreError;

/// A refused or failed request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {text}")]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// What the user reads.
    pub text: String,
    /// Shape of the body.
    pub shape: Shape,
    /// Methods of a 405.
    pub allow: Option<String>,
    /// When to come again, in seconds; a 503 says so in any case.
    pub retry_after: Option<u32>,
}

/// When to come again where nobody knows better, in seconds.
const RETRY_AFTER: u32 = 5;

/// Shape of an error's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// JSON in JSON: everything but the following.
    Wrapped,
    /// The inner object alone: limits of size and depth.
    Bare,
    /// `{"error": {"message", "code"}}` beside the wrapped one, with a challenge: authentication.
    Challenge,
}

impl ApiError {
    /// Any status with its text.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), shape: Shape::Wrapped, allow: None, retry_after: None }
    }

    /// 400.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 403.
    pub fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// 404.
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 406: the microversion is too old for what was asked.
    pub fn not_acceptable() -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "Request not acceptable.")
    }

    /// 406 that names the microversion it takes.
    pub fn needs(version: model::version::Microversion) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            format!("Request not acceptable. The minimal required API version should be {version}"),
        )
    }

    /// 503 of a request of which nothing was begun.
    pub fn busy(text: impl Into<String>, retry_after: u32) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, text) }
    }

    /// `Retry-After`, in seconds, of an answer that should have one.
    pub fn comes_again(&self) -> Option<u32> {
        let is_unavailable = self.status == StatusCode::SERVICE_UNAVAILABLE;
        self.retry_after.or(is_unavailable.then_some(RETRY_AFTER))
    }

    /// 409.
    pub fn conflict(text: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, text)
    }

    /// 409 of a node that somebody holds.
    pub fn locked(node: &str, holder: &str) -> Self {
        Self::conflict(format!(
            "Node {node} is locked by host {holder}, please retry after the current operation is completed."
        ))
    }

    /// The same error as a 400: something named in a body that isn't there.
    pub fn in_body(mut self) -> Self {
        if self.status == StatusCode::NOT_FOUND {
            self.status = StatusCode::BAD_REQUEST;
        }
        self
    }

    /// The body.
    pub fn body(&self) -> Value {
        let fault = |text: &str| {
            let code = if self.status.is_server_error() { "Server" } else { "Client" };
            json!({"faultcode": code, "faultstring": text, "debuginfo": null})
        };
        match self.shape {
            Shape::Wrapped => json!({"error_message": fault(&self.text).to_string()}),
            Shape::Bare => json!({"faultcode": "Client", "faultstring": self.text}),
            Shape::Challenge => json!({
                "error": {"message": self.text, "code": self.status.as_u16()},
                "error_message": fault(&self.text).to_string(),
            }),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound { what, ident } => {
                Self::not_found(format!("{what} {ident} could not be found."))
            }
            StoreError::Duplicate { what, field: "address", value } => {
                Self::conflict(format!("A {} with MAC address {value} already exists.", what.to_lowercase()))
            }
            StoreError::Duplicate { field: "instance_uuid", value, .. } => Self::conflict(format!(
                "Instance {value} is already associated with a node, it cannot be associated with this other node"
            )),
            StoreError::Duplicate { what, field, value } => {
                let field = if *field == "uuid" { "UUID" } else { field };
                let article = if what.starts_with(['A', 'I']) { "An" } else { "A" };
                Self::conflict(format!(
                    "{article} {} with {field} {value} already exists.",
                    what.to_lowercase()
                ))
            }
            StoreError::InUse { what, ident, parts } => Self::invalid(format!(
                "Cannot complete the requested action because {} {ident} contains {parts}.",
                what.to_lowercase()
            )),
            StoreError::Locked { node, holder } => Self::locked(node, holder),
            StoreError::ClaimLost { node } => Self::conflict(format!(
                "Node {node} was taken over by another conductor, please retry after the current operation is completed."
            )),
            StoreError::Full | StoreError::Aborted => {
                tracing::error!(%error, "a request was refused");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, capitalised(&error))
            }
            StoreError::Busy => {
                tracing::warn!(%error, "a request was refused");
                Self::busy(capitalised(&error), gate::soon())
            }
            StoreError::Away(_) => {
                tracing::error!(%error, "the database failed a request");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The database can't be reached just now. Look whether what you asked for was done before you ask for it again.",
                )
            }
            StoreError::Seal { .. } | StoreError::Database(_) | StoreError::Corrupt { .. } => {
                tracing::error!(%error, "the database failed a request");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "The database could not carry this out. The log has the details under this request's id.",
                )
            }
        }
    }
}

/// An error's text as a sentence.
fn capitalised(error: &StoreError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).chain(['.']).collect())
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Invalid(text) => Self::invalid(text),
            RequestError::Forbidden(text) => Self::forbidden(text),
            RequestError::NotFound(text) => Self::not_found(text),
            RequestError::Conflict(text) => Self::conflict(text),
            RequestError::Busy(text) => Self::new(StatusCode::SERVICE_UNAVAILABLE, text),
            RequestError::Bmc(error) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            RequestError::Store(error) => error.into(),
        }
    }
}

impl From<InterfaceError> for ApiError {
    fn from(error: InterfaceError) -> Self {
        Self::invalid(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_busy_or_away_is_asked_again_later() {
        let busy = ApiError::from(StoreError::Busy);
        assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(busy.retry_after.is_some_and(|seconds| (1..=3).contains(&seconds)), "{busy:?}");
        let away = ApiError::from(StoreError::Aborted);
        assert_eq!((away.status, away.comes_again()), (StatusCode::SERVICE_UNAVAILABLE, Some(RETRY_AFTER)));
    }
}

//! A refused or failed request; each service writes it in its own shape.

use crate::error::ApiError;
use axum::http::{HeaderName, StatusCode, header};
use conductor::RequestError;
use store::StoreError;

/// A refused or failed request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {text}")]
pub struct CloudError {
    /// HTTP status.
    pub status: StatusCode,
    /// What the user reads.
    pub text: String,
    /// The service's own name of the error (Neutron's `type`, Placement's `code`); empty: the service's default for the status.
    pub kind: &'static str,
    /// Headers that go with it.
    pub headers: Vec<(HeaderName, String)>,
}

/// An error as it is sent.
pub struct ErrorBody {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub text: String,
}

impl ErrorBody {
    /// A JSON body.
    pub fn json(value: &serde_json::Value) -> Self {
        Self { content_type: "application/json", text: value.to_string() }
    }
}

impl CloudError {
    /// Any status with its text.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), kind: "", headers: Vec::new() }
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

    /// 409.
    pub fn conflict(text: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, text)
    }

    /// 405 with the methods that are allowed.
    pub fn other_method(allow: String) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("The method is not allowed for this resource; these are: {allow}."),
        )
        .with(header::ALLOW, allow)
    }

    /// With the service's own name of the error.
    #[must_use]
    pub fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// With a header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The status in words, as services name their errors: `Not Found`.
    pub fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }
}

impl From<ApiError> for CloudError {
    fn from(error: ApiError) -> Self {
        let again = error.comes_again();
        let error = Self::new(error.status, error.text);
        match again {
            Some(seconds) => error.with(header::RETRY_AFTER, seconds.to_string()),
            None => error,
        }
    }
}

impl From<StoreError> for CloudError {
    fn from(error: StoreError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<RequestError> for CloudError {
    fn from(error: RequestError) -> Self {
        ApiError::from(error).into()
    }
}

//! What a handler answers.

use super::CloudError;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

/// What a handler answers; the status stands in the route's row unless it is given here.
#[derive(Debug, Default)]
pub struct Reply {
    status: Option<StatusCode>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<Body>,
}

impl Reply {
    /// No body.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A JSON body.
    pub fn json(value: &impl Serialize) -> Result<Self, CloudError> {
        let json = serde_json::to_vec(value).map_err(|error| {
            tracing::error!(%error, "an answer could not be written as JSON");
            CloudError::new(StatusCode::INTERNAL_SERVER_ERROR, "The answer could not be written as JSON.")
        })?;
        Ok(Self::body(Body::from(json), "application/json"))
    }

    /// A body of any type, in memory or as a stream.
    pub fn body(body: Body, content_type: &str) -> Self {
        Self { body: Some(body), ..Self::default() }.with(header::CONTENT_TYPE, content_type)
    }

    /// Another status than the row's.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// With a header. A value that can't be one (a line break in it) is left out and logged.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl AsRef<[u8]>) -> Self {
        match HeaderValue::from_bytes(value.as_ref()) {
            Ok(value) => self.headers.push((name, value)),
            Err(error) => tracing::error!(%error, header = %name, "a header can't be sent"),
        }
        self
    }

    /// With a `Location`.
    #[must_use]
    pub fn at(self, location: String) -> Self {
        self.with(header::LOCATION, location)
    }

    /// The answer as it is sent. `HEAD` gets no body; the length that a handler stated stays.
    pub(super) fn into_response(self, success: StatusCode, is_head: bool) -> Response {
        let body = if is_head { Body::empty() } else { self.body.unwrap_or_default() };
        let mut response = Response::new(body);
        *response.status_mut() = self.status.unwrap_or(success);
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

//! One call as a handler sees it.

use super::access::{is_operator, sees_all};
use super::{CloudError, Query, Service};
use crate::ApiState;
use crate::auth::{Caller, Identity};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};

/// A body that its handler reads as it comes. Behind a lock that nobody waits for, so that a call may be borrowed by work of other
/// threads, which a body alone may not.
#[derive(Default)]
pub struct Stream(Mutex<Option<Body>>);

impl Stream {
    /// A body to be read.
    pub(super) fn new(body: Body) -> Self {
        Self(Mutex::new(Some(body)))
    }

    /// The body, once.
    pub fn take(&self) -> Option<Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// One call: authenticated, its access checked, its body read or ready to be read.
pub struct Call {
    /// What the process shares.
    pub state: Arc<ApiState>,
    /// The service that is called.
    pub service: &'static Service,
    /// Who calls.
    pub caller: Caller,
    /// Values of the path's `{…}`.
    pub parameters: Vec<(&'static str, String)>,
    /// The query.
    pub query: Query,
    /// The method: `HEAD` comes to the handler of `GET`.
    pub method: Method,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The body, where the row takes JSON.
    pub body: Bytes,
    /// The body, where the row streams.
    pub stream: Stream,
    /// How links begin: scheme and host.
    pub base_url: String,
    /// Minor number of the microversion in use; 0 where the service has none.
    pub minor: u16,
    /// Identifier of the request.
    pub request_id: String,
}

impl Call {
    /// A value of the path.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(own, _)| *own == name).map_or("", |(_, value)| value)
    }

    /// A header's text, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The time, once for each decision.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Who calls. Never fails behind a row that is not public.
    pub fn identity(&self) -> Result<&Identity, CloudError> {
        self.caller.identity.as_deref().ok_or_else(|| {
            CloudError::new(
                axum::http::StatusCode::UNAUTHORIZED,
                "The request you have made requires authentication.",
            )
        })
    }

    /// Identifier of the user that calls.
    pub fn user_id(&self) -> Result<&str, CloudError> {
        Ok(&self.identity()?.user_id)
    }

    /// The project that the token is for; 403 for tokens of another scope.
    pub fn project(&self) -> Result<&str, CloudError> {
        self.identity()?.credentials.project.as_deref().ok_or_else(|| {
            CloudError::forbidden(
                "This takes a token that is scoped to a project: set OS_PROJECT_NAME, or project_name in clouds.yaml.",
            )
        })
    }

    /// May the caller change all of the cloud?
    pub fn is_operator(&self) -> bool {
        self.caller.identity.as_ref().is_some_and(|who| is_operator(&who.credentials))
    }

    /// May the caller look at all of the cloud?
    pub fn sees_all(&self) -> bool {
        self.caller.identity.as_ref().is_some_and(|who| sees_all(&who.credentials))
    }

    /// Is it the caller's own project, or may the caller look at all projects?
    pub fn may_see(&self, project: &str) -> bool {
        self.sees_all() || self.owns(project)
    }

    /// Is it the caller's own project?
    pub fn owns(&self, project: &str) -> bool {
        let own = self.caller.identity.as_ref().and_then(|who| who.credentials.project.as_deref());
        own == Some(project)
    }

    /// The body as JSON; 400 that says where it is none.
    pub fn json(&self) -> Result<Value, CloudError> {
        self.json_as()
    }

    /// The body as a type of its own.
    pub fn json_as<T: DeserializeOwned>(&self) -> Result<T, CloudError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            CloudError::invalid(format!("The request's body is not what is expected: {error}"))
        })
    }

    /// A link's target: `{base}/{service}{path}`.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{}{path}", self.base_url, self.service.prefix)
    }
}

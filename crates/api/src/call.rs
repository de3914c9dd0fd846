//! One call as a handler sees it, and what it answers.

use crate::ApiState;
use crate::args::{Args, is_node_name, parse_uuid};
use crate::auth::Caller;
use crate::baremetal::schema::Property;
use crate::error::ApiError;
use crate::limits::{LOCK_PAUSE, LOCK_TRIES};
use axum::body::Bytes;
use axum::http::StatusCode;
use jiff::Timestamp;
use model::node::Node;
use model::version::Microversion;
use serde::Serialize;
use serde_json::Value;
use std::future::Future;
use std::sync::Arc;
use store::{Edit, Guard, NodeRow, NodeVersion, StoreError};
use uuid::Uuid;

/// One call, authenticated, its body read.
pub struct Call {
    /// What the process shares.
    pub state: Arc<ApiState>,
    /// Microversion in use.
    pub version: Microversion,
    /// Who calls.
    pub caller: Caller,
    /// Name of the rule that guards the route.
    pub rule: &'static str,
    /// Values of the path's `{…}`.
    pub parameters: Vec<(&'static str, String)>,
    /// `.json` was cut off the path; a node's name may end in it.
    pub json_suffix: bool,
    /// The query.
    pub query: Args,
    /// The body.
    pub body: Bytes,
    /// How links begin: `http://host:port`, or `https` where the request came so.
    pub base_url: String,
    /// The address of this host that the request came to, as a URL.
    pub arrived_at: Option<String>,
}

impl Call {
    /// A value of the path.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(own, _)| *own == name).map_or("", |(_, value)| value)
    }

    /// The time, once for each decision.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// The body as JSON; an empty one is an empty object, as in Ironic.
    pub fn json(&self) -> Result<Value, ApiError> {
        if self.body.is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| ApiError::invalid(format!("The request's body is not valid JSON: {error}")))
    }

    /// Query and body together: Ironic takes the arguments of its `PUT`s from either.
    pub fn arguments(&self) -> Result<Args, ApiError> {
        let mut args = self.query.clone();
        args.extend(crate::args::object("body", self.json()?)?);
        Ok(args)
    }

    /// The same, and refuses what is not among `known`: the properties of the route's [`Takes::Arguments`](crate::route::Takes).
    pub fn arguments_of(&self, known: &[Property]) -> Result<Args, ApiError> {
        let args = self.arguments()?;
        args.only(&known.iter().map(|property| property.name).collect::<Vec<_>>())?;
        Ok(args)
    }

    /// The node that the path names, if the caller may see it.
    pub async fn node(&self) -> Result<NodeRow, ApiError> {
        let ident = self.parameter("node");
        match self.find_node(ident).await {
            Err(error) if error.status == StatusCode::NOT_FOUND && self.json_suffix => {
                self.find_node(&format!("{ident}.json")).await
            }
            other => other,
        }
    }

    /// A node by UUID or, where the microversion has names, by name. One that the caller may not see isn't there.
    pub async fn find_node(&self, ident: &str) -> Result<NodeRow, ApiError> {
        let row = self.any_node(ident).await?;
        self.see_node(&row.node, ident)?;
        Ok(row)
    }

    /// The same whoever calls; what may be done with it is the caller's to ask.
    pub(crate) async fn any_node(&self, ident: &str) -> Result<NodeRow, ApiError> {
        if let Some(uuid) = parse_uuid(ident) {
            return self
                .state
                .store
                .node(&uuid.to_string())
                .await
                .map_err(|error| name_missing(error, ident));
        }
        if !crate::args::is_logical_name(ident) {
            return Err(ApiError::invalid(format!(
                "Expected UUID or name for node: {}",
                crate::wording::display(&Value::from(ident))
            )));
        }
        if !is_node_name(ident, self.version) {
            return Err(ApiError::not_found(format!("Node {ident} could not be found.")));
        }
        Ok(self.state.store.node(ident).await?)
    }

    /// Changes a node that nobody holds, as it was read or, if it is another one by now, as it is: `change` may run twice. One that is held
    /// for a moment is tried again before the client gets 409.
    pub async fn edit_node(
        &self,
        row: NodeRow,
        change: impl Fn(&mut Edit) -> Result<(), ApiError>,
    ) -> Result<Node, ApiError> {
        let store = &self.state.store;
        let NodeVersion { node, revision } = store.open_row(row).await?;
        let mut tries = 1;
        loop {
            let change = |edit: &mut Edit| change(edit).map_err(EditError::Refused);
            match store.edit_known(Guard::Free, (&node, revision), None, self.now(), change).await {
                Ok((written, _)) => return Ok(written.node),
                Err(EditError::Store(StoreError::Locked { .. })) if tries < LOCK_TRIES => {
                    tries += 1;
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                Err(EditError::Store(error)) => return Err(error.into()),
                Err(EditError::Refused(error)) => return Err(error),
            }
        }
    }

    /// Holds a node while `work` runs, which changes what belongs to it.
    pub async fn hold<T>(
        &self,
        node: Uuid,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let mut tries = 1;
        let held = loop {
            match self.state.conductor.claim(node).await {
                Err(StoreError::Locked { .. }) if tries < LOCK_TRIES => {
                    tries += 1;
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                other => break other?,
            }
        };
        let outcome = held.keep(work).await?;
        held.release().await?;
        outcome
    }

    /// A link's target: `{base}/v1/{path}`.
    pub fn url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.base_url)
    }

    /// The `self` and `bookmark` links of a resource.
    pub fn links(&self, path: &str) -> [Link; 2] {
        links(&self.base_url, path)
    }
}

/// Why an edit came to nothing.
enum EditError {
    Refused(ApiError),
    Store(StoreError),
}

impl From<StoreError> for EditError {
    fn from(error: StoreError) -> Self {
        EditError::Store(error)
    }
}

fn name_missing(error: StoreError, ident: &str) -> ApiError {
    match error {
        StoreError::NotFound { what, .. } => {
            ApiError::not_found(format!("{what} {ident} could not be found."))
        }
        other => other.into(),
    }
}

/// One link.
#[derive(Debug, Serialize)]
pub struct Link {
    href: String,
    rel: &'static str,
}

/// The `self` and `bookmark` links of a resource at `{base}/v1/{path}`.
pub fn links(base: &str, path: &str) -> [Link; 2] {
    [
        Link { href: [base, "/v1/", path].concat(), rel: "self" },
        Link { href: [base, "/", path].concat(), rel: "bookmark" },
    ]
}

/// What a handler answers; the status stands in the route's row.
#[derive(Debug, Default)]
pub struct Reply {
    /// JSON, if there is a body.
    pub json: Option<Vec<u8>>,
    /// Plain text in place of JSON.
    pub text: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// Another status than the row's.
    pub status: Option<StatusCode>,
}

impl Reply {
    /// No body.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A JSON body.
    pub fn json(value: &impl Serialize) -> Result<Self, ApiError> {
        Self::json_of_about(value, 1024)
    }

    /// A JSON body of about so many bytes: one that is large is not moved about while it grows.
    pub fn json_of_about(value: &impl Serialize, bytes: usize) -> Result<Self, ApiError> {
        let mut json = Vec::with_capacity(bytes);
        serde_json::to_writer(&mut json, value).map_err(|error| {
            tracing::error!(%error, "an answer could not be written as JSON");
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "The answer could not be written as JSON.")
        })?;
        Ok(Self { json: Some(json), ..Self::default() })
    }

    /// With a `Location`.
    pub fn at(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }
}

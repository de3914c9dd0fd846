//! Routes of the cloud's services, as data.

use super::{Access, Call, CloudError, Reply};
use crate::gate::Class;
use crate::limits::BODY_BYTES;
use crate::route::{Audience, Row, Verb, is_listing};
use axum::http::StatusCode;
use std::future::Future;
use std::pin::Pin;

/// What a handler returns.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<Reply, CloudError>> + Send>>;
/// A handler; [`handler!`](crate::handler) makes one of an `async fn`.
pub type Handler = fn(Call) -> HandlerFuture;

/// What a route takes as its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// JSON of at most so many bytes, or nothing.
    Json(usize),
    /// Bytes, which the handler reads as they come and bounds itself.
    Stream,
}

/// One route.
#[derive(Debug)]
pub struct Route {
    /// Method.
    pub verb: Verb,
    /// Path behind the service's prefix; see [`Row::path`].
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// It changes nothing, whatever its method: who may read may call it.
    pub only_looks: bool,
    /// Status of success.
    pub success: StatusCode,
    /// What it does, in one short sentence.
    pub summary: &'static str,
    /// Its body.
    pub takes: Takes,
    /// By what it costs.
    pub class: Class,
    /// It answers with as many things as there are.
    pub lists: bool,
    /// What serves it.
    pub handler: Handler,
}

impl Route {
    /// A route that answers 200.
    pub const fn new(verb: Verb, path: &'static str, access: Access, handler: Handler) -> Self {
        Self {
            verb,
            path,
            access,
            only_looks: false,
            success: StatusCode::OK,
            summary: "",
            takes: Takes::Json(BODY_BYTES),
            class: verb.class(),
            lists: is_listing(verb, path),
            handler,
        }
    }

    /// Does this, in one short sentence.
    pub const fn says(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    /// Answers this status.
    pub const fn success(mut self, status: StatusCode) -> Self {
        self.success = status;
        self
    }

    /// Changes nothing though its method isn't `GET`.
    pub const fn only_looks(mut self) -> Self {
        self.only_looks = true;
        self
    }

    /// Takes bodies of this size.
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.takes = Takes::Json(bytes);
        self
    }

    /// Reads its body itself.
    pub const fn streams(mut self) -> Self {
        self.takes = Takes::Stream;
        self.class = Class::Transfer;
        self
    }

    /// Lists, though its path ends with a name.
    pub const fn lists(mut self) -> Self {
        self.lists = true;
        self
    }

    /// Costs something else than its method says.
    pub const fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }
}

impl Row for Route {
    fn verb(&self) -> Verb {
        self.verb
    }

    fn path(&self) -> &'static str {
        self.path
    }

    fn is_for(&self, audience: Audience) -> bool {
        audience == Audience::Operator
    }
}

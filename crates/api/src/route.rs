//! Routes as data: what a row says is what is served.

use crate::baremetal::schema::Property;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::gate::Class;
use axum::http::{Method, StatusCode};
use model::version::Microversion;
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;

/// What a handler returns.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<Reply, ApiError>> + Send>>;
/// A handler.
pub type Handler = fn(Call) -> HandlerFuture;

/// Turns an `async fn(Call) -> Result<Reply, ApiError>` into a [`Handler`] that a `const` table can hold.
#[macro_export]
macro_rules! handler {
    ($function:path) => {
        |call| Box::pin($function(call))
    };
}

/// HTTP methods that routes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Read; also answers HEAD.
    Get,
    /// Create or trigger.
    Post,
    /// Set.
    Put,
    /// Change in part.
    Patch,
    /// Remove.
    Delete,
    /// Make another of it (RFC 2518; the object store's).
    Copy,
}

impl Verb {
    /// The verb of a request's method.
    pub fn of(method: &Method) -> Option<Self> {
        match method.as_str() {
            "GET" | "HEAD" => Some(Verb::Get),
            "POST" => Some(Verb::Post),
            "PUT" => Some(Verb::Put),
            "PATCH" => Some(Verb::Patch),
            "DELETE" => Some(Verb::Delete),
            "COPY" => Some(Verb::Copy),
            _ => None,
        }
    }

    /// What a request of this method usually costs.
    pub const fn class(self) -> Class {
        match self {
            Verb::Get => Class::Look,
            Verb::Post | Verb::Put | Verb::Patch | Verb::Delete | Verb::Copy => Class::Change,
        }
    }

    /// The method's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
            Verb::Copy => "COPY",
        }
    }
}

/// Who a router is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Operators and tenants: everything.
    Operator,
    /// Ramdisks on the provisioning network: only rows that say so.
    Ramdisk,
}

/// What a route takes as its body, for the OpenAPI document. Handlers check it by the same lists.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// No body.
    Nothing,
    /// An object with these properties, of which some are required.
    Object(&'static [Property], &'static [&'static str]),
    /// The same, and each property may come in the query as well.
    Arguments(&'static [Property], &'static [&'static str]),
    /// A JSON patch of these attributes.
    Patch(&'static [&'static str]),
    /// Any JSON: what a vendor's method takes.
    Anything,
}

/// One route.
#[derive(Debug)]
pub struct Route {
    /// Method.
    pub verb: Verb,
    /// Path; `{name}` stands for one segment.
    pub path: &'static str,
    /// The microversion that it came with.
    pub since: Microversion,
    /// Status below that microversion.
    pub below: StatusCode,
    /// Status of success.
    pub success: StatusCode,
    /// What it does, in one short sentence.
    pub summary: &'static str,
    /// Ironic's name of the policy that guards it.
    pub policy: &'static str,
    /// Open to everybody, whatever the policy.
    pub public: bool,
    /// The rule is asked by the handler alone, since which rules apply depends on the body or on what is found.
    pub own_check: bool,
    /// Served to ramdisks too.
    pub ramdisk: bool,
    /// Arguments that the query may have; others are refused. `None`: the handler takes what it knows, or anything.
    pub query: Option<&'static [&'static str]>,
    /// Arguments of the query that came later than the route, and the microversions that they came with.
    pub query_since: &'static [(&'static str, Microversion)],
    /// The body. `None`: nobody said yet.
    pub takes: Option<Takes>,
    /// Largest body, in bytes.
    pub body_limit: usize,
    /// By what it costs.
    pub class: Class,
    /// It answers with as many things as there are.
    pub lists: bool,
    /// What serves it.
    pub handler: Handler,
}

impl Route {
    /// A guarded route that has always been there and answers 200.
    pub const fn new(verb: Verb, path: &'static str, policy: &'static str, handler: Handler) -> Self {
        Self {
            verb,
            path,
            since: model::version::BASE,
            below: StatusCode::NOT_FOUND,
            success: StatusCode::OK,
            summary: "",
            policy,
            public: false,
            own_check: false,
            ramdisk: false,
            query: None,
            query_since: &[],
            takes: None,
            body_limit: crate::limits::BODY_BYTES,
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

    /// Came with a microversion; 404 below.
    pub const fn since(mut self, version: Microversion) -> Self {
        self.since = version;
        self
    }

    /// Another status than 404 below its microversion.
    pub const fn below(mut self, status: StatusCode) -> Self {
        self.below = status;
        self
    }

    /// Answers this status.
    pub const fn success(mut self, status: StatusCode) -> Self {
        self.success = status;
        self
    }

    /// Needs no authentication.
    pub const fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// Its handler asks the rules that apply; see [`Route::own_check`].
    pub const fn own_check(mut self) -> Self {
        self.own_check = true;
        self
    }

    /// Served to ramdisks too.
    pub const fn ramdisk(mut self) -> Self {
        self.ramdisk = true;
        self
    }

    /// Takes these arguments in its query, and refuses others.
    pub const fn query(mut self, known: &'static [&'static str]) -> Self {
        self.query = Some(known);
        self
    }

    /// Of its query's arguments these came with a microversion of their own; its handler refuses them below.
    pub const fn query_since(mut self, versions: &'static [(&'static str, Microversion)]) -> Self {
        self.query_since = versions;
        self
    }

    /// Takes this as its body.
    pub const fn takes(mut self, body: Takes) -> Self {
        self.takes = Some(body);
        self
    }

    /// Takes bodies of this size.
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Costs something else than its method says.
    pub const fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Does the bare-metal API's microversion apply?
    pub fn is_versioned(&self) -> bool {
        self.path == "/v1" || self.path.starts_with("/v1/")
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
        audience == Audience::Operator || self.ramdisk
    }
}

/// Does a route list, as far as its path tells? Where that ends with a name, it is of one thing.
pub(crate) const fn is_listing(verb: Verb, path: &str) -> bool {
    matches!(verb, Verb::Get) && !matches!(path.as_bytes(), [.., b'}'])
}

/// What a table needs to know of a row.
pub trait Row: std::fmt::Debug {
    /// Its method.
    fn verb(&self) -> Verb;
    /// Its path; `{name}` stands for one segment, `{name*}` at the end for all that are left, of which there must be some.
    fn path(&self) -> &'static str;
    /// Is it served to them?
    fn is_for(&self, audience: Audience) -> bool;
}

/// A table of routes, a list a resource. Where two rows fit, the first counts: put literal paths before those with `{…}`.
#[derive(Debug)]
pub struct Table<R: 'static = Route> {
    lists: &'static [&'static [R]],
    /// Rows by the number of their path's segments and the second of them, where that is a literal; in the table's order.
    by_place: HashMap<(usize, &'static str), Vec<&'static R>>,
    /// The other rows; they are looked at after those.
    others: Vec<&'static R>,
    /// First segments below `/v1`.
    collections: HashSet<&'static str>,
}

/// Outcome of a look-up.
#[derive(Debug)]
pub enum Found<R: 'static = Route> {
    /// A row and the values of its path.
    Route(&'static R, Vec<(&'static str, String)>),
    /// The path is known, the method isn't; these are allowed.
    OtherMethod(String),
    /// No such path.
    Nothing,
}

impl<R: Row> Table<R> {
    /// Indexes the rows, so that a request is not compared with all of them.
    pub fn new(lists: &'static [&'static [R]]) -> Self {
        let mut by_place: HashMap<_, Vec<_>> = HashMap::new();
        let mut others = Vec::new();
        for route in lists.iter().copied().flatten() {
            let (count, second) = place(segments_of(route.path()));
            if second.starts_with('{') || route.path().ends_with("*}") {
                others.push(route);
            } else {
                by_place.entry((count, second)).or_default().push(route);
            }
        }
        let collections = lists
            .iter()
            .copied()
            .flatten()
            .filter_map(|route| route.path().strip_prefix("/v1/")?.split('/').next())
            .collect();
        Self { lists, by_place, others, collections }
    }

    /// Every row.
    pub fn routes(&self) -> impl Iterator<Item = &'static R> + use<R> {
        self.lists.iter().copied().flatten()
    }

    /// Finds the row for a method and a path's decoded segments.
    pub fn find(&self, verb: Option<Verb>, segments: &[String], audience: Audience) -> Found<R> {
        let mut allowed: Vec<&str> = Vec::new();
        let rows = self.by_place.get(&place(segments.iter().map(String::as_str)));
        for route in rows.into_iter().flatten().chain(&self.others) {
            if !route.is_for(audience) {
                continue;
            }
            if let Some(parameters) = fit(route.path(), segments) {
                if Some(route.verb()) == verb {
                    return Found::Route(route, parameters);
                }
                allowed.push(route.verb().as_str());
            }
        }
        if allowed.is_empty() {
            return Found::Nothing;
        }
        allowed.sort_unstable();
        allowed.dedup();
        Found::OtherMethod(allowed.join(", "))
    }

    /// Is `name` a collection right below `/v1`? Ironic serves those without the `/v1` too.
    pub fn is_collection(&self, name: &str) -> bool {
        self.collections.contains(name)
    }
}

/// The values of a path's `{…}` in order, if it fits.
fn fit(path: &'static str, segments: &[String]) -> Option<Vec<(&'static str, String)>> {
    let mut own = segments_of(path);
    let mut parameters = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let pattern = own.next()?;
        match pattern.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => match name.strip_suffix('*') {
                Some(name) => {
                    let rest = segments[index..].join("/");
                    return (!rest.is_empty()).then(|| {
                        parameters.push((name, rest));
                        parameters
                    });
                }
                None => parameters.push((name, segment.clone())),
            },
            None if pattern == segment => {}
            None => return None,
        }
    }
    own.next().is_none().then_some(parameters)
}

/// The segments of a row's path.
fn segments_of(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// Where a path stands in the index.
fn place<'a>(segments: impl Iterator<Item = &'a str>) -> (usize, &'a str) {
    let mut second = "";
    let mut count = 0;
    for segment in segments {
        count += 1;
        if count == 2 {
            second = segment;
        }
    }
    (count, second)
}

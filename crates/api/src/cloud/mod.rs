//! What the services around the bare-metal API share: identity, images, networks, compute, placement, and the object store.
//!
//! Each is a [`Service`]: a prefix of the path, a table of routes, its own microversions and its own shape of errors. A request goes
//! through [`answer`] from top to bottom: route, microversion, authentication, access, body, handler, headers. What a row says
//! ([`Route`]) is what is served.
//!
//! To add an endpoint: write `async fn(Call) -> Result<Reply, CloudError>` in its resource's file, a row in that file's `ROUTES`,
//! and the file's line in the service's `mod.rs`.

mod access;
mod call;
mod error;
mod query;
mod reply;
mod route;
mod versions;

pub use access::Access;
pub use call::{Call, Stream};
pub use error::{CloudError, ErrorBody};
pub use query::Query;
pub use reply::Reply;
pub use route::{Handler, HandlerFuture, Route, Takes};
pub use versions::Versions;

use crate::ApiState;
use crate::auth::Caller;
use crate::body;
use crate::error::ApiError;
use crate::metrics::Measured;
use crate::route::{Audience, Found, Table, Verb};
use crate::serve::{base_url, decoded, request_id};
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use std::sync::{Arc, LazyLock};
use store::lane::within;
use telemetry::request::on_behalf_of;
use tracing::Instrument;

/// One service of the cloud.
pub struct Service {
    /// First segment of its paths.
    pub prefix: &'static str,
    /// Its type in the catalog.
    pub kind: &'static str,
    /// Its routes; their paths begin behind the prefix.
    pub table: &'static LazyLock<Table<Route>>,
    /// Its microversions, if it has any.
    pub versions: Option<Versions>,
    /// Writes an error as its clients read it; the text is the request's id.
    pub error_body: fn(&CloudError, &str) -> ErrorBody,
}

/// Every service.
pub static SERVICES: [&Service; 6] = [
    &crate::identity::SERVICE,
    &crate::image::SERVICE,
    &crate::network::SERVICE,
    &crate::compute::SERVICE,
    &crate::placement::SERVICE,
    &crate::object_store::SERVICE,
];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// The service that a path belongs to.
pub(crate) fn service(path: &str) -> Option<&'static Service> {
    let first = path.strip_prefix('/')?.split('/').next()?;
    SERVICES.iter().copied().find(|service| service.prefix == first)
}

/// Serves one request.
pub(crate) async fn answer(state: Arc<ApiState>, service: &'static Service, request: Request) -> Response {
    let id = request_id();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut measured = Measured::begin(service.kind, &request, &id);
    let span = measured.span.clone();
    let minor = match &service.versions {
        Some(versions) => versions.requested(request.headers()),
        None => Ok(0),
    };
    let used = minor.as_ref().ok().copied();
    let (parts, body) = request.into_parts();
    let base_url = base_url(&state, &parts);
    let outcome = match minor {
        Ok(minor) => {
            let served = serve(&state, service, parts, body, &base_url, minor, &id, &mut measured);
            served.instrument(span).await
        }
        Err(error) => Err(error),
    };
    let mut response = outcome.unwrap_or_else(|error| fail(&state, service, &error, &base_url, &id));
    if let Some(versions) = &service.versions {
        versions.describe(response.headers_mut(), used);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let status = response.status();
    if status.is_server_error() {
        tracing::error!(%id, %method, %path, status = status.as_u16(), "request failed");
    } else {
        tracing::debug!(%id, %method, %path, status = status.as_u16(), "request");
    }
    measured.end(status);
    state.settings.gates.counted(response)
}

#[expect(clippy::too_many_arguments, reason = "all that is known of a request by then")]
async fn serve(
    state: &Arc<ApiState>,
    service: &'static Service,
    parts: Parts,
    body: Body,
    base_url: &str,
    minor: u16,
    id: &str,
    measured: &mut Measured,
) -> Result<Response, CloudError> {
    let mut segments = decoded(parts.uri.path())?;
    // The service's own prefix.
    segments.remove(0);
    let verb = Verb::of(&parts.method);
    let (route, parameters) = match find(service, verb, &segments) {
        Found::Route(route, parameters) => (route, parameters),
        Found::OtherMethod(allow) => return Err(CloudError::other_method(allow)),
        Found::Nothing => {
            return Err(CloudError::not_found(format!("There is nothing at {}.", parts.uri.path())));
        }
    };
    measured.to(route.path);
    let gates = &state.settings.gates;
    // Before anything is read or looked up for a request that can't be served.
    gates.look(route.class).map_err(ApiError::from)?;
    let caller = match route.access {
        Access::Public => Caller::default(),
        Access::Granted if !parts.headers.contains_key("x-auth-token") => Caller::default(),
        _ => within(route.class.lane(), state.settings.auth.identify(&parts.headers)).await?,
    };
    let mut call = Call {
        state: Arc::clone(state),
        service,
        caller,
        parameters,
        query: Query::parse(parts.uri.query().unwrap_or_default())?,
        base_url: base_url.to_owned(),
        method: parts.method,
        headers: parts.headers,
        body: Bytes::new(),
        stream: Stream::default(),
        minor,
        request_id: id.to_owned(),
    };
    call.check_access(route)?;
    match route.takes {
        Takes::Json(limit) => call.body = body::read(body, &call.headers, limit, &gates.requests).await?,
        Takes::Stream => call.stream = Stream::new(body),
    }
    let is_head = call.method == axum::http::Method::HEAD;
    // A task of its own: a client that hangs up leaves no half-done work behind, and a defect in one handler costs one answer.
    let pass = gates.enter(route.class).await.map_err(ApiError::from)?;
    let work = async move {
        let _pass = pass;
        route.class.step_back(route.lists).await;
        (route.handler)(call).await
    };
    let work = within(route.class.lane(), on_behalf_of(Some(measured.origin()), work));
    let reply = tokio::spawn(work.in_current_span()).await.unwrap_or_else(|error| {
        tracing::error!(%error, path = route.path, "a handler ended without an answer");
        Err(CloudError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "A defect in Billet kept this request from being answered. The log has the details under this request's id.",
        ))
    })?;
    Ok(reply.into_response(route.success, is_head))
}

/// Finds a row. A slash at the end means something only where the rest of a path is a name.
fn find(service: &Service, verb: Option<Verb>, segments: &[String]) -> Found<Route> {
    let trimmed = segments.iter().rposition(|segment| !segment.is_empty()).map_or(0, |last| last + 1);
    let found = service.table.find(verb, segments, Audience::Operator);
    let is_none = match &found {
        Found::Route(_, parameters) => parameters.iter().any(|(_, value)| value.is_empty()),
        Found::OtherMethod(_) | Found::Nothing => true,
    };
    if is_none && trimmed < segments.len() {
        return service.table.find(verb, &segments[..trimmed], Audience::Operator);
    }
    found
}

fn fail(state: &ApiState, service: &Service, error: &CloudError, base_url: &str, id: &str) -> Response {
    let ErrorBody { content_type, text } = (service.error_body)(error, id);
    let mut response = Response::new(text.into());
    *response.status_mut() = error.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in &error.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name.clone(), value);
        }
    }
    if error.status == StatusCode::UNAUTHORIZED
        && let Some(challenge) = state.settings.auth.challenge(base_url)
    {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_reached_by_its_own_path() {
        for service in SERVICES {
            for route in service.table.routes() {
                let segments: Vec<String> = route
                    .path
                    .split('/')
                    .filter(|part| !part.is_empty())
                    .map(|part| part.replace(['{', '}', '*'], ""))
                    .collect();
                match find(service, Some(route.verb), &segments) {
                    Found::Route(found, _) => {
                        assert!(std::ptr::eq(found, route), "{:?} {}", route.verb, route.path)
                    }
                    other => panic!("{:?} {}: {other:?}", route.verb, route.path),
                }
            }
        }
    }

    #[test]
    fn a_slash_at_the_end_is_part_of_an_objects_name_and_of_nothing_else() {
        let value = |path: &str| {
            let segments: Vec<String> = path.split('/').map(str::to_owned).collect();
            match find(&crate::object_store::SERVICE, Some(Verb::Get), &segments) {
                Found::Route(route, parameters) => {
                    (route.path, parameters.last().map(|(_, value)| value.clone()))
                }
                other => panic!("{path}: {other:?}"),
            }
        };
        assert_eq!(value("v1/AUTH_p/"), ("/v1/{account}", Some("AUTH_p".into())));
        assert_eq!(value("v1/AUTH_p/c/"), ("/v1/{account}/{container}", Some("c".into())));
        let object = "/v1/{account}/{container}/{object*}";
        assert_eq!(value("v1/AUTH_p/c/folder/"), (object, Some("folder/".into())));
    }

    #[test]
    fn a_service_is_known_by_the_first_segment_alone() {
        assert_eq!(service("/image/v2/images").map(|service| service.kind), Some("image"));
        assert_eq!(service("/image").map(|service| service.kind), Some("image"));
        assert!(service("/images/v2").is_none());
        assert!(service("/v1/nodes").is_none());
    }
}

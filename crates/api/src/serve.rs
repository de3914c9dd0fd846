//! The way of a request, from the socket to its handler and back.

use crate::args::Args;
use crate::auth::Caller;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::metrics::{self, Measured};
use crate::route::{Audience, Found, Route, Verb};
use crate::{ApiState, ArrivedAt, OverTls};
use crate::{baremetal, body, cloud, versions};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use model::version::{Microversion, NO_DOT_JSON};
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use store::lane::within;
use telemetry::request::on_behalf_of;
use tracing::Instrument;
use uuid::Uuid;

/// Where a cloud's catalog has the bare-metal service.
const MOUNT: &str = "/baremetal";

/// A new identifier of a request, as OpenStack's services make them.
pub(crate) fn request_id() -> String {
    format!("req-{}", Uuid::new_v4())
}

/// A router that serves every path from the route table.
pub fn router(state: Arc<ApiState>, audience: Audience) -> Router {
    Router::new().fallback(move |request: Request| {
        let state = Arc::clone(&state);
        async move { answer(state, audience, request).await }
    })
}

/// What is known of a request so far; headers of the answer are written from it.
struct Progress {
    version: Option<Microversion>,
    /// How links begin, once somebody was refused.
    base_url: String,
    measured: Measured,
}

async fn answer(state: Arc<ApiState>, audience: Audience, request: Request) -> Response {
    if audience == Audience::Operator
        && state.settings.cloud
        && let Some(service) = cloud::service(request.uri().path())
    {
        return cloud::answer(state, service, request).await;
    }
    if audience == Audience::Operator && request.uri().path() == metrics::PATH {
        return metrics::answer(&state, request).await;
    }
    let id = request_id();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let mut progress = Progress {
        version: None,
        base_url: String::new(),
        measured: Measured::begin("baremetal", &request, &id),
    };
    let span = progress.measured.span.clone();
    let outcome = serve(&state, audience, request, &mut progress).instrument(span).await;
    let mut response = match outcome {
        Ok((route, reply)) => succeed(route, reply),
        Err(error) => fail(&state, &error, &progress.base_url),
    };
    let headers = response.headers_mut();
    versions::describe(headers, progress.version);
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert("x-openstack-request-id", value.clone());
        headers.insert("openstack-request-id", value);
    }
    let status = response.status();
    if status.is_server_error() {
        tracing::error!(%id, %method, %path, status = status.as_u16(), "request failed");
    } else {
        tracing::debug!(%id, %method, %path, status = status.as_u16(), "request");
    }
    progress.measured.end(status);
    state.settings.gates.counted(response)
}

async fn serve(
    state: &Arc<ApiState>,
    audience: Audience,
    request: Request,
    progress: &mut Progress,
) -> Result<(&'static Route, Reply), ApiError> {
    let (parts, body) = request.into_parts();
    let requested = versions::requested(&parts.headers);
    progress.version = requested.as_ref().ok().copied();
    // The bare-metal service is found at its usual path of a cloud as well as at Ironic's own.
    let (path, mount) = match parts.uri.path().strip_prefix(MOUNT) {
        Some(path) if audience == Audience::Operator && (path.is_empty() || path.starts_with('/')) => {
            (path, MOUNT)
        }
        _ => (parts.uri.path(), ""),
    };
    let (segments, json_suffix) = segments(path, &parts.headers, progress.version)?;
    let (route, parameters) = match baremetal::TABLE.find(Verb::of(&parts.method), &segments, audience) {
        Found::Route(route, parameters) => (route, parameters),
        Found::OtherMethod(allow) => {
            return Err(ApiError {
                allow: Some(allow),
                ..ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
            });
        }
        Found::Nothing => {
            return Err(ApiError::not_found(format!("Not Found: there is nothing at {}.", parts.uri.path())));
        }
    };
    progress.measured.to(route.path);
    // Before anything is read or looked up for a request that can't be served.
    state.settings.gates.look(route.class)?;
    let version = match requested {
        // Billet's own routes are versioned by their path and speak of everything.
        _ if !route.is_versioned() => Microversion::MAX,
        Ok(version) => version,
        Err(error) => return Err(ApiError::new(StatusCode::NOT_ACCEPTABLE, error.to_string())),
    };
    let caller = if route.public {
        Caller::default()
    } else {
        let identified = within(route.class.lane(), state.settings.auth.identify(&parts.headers)).await;
        identified.inspect_err(|_| progress.base_url = base_url(state, &parts))?
    };
    if !version.has(route.since) {
        return Err(ApiError::new(
            route.below,
            match route.below {
                StatusCode::NOT_ACCEPTABLE => format!(
                    "Request not acceptable. The minimal required API version should be {}",
                    route.since
                ),
                StatusCode::METHOD_NOT_ALLOWED => {
                    format!("Method Not Allowed below API version {}", route.since)
                }
                _ => format!(
                    "Resource could not be found. It is there from API version {} on, and {version} was asked for.",
                    route.since
                ),
            },
        ));
    }
    let query = Args::from_query(parts.uri.query().unwrap_or_default())?;
    if let Some(known) = route.query {
        query.only(known)?;
    }
    let mut call = Call {
        state: Arc::clone(state),
        version,
        caller,
        rule: route.policy,
        parameters,
        json_suffix,
        query,
        body: Bytes::new(),
        base_url: base_url(state, &parts) + mount,
        arrived_at: arrived_at(&parts),
    };
    within(route.class.lane(), call.authorize(route)).await?;
    call.body = body::read(body, &parts.headers, route.body_limit, &state.settings.gates.requests).await?;
    let pass = state.settings.gates.enter(route.class).await?;
    // A task of its own: a client that hangs up leaves no half-done work and no claim behind, and a defect in one handler
    // costs one answer.
    let work = async move {
        let _pass = pass;
        route.class.step_back(route.lists).await;
        (route.handler)(call).await
    };
    let work = within(route.class.lane(), on_behalf_of(Some(progress.measured.origin()), work));
    let reply = tokio::spawn(work.in_current_span()).await.unwrap_or_else(|error| {
        tracing::error!(%error, path = route.path, "a handler ended without an answer");
        Err(ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "A defect in Billet kept this request from being answered. The log has the details under this request's id.",
        ))
    })?;
    Ok((route, reply))
}

/// The path's decoded segments, with Ironic's two habits: `/nodes` is `/v1/nodes`, and before 1.91 `.json` may follow.
fn segments(
    path: &str,
    headers: &HeaderMap,
    version: Option<Microversion>,
) -> Result<(Vec<String>, bool), ApiError> {
    let path = path.trim_end_matches('/');
    let strips = versions::is_requested(headers)
        && version.is_some_and(|version| !version.has(NO_DOT_JSON))
        && !baremetal::TABLE.routes().any(|route| route.path == path);
    let (path, json_suffix) = match path.strip_suffix(".json") {
        Some(stem) if strips => (stem, true),
        _ => (path, false),
    };
    let mut segments = decoded(path)?;
    if segments.first().is_some_and(|first| baremetal::TABLE.is_collection(first)) {
        segments.insert(0, "v1".to_owned());
    }
    Ok((segments, json_suffix))
}

/// A path's segments, decoded.
pub(crate) fn decoded(path: &str) -> Result<Vec<String>, ApiError> {
    let mut segments = Vec::new();
    for segment in path.split('/').skip(1) {
        let text = percent_decode_str(segment)
            .decode_utf8()
            .map_err(|_| ApiError::invalid("The path is not UTF-8 after percent-decoding."))?;
        if text.contains('\0') {
            return Err(ApiError::invalid("The path has a NUL character, which nothing is called by."));
        }
        segments.push(text.into_owned());
    }
    Ok(segments)
}

/// How links begin: as configured, else as the client called us.
pub(crate) fn base_url(state: &ApiState, request: &Parts) -> String {
    if let Some(url) = &state.settings.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let host = request
        .headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .filter(|host| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
            !host.is_empty() && host.len() <= 255 && host.bytes().all(plain)
        })
        .unwrap_or("localhost");
    format!("{}://{host}", scheme(request))
}

fn scheme(request: &Parts) -> &'static str {
    if request.extensions.get::<OverTls>().is_some() { "https" } else { "http" }
}

/// The address of this host that a request came to, as a URL; none where whoever listens did not say.
fn arrived_at(request: &Parts) -> Option<String> {
    let ArrivedAt(address) = request.extensions.get()?;
    Some(format!("{}://{address}", scheme(request)))
}

fn succeed(route: &Route, reply: Reply) -> Response {
    let (kind, body) = match (reply.json, reply.text) {
        (Some(json), _) => (Some("application/json"), Body::from(json)),
        (None, Some(text)) => (Some("text/plain; charset=utf-8"), Body::from(text)),
        (None, None) => (None, Body::empty()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status.unwrap_or(route.success);
    let headers = response.headers_mut();
    if let Some(kind) = kind {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if let Some(location) = reply.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
        headers.insert(header::LOCATION, location);
    }
    response
}

pub(crate) fn fail(state: &ApiState, error: &ApiError, base_url: &str) -> Response {
    let mut response = Response::new(Body::from(error.body().to_string()));
    *response.status_mut() = error.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(allow) = error.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
        headers.insert(header::ALLOW, allow);
    }
    if let Some(seconds) = error.comes_again() {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if error.status == StatusCode::UNAUTHORIZED
        && let Some(challenge) = state.settings.auth.challenge(base_url)
    {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

//! What is measured of requests, and `GET /metrics`, which shows it with everything else ([`telemetry::table`]).

use crate::auth::Caller;
use crate::error::ApiError;
use crate::policy::{self, Target};
use crate::route::Verb;
use crate::{ApiState, serve};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Lane;
use store::lane::within;
use telemetry::request::Origin;
use telemetry::{SPANS, Timer, span, table};
use tokio::sync::Mutex;
use tracing::Span;
use tracing::field::Empty;

/// The path.
pub(crate) const PATH: &str = "/metrics";
/// The rule that lets operators see the conductors lets them see how these are.
const RULE: &str = "baremetal:conductor:get";
/// The database is asked at most so often, however many ask.
const FRESH: Duration = Duration::from_secs(1);

/// One request while it is measured.
pub(crate) struct Measured {
    service: &'static str,
    route: &'static str,
    method: &'static str,
    began: Timer,
    /// Its span, where spans go anywhere.
    pub span: Span,
    id: Arc<str>,
}

impl Measured {
    /// A request that its client will know by `id`, and that may be part of its client's trace.
    pub(crate) fn begin(service: &'static str, request: &Request, id: &str) -> Self {
        let method = match request.method().as_str() {
            "HEAD" => "HEAD",
            _ => Verb::of(request.method()).map_or("other", Verb::as_str),
        };
        let span = tracing::info_span!(
            target: SPANS, "request", otel.name = method, otel.kind = "server", service,
            http.request.method = method, url.path = request.uri().path(), http.route = Empty,
            http.response.status_code = Empty, request_id = id, otel.status_code = Empty
        );
        if let Some(header) = request.headers().get("traceparent").and_then(|value| value.to_str().ok()) {
            span::follow(&span, header);
        }
        Self { service, route: "none", method, began: Timer::start(), span, id: id.into() }
    }

    /// It goes to the route of this template.
    pub(crate) fn to(&mut self, route: &'static str) {
        self.route = route;
        if !self.span.is_disabled() {
            span::rename(&self.span, format!("{} {route}", self.method));
            self.span.record("http.route", route);
        }
    }

    /// What is done on its behalf names it so.
    pub(crate) fn origin(&self) -> Origin {
        Origin { id: Arc::clone(&self.id), traceparent: span::traceparent(&self.span).map(Into::into) }
    }

    /// Its answer is ready.
    pub(crate) fn end(self, status: StatusCode) {
        let Self { service, route, method, began, span, .. } = self;
        if !span.is_disabled() {
            span.record("http.response.status_code", status.as_u16());
            if status.is_server_error() {
                span.record("otel.status_code", "ERROR");
            }
        }
        table::HTTP_REQUESTS.count([service, route, method, status.as_str()]);
        table::HTTP_TIME.observe_time([service, route, method], began.elapsed());
    }
}

/// A router that serves the metrics and nothing else, to whoever can reach it.
pub fn router(state: Arc<ApiState>) -> Router {
    Router::new().fallback(move |request: Request| {
        let state = Arc::clone(&state);
        async move {
            if request.uri().path() != PATH {
                return text(StatusCode::NOT_FOUND, "Here is /metrics and nothing else.\n".to_owned());
            }
            scrape(&state).await
        }
    })
}

/// `GET /metrics` on the operators' listener: for callers on this host, and for those who may see the conductors.
pub(crate) async fn answer(state: &ApiState, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match may_see(state, &parts).await {
        Ok(()) if !matches!(parts.method, Method::GET | Method::HEAD) => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, String::new());
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
            response
        }
        Ok(()) => scrape(state).await,
        Err(error) => serve::fail(state, &error, &serve::base_url(state, &parts)),
    }
}

async fn may_see(state: &ApiState, parts: &Parts) -> Result<(), ApiError> {
    // Behind a proxy everybody comes from here, and proxies say so.
    let is_passed_on = [header::FORWARDED.as_str(), "x-forwarded-for", "via"]
        .iter()
        .any(|name| parts.headers.contains_key(*name));
    let peer =
        parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical());
    if peer.is_some_and(|peer| peer.is_loopback()) && !is_passed_on {
        return Ok(());
    }
    let Caller { identity, .. } = state.settings.auth.identify(&parts.headers).await?;
    if identity.is_none_or(|identity| policy::admits(RULE, &identity.credentials, &Target::NONE)) {
        return Ok(());
    }
    Err(ApiError::forbidden(format!("Access was denied to the following resource: {RULE}")))
}

async fn scrape(state: &ApiState) -> Response {
    /// When the database was last asked.
    static ASKED: Mutex<Option<Instant>> = Mutex::const_new(None);
    {
        let mut asked = ASKED.lock().await;
        if asked.is_none_or(|asked| asked.elapsed() >= FRESH) {
            if let Err(error) = within(Lane::Look, state.store.measure(jiff::Timestamp::now())).await {
                tracing::error!(%error, "nodes can't be counted for the metrics");
            }
            telemetry::process::read();
            measure_power(&state.conductor.power_sweeps());
            *asked = Some(Instant::now());
        }
    }
    state.settings.gates.measure();
    let mut response = text(StatusCode::OK, telemetry::expose());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(telemetry::CONTENT_TYPE));
    response
}

fn measure_power(sweeps: &conductor::Sweep) {
    table::POWER_SWEEPS.set([], sweeps.ended as f64);
    table::POWER_TIME.set([], sweeps.took.as_secs_f64());
    table::POWER_NODES.set([], sweeps.nodes as f64);
    for (answer, total) in
        [("agreed", sweeps.agreed), ("differed", sweeps.differed), ("failed", sweeps.failed)]
    {
        table::POWER_ANSWERS.set([answer], total as f64);
    }
}

fn text(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

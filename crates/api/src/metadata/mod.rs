//! What machines are told of themselves at 169.254.169.254: the same as on their config drives.
//!
//! Nobody logs in here. A machine is told apart by the address that it comes from, which the network service has given to it; whoever
//! comes from another one, or through a proxy that says whom it speaks for, gets nothing ([`caller`]). Two forms of the same are
//! served: OpenStack's ([`openstack`]) and that of EC2 ([`ec2`]), which older images know.

mod caller;
mod ec2;
mod openstack;

use crate::ApiState;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use percent_encoding::percent_decode_str;
use std::net::SocketAddr;
use std::sync::Arc;

/// Segments of the longest path that means something, and some more.
const SEGMENTS: usize = 8;

/// The service, for a listener that adds [`ConnectInfo`] to requests.
pub fn router(state: Arc<ApiState>) -> Router {
    Router::new().fallback(move |request: Request| {
        let state = Arc::clone(&state);
        // The body is nobody's business.
        let (parts, _) = request.into_parts();
        async move { serve(&state, parts).await }
    })
}

/// Something that is told.
enum Told {
    /// Text, or a list of names, a line each.
    Text(String),
    /// A document.
    Json(serde_json::Value),
    /// What the user gave, as it is.
    Bytes(Vec<u8>),
}

async fn serve(state: &ApiState, request: Parts) -> Response {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "Metadata is only read.\n");
    }
    let peer = request.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical());
    // Whoever forwards requests speaks for somebody else, and could say for anybody.
    let (Some(peer), false) = (peer, request.headers.contains_key("x-forwarded-for")) else {
        return nothing();
    };
    let Some(path) = segments(request.uri.path()) else { return nothing() };
    let server = match caller::server_at(&state.store, peer).await {
        Ok(Some(server)) => server,
        Ok(None) => {
            tracing::debug!(%peer, "metadata was asked for from an address that no server has");
            return nothing();
        }
        Err(error) => return failed(&error),
    };
    let told = match state.conductor.server_metadata(&server).await {
        Ok(told) => told,
        Err(error) => return failed(&error),
    };
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let found = match path.as_slice() {
        [] => Some(Told::Text(ec2::VERSIONS.join("\n"))),
        ["openstack", rest @ ..] => openstack::find(told, rest),
        [version, rest @ ..] if ec2::VERSIONS.contains(version) => ec2::find(&server, told, rest),
        _ => None,
    };
    match found {
        Some(Told::Text(text)) => answer(StatusCode::OK, "text/plain; charset=utf-8", text),
        Some(Told::Json(value)) => answer(StatusCode::OK, "application/json", value.to_string()),
        Some(Told::Bytes(bytes)) => answer(StatusCode::OK, "application/octet-stream", bytes),
        None => nothing(),
    }
}

/// The path's decoded segments, empty ones left out; none: it is too long, or no text.
fn segments(path: &str) -> Option<Vec<String>> {
    let mut segments = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        if segments.len() == SEGMENTS {
            return None;
        }
        segments.push(percent_decode_str(segment).decode_utf8().ok()?.into_owned());
    }
    Some(segments)
}

fn nothing() -> Response {
    answer(StatusCode::NOT_FOUND, "text/plain", "There is nothing here for you.\n")
}

fn failed(error: &store::StoreError) -> Response {
    tracing::error!(%error, "metadata could not be told");
    answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "The metadata could not be read; try again.\n")
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

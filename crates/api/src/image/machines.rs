//! Images for machines: by signed links on the listeners that machines reach, as streams that can be resumed.
//!
//! A link is all the permission there is, so what is wrong with one is told to nobody: 404. What a machine fetched goes into its
//! node's events, but for the short ranges by which an agent looks at an image before it begins.

use super::range::{self, Served};
use crate::ApiState;
use crate::cloud::CloudError;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use images::Name;
use jiff::{SignedDuration, Timestamp};
use model::event::{EventKind, LogEvent};
use serde::Deserialize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use store::Store;
use uuid::Uuid;

/// What is shorter is a look at the image's metadata.
const WORTH_AN_EVENT: u64 = 4 << 20;

/// `/images/{image}`, for every listener that machines reach.
pub fn router(state: Arc<ApiState>) -> Router {
    Router::new().route("/images/{image}", get(send)).with_state(state)
}

/// The query of a link.
#[derive(Deserialize)]
struct Link {
    node: Uuid,
    expires: i64,
    signature: String,
}

async fn send(
    State(state): State<Arc<ApiState>>,
    Path(image): Path<Uuid>,
    Query(link): Query<Link>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    match open(&state, image, &link, &parts.method, &parts.headers).await {
        Ok(served) => {
            let is_whole = served.length >= WORTH_AN_EVENT || served.status == StatusCode::OK;
            let mut response = Response::new(match parts.method == Method::GET && is_whole {
                true => Body::new(Told::new(&state, image, link.node, served.body, served.length)),
                false => served.body,
            });
            *response.status_mut() = served.status;
            for (name, value) in served.headers {
                if let Ok(value) = value.parse() {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
        Err(error) => {
            let mut response = (error.status, format!("{}\n", error.text)).into_response();
            for (name, value) in &error.headers {
                if let Ok(value) = value.parse() {
                    response.headers_mut().insert(name.clone(), value);
                }
            }
            response
        }
    }
}

async fn open(
    state: &ApiState,
    image: Uuid,
    link: &Link,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Served, CloudError> {
    let nothing = || CloudError::not_found("There is no such image, or the link to it has expired.");
    let conductor = &state.conductor;
    if !conductor.is_image_link(image, link.node, link.expires, &link.signature, Timestamp::now()) {
        return Err(nothing());
    }
    let image = conductor.linked_image(image).await.map_err(|_| nothing())?;
    let (Some(storage), Some(size)) = (conductor.storage(), image.size) else { return Err(nothing()) };
    let tag = image.os_hash_value.as_deref();
    range::serve(storage, &Name::image(image.uuid), size, tag, method, headers).await
}

/// A body that tells the node's events how much of it went out, when it ends or the connection does.
struct Told {
    body: Body,
    store: Store,
    image: Uuid,
    node: Uuid,
    length: u64,
    sent: u64,
    began: Timestamp,
}

impl Told {
    fn new(state: &ApiState, image: Uuid, node: Uuid, body: Body, length: u64) -> Self {
        Self { body, store: state.store.clone(), image, node, length, sent: 0, began: Timestamp::now() }
    }
}

impl HttpBody for Told {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.sent += data.len() as u64;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.sent >= self.length || self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        telemetry::table::IMAGE_BYTES.add([], self.sent);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let now = Timestamp::now();
        let took: SignedDuration = now.duration_since(self.began);
        let detail = format!(
            "image {}: {} of {} bytes in {:.1} s",
            self.image,
            self.sent,
            self.length,
            took.as_secs_f64()
        );
        let mut event = LogEvent::new(Some(self.node), self.began, EventKind::Http, "send", detail);
        event.ok = self.sent >= self.length;
        let (store, event) = (self.store.clone(), event.until(now));
        runtime.spawn(async move {
            if let Err(error) = store.record(&[event]).await {
                tracing::warn!(%error, "what a machine fetched could not be written down");
            }
        });
    }
}

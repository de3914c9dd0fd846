//! A request's body: read within limits of size, time and depth before anything parses it.

use crate::error::{ApiError, Shape};
use crate::gate::{Budget, Class, Held, Reason, Refused};
use crate::limits::{BODY_BYTES, BODY_TIME, JSON_DEPTH, LARGE_BODY_TIME};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::BytesMut;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::sync::Arc;

/// Reads a body of at most `limit` bytes, which count in the budget until the last of them is dropped.
pub async fn read(
    body: Body,
    headers: &HeaderMap,
    limit: usize,
    budget: &Arc<Budget>,
) -> Result<Bytes, ApiError> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let time = if limit > BODY_BYTES { LARGE_BODY_TIME } else { BODY_TIME };
    let bytes = match tokio::time::timeout(time, collect(Limited::new(body, limit), budget)).await {
        Ok(collected) => collected?,
        Err(_) => {
            return Err(ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("The request's body did not come within {} seconds.", time.as_secs()),
            ));
        }
    };
    if depth(&bytes) > JSON_DEPTH {
        return Err(bare(
            StatusCode::BAD_REQUEST,
            "Request body JSON is nested too deeply. Please contact the service administrator.",
        ));
    }
    Ok(bytes)
}

/// What is announced or sent beyond the budget is refused at once: whoever waited for others to be done would hold what they wait for.
async fn collect(mut body: Limited<Body>, budget: &Arc<Budget>) -> Result<Bytes, ApiError> {
    let mut held = Held::nothing(budget);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(unreadable)?.into_data() else { continue };
        if !held.grow(data.len()) {
            return Err(Refused::new(Class::Change, Reason::Memory).into());
        }
        if whole.is_empty() && body.is_end_stream() {
            return Ok(held.with(data));
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() { Bytes::new() } else { held.with(whole.freeze()) })
}

/// A body beyond the limit, or one that broke off or was no HTTP.
fn unreadable(error: Box<dyn std::error::Error + Send + Sync>) -> ApiError {
    if error.is::<LengthLimitError>() {
        return too_large();
    }
    ApiError::invalid(format!("The request's body could not be read to its end: {error}"))
}

fn too_large() -> ApiError {
    bare(
        StatusCode::PAYLOAD_TOO_LARGE,
        "Request body is too large. Please contact the service administrator.",
    )
}

fn bare(status: StatusCode, text: &str) -> ApiError {
    ApiError { shape: Shape::Bare, ..ApiError::new(status, text) }
}

/// How deep brackets nest outside of texts; counted without recursion.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0usize, 0usize, false, false);
    for byte in bytes {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_too_large_and_what_broke_off_are_told_apart() {
        let budget = Arc::new(Budget::new(5));
        let large = read(Body::from(vec![b' '; 6]), &HeaderMap::new(), 5, &budget).await.unwrap_err();
        assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
        let broken = unreadable(std::io::Error::other("gone").into());
        assert_eq!(broken.status, StatusCode::BAD_REQUEST);
        assert!(broken.text.ends_with("could not be read to its end: gone"));
    }

    #[tokio::test]
    async fn bodies_that_take_all_the_memory_are_answered_with_503() {
        let budget = Arc::new(Budget::new(10));
        let none = HeaderMap::new();
        let body = |size| read(Body::from(vec![b' '; size]), &none, 100, &budget);
        let first = body(8).await.unwrap();
        let refused = body(8).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.retry_after.is_some());
        assert_eq!(budget.used(), 8);
        drop(first);
        let chunks = ["12345", "678"].map(|chunk| Ok::<_, std::io::Error>(Bytes::from(chunk)));
        let chunked = Body::from_stream(futures_util::stream::iter(chunks));
        assert_eq!(read(chunked, &HeaderMap::new(), 100, &budget).await.unwrap(), "12345678");
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn depth_ignores_what_is_in_texts() {
        assert_eq!(depth(br#"{"a": [1, {"b": 2}]}"#), 3);
        assert_eq!(depth(br#"{"a": "[[[[\"[[["}"#), 1);
        assert_eq!(depth(&b"[".repeat(100_000)), 100_000);
        assert_eq!(depth(b"]]]]["), 1);
    }
}

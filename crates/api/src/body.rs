//! A request's body: read within limits of size, time and depth before anything parses it.

use crate::error::{ApiError, Shape};
use crate::limits::{BODY_BYTES, BODY_TIME, JSON_DEPTH, LARGE_BODY_TIME};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::LengthLimitError;

/// Reads a body of at most `limit` bytes.
pub async fn read(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, ApiError> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let time = if limit > BODY_BYTES { LARGE_BODY_TIME } else { BODY_TIME };
    let bytes = match tokio::time::timeout(time, axum::body::to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return Err(unreadable(error)),
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

/// A body beyond the limit, or one that broke off or was no HTTP.
fn unreadable(error: axum::Error) -> ApiError {
    let error = error.into_inner();
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
        let large = read(Body::from(vec![b' '; 6]), &HeaderMap::new(), 5).await.unwrap_err();
        assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
        let broken = unreadable(axum::Error::new(std::io::Error::other("gone")));
        assert_eq!(broken.status, StatusCode::BAD_REQUEST);
        assert!(broken.text.ends_with("could not be read to its end: gone"));
    }

    #[test]
    fn depth_ignores_what_is_in_texts() {
        assert_eq!(depth(br#"{"a": [1, {"b": 2}]}"#), 3);
        assert_eq!(depth(br#"{"a": "[[[[\"[[["}"#), 1);
        assert_eq!(depth(&b"[".repeat(100_000)), 100_000);
        assert_eq!(depth(b"]]]]["), 1);
    }
}

//! A request's body: read within limits of size, time and depth before anything parses it.

use crate::error::{ApiError, Shape};
use crate::limits::{BODY_TIME, JSON_DEPTH};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};

/// Reads a body of at most `limit` bytes.
pub async fn read(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, ApiError> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let bytes = match tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) if announced.is_none() => return Err(too_large()),
        Ok(Err(error)) => {
            return Err(ApiError::invalid(format!(
                "The request's body ended before its announced length: {error}"
            )));
        }
        Err(_) => {
            return Err(ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("The request's body did not come within {} seconds.", BODY_TIME.as_secs()),
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

    #[test]
    fn depth_ignores_what_is_in_texts() {
        assert_eq!(depth(br#"{"a": [1, {"b": 2}]}"#), 3);
        assert_eq!(depth(br#"{"a": "[[[[\"[[["}"#), 1);
        assert_eq!(depth(&b"[".repeat(100_000)), 100_000);
        assert_eq!(depth(b"]]]]["), 1);
    }
}

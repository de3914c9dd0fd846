//! Stored bytes as an answer, whole or a range of them (RFC 9110, 14).

use crate::cloud::CloudError;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use images::{Backend, Name, StorageError};
use std::ops::Range;

/// Bytes on their way out: status, headers and body of an answer.
pub(super) struct Served {
    /// 200 or 206.
    pub status: StatusCode,
    /// Length, range, and what a client needs to resume.
    pub headers: Vec<(HeaderName, String)>,
    /// The bytes; empty for `HEAD`.
    pub body: Body,
    /// Bytes in the body.
    pub length: u64,
}

/// What a request asks for of `size` bytes.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    Part(Range<u64>),
    Nothing,
}

/// Opens what a request asks for. `tag` is the bytes' entity tag without its quotes: their digest.
pub(super) async fn serve(
    storage: &Backend,
    name: &Name,
    size: u64,
    tag: Option<&str>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Served, CloudError> {
    let tag = tag.map(|tag| format!("\"{tag}\""));
    let wanted = match headers.get(header::IF_RANGE).map(|value| value.to_str().ok()) {
        // Of other bytes than these: all of them.
        Some(condition) if condition != tag.as_deref() => Wanted::Whole,
        _ => wanted(headers.get(header::RANGE).and_then(|value| value.to_str().ok()), size),
    };
    let range = match &wanted {
        Wanted::Whole => 0..size,
        Wanted::Part(range) => range.clone(),
        Wanted::Nothing => {
            return Err(CloudError::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                format!("The image has {size} bytes; the requested range is not within them."),
            )
            .with(header::CONTENT_RANGE, format!("bytes */{size}")));
        }
    };
    let length = range.end - range.start;
    let mut answer = vec![
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
    ];
    answer.extend(tag.map(|tag| (header::ETAG, tag)));
    let status = match wanted {
        Wanted::Part(_) => {
            let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            answer.push((header::CONTENT_RANGE, text));
            StatusCode::PARTIAL_CONTENT
        }
        _ => StatusCode::OK,
    };
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let reading = storage.read(name, Some(range)).await.map_err(unavailable)?;
        if reading.length() != length {
            return Err(CloudError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("The data of {name} is not all there: the storage was changed by something else."),
            ));
        }
        Body::from_stream(reading)
    };
    Ok(Served { status, headers: answer, body, length })
}

/// What the storage says, as an answer.
pub(super) fn unavailable(error: StorageError) -> CloudError {
    let text = error.to_string();
    match error {
        StorageError::TooLarge { .. } => CloudError::new(StatusCode::PAYLOAD_TOO_LARGE, text),
        StorageError::Full { .. } => {
            CloudError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("Image storage media is full: {text}"))
        }
        StorageError::WrongLength { .. } | StorageError::BadName { .. } => CloudError::invalid(text),
        StorageError::NotFound { .. } => CloudError::not_found(text),
        StorageError::Io { .. } | StorageError::Remote { .. } => {
            tracing::error!(%text, "the storage failed");
            CloudError::new(StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }
}

/// Reads a `Range`. Several ranges and what is no range of bytes get everything, as the RFC allows.
fn wanted(range: Option<&str>, size: u64) -> Wanted {
    let Some(range) = range.and_then(|range| range.trim().strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = range.split_once('-') else { return Wanted::Whole };
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u64>().ok().map(Some),
        _ => None,
    };
    match (number(first), number(last)) {
        (Some(Some(first)), Some(last)) if last.is_none_or(|last| last >= first) => {
            if first >= size {
                return Wanted::Nothing;
            }
            let end = last.map_or(size, |last| last.saturating_add(1).min(size));
            Wanted::Part(first..end)
        }
        (Some(None), Some(Some(0))) => Wanted::Nothing,
        (Some(None), Some(Some(count))) if size > 0 => Wanted::Part(size.saturating_sub(count)..size),
        _ => Wanted::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_what_is_there() {
        for (text, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=5-", Wanted::Part(5..10)),
            ("bytes=5-100", Wanted::Part(5..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-4", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=99999999999999999999-", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(text), 10), expected, "{text}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=-3"), 0), Wanted::Whole);
    }
}

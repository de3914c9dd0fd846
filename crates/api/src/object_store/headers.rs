//! Headers: metadata in and out, times in Swift's forms.

use crate::cloud::{CloudError, Reply};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use jiff::fmt::strtime;
use model::object_store::{MAX_HEADER_SIZE, MAX_META_NAME_LENGTH, Metadata};

/// A header's text; 400 where it is too long or not UTF-8.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, CloudError> {
    headers.get(name).map(|value| text_of(name, value)).transpose()
}

fn text_of<'a>(name: &str, value: &'a HeaderValue) -> Result<&'a str, CloudError> {
    if value.len() > MAX_HEADER_SIZE {
        let name = &name[..name.len().min(MAX_META_NAME_LENGTH)];
        return Err(CloudError::invalid(format!("Header value too long: {name}")));
    }
    std::str::from_utf8(value.as_bytes())
        .map(str::trim)
        .map_err(|_| CloudError::invalid(format!("Metadata must be valid UTF-8: {name}")))
}

/// Metadata that a request sets (a value) or removes (none), of an `account`, a `container` or an `object`.
pub(super) fn metadata_changes(
    headers: &HeaderMap,
    kind: &str,
) -> Result<Vec<(String, Option<String>)>, CloudError> {
    let (sets, removes) = (format!("x-{kind}-meta-"), format!("x-remove-{kind}-meta-"));
    let mut changes = Vec::new();
    for (name, value) in headers {
        if let Some(key) = name.as_str().strip_prefix(&removes) {
            changes.push((key.to_owned(), None));
        } else if let Some(key) = name.as_str().strip_prefix(&sets) {
            let value = text_of(name.as_str(), value)?;
            changes.push((key.to_owned(), Some(value.to_owned()).filter(|value| !value.is_empty())));
        }
    }
    if changes.iter().any(|(key, _)| key.is_empty()) {
        return Err(CloudError::invalid("Metadata name cannot be empty"));
    }
    Ok(changes)
}

/// Carries changes out.
pub(super) fn apply(changes: &[(String, Option<String>)], metadata: &mut Metadata) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(metadata.insert(key.clone(), value.clone())),
            None => drop(metadata.remove(key)),
        }
    }
}

/// Answers with metadata.
pub(super) fn with_metadata(mut reply: Reply, kind: &str, metadata: &Metadata) -> Reply {
    for (key, value) in metadata {
        reply = named(reply, &format!("x-{kind}-meta-{key}"), value);
    }
    reply
}

/// Answers with a header whose name is put together.
pub(super) fn named(reply: Reply, name: &str, value: impl AsRef<[u8]>) -> Reply {
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(name) => reply.with(name, value),
        Err(_) => reply,
    }
}

/// Answers with times as Swift tells them: `X-Timestamp` and `Last-Modified`, which never lies before what it tells.
pub(super) fn with_times(reply: Reply, at: Timestamp) -> Reply {
    named(reply, "x-timestamp", decimal(at)).with(header::LAST_MODIFIED, http_date(at))
}

/// Seconds since 1970 with five decimals.
pub(super) fn decimal(at: Timestamp) -> String {
    let micros = at.as_microsecond();
    format!("{:010}.{:05}", micros / 1_000_000, micros % 1_000_000 / 10)
}

/// The second in which an object is first seen as it is: the next whole one.
pub(super) fn whole_second(at: Timestamp) -> i64 {
    let second = at.as_second();
    if at.subsec_nanosecond() > 0 { second + 1 } else { second }
}

/// A time as HTTP writes it (RFC 9110, 5.6.7).
pub(super) fn http_date(at: Timestamp) -> String {
    let at = Timestamp::from_second(whole_second(at)).unwrap_or(at);
    strtime::format("%a, %d %b %Y %H:%M:%S GMT", at).unwrap_or_default()
}

/// Reads such a time; what is none is ignored, as HTTP wants it.
pub(super) fn parse_http_date(text: &str) -> Option<i64> {
    let broken_down = strtime::parse("%a, %d %b %Y %H:%M:%S GMT", text).ok()?;
    let time = broken_down.to_datetime().ok()?;
    time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_second())
}

/// A time as listings write it: `2017-12-05T21:16:03.123450`.
pub(super) fn iso(at: Timestamp) -> String {
    strtime::format("%Y-%m-%dT%H:%M:%S.%6f", at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static [u8])]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap()))
            .collect()
    }

    #[test]
    fn metadata_is_set_and_removed() {
        let headers = map(&[
            ("x-container-meta-color", "grün".as_bytes()),
            ("x-container-meta-size", b""),
            ("x-remove-container-meta-weight", b"x"),
            ("x-object-meta-other", b"y"),
        ]);
        let mut metadata = Metadata::from([("size".into(), "1".into()), ("weight".into(), "2".into())]);
        apply(&metadata_changes(&headers, "container").unwrap(), &mut metadata);
        assert_eq!(metadata, Metadata::from([("color".into(), "grün".into())]));
        assert!(metadata_changes(&map(&[("x-account-meta-", b"x")]), "account").is_err());
        assert!(metadata_changes(&map(&[("x-account-meta-a", b"\xff")]), "account").is_err());
    }

    #[test]
    fn times_are_swifts() {
        let at = Timestamp::from_microsecond(1_512_508_563_123_456).unwrap();
        assert_eq!(decimal(at), "1512508563.12345");
        assert_eq!(iso(at), "2017-12-05T21:16:03.123456");
        assert_eq!(http_date(at), "Tue, 05 Dec 2017 21:16:04 GMT");
        assert_eq!(parse_http_date("Tue, 05 Dec 2017 21:16:04 GMT"), Some(1_512_508_564));
        assert_eq!(parse_http_date("yesterday"), None);
    }
}

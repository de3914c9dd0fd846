//! When an object ceases to be there, and how names are written into headers.

use super::headers::text;
use crate::cloud::CloudError;
use axum::http::HeaderMap;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What Python's `quote` leaves as it is.
const UNQUOTED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'_').remove(b'.').remove(b'-').remove(b'~');

/// A path as clients and Swift write it into headers.
pub(super) fn quoted(path: &str) -> String {
    utf8_percent_encode(path, UNQUOTED).to_string()
}

/// Container and object, or container and prefix, of a header; none: it has no such form.
pub(super) fn place(value: &str) -> Option<(String, String)> {
    let path = percent_decode_str(value).decode_utf8().ok()?;
    let (container, object) = path.strip_prefix('/').unwrap_or(&path).split_once('/')?;
    (!container.is_empty() && !object.is_empty()).then(|| (container.to_owned(), object.to_owned()))
}

/// `X-Delete-At` (seconds since 1970) or `X-Delete-After` (seconds from now).
pub(super) fn asked(headers: &HeaderMap, now: Timestamp) -> Result<Option<Timestamp>, CloudError> {
    let number = |name: &str| match text(headers, name)?.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => {
            text.parse::<i64>().map(Some).map_err(|_| CloudError::invalid(format!("Non-integer {name}")))
        }
    };
    let after = match number("x-delete-after")? {
        None => None,
        Some(seconds) if seconds <= 0 => return Err(CloudError::invalid("x-delete-after in past")),
        Some(seconds) => Some(now.as_second().saturating_add(seconds)),
    };
    let Some(second) = after.or(number("x-delete-at")?) else { return Ok(None) };
    if second <= now.as_second() {
        return Err(CloudError::invalid("x-delete-at in past"));
    }
    Timestamp::from_second(second).map(Some).map_err(|_| CloudError::invalid("x-delete-at is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn at(name: &'static str, value: &str) -> Result<Option<i64>, String> {
        let headers =
            [(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())].into_iter().collect();
        let now = Timestamp::from_second(1000).unwrap();
        asked(&headers, now).map(|at| at.map(Timestamp::as_second)).map_err(|error| error.text)
    }

    #[test]
    fn lifetimes_lie_ahead() {
        assert_eq!(at("x-delete-at", "1001"), Ok(Some(1001)));
        assert_eq!(at("x-delete-after", "5"), Ok(Some(1005)));
        assert_eq!(at("x-other", "5"), Ok(None));
        for (name, value) in [
            ("x-delete-at", "1000"),
            ("x-delete-after", "0"),
            ("x-delete-at", "soon"),
            ("x-delete-after", "9223372036854775807"),
        ] {
            assert!(at(name, value).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn places_are_written_and_read() {
        assert_eq!(place("/c/a%20b/c"), Some(("c".into(), "a b/c".into())));
        assert_eq!(place("c/ü"), Some(("c".into(), "ü".into())));
        assert_eq!(place("c"), None);
        assert_eq!(place("/c/"), None);
        assert_eq!(quoted("c/ü b"), "c/%C3%BC%20b");
    }
}

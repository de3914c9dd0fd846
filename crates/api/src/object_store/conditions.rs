//! Requests that shall be served only if (RFC 9110, 13).

use super::digest::plain_etag;
use super::headers::{parse_http_date, whole_second};
use axum::http::HeaderMap;
use jiff::Timestamp;

/// What comes of a request's conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They hold, or there are none.
    Go,
    /// The client has it already.
    NotModified,
    /// They don't hold.
    Failed,
}

/// Checks conditions against what is there: its ETag without quotes, and when it changed.
pub(super) fn check(headers: &HeaderMap, there: Option<(&str, Timestamp)>) -> Verdict {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let names = |list: &str| {
        let mut etags = list.split(',').map(plain_etag);
        there.is_some_and(|(own, _)| etags.any(|etag| etag == "*" || etag == own))
    };
    let changed = there.map(|(_, at)| whole_second(at));
    match (text("if-match"), text("if-unmodified-since").and_then(parse_http_date)) {
        (Some(list), _) if !names(list) => return Verdict::Failed,
        (None, Some(since)) if changed.is_some_and(|at| at > since) => return Verdict::Failed,
        _ => {}
    }
    match (text("if-none-match"), text("if-modified-since").and_then(parse_http_date)) {
        (Some(list), _) if names(list) => Verdict::NotModified,
        (None, Some(since)) if changed.is_some_and(|at| at <= since) => Verdict::NotModified,
        _ => Verdict::Go,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn verdict(pairs: &[(&'static str, &'static str)], is_there: bool) -> Verdict {
        let headers = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let at = Timestamp::from_second(1_512_508_563).unwrap();
        check(&headers, is_there.then_some(("abc", at)))
    }

    #[test]
    fn conditions_hold_or_not() {
        const EARLIER: &str = "Tue, 05 Dec 2017 21:16:02 GMT";
        const THEN: &str = "Tue, 05 Dec 2017 21:16:03 GMT";
        for (name, value, expected) in [
            ("if-match", "\"abc\"", Verdict::Go),
            ("if-match", "x, *", Verdict::Go),
            ("if-match", "x", Verdict::Failed),
            ("if-none-match", "x, abc", Verdict::NotModified),
            ("if-none-match", "x", Verdict::Go),
            ("if-modified-since", THEN, Verdict::NotModified),
            ("if-modified-since", EARLIER, Verdict::Go),
            ("if-unmodified-since", THEN, Verdict::Go),
            ("if-unmodified-since", EARLIER, Verdict::Failed),
            ("if-modified-since", "yesterday", Verdict::Go),
        ] {
            assert_eq!(verdict(&[(name, value)], true), expected, "{name}: {value}");
        }
        assert_eq!(verdict(&[("if-none-match", "*")], false), Verdict::Go);
        assert_eq!(verdict(&[("if-none-match", "*")], true), Verdict::NotModified);
        assert_eq!(verdict(&[("if-match", "*")], false), Verdict::Failed);
    }
}

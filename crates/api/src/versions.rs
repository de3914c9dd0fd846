//! Microversion negotiation.
//!
//! Clients name a version in `OpenStack-API-Version: baremetal 1.N` or in `X-OpenStack-Ironic-API-Version: 1.N`; without either
//! they get 1.1. Every answer, refusals included, says which version was used and which range there is: clients negotiate from
//! the headers of a 406.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use model::version::{Microversion, VersionError};

/// Header of a request and of an answer: the microversion.
pub const USED: &str = "x-openstack-ironic-api-version";
/// Header of an answer: the oldest microversion.
pub const OLDEST: &str = "x-openstack-ironic-api-minimum-version";
/// Header of an answer: the newest microversion.
pub const NEWEST: &str = "x-openstack-ironic-api-maximum-version";
/// Header of a request: the microversions of several services.
pub const ASKED: &str = "openstack-api-version";

const LEGACY: HeaderName = HeaderName::from_static(USED);
const STANDARD: HeaderName = HeaderName::from_static(ASKED);
const MINIMUM: HeaderName = HeaderName::from_static(OLDEST);
const MAXIMUM: HeaderName = HeaderName::from_static(NEWEST);
const VARY: HeaderName = axum::http::header::VARY;

/// The version that a request asks for. The standard header goes before Ironic's own.
pub fn requested(headers: &HeaderMap) -> Result<Microversion, VersionError> {
    if let Some(value) = from_standard_header(headers)? {
        return value.parse();
    }
    match headers.get(LEGACY) {
        Some(value) if !value.is_empty() => value.to_str().map_err(|_| VersionError::Malformed)?.parse(),
        _ => Ok(Microversion::MIN),
    }
}

/// Was a version asked for at all?
pub fn is_requested(headers: &HeaderMap) -> bool {
    headers.contains_key(LEGACY)
}

/// `OpenStack-API-Version` may come several times, and list several services.
fn from_standard_header(headers: &HeaderMap) -> Result<Option<&str>, VersionError> {
    for value in headers.get_all(STANDARD) {
        let value = value.to_str().map_err(|_| VersionError::Malformed)?;
        for part in value.split(',') {
            let mut words = part.split_whitespace();
            if words.next().is_some_and(|service| service.eq_ignore_ascii_case("baremetal")) {
                return Ok(words.next());
            }
        }
    }
    Ok(None)
}

/// Writes the headers of an answer.
pub fn describe(headers: &mut HeaderMap, used: Option<Microversion>) {
    let text = |version: Microversion| {
        HeaderValue::from_str(&version.to_string()).unwrap_or(HeaderValue::from_static("1.1"))
    };
    headers.insert(MINIMUM, text(Microversion::MIN));
    headers.insert(MAXIMUM, text(Microversion::MAX));
    if let Some(used) = used {
        headers.insert(LEGACY, text(used));
    }
    headers.append(VARY, HeaderValue::from_static("OpenStack-API-Version, X-OpenStack-Ironic-API-Version"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn both_headers_are_read_and_the_standard_one_wins() {
        let minor = |pairs: &[_]| requested(&headers(pairs)).map(Microversion::minor);
        assert_eq!(minor(&[]), Ok(1));
        assert_eq!(minor(&[("x-openstack-ironic-api-version", "1.31")]), Ok(31));
        assert_eq!(minor(&[("openstack-api-version", "baremetal latest")]), Ok(115));
        assert_eq!(minor(&[("openstack-api-version", "compute 2.1, baremetal 1.50")]), Ok(50));
        assert_eq!(minor(&[("openstack-api-version", "compute 2.1")]), Ok(1));
        assert_eq!(
            minor(&[("openstack-api-version", "baremetal 1.50"), ("x-openstack-ironic-api-version", "1.20")]),
            Ok(50)
        );
        assert_eq!(minor(&[("openstack-api-version", "baremetal")]), Ok(1));
        assert_eq!(minor(&[("x-openstack-ironic-api-version", "")]), Ok(1));
        assert_eq!(minor(&[("openstack-api-version", "baremetal x")]), Err(VersionError::Malformed));
    }

    #[test]
    fn the_range_is_told_even_when_no_version_was_chosen() {
        let mut map = HeaderMap::new();
        describe(&mut map, None);
        assert_eq!(map[MINIMUM], "1.1");
        assert_eq!(map[MAXIMUM], "1.115");
        assert!(!map.contains_key(LEGACY));
    }
}

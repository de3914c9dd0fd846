//! Microversions of the services that have them, as OpenStack's API working group describes them.
//!
//! Source: <https://specs.openstack.org/openstack/api-sig/guidelines/microversion_specification.html>; the older header of a service
//! (`X-OpenStack-Nova-API-Version`) is read as well.

use super::CloudError;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// Which microversions a service speaks: `{major}.{min}` to `{major}.{max}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The service's name in `OpenStack-API-Version`.
    pub name: &'static str,
    /// The service's own header, of older clients; lower case.
    pub own_header: Option<&'static str>,
    /// Number before the dot.
    pub major: u16,
    /// The oldest, used where none is asked for.
    pub min: u16,
    /// The newest.
    pub max: u16,
}

const STANDARD: HeaderName = HeaderName::from_static("openstack-api-version");

impl Versions {
    /// The minor number that a request asks for; 406 for one that isn't spoken, 400 for one that is none.
    pub fn requested(&self, headers: &HeaderMap) -> Result<u16, CloudError> {
        let Some(text) = self.asked(headers) else { return Ok(self.min) };
        if text.eq_ignore_ascii_case("latest") {
            return Ok(self.max);
        }
        let parts = text.split_once('.').and_then(|(major, minor)| {
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            if !digits(major) || !digits(minor) {
                return None;
            }
            Some((major.parse::<u16>().ok()?, minor.parse::<u16>().ok()?))
        });
        let Some((major, minor)) = parts else {
            return Err(CloudError::invalid(format!(
                "API Version String {} is of invalid format. Must be of format MajorNum.MinorNum.",
                text.chars().take(40).collect::<String>()
            )));
        };
        if major == self.major && (self.min..=self.max).contains(&minor) {
            return Ok(minor);
        }
        Err(CloudError::new(
            StatusCode::NOT_ACCEPTABLE,
            format!(
                "Version {text} is not supported by the API. Minimum is {} and maximum is {}.",
                self.show(self.min),
                self.show(self.max)
            ),
        ))
    }

    /// A microversion as it is written.
    pub fn show(&self, minor: u16) -> String {
        format!("{}.{minor}", self.major)
    }

    /// What a request asks for in either header; the standard one goes before the service's own.
    fn asked<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let parts = headers
            .get_all(STANDARD)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        for part in parts {
            let mut words = part.split_whitespace();
            if words.next().is_some_and(|name| name.eq_ignore_ascii_case(self.name)) {
                return words.next();
            }
        }
        headers.get(self.own_header?)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
    }

    /// Writes the headers of an answer.
    pub(super) fn describe(&self, headers: &mut HeaderMap, used: Option<u16>) {
        let used = self.show(used.unwrap_or(self.min));
        if let Ok(value) = HeaderValue::from_str(&format!("{} {used}", self.name)) {
            headers.insert(STANDARD, value);
        }
        headers.append(header::VARY, HeaderValue::from_static("OpenStack-API-Version"));
        if let (Some(own), Ok(value)) = (self.own_header, HeaderValue::from_str(&used)) {
            headers.insert(HeaderName::from_static(own), value);
            headers.append(header::VARY, HeaderValue::from_static(own));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPUTE: Versions = Versions {
        name: "compute",
        own_header: Some("x-openstack-nova-api-version"),
        major: 2,
        min: 1,
        max: 96,
    };

    fn asked(pairs: &[(&'static str, &'static str)]) -> Result<u16, StatusCode> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        COMPUTE.requested(&headers).map_err(|error| error.status)
    }

    #[test]
    fn either_header_counts_and_the_standard_one_first() {
        assert_eq!(asked(&[]), Ok(1));
        assert_eq!(asked(&[("openstack-api-version", "compute 2.79")]), Ok(79));
        assert_eq!(asked(&[("openstack-api-version", "baremetal 1.9, compute latest")]), Ok(96));
        assert_eq!(asked(&[("openstack-api-version", "baremetal 1.9")]), Ok(1));
        assert_eq!(asked(&[("x-openstack-nova-api-version", "2.60")]), Ok(60));
        let both = [("openstack-api-version", "compute 2.79"), ("x-openstack-nova-api-version", "2.60")];
        assert_eq!(asked(&both), Ok(79));
    }

    #[test]
    fn what_is_not_spoken_is_refused() {
        for (text, status) in
            [("2.97", 406), ("3.1", 406), ("2.0", 406), ("2", 400), ("a.b", 400), ("2.-1", 400)]
        {
            assert_eq!(
                asked(&[("x-openstack-nova-api-version", text)]).unwrap_err().as_u16(),
                status,
                "{text}"
            );
        }
    }
}

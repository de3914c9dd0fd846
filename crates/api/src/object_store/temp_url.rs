//! Temporary URLs: whoever has one may do one thing with one object, or with all that begin alike, until a time.
//!
//! Source: Swift's `tempurl` middleware. What is signed is the method, the expiry and the path, which clients give as they know it:
//! Swift's own `/v1/AUTH_…`, or with the prefix that stands before it here.

use crate::cloud::{CloudError, Query};
use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use model::object_store::TempUrlKeys;
use ring::hmac;

/// What `/info` tells of it.
pub(super) const METHODS: &[&str] = &["GET", "HEAD", "PUT", "POST", "DELETE"];
/// Digests that signatures may have. An HMAC stands on SHA-1 as well, and the clients of 2017 know no other.
pub(super) const DIGESTS: &[&str] = &["sha1", "sha256", "sha512"];

/// A temporary URL's arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TempUrl {
    signature: Vec<u8>,
    digest: Digest,
    /// Seconds since 1970.
    pub expires: i64,
    prefix: Option<String>,
    /// `filename`: what a browser shall save it as.
    pub filename: Option<String>,
    /// `inline`: a browser shall show it.
    pub inline: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

impl Digest {
    fn algorithm(self) -> hmac::Algorithm {
        match self {
            Digest::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Digest::Sha256 => hmac::HMAC_SHA256,
            Digest::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn of_length(bytes: usize) -> Option<Self> {
        match bytes {
            20 => Some(Digest::Sha1),
            32 => Some(Digest::Sha256),
            64 => Some(Digest::Sha512),
            _ => None,
        }
    }
}

/// The refusal, which does not tell what was wrong.
pub(super) fn invalid() -> CloudError {
    CloudError::new(StatusCode::UNAUTHORIZED, "Temp URL invalid")
}

/// Reads the arguments of a temporary URL; `None`: it is none. One that can't be one, or has expired, is refused.
pub(super) fn read(query: &Query, now: Timestamp) -> Result<Option<TempUrl>, CloudError> {
    let (signature, expires) = match (query.first("temp_url_sig"), query.first("temp_url_expires")) {
        (None, None) => return Ok(None),
        (Some(signature), Some(expires)) => (signature, expires),
        _ => return Err(invalid()),
    };
    // Addresses of clients are not told to handlers, so one that is for some of them is for nobody.
    if query.has("temp_url_ip_range") {
        return Err(invalid());
    }
    let (digest, signature) = parse_signature(signature).ok_or_else(invalid)?;
    let expires = parse_expiry(expires).filter(|at| *at >= now.as_second()).ok_or_else(invalid)?;
    Ok(Some(TempUrl {
        signature,
        digest,
        expires,
        prefix: query.first("temp_url_prefix").map(str::to_owned),
        filename: query.first("filename").map(str::to_owned),
        inline: query.has("inline"),
    }))
}

impl TempUrl {
    /// Was it signed with one of these keys for this object? `HEAD` may be done by whoever may read or write.
    pub fn is_signed(
        &self,
        method: &Method,
        account: &str,
        container: &str,
        object: &str,
        keys: &TempUrlKeys,
    ) -> bool {
        let method = method.as_str();
        if !METHODS.contains(&method) {
            return false;
        }
        let (object, scheme) = match &self.prefix {
            Some(prefix) if object.starts_with(prefix.as_str()) => (prefix.as_str(), "prefix:"),
            Some(_) => return false,
            None => (object, ""),
        };
        let methods: &[&str] = if method == "HEAD" { &["HEAD", "GET", "PUT", "POST"] } else { &[method] };
        let paths =
            ["/v1", "/object-store/v1"].map(|root| format!("{scheme}{root}/{account}/{container}/{object}"));
        keys.named().any(|(_, key)| {
            let key = hmac::Key::new(self.digest.algorithm(), key.expose().as_bytes());
            paths.iter().any(|path| {
                methods.iter().any(|method| {
                    let text = format!("{method}\n{}\n{path}", self.expires);
                    // Compares in constant time.
                    hmac::verify(&key, text.as_bytes(), &self.signature).is_ok()
                })
            })
        })
    }

    /// `Content-Disposition` of what is read through it.
    pub fn disposition(&self, object: &str) -> String {
        match (&self.filename, self.inline) {
            (None, true) => "inline".to_owned(),
            (name, inline) => {
                let name = name
                    .as_deref()
                    .unwrap_or_else(|| object.trim_end_matches('/').rsplit('/').next().unwrap_or(object));
                let plain: String = name
                    .chars()
                    .map(|c| if matches!(c, '"' | '\\') || !matches!(c, ' '..='~') { '_' } else { c })
                    .collect();
                let quoted = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
                let kind = if inline { "inline" } else { "attachment" };
                format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{quoted}")
            }
        }
    }
}

/// Hexadecimal digits, or `sha256:` and the bytes in base 64.
fn parse_signature(text: &str) -> Option<(Digest, Vec<u8>)> {
    if let Some((name, encoded)) = text.split_once(':') {
        let digest = match name {
            "sha1" => Digest::Sha1,
            "sha256" => Digest::Sha256,
            "sha512" => Digest::Sha512,
            _ => return None,
        };
        let encoded = encoded.trim_end_matches('=');
        let bytes = URL_SAFE_NO_PAD.decode(encoded).or_else(|_| STANDARD_NO_PAD.decode(encoded)).ok()?;
        return Some((digest, bytes));
    }
    if text.len() > 128 || !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return None;
    }
    let bytes: Vec<u8> = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16))
        .collect::<Result<_, _>>()
        .ok()?;
    Some((Digest::of_length(bytes.len())?, bytes))
}

/// Seconds since 1970, or a time of UTC: `2038-01-19T03:14:07Z`, the same without `Z`, or a day.
fn parse_expiry(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(seconds);
    }
    let plain = text.strip_suffix('Z').unwrap_or(text);
    let time = match plain.parse::<DateTime>() {
        Ok(time) => time,
        Err(_) => plain.parse::<Date>().ok()?.at(0, 0, 0, 0),
    };
    time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Secret;

    const NOW: i64 = 1_512_508_000;

    fn read_at(query: &str) -> Result<Option<TempUrl>, CloudError> {
        read(&Query::parse(query).unwrap(), Timestamp::from_second(NOW).unwrap())
    }

    fn keys(key: &str) -> TempUrlKeys {
        TempUrlKeys { first: None, second: Some(Secret::new(key)) }
    }

    /// The examples of Swift's documentation.
    #[test]
    fn swifts_own_examples_are_let_in() {
        let plain = read_at("temp_url_sig=732fcac368abb10c78a4cbe95c3fab7f311584532bf779abd5074e13cbe8b88b&temp_url_expires=1512508563")
            .unwrap()
            .unwrap();
        let signed = |url: &TempUrl, method: &str, object: &str, key: &str| {
            url.is_signed(&method.parse().unwrap(), "AUTH_account", "container", object, &keys(key))
        };
        assert!(signed(&plain, "GET", "object", "mykey"));
        assert!(signed(&plain, "HEAD", "object", "mykey"));
        assert!(!signed(&plain, "PUT", "object", "mykey"));
        assert!(!signed(&plain, "GET", "objects", "mykey"));
        assert!(!signed(&plain, "GET", "object", "yourkey"));
        assert!(!signed(&plain, "GET", "object", ""));
    }

    #[test]
    fn a_prefix_opens_what_begins_with_it() {
        let key = hmac::Key::new(hmac::HMAC_SHA512, b"k");
        let text = format!("PUT\n{}\nprefix:/object-store/v1/AUTH_p/c/pre", NOW + 5);
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes()));
        let query =
            format!("temp_url_sig=sha512:{signature}&temp_url_expires={}&temp_url_prefix=pre", NOW + 5);
        let url = read_at(&query).unwrap().unwrap();
        let signed = |object: &str| url.is_signed(&Method::PUT, "AUTH_p", "c", object, &keys("k"));
        assert!(signed("pre") && signed("prefix/x") && !signed("x/pre"));
    }

    #[test]
    fn what_is_late_or_nonsense_is_refused() {
        let sig = "0".repeat(64);
        assert_eq!(read_at("format=json").unwrap(), None);
        for query in [
            format!("temp_url_sig={sig}"),
            format!("temp_url_expires={}", NOW + 1),
            format!("temp_url_sig={sig}&temp_url_expires={}", NOW - 1),
            format!("temp_url_sig={sig}&temp_url_expires=tomorrow"),
            format!("temp_url_sig={sig}0&temp_url_expires={}", NOW + 1),
            format!("temp_url_sig=md5:{sig}&temp_url_expires={}", NOW + 1),
            format!("temp_url_sig={sig}&temp_url_expires={}&temp_url_ip_range=1.2.3.4", NOW + 1),
        ] {
            assert_eq!(read_at(&query).unwrap_err().status, StatusCode::UNAUTHORIZED, "{query}");
        }
        for (text, expires) in [
            ("2017-12-05T21:16:03Z", 1_512_508_563),
            ("2017-12-06", 1_512_518_400),
            ("1512508563", 1_512_508_563),
        ] {
            let url = read_at(&format!("temp_url_sig={sig}&temp_url_expires={text}")).unwrap().unwrap();
            assert_eq!(url.expires, expires);
        }
    }

    #[test]
    fn a_browser_is_told_the_name() {
        let mut url = read_at(&format!("temp_url_sig={}&temp_url_expires={}", "0".repeat(40), NOW + 1))
            .unwrap()
            .unwrap();
        assert_eq!(url.disposition("a/b\"ü"), "attachment; filename=\"b__\"; filename*=UTF-8''b%22%C3%BC");
        url.inline = true;
        assert_eq!(url.disposition("a"), "inline");
        url.filename = Some("x.iso".into());
        assert_eq!(url.disposition("a"), "inline; filename=\"x.iso\"; filename*=UTF-8''x%2Eiso");
    }
}

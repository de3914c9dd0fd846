//! Absolute http and https URLs.

use base64::Engine;
use model::Secret;
use std::fmt;

/// A URL, taken apart. Credentials never show in `Display`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether the scheme is https.
    pub is_tls: bool,
    /// Host name or address, IPv6 without brackets.
    pub host: String,
    /// Port, by the scheme where none was given.
    pub port: u16,
    /// Path and query, at least `/`.
    pub target: String,
    /// Value of an `Authorization` header made of `user:password@`.
    pub authorization: Option<Secret>,
}

impl Url {
    /// Reads an absolute URL; `None` where it is none, has another scheme, or holds spaces or control characters.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 8192 || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let rest = rest.split('#').next()?;
        let split = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(split);
        let (user, host_port) = match authority.rsplit_once('@') {
            Some((user, host_port)) => (Some(user), host_port),
            None => (None, authority),
        };
        let (host, port) = match host_port.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                (host, port.strip_prefix(':'))
            }
            None => match host_port.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (host_port, None),
            },
        };
        if host.is_empty() {
            return None;
        }
        let port = match port {
            Some(port) => port.parse().ok()?,
            None if is_tls => 443,
            None => 80,
        };
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let authorization = user.map(|user| basic(&percent_decoded(user)));
        Some(Self { is_tls, host: host.to_owned(), port, target, authorization })
    }

    /// Follows a `Location`: absolute, or absolute path, or relative to this URL's folder.
    pub fn join(&self, location: &str) -> Option<Self> {
        if location.contains("://") {
            return Self::parse(location);
        }
        let mut next = self.clone();
        next.target = if location.starts_with('/') {
            location.to_owned()
        } else {
            let path = self.target.split('?').next()?;
            format!("{}/{location}", path.rsplit_once('/')?.0)
        };
        (!next.target.chars().any(|c| c.is_whitespace() || c.is_control())).then_some(next)
    }

    /// `host:port` as it goes into a `Host` header.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.is_tls, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// The last part of the path, for looking it up in a checksum file.
    pub fn file_name(&self) -> &str {
        let path = self.target.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }
}

/// Shown without credentials and without the query, where signed URLs carry theirs.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority())
    }
}

/// Value of an `Authorization` header by the Basic scheme (RFC 7617) for `user:password`.
pub fn basic(user_and_password: &str) -> Secret {
    let encoded = base64::engine::general_purpose::STANDARD.encode(user_and_password);
    Secret::new(format!("Basic {encoded}"))
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let escape = text
            .get(at + 1..at + 3)
            .filter(|_| byte == b'%')
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(escape.unwrap_or(byte));
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let url = Url::parse("https://us%40er:pw@Host.example:8443/a/b.raw?sig=1#x").unwrap();
        assert_eq!((url.is_tls, url.host.as_str(), url.port), (true, "Host.example", 8443));
        assert_eq!((url.target.as_str(), url.file_name()), ("/a/b.raw?sig=1", "b.raw"));
        assert_eq!(url.authorization.as_ref().unwrap().expose(), "Basic dXNAZXI6cHc=");
        assert_eq!(url.to_string(), "https://Host.example:8443/a/b.raw");
        let six = Url::parse("http://[2001:db8::1]?x").unwrap();
        assert_eq!(
            (six.host.as_str(), six.authority().as_str(), six.target.as_str()),
            ("2001:db8::1", "[2001:db8::1]", "/?x")
        );
    }

    #[test]
    fn what_is_no_http_url_is_refused() {
        for bad in [
            "",
            "ftp://h/",
            "http://",
            "http://h:99999/",
            "http://h/a b",
            "http://[::1/",
            "file:///etc",
            "http://h/\r\nX: y",
        ] {
            assert_eq!(Url::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn locations_are_joined() {
        let base = Url::parse("http://h/a/b?q").unwrap();
        assert_eq!(base.join("c").unwrap().target, "/a/c");
        assert_eq!(base.join("/c?d").unwrap().target, "/c?d");
        assert!(base.join("https://i/").unwrap().is_tls);
        assert_eq!(base.join("/a\r\nb"), None);
    }
}

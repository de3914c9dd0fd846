//! Fetching an image from a URL that a user names: this host must not become the user's way into networks behind it.
//!
//! The rules: `http` and `https` only; a host's addresses are looked up here, and connections are made to those alone that are public,
//! or within `[image] download_networks`; the same holds for each of at most five redirects, which are followed here; proxies of the
//! environment are not used, since behind one nothing could be told of addresses.

use super::intake::IDLE_TIME;
use super::settings::ImageSettings;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::LOCATION;
use reqwest::{Client, Response, Url, redirect};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const REDIRECTS: usize = 5;
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Reads a URL; the error says why it is none that can be fetched.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    let shown = without_secrets(text);
    let url = Url::parse(text).map_err(|error| format!("\"{shown}\" is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("\"{shown}\" is not an http:// or https:// URL."));
    }
    Ok(url)
}

/// A URL for people's eyes: without user, password and query.
pub(super) fn without_secrets(text: &str) -> String {
    let shown = match Url::parse(text) {
        Ok(mut url) => {
            // Fails for URLs that can't have either.
            let _ = (url.set_username(""), url.set_password(None));
            url.set_query(None);
            url.set_fragment(None);
            url.to_string()
        }
        Err(_) => text.split(['@', '?']).next_back().unwrap_or_default().to_owned(),
    };
    shown.chars().take(200).collect()
}

/// Opens a URL; the answer's body is there to be read. The error is for the user.
pub(super) async fn open(text: &str, settings: &ImageSettings) -> Result<Response, String> {
    let resolver = Checked { allowed: settings.download_networks.clone() };
    let client = Client::builder()
        .dns_resolver(Arc::new(resolver))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIME)
        .read_timeout(IDLE_TIME)
        .build()
        .map_err(|error| format!("no client to fetch with: {error}"))?;
    let mut url = parse(text)?;
    for _ in 0..=REDIRECTS {
        let shown = without_secrets(url.as_str());
        // A literal address is never looked up.
        if let Some(address) = literal(&url)
            && !is_allowed(address, &settings.download_networks)
        {
            return Err(refusal(&shown));
        }
        let response = client.get(url.clone()).send().await.map_err(|error| {
            format!("Fetching {shown} failed: {}", conductor::causes(&error.without_url()))
        })?;
        let status = response.status();
        if !status.is_redirection() {
            return match status.as_u16() {
                200 => Ok(response),
                other => Err(format!("Fetching {shown} failed: the server answered {other}.")),
            };
        }
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let next = location.and_then(|location| url.join(location).ok());
        url = parse(next.ok_or_else(|| format!("{shown} redirects to nowhere."))?.as_str())?;
    }
    Err(format!("{} redirects more than {REDIRECTS} times.", without_secrets(text)))
}

/// The body's bytes.
pub(super) fn body(response: Response) -> impl Stream<Item = Result<Bytes, String>> {
    response.bytes_stream().map(|piece| piece.map_err(|error| conductor::causes(&error.without_url())))
}

fn refusal(what: &str) -> String {
    format!(
        "{what} is not a public address, and nothing else is fetched from; an operator can allow networks by download_networks in \
         [image]."
    )
}

fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// Looks hosts up, and tells only the addresses that may be connected to.
struct Checked {
    allowed: Vec<IpNet>,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.allowed.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let addresses: Vec<SocketAddr> =
                found.filter(|address| is_allowed(address.ip(), &allowed)).collect();
            if addresses.is_empty() {
                return Err(refusal(&host).into());
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

fn is_allowed(address: IpAddr, allowed: &[IpNet]) -> bool {
    let address = address.to_canonical();
    let is_public = match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    };
    is_public || allowed.iter().any(|network| network.contains(&address))
}

/// IANA's registry of special-purpose addresses: what is not reachable from everywhere is refused.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        // Multicast, and what is reserved.
        || a >= 224
        // Carriers' own networks.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match (a, b) {
        // Translated IPv4 (RFC 6052), and 6to4: what stands within counts.
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => is_public_v4(embedded(g, h)),
        (0x2002, _) => is_public_v4(embedded(b, c)),
        // Of 2000::/3, the one range that is given out: tunnels, benchmarks, documentation.
        (0x2001, 0..=0x01ff) | (0x2001, 0x0db8) => false,
        (0x3fff, 0..=0x0fff) => false,
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_fetched_from() {
        let allowed = |text: &str| is_allowed(text.parse().unwrap(), &[]);
        for address in ["8.8.8.8", "151.101.2.132", "2a04:4e42::644", "64:ff9b::808:808", "::ffff:8.8.8.8"] {
            assert!(allowed(address), "{address}");
        }
        for address in [
            "127.0.0.1",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "198.18.0.1",
            "240.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "::127.0.0.1",
        ] {
            assert!(!allowed(address), "{address}");
        }
        let own: IpNet = "10.1.0.0/16".parse().unwrap();
        assert!(is_allowed("10.1.2.3".parse().unwrap(), &[own]));
        assert!(is_allowed("::ffff:10.1.2.3".parse().unwrap(), &[own]));
        assert!(!is_allowed("10.2.2.3".parse().unwrap(), &[own]));
    }

    #[test]
    fn addresses_in_other_spellings_are_literals_too() {
        for text in ["http://127.1/x", "http://0x7f000001/x", "http://2130706433/", "http://[::1]:80/"] {
            let address = literal(&parse(text).unwrap()).unwrap();
            assert!(!is_allowed(address, &[]), "{text}");
        }
    }

    #[test]
    fn what_can_not_be_fetched_is_named_without_its_password() {
        for text in ["file:///etc/passwd", "ftp://u:s3cr3t@h/", "gopher://h", "x", ""] {
            let reason = parse(text).unwrap_err();
            assert!(!reason.contains("s3cr3t"), "{reason}");
        }
        assert_eq!(without_secrets("https://u:s3cr3t@h/i?sig=s3cr3t#f"), "https://h/i");
    }
}

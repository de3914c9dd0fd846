//! How the agent was started: words of the kernel's command line, or of its own when it runs as a normal process.

use model::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// All options; the names on the command line are ironic-python-agent's (`ipa-…`), own ones begin with `billet-`.
#[derive(Debug, Clone)]
pub struct Options {
    /// `ipa-api-url`: bases of the bare-metal API, by comma, tried in order.
    pub api_urls: Vec<String>,
    /// `ipa-agent-token`: token baked into the boot medium.
    pub agent_token: Option<Secret>,
    /// `ipa-insecure`: server certificates go unverified.
    pub is_insecure: bool,
    /// `ipa-cafile`: PEM file with the CAs of the API and of image servers.
    pub ca_file: PathBuf,
    /// `ipa-listen-host`, `ipa-listen-port`.
    pub listen: (String, u16),
    /// `ipa-advertise-host`: address in the callback URL; else the one that routes to the API.
    pub advertise_host: Option<String>,
    /// `ipa-advertise-port`; else the listening one.
    pub advertise_port: Option<u16>,
    /// `ipa-lookup-timeout`: how long a round of lookups lasts.
    pub lookup_timeout: Duration,
    /// `ipa-lookup-interval`: shortest pause between two lookups.
    pub lookup_interval: Duration,
    /// `ipa-http-request-timeout`: limit of connecting, and of each read of an API call.
    pub request_timeout: Duration,
    /// `ipa-image-download-connection-timeout`: limit of each read of a download.
    pub download_timeout: Duration,
    /// `ipa-image-download-connection-retries`: how often a download may break without having moved on.
    pub download_retries: u32,
    /// `ipa-image-download-connection-retry-interval`: pause before a retry.
    pub download_retry_interval: Duration,
    /// `ipa-disk-wait-attempts` × `ipa-disk-wait-delay`: how long a root disk may take to appear.
    pub disk_wait: Duration,
    /// `ipa-network-interface`: use this interface, not the one of `BOOTIF`.
    pub network_interface: Option<String>,
    /// `ipa-global-request-id`: sent back as `X-OpenStack-Request-ID`.
    pub request_id: Option<String>,
    /// `ipa-inspection-callback-url`: where the inventory is posted before the lookup.
    pub inspection_url: Option<String>,
    /// `BOOTIF`: MAC address of the interface that booted, lower case, colons.
    pub boot_mac: Option<String>,
    /// `billet-disks`: files that stand for this machine's disks (by comma). For tests and trying.
    pub disks: Option<Vec<PathBuf>>,
    /// `billet-root`: directory that stands for `/` where `/sys`, `/proc` and `/dev` are read. For tests.
    pub root: PathBuf,
    /// `billet-verify=1`: read the disk back after writing and compare.
    pub is_read_back: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            api_urls: Vec::new(),
            agent_token: None,
            is_insecure: false,
            ca_file: PathBuf::from("/etc/billet/ca.pem"),
            listen: ("::".to_owned(), 9999),
            advertise_host: None,
            advertise_port: None,
            lookup_timeout: Duration::from_secs(600),
            lookup_interval: Duration::from_secs(1),
            request_timeout: Duration::from_secs(30),
            download_timeout: Duration::from_secs(60),
            download_retries: 9,
            download_retry_interval: Duration::from_secs(10),
            disk_wait: Duration::from_secs(30),
            network_interface: None,
            request_id: None,
            inspection_url: None,
            boot_mac: None,
            disks: None,
            root: PathBuf::from("/"),
            is_read_back: false,
        }
    }
}

impl Options {
    /// Reads words `key=value`; unknown words are the kernel's business and are passed over. A value that cannot be read
    /// leaves the default: a typing error must not keep a machine from being repaired over the network.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut options = Self::default();
        let (mut attempts, mut delay) = (10u64, 3u64);
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            // The kernel takes - and _ for one; so do we.
            match key.replace('_', "-").as_str() {
                "ipa-api-url" => options.api_urls = list(value),
                "ipa-agent-token" => options.agent_token = text(value).map(Secret::new),
                "ipa-insecure" => options.is_insecure = flag(value),
                "ipa-cafile" => options.ca_file = value.into(),
                "ipa-listen-host" => options.listen.0 = value.to_owned(),
                "ipa-listen-port" => set(&mut options.listen.1, value),
                "ipa-advertise-host" => options.advertise_host = text(value),
                "ipa-advertise-port" => options.advertise_port = value.parse().ok(),
                "ipa-lookup-timeout" => seconds(&mut options.lookup_timeout, value),
                "ipa-lookup-interval" => seconds(&mut options.lookup_interval, value),
                "ipa-http-request-timeout" => seconds(&mut options.request_timeout, value),
                "ipa-image-download-connection-timeout" => seconds(&mut options.download_timeout, value),
                "ipa-image-download-connection-retries" => set(&mut options.download_retries, value),
                "ipa-image-download-connection-retry-interval" => {
                    seconds(&mut options.download_retry_interval, value);
                }
                "ipa-disk-wait-attempts" => set(&mut attempts, value),
                "ipa-disk-wait-delay" => set(&mut delay, value),
                "ipa-network-interface" => options.network_interface = text(value),
                "ipa-global-request-id" => options.request_id = text(value).filter(|id| id.is_ascii()),
                "ipa-inspection-callback-url" => options.inspection_url = text(value),
                "BOOTIF" => options.boot_mac = boot_mac(value),
                "billet-disks" => options.disks = Some(list(value).into_iter().map(PathBuf::from).collect()),
                "billet-root" => options.root = value.into(),
                "billet-verify" => options.is_read_back = flag(value),
                _ => {}
            }
        }
        options.disk_wait = Duration::from_secs(attempts.saturating_mul(delay).min(3600));
        options
    }
}

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn list(value: &str) -> Vec<String> {
    value
        .split(',')
        .filter(|part| !part.is_empty())
        .map(|part| part.trim_end_matches('/').to_owned())
        .collect()
}

fn flag(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on" | "t" | "y")
}

fn set<T: std::str::FromStr>(field: &mut T, value: &str) {
    if let Ok(parsed) = value.parse() {
        *field = parsed;
    }
}

fn seconds(field: &mut Duration, value: &str) {
    if let Some(parsed) = value.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok()) {
        *field = parsed.min(Duration::from_secs(86_400));
    }
}

/// `01-52-54-00-…` (PXELINUX: hardware type first) or `52:54:00:…`.
fn boot_mac(value: &str) -> Option<String> {
    let mac = value.to_ascii_lowercase().replace('-', ":");
    let mac = if mac.len() == 20 { mac.strip_prefix("01:")?.to_owned() } else { mac };
    let is_mac =
        mac.len() == 17 && mac.split(':').all(|part| part.len() == 2 && u8::from_str_radix(part, 16).is_ok());
    is_mac.then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_line_of_an_ironic_is_read() {
        let line = "selinux=0 troubleshoot=0 text nofb ipa-api-url=http://192.0.2.1:6385/,https://[2001:db8::1]:6385 \
                    ipa-debug=1 ipa-global-request-id=req-1 BOOTIF=01-52-54-00-77-00-0A ipa-insecure=True \
                    ipa_agent_token=secret ipa-lookup-timeout=x ipa-disk-wait-attempts=2";
        let options = Options::parse(line.split_whitespace());
        assert_eq!(options.api_urls, ["http://192.0.2.1:6385", "https://[2001:db8::1]:6385"]);
        assert_eq!(options.boot_mac.as_deref(), Some("52:54:00:77:00:0a"));
        assert!(options.is_insecure);
        assert_eq!(options.agent_token.as_ref().map(Secret::expose), Some("secret"));
        assert_eq!(options.lookup_timeout, Duration::from_secs(600));
        assert_eq!(options.disk_wait, Duration::from_secs(6));
        assert!(!format!("{options:?}").contains("secret"));
    }

    #[test]
    fn a_broken_bootif_is_no_mac() {
        for bad in ["01-52-54", "eth0", "zz:zz:zz:zz:zz:zz", "52:54:00:77:00:0a:0b"] {
            assert_eq!(boot_mac(bad), None, "{bad}");
        }
        assert_eq!(boot_mac("52-54-00-77-00-0a").as_deref(), Some("52:54:00:77:00:0a"));
    }
}

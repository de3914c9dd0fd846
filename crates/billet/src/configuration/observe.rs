//! Who may look on, and how much is done at once: `[metrics]`, `[tracing]` and the limits of `[api]`.

use super::Api;
use anyhow::{Result, bail};
use api::gate::{Gates, Room, Rooms};
use model::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// `[metrics]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// A port of its own for `/metrics`, where nobody is asked who they are.
    pub listen: Option<SocketAddr>,
}

/// `[tracing]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tracing {
    /// URL of an OpenTelemetry collector that takes OTLP over HTTP, as in `http://192.0.2.1:4318`; none: no traces.
    pub otlp: Option<String>,
    /// Headers that it wants, such as `authorization`.
    pub headers: BTreeMap<String, Secret>,
    /// The share of traces that are kept, 0 to 1, where a client has not decided it already; all by default.
    pub sample: Option<f64>,
}

impl Tracing {
    /// Where spans are sent, and what share of the traces; none where tracing is off.
    pub fn target(&self) -> Result<Option<(String, f64)>> {
        let sample = self.sample.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&sample) {
            bail!("tracing.sample is {sample}; it is a share between 0 and 1");
        }
        let Some(url) = &self.otlp else { return Ok(None) };
        let url = url.trim_end_matches('/');
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            bail!(
                "tracing.otlp is \"{url}\"; it must be a URL of OTLP over HTTP, as in http://192.0.2.1:4318"
            );
        }
        Ok(Some((format!("{}/v1/traces", url.trim_end_matches("/v1/traces")), sample)))
    }
}

impl Api {
    /// How much is worked on at once: what suits this machine, with what the file says over it. Queues grow with what they wait for.
    pub fn gates(&self) -> Result<Gates> {
        let mut rooms = Rooms::default();
        let resize = |room: &mut Room, key: &str, at_once: Option<usize>| {
            match at_once {
                None => {}
                Some(0) => bail!("api.{key} is 0, so that nothing would be served"),
                Some(at_once) => {
                    room.waiting = (room.waiting / room.at_once).saturating_mul(at_once);
                    room.at_once = at_once;
                }
            }
            Ok(())
        };
        resize(&mut rooms.look, "max_listings", self.max_listings)?;
        resize(&mut rooms.change, "max_changes", self.max_changes)?;
        resize(&mut rooms.machine, "max_heartbeats", self.max_heartbeats)?;
        resize(&mut rooms.transfer, "max_uploads", self.max_uploads)?;
        rooms.request_bytes = self.max_request_memory.unwrap_or(rooms.request_bytes);
        rooms.answer_bytes = self.max_answer_memory.unwrap_or(rooms.answer_bytes);
        Ok(Gates::new(rooms))
    }
}

#[cfg(test)]
mod tests {
    use super::super::File;

    #[test]
    fn a_collector_is_a_url_and_a_sample_a_share() {
        let target = |text: &str| toml::from_str::<File>(text).unwrap().tracing.target();
        assert_eq!(target("").unwrap(), None);
        for url in ["http://h:4318", "http://h:4318/", "http://h:4318/v1/traces"] {
            let text = format!("[tracing]\notlp = \"{url}\"\nsample = 0.25\n");
            assert_eq!(target(&text).unwrap(), Some(("http://h:4318/v1/traces".to_owned(), 0.25)));
        }
        for (text, named) in [("otlp = \"h:4317\"", "tracing.otlp"), ("sample = 2.0", "tracing.sample")] {
            let error = target(&format!("[tracing]\n{text}\n")).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
        let file: File = toml::from_str("[tracing.headers]\nauthorization = \"s3cr3t\"\n").unwrap();
        assert!(!format!("{file:?}").contains("s3cr3t"));
    }

    #[test]
    fn nothing_at_once_is_refused_by_key() {
        for key in ["max_listings", "max_changes", "max_heartbeats", "max_uploads"] {
            let file: File = toml::from_str(&format!("[api]\n{key} = 0\n")).unwrap();
            assert!(file.api.gates().unwrap_err().to_string().contains(key));
            let file: File = toml::from_str(&format!("[api]\n{key} = 7\n")).unwrap();
            assert!(file.api.gates().is_ok());
        }
    }
}

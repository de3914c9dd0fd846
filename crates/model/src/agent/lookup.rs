//! `GET /v1/lookup` and `POST /v1/heartbeat/{uuid}`: the calls that go from the ramdisk to the API.

use super::{or_default, text_list};
use crate::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a second lookup gets instead of the token.
pub const MASKED_TOKEN: &str = "******";
/// The shortest agent token that the agent accepts, in characters.
pub const MIN_TOKEN_LENGTH: usize = 32;

/// Body of a successful `GET /v1/lookup`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LookupResponse {
    /// The node that has one of the MAC addresses.
    pub node: LookupNode,
    /// How the agent shall behave.
    #[serde(default, deserialize_with = "or_default")]
    pub config: AgentConfig,
}

/// The part of a node that a ramdisk may see.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LookupNode {
    /// The node's UUID.
    pub uuid: String,
    /// The node's `properties`; `root_device` hints are read from it.
    #[serde(default, deserialize_with = "or_default")]
    pub properties: Map<String, Value>,
    /// The node's `instance_info`, sanitised by the API.
    #[serde(default, deserialize_with = "or_default")]
    pub instance_info: Map<String, Value>,
    /// The node's `driver_internal_info`; erase options are read from it.
    #[serde(default, deserialize_with = "or_default")]
    pub driver_internal_info: Map<String, Value>,
    /// Links of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Value>,
}

/// The `config` object of a lookup.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentConfig {
    /// Metrics configuration, only carried.
    pub metrics: Option<Value>,
    /// Statsd configuration, only carried.
    pub metrics_statsd: Option<Value>,
    /// Longest allowed silence between heartbeats, in seconds.
    #[serde(deserialize_with = "timeout")]
    pub heartbeat_timeout: u64,
    /// The token, at the first lookup only; [`MASKED_TOKEN`] afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_token: Option<Secret>,
    /// Always true since Ironic's Victoria release.
    #[serde(deserialize_with = "or_default")]
    pub agent_token_required: bool,
    /// Whether images may be verified by MD5.
    pub agent_md5_checksum_enable: Option<bool>,
    /// Whether the content of images goes unchecked against `disk_format`.
    pub disable_deep_image_inspection: Option<bool>,
    /// Image formats that may be written; `None` leaves the agent's own list.
    #[serde(deserialize_with = "text_list")]
    pub permitted_image_formats: Option<Vec<String>>,
    /// Whether the inventory shall go without the BMC's address.
    #[serde(deserialize_with = "or_default")]
    pub agent_skip_bmc_detect: bool,
    /// Whether a BIOS boot loader shall be installed into whole-disk images.
    #[serde(deserialize_with = "or_default")]
    pub enable_bios_bootloader_install: bool,
    /// Least TLS version (`1.2`, `1.3`).
    pub tls_min_version: Option<String>,
    /// TLS cipher suites, in OpenSSL's words.
    pub tls_cipher_suites: Option<String>,
    /// Container options, only carried.
    pub agent_containers: Option<Value>,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            metrics: None,
            metrics_statsd: None,
            heartbeat_timeout: DEFAULT_TIMEOUT_SECONDS,
            agent_token: None,
            agent_token_required: true,
            agent_md5_checksum_enable: None,
            disable_deep_image_inspection: None,
            permitted_image_formats: None,
            agent_skip_bmc_detect: false,
            enable_bios_bootloader_install: false,
            tls_min_version: None,
            tls_cipher_suites: None,
            agent_containers: None,
        }
    }
}

/// Ironic's `[api]ramdisk_heartbeat_timeout`.
const DEFAULT_TIMEOUT_SECONDS: u64 = 300;

fn timeout<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(Option::<u64>::deserialize(deserializer)?.unwrap_or(DEFAULT_TIMEOUT_SECONDS))
}

/// Body of `POST /v1/heartbeat/{uuid}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Where the agent's commands are served, such as `https://192.0.2.7:9999`.
    pub callback_url: String,
    /// The agent's version (microversion 1.36).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// The token of the lookup or of the kernel's command line (1.62).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_token: Option<Secret>,
    /// The agent's self-signed certificate, PEM (1.68).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_verify_ca: Option<String>,
    /// `start`, `end` or `error` (1.72, used by other ramdisks than ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_status: Option<String>,
    /// Text that goes with `agent_status` (1.72).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_status_message: Option<String>,
}

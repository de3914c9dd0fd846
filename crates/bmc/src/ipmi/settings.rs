//! Ironic's `ipmi_*` keys of `driver_info`, checked at the door.
//!
//! Where Ironic's `_parse_driver_info` has an error text, ours is the same to the letter: clients show it, scripts match it.

use model::Secret;
use serde_json::{Map, Value};
use std::fmt;
use wire::ipmi::crypto::{CipherSuite, Credentials, MAX_PASSWORD, MAX_USERNAME};
use wire::ipmi::message::Privilege;

/// IPMI's UDP port.
const DEFAULT_PORT: u16 = 623;

/// How to reach and log in to a BMC. `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Host name or IP address.
    pub address: String,
    /// UDP port.
    pub port: u16,
    /// Empty: the null user.
    pub username: String,
    /// May be empty.
    pub password: Secret,
    /// K_g as hexadecimal digits.
    pub hex_kg_key: Option<Secret>,
    /// Level to ask for.
    pub privilege: Privilege,
    /// The suite to use and no other.
    pub cipher_suite: Option<CipherSuite>,
    /// Set the boot device again at each power cycle (a duty of the caller).
    pub force_boot_device: bool,
    /// Keep boot flags valid for longer than 60 seconds.
    pub disable_boot_timeout: bool,
    /// Port of the serial console (a duty of the caller).
    pub terminal_port: Option<u16>,
}

/// Why settings were refused. The text is for the user who wrote them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Something required is not there.
    #[error("{0}")]
    Missing(String),
    /// Something is there, but makes no sense.
    #[error("{0}")]
    Invalid(String),
}

fn invalid<T>(text: impl Into<String>) -> Result<T, SettingsError> {
    Err(SettingsError::Invalid(text.into()))
}

impl Settings {
    /// Reads a node's `driver_info`; keys of other interfaces are left alone. Numbers and booleans may come as JSON's own or as text,
    /// as Ironic's clients send both.
    pub fn parse(driver_info: &Map<String, Value>) -> Result<Self, SettingsError> {
        let address = match text(driver_info, "ipmi_address") {
            Some(address) if !address.is_empty() => address,
            _ => {
                return Err(SettingsError::Missing(
                    "Missing the following IPMI credentials in node's driver_info: ['ipmi_address'].".into(),
                ));
            }
        };
        let version = text(driver_info, "ipmi_protocol_version").unwrap_or_else(|| "2.0".into());
        if version != "2.0" && version != "1.5" {
            return invalid(format!(
                "Invalid IPMI protocol version value {version}, the valid value can be one of 2.0, 1.5"
            ));
        }
        let terminal_port = port(driver_info, "ipmi_terminal_port")?;
        let dest_port = port(driver_info, "ipmi_port")?;
        check_bridging(driver_info)?;
        let privilege = privilege(driver_info)?;
        let hex_kg_key = kg_key(driver_info)?;
        let cipher_suite = cipher_suite(driver_info, &version)?;
        // From here on: what Ironic leaves to ipmitool to refuse.
        if version == "1.5" {
            return invalid(
                "ipmi_protocol_version 1.5 is not supported: only IPMI 2.0 (RMCP+) is spoken. Remove the key if the BMC knows IPMI 2.0",
            );
        }
        let username = text(driver_info, "ipmi_username").unwrap_or_default();
        if username.len() > MAX_USERNAME {
            return invalid(format!(
                "ipmi_username is {} bytes long, IPMI allows at most {MAX_USERNAME}",
                username.len()
            ));
        }
        let password = text(driver_info, "ipmi_password").unwrap_or_default();
        if password.len() > MAX_PASSWORD {
            return invalid(format!(
                "ipmi_password is {} bytes long, IPMI allows at most {MAX_PASSWORD}",
                password.len()
            ));
        }
        if address.len() > 253 || address.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return invalid("ipmi_address is neither a host name nor an IP address");
        }
        Ok(Self {
            address,
            port: dest_port.unwrap_or(DEFAULT_PORT),
            username,
            password: Secret::new(password),
            hex_kg_key: hex_kg_key.map(Secret::new),
            privilege,
            cipher_suite,
            force_boot_device: boolean(driver_info, "ipmi_force_boot_device", false),
            disable_boot_timeout: boolean(driver_info, "ipmi_disable_boot_timeout", true),
            terminal_port,
        })
    }

    /// `host:port`, with brackets around an IPv6 address.
    pub fn endpoint(&self) -> String {
        if self.address.contains(':') && !self.address.starts_with('[') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }

    /// What the handshake needs.
    pub(super) fn credentials(&self) -> Credentials {
        Credentials {
            username: self.username.clone().into_bytes(),
            password: self.password.expose().as_bytes().to_vec(),
            kg: self.hex_kg_key.as_ref().and_then(|key| unhex(key.expose())),
        }
    }
}

/// A text, or a number or boolean written as one; JSON null is nothing.
fn text(info: &Map<String, Value>, key: &str) -> Option<String> {
    match info.get(key)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// oslo.utils' `bool_from_string`, not strict.
fn boolean(info: &Map<String, Value>, key: &str, default: bool) -> bool {
    match text(info, key) {
        None => default,
        Some(text) => matches!(text.trim().to_lowercase().as_str(), "1" | "t" | "true" | "on" | "y" | "yes"),
    }
}

fn port(info: &Map<String, Value>, key: &'static str) -> Result<Option<u16>, SettingsError> {
    match text(info, key) {
        None => Ok(None),
        Some(text) => match text.trim().parse() {
            Ok(0) | Err(_) => invalid(format!("{key} \"{text}\" is not a valid port.")),
            Ok(port) => Ok(Some(port)),
        },
    }
}

fn privilege(info: &Map<String, Value>) -> Result<Privilege, SettingsError> {
    let level = text(info, "ipmi_priv_level").unwrap_or_else(|| "ADMINISTRATOR".into());
    match level.as_str() {
        "ADMINISTRATOR" => Ok(Privilege::Administrator),
        "OPERATOR" => Ok(Privilege::Operator),
        "USER" => Ok(Privilege::User),
        "CALLBACK" => Ok(Privilege::Callback),
        other => invalid(format!(
            "Invalid privilege level value:{other}, the valid value can be one of ADMINISTRATOR, CALLBACK, OPERATOR, USER"
        )),
    }
}

/// Ironic's checks of bridging; a bridged BMC itself is not supported.
fn check_bridging(info: &Map<String, Value>) -> Result<(), SettingsError> {
    let kind = text(info, "ipmi_bridging").unwrap_or_else(|| "no".into());
    let needed: &[&str] = match kind.as_str() {
        "no" => return Ok(()),
        "single" => &["ipmi_target_channel", "ipmi_target_address"],
        "dual" => {
            &["ipmi_target_channel", "ipmi_target_address", "ipmi_transit_channel", "ipmi_transit_address"]
        }
        other => {
            return invalid(format!(
                "Invalid value for ipmi_bridging: {other}, the valid value can be one of: ['single', 'dual', 'no']"
            ));
        }
    };
    let missing: Vec<String> =
        needed.iter().filter(|key| text(info, key).is_none()).map(|key| format!("'{key}'")).collect();
    if !missing.is_empty() {
        return Err(SettingsError::Missing(format!("[{}] not provided", missing.join(", "))));
    }
    invalid(format!("ipmi_bridging {kind} is not supported: give the address of the BMC itself"))
}

fn kg_key(info: &Map<String, Value>) -> Result<Option<String>, SettingsError> {
    let Some(key) = text(info, "ipmi_hex_kg_key").filter(|key| !key.is_empty()) else { return Ok(None) };
    if !key.len().is_multiple_of(2) {
        return invalid("Number of ipmi_hex_kg_key characters is not even");
    }
    match unhex(&key) {
        Some(bytes) if bytes.len() <= MAX_PASSWORD => Ok(Some(key)),
        Some(_) => invalid("ipmi_hex_kg_key is longer than 40 hexadecimal digits"),
        None => invalid("ipmi_hex_kg_key has characters that are not hexadecimal digits"),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    Some(digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, d| byte << 4 | d)).collect())
}

fn cipher_suite(info: &Map<String, Value>, version: &str) -> Result<Option<CipherSuite>, SettingsError> {
    let Some(text) = text(info, "ipmi_cipher_suite") else { return Ok(None) };
    let Ok(number) = text.trim().parse::<i64>() else {
        return invalid(format!("Invalid cipher suite {text}, expected a number"));
    };
    if version == "1.5" {
        return invalid("Cipher suites cannot be used with IPMI 1.5");
    }
    match u8::try_from(number).ok().and_then(CipherSuite::from_id) {
        Some(suite) => Ok(Some(suite)),
        None => invalid(format!(
            "ipmi_cipher_suite {number} is not supported: 17, 3 or, without any protection, 0"
        )),
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IPMI at {} as '{}'", self.endpoint(), self.username)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: Value) -> Result<Settings, String> {
        Settings::parse(value.as_object().unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_are_ironics() {
        let s = parse(json!({"ipmi_address": "192.0.2.7"})).unwrap();
        assert_eq!((s.port, s.username.as_str(), s.privilege), (623, "", Privilege::Administrator));
        assert!(s.disable_boot_timeout && !s.force_boot_device && s.cipher_suite.is_none());
        assert_eq!(s.endpoint(), "192.0.2.7:623");
        assert_eq!(parse(json!({"ipmi_address": "2001:db8::7"})).unwrap().endpoint(), "[2001:db8::7]:623");
    }

    #[test]
    fn texts_are_ironics() {
        let cases = [
            (json!({}), "Missing the following IPMI credentials in node's driver_info: ['ipmi_address']."),
            (
                json!({"ipmi_address": ""}),
                "Missing the following IPMI credentials in node's driver_info: ['ipmi_address'].",
            ),
            (json!({"ipmi_address": "a", "ipmi_port": "70000"}), "ipmi_port \"70000\" is not a valid port."),
            (
                json!({"ipmi_address": "a", "ipmi_terminal_port": 0}),
                "ipmi_terminal_port \"0\" is not a valid port.",
            ),
            (
                json!({"ipmi_address": "a", "ipmi_priv_level": "ROOT"}),
                "Invalid privilege level value:ROOT, the valid value can be one of ADMINISTRATOR, CALLBACK, OPERATOR, USER",
            ),
            (
                json!({"ipmi_address": "a", "ipmi_hex_kg_key": "abc"}),
                "Number of ipmi_hex_kg_key characters is not even",
            ),
            (
                json!({"ipmi_address": "a", "ipmi_cipher_suite": "x"}),
                "Invalid cipher suite x, expected a number",
            ),
            (
                json!({"ipmi_address": "a", "ipmi_cipher_suite": 3, "ipmi_protocol_version": "1.5"}),
                "Cipher suites cannot be used with IPMI 1.5",
            ),
            (
                json!({"ipmi_address": "a", "ipmi_protocol_version": "3"}),
                "Invalid IPMI protocol version value 3, the valid value can be one of 2.0, 1.5",
            ),
            (
                json!({"ipmi_address": "a", "ipmi_bridging": "dual", "ipmi_target_channel": "1"}),
                "['ipmi_target_address', 'ipmi_transit_channel', 'ipmi_transit_address'] not provided",
            ),
            (
                json!({"ipmi_address": "a", "ipmi_bridging": "triple"}),
                "Invalid value for ipmi_bridging: triple, the valid value can be one of: ['single', 'dual', 'no']",
            ),
        ];
        for (info, expected) in cases {
            assert_eq!(parse(info.clone()).unwrap_err(), expected, "{info}");
        }
    }

    #[test]
    fn numbers_and_booleans_may_be_texts() {
        let s = parse(json!({
            "ipmi_address": "bmc.example.org", "ipmi_port": "6230", "ipmi_cipher_suite": "17", "ipmi_password": 12345,
            "ipmi_disable_boot_timeout": "False", "ipmi_force_boot_device": "yes", "ipmi_hex_kg_key": "00Ff10"
        }))
        .unwrap();
        assert_eq!((s.port, s.cipher_suite), (6230, Some(CipherSuite::Seventeen)));
        assert_eq!(s.password.expose(), "12345");
        assert!(!s.disable_boot_timeout && s.force_boot_device);
        assert_eq!(s.credentials().kg, Some(vec![0x00, 0xff, 0x10]));
    }

    #[test]
    fn what_the_wire_has_no_room_for_is_refused() {
        for info in [
            json!({"ipmi_address": "a", "ipmi_password": "123456789012345678901"}),
            json!({"ipmi_address": "a", "ipmi_username": "12345678901234567"}),
            json!({"ipmi_address": "a b"}),
            json!({"ipmi_address": "a", "ipmi_cipher_suite": 12}),
            json!({"ipmi_address": "a", "ipmi_hex_kg_key": "zz"}),
        ] {
            assert!(
                matches!(Settings::parse(info.as_object().unwrap()), Err(SettingsError::Invalid(_))),
                "{info}"
            );
        }
    }

    #[test]
    fn debug_and_display_hide_secrets() {
        let s = parse(json!({"ipmi_address": "a", "ipmi_username": "admin", "ipmi_password": "calvin",
            "ipmi_hex_kg_key": "c0ffee"}))
        .unwrap();
        let shown = format!("{s:?} {s} {:?}", s.credentials());
        assert!(!shown.contains("calvin") && !shown.contains("c0ffee"), "{shown}");
    }
}

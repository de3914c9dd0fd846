//! Values that must never be printed.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A secret text: a BMC password, a token. `Debug` and `Display` print `***`; the value is had only by [`Secret::expose`].
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself; each call is a place to ask where it goes.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What stands in place of a secret in everything that is shown (Ironic's mask).
pub const MASK: &str = "******";

/// Parts of key names that mark a value as secret: the list of oslo.utils' `mask_dict_password`, and Ironic's SNMP keys.
const SECRET_PARTS: &[&str] = &[
    "adminpass",
    "admin_pass",
    "password",
    "auth_token",
    "new_pass",
    "secret",
    "sys_pswd",
    "token",
    "chapsecret",
    "encrypted_key",
    "private_key",
    "fernetkey",
    "sslkey",
    "passphrase",
    "snmp_auth_key",
    "snmp_priv_key",
    "ipmi_hex_kg_key",
];

/// Is the value under this key a secret? `ipmi_hex_kg_key` is Billet's own addition: it opens BMC sessions.
pub fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| key.contains(part))
}

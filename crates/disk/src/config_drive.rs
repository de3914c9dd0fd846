//! The config drive: what cloud-init reads on its first boot.
//!
//! Sources: OpenStack's config drive layout (`openstack/latest/…`), openstacksdk `baremetal/configdrive.py`, Ironic's
//! `instance_info.configdrive`: an ISO 9660 image labelled `config-2`, gzipped, in base64.

use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::iso9660;

/// The volume's label, and the name of the partition it goes to.
pub const LABEL: &str = "config-2";

/// Largest config drive in bytes, as in Ironic (64 MiB).
pub const MAX_ISO_LENGTH: usize = 64 << 20;

/// What goes on a config drive.
#[derive(Clone, PartialEq, Default)]
pub struct ConfigDrive {
    /// `meta_data.json`: uuid, name, hostname, public_keys…
    pub meta_data: Value,
    /// `user_data`, for cloud-init, as it is.
    pub user_data: Option<Vec<u8>>,
    /// `network_data.json`.
    pub network_data: Option<Value>,
    /// `vendor_data2.json`.
    pub vendor_data: Option<Value>,
    /// Files that `meta_data` names: the first is `openstack/content/0000`.
    pub contents: Vec<Vec<u8>>,
}

/// User data carries passwords and keys.
impl std::fmt::Debug for ConfigDrive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConfigDrive(***)")
    }
}

impl ConfigDrive {
    /// Takes the JSON object that Ironic's API accepts in place of an encoded drive: `meta_data`, `user_data` (text, or an
    /// object that is written as JSON), `network_data`, `vendor_data`, each optional. Errors: [`Error::ConfigDrive`]
    /// for another shape or an unknown key.
    pub fn from_json(json: &Value) -> Result<Self> {
        let refuse = |problem: String| Error::ConfigDrive {
            problem,
            remedy: "give an object with meta_data, user_data, network_data, vendor_data, or an encoded ISO",
        };
        let object = json.as_object().ok_or_else(|| refuse("it is not a JSON object".into()))?;
        let mut drive = Self { meta_data: Value::Object(Default::default()), ..Self::default() };
        for (key, value) in object.iter().filter(|(_, v)| !v.is_null()) {
            match (key.as_str(), value) {
                ("meta_data", Value::Object(_)) => drive.meta_data = value.clone(),
                ("user_data", Value::String(text)) => drive.user_data = Some(text.clone().into_bytes()),
                ("user_data", Value::Object(_)) => drive.user_data = Some(value.to_string().into_bytes()),
                ("network_data", Value::Object(_)) => drive.network_data = Some(value.clone()),
                ("vendor_data", Value::Object(_)) => drive.vendor_data = Some(value.clone()),
                ("meta_data" | "user_data" | "network_data" | "vendor_data", _) => {
                    return Err(refuse(format!("{key} has the wrong type")));
                }
                _ => {
                    return Err(refuse(format!(
                        "{:?} is no part of one",
                        key.chars().take(40).collect::<String>()
                    )));
                }
            }
        }
        Ok(drive)
    }

    /// Sets `meta_data`'s uuid, and its name if there is one, where it doesn't have its own: what Ironic does with the node's.
    pub fn fill_from_node(&mut self, uuid: &str, name: Option<&str>) {
        if let Some(meta_data) = self.meta_data.as_object_mut() {
            meta_data.entry("uuid").or_insert_with(|| uuid.into());
            if let Some(name) = name {
                meta_data.entry("name").or_insert_with(|| name.into());
            }
        }
    }

    /// Renders the ISO 9660 image: label `config-2`, Rock Ridge and Joliet names. The same input gives the same bytes. Errors:
    /// [`Error::ConfigDrive`] if it would be larger than 64 MiB.
    pub fn to_iso(&self) -> Result<Vec<u8>> {
        let json = |value: &Value| value.to_string().into_bytes();
        let names: Vec<_> =
            (0..self.contents.len()).map(|number| format!("openstack/content/{number:04}")).collect();
        let mut files = vec![("openstack/latest/meta_data.json", json(&self.meta_data))];
        if let Some(data) = &self.network_data {
            files.push(("openstack/latest/network_data.json", json(data)));
        }
        if let Some(data) = &self.user_data {
            files.push(("openstack/latest/user_data", data.clone()));
        }
        if let Some(data) = &self.vendor_data {
            files.push(("openstack/latest/vendor_data2.json", json(data)));
        }
        files.extend(names.iter().map(String::as_str).zip(self.contents.iter().cloned()));
        let total: usize = files.iter().map(|(_, data)| data.len().next_multiple_of(2048)).sum();
        if total > MAX_ISO_LENGTH - (1 << 20) {
            return Err(too_large(total));
        }
        Ok(iso9660::write(LABEL, &files))
    }
}

fn too_large(length: usize) -> Error {
    Error::ConfigDrive {
        problem: format!("{length} bytes or more do not fit its {} MiB", MAX_ISO_LENGTH >> 20),
        remedy: "make user data smaller, or let it fetch the rest",
    }
}

/// Encodes an ISO image as Ironic stores it: gzip, then base64. The same input gives the same text.
pub fn encode(iso: &[u8]) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory doesn't fail; were it to, the text would be empty, which decoding refuses.
    let zipped = gzip.write_all(iso).and_then(|()| gzip.finish()).unwrap_or_default();
    STANDARD.encode(zipped)
}

/// Decodes Ironic's stored form. White space in the text is skipped, as `base64(1)` makes lines. Errors:
/// [`Error::ConfigDrive`] if it is not base64 of gzip, is empty, or would be larger than 64 MiB: it is never expanded beyond that.
pub fn decode(text: &str) -> Result<Vec<u8>> {
    decode_within(text, MAX_ISO_LENGTH)
}

fn decode_within(text: &str, limit: usize) -> Result<Vec<u8>> {
    let refuse = |problem: String| Error::ConfigDrive {
        problem,
        remedy: "give base64 of a gzipped ISO image, as `openstack baremetal node deploy --config-drive` does",
    };
    // gzip makes nothing much larger, so a longer text can't be a permitted drive.
    if text.len() > limit / 3 * 4 + (1 << 20) {
        return Err(too_large(text.len() / 4 * 3));
    }
    let compact: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let zipped = STANDARD.decode(compact).map_err(|e| refuse(format!("it is not base64 ({e})")))?;
    let mut iso = Vec::new();
    MultiGzDecoder::new(zipped.as_slice())
        .take(limit as u64 + 1)
        .read_to_end(&mut iso)
        .map_err(|e| refuse(format!("it is not gzip inside its base64 ({e})")))?;
    match iso.len() {
        0 => Err(refuse("it is empty".into())),
        length if length > limit => Err(too_large(length)),
        _ => Ok(iso),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn drive() -> ConfigDrive {
        ConfigDrive::from_json(&json!({
            "meta_data": {"hostname": "node-1"},
            "user_data": "#cloud-config\n",
            "network_data": {"links": []},
            "vendor_data": {"a": 1},
        }))
        .unwrap()
    }

    #[test]
    fn same_input_same_bytes() {
        let iso = drive().to_iso().unwrap();
        assert_eq!(iso, drive().to_iso().unwrap());
        assert_eq!(encode(&iso), encode(&iso));
        assert_eq!(decode(&encode(&iso)).unwrap(), iso);
        let lines: String =
            encode(&iso).as_bytes().chunks(76).map(|l| format!("{}\n", str::from_utf8(l).unwrap())).collect();
        assert_eq!(decode(&lines).unwrap(), iso);
    }

    #[test]
    fn contents_have_the_names_that_meta_data_gives_them() {
        let iso = ConfigDrive { contents: vec![b"first".to_vec(), b"second".to_vec()], ..drive() }
            .to_iso()
            .unwrap();
        let text = String::from_utf8_lossy(&iso);
        assert!(text.contains("second") && text.contains("0001"));
        assert!(!String::from_utf8_lossy(&drive().to_iso().unwrap()).contains("0001"));
    }

    #[test]
    fn node_fills_only_what_is_missing() {
        let mut drive = drive();
        drive.meta_data["name"] = json!("mine");
        drive.fill_from_node("u-u", Some("theirs"));
        assert_eq!(drive.meta_data, json!({"hostname": "node-1", "name": "mine", "uuid": "u-u"}));
    }

    #[test]
    fn wrong_shapes_are_refused() {
        for (bad, reason) in [
            (json!([]), "not a JSON object"),
            (json!({"meta_data": "x"}), "meta_data has the wrong type"),
            (json!({"user_data": 5}), "user_data has the wrong type"),
            (json!({"metadata": {}}), "\"metadata\" is no part"),
        ] {
            let error = ConfigDrive::from_json(&bad).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let as_object = ConfigDrive::from_json(&json!({"user_data": {"a": 1}, "vendor_data": null})).unwrap();
        assert_eq!(as_object.user_data.as_deref(), Some(br#"{"a":1}"#.as_slice()));
    }

    #[test]
    fn bad_text_is_refused_and_never_expanded_beyond_the_limit() {
        let bomb = encode(&vec![0; (1 << 20) + 1]);
        assert!(bomb.len() < 10_000);
        assert!(decode_within(&bomb, 1 << 20).unwrap_err().to_string().contains("do not fit"));
        assert!(decode_within(&bomb, (1 << 20) + 1).is_ok());
        assert!(decode(&"A".repeat(MAX_ISO_LENGTH * 2)).unwrap_err().to_string().contains("do not fit"));
        for (text, reason) in [
            ("***", "not base64"),
            ("AAAA", "not gzip"),
            ("", "not gzip"),
            (encode(b"").as_str(), "empty"),
            (&encode(b"abc")[..12], "not"),
        ] {
            let error = decode(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{reason}: {error}");
        }
        let big = ConfigDrive { user_data: Some(vec![0; MAX_ISO_LENGTH]), ..drive() };
        assert!(big.to_iso().unwrap_err().to_string().contains("do not fit"));
    }

    #[test]
    fn debug_shows_no_secrets() {
        assert_eq!(format!("{:?}", drive()), "ConfigDrive(***)");
    }
}

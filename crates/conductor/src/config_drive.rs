//! The config drive of a deployment, from what the client sent to what is stored.

use disk::config_drive::{self, ConfigDrive};
use model::node::Node;
use serde_json::Value;

/// Turns the client's form into Ironic's stored form (a URL, or base64 of gzip of ISO 9660). `None` for an empty object, which
/// Metal3 sends for "no config drive". The error is for the user.
pub fn stored_form(node: &Node, value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) if text.starts_with("http://") || text.starts_with("https://") => {
            Ok(Some(text.clone()))
        }
        Value::String(text) => {
            config_drive::decode(text).map_err(|error| error.to_string())?;
            Ok(Some(text.clone()))
        }
        Value::Object(parts) if parts.is_empty() => Ok(None),
        Value::Object(_) => {
            let mut drive = ConfigDrive::from_json(value).map_err(|error| error.to_string())?;
            drive.fill_from_node(&node.uuid.to_string(), node.name.as_deref());
            let iso = drive.to_iso().map_err(|error| error.to_string())?;
            Ok(Some(config_drive::encode(&iso)))
        }
        _ => Err("configdrive must be an object, a URL, or base64 text".to_owned()),
    }
}

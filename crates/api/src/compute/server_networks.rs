//! Which networks a request for a server asks for. Whether they are there, and the project's, is the conductor's to look up.

use super::body::{Fields, refused};
use crate::args::parse_uuid;
use crate::cloud::{Call, CloudError};
use model::compute::{RequestedNetworks, WantedPort};
use serde_json::Value;
use std::net::IpAddr;
use uuid::Uuid;

/// Connections of one server.
const CONNECTIONS: usize = 64;

/// The field `networks`: a list, or `auto` or `none` from 2.37 on, where it has to be there.
pub(super) fn requested_networks(call: &Call, fields: &Fields<'_>) -> Result<RequestedNetworks, CloudError> {
    let value = match fields.get("networks") {
        Some(value) => value,
        None if call.minor >= 37 => return Err(fields.missing("networks")),
        None => return Ok(RequestedNetworks::Unsaid),
    };
    let list = match value {
        Value::String(word) if word == "auto" && call.minor >= 37 => return Ok(RequestedNetworks::Auto),
        Value::String(word) if word == "none" && call.minor >= 37 => return Ok(RequestedNetworks::None),
        Value::Array(list) => list,
        other if call.minor >= 37 => {
            return Err(refused("networks", other, "It is a list, 'auto' or 'none'."));
        }
        other => {
            return Err(refused(
                "networks",
                other,
                "It is a list ('auto' and 'none' are known from 2.37 on).",
            ));
        }
    };
    // An empty list says nothing.
    if list.is_empty() {
        return Ok(RequestedNetworks::Unsaid);
    }
    if list.len() > CONNECTIONS {
        return Err(CloudError::invalid(format!("A server has at most {CONNECTIONS} network connections.")));
    }
    let has_tags = call.minor == 32 || call.minor >= 42;
    let ports = list.iter().map(|value| one(value, has_tags)).collect::<Result<Vec<_>, _>>()?;
    Ok(RequestedNetworks::These(ports))
}

fn one(value: &Value, has_tags: bool) -> Result<WantedPort, CloudError> {
    let fields = Fields::new("networks", value)?;
    let known: &[&str] =
        if has_tags { &["uuid", "port", "fixed_ip", "tag"] } else { &["uuid", "port", "fixed_ip"] };
    fields.only(known)?;
    let port = fields.nullable_text("port", 1..=255)?.flatten().map(|text| uuid("port", text)).transpose()?;
    let fixed_ip = fixed_ip(&fields, "fixed_ip")?;
    if let (Some(port), Some(address)) = (port, fixed_ip) {
        return Err(CloudError::invalid(format!(
            "Specified Fixed IP '{address}' cannot be used with port '{port}': the two cannot be specified together."
        )));
    }
    let network = match port {
        // The port knows its network.
        Some(_) => None,
        None => {
            let text = fields
                .text("uuid", 1..=255)?
                .ok_or_else(|| CloudError::invalid("Bad network format: missing 'uuid'"))?;
            Some(parse_uuid(text).ok_or_else(|| {
                CloudError::invalid(format!(
                    "Bad networks format: network uuid is not in proper format ({text})"
                ))
            })?)
        }
    };
    let tag = fields.text("tag", 1..=60)?.map(str::to_owned);
    if tag.as_ref().is_some_and(|tag| tag.contains(['/', ','])) {
        return Err(CloudError::invalid("A tag has no '/' and no ','."));
    }
    Ok(WantedPort { network, port, fixed_ip, tag, ..WantedPort::default() })
}

/// An identity that a field names.
pub(super) fn uuid(field: &str, text: &str) -> Result<Uuid, CloudError> {
    parse_uuid(text).ok_or_else(|| refused(field, &Value::from(text), &format!("'{text}' is not a 'uuid'")))
}

/// An address that a field names.
pub(super) fn fixed_ip(fields: &Fields<'_>, name: &str) -> Result<Option<IpAddr>, CloudError> {
    let Some(text) = fields.nullable_text(name, 1..=64)?.flatten() else { return Ok(None) };
    match text.parse() {
        Ok(address) => Ok(Some(address)),
        Err(_) => Err(refused(
            name,
            &Value::from(text),
            &format!("'{text}' is neither an IPv4 nor an IPv6 address."),
        )),
    }
}

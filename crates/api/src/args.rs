//! A call's arguments: the query and, where a route says so, the keys of the body's object, read by type.
//!
//! Refusals are worded as Ironic's `common/args.py` words them. `null` counts as absent everywhere.

use crate::baremetal::schema::refusal;
use crate::error::ApiError;
use crate::wording::{display, repr};
use model::version::{Microversion, NODE_NAME, RFC3986_NAMES};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Arguments by name.
#[derive(Debug, Clone, Default)]
pub struct Args {
    values: Map<String, Value>,
}

impl Args {
    /// Reads a query. What is given twice becomes a list.
    pub fn from_query(query: &str) -> Result<Self, ApiError> {
        let mut values = Map::new();
        for (index, (name, value)) in form_urlencoded::parse(query.as_bytes()).enumerate() {
            if index >= crate::limits::QUERY_ARGUMENTS {
                return Err(ApiError::invalid(format!(
                    "Too many arguments: at most {} are read.",
                    crate::limits::QUERY_ARGUMENTS
                )));
            }
            if name.contains('\0') || value.contains('\0') {
                return Err(has_nul(&name));
            }
            let value = Value::String(value.into_owned());
            match values.get_mut(name.as_ref()) {
                None => {
                    values.insert(name.into_owned(), value);
                }
                Some(Value::Array(list)) => list.push(value),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
            }
        }
        Ok(Self { values })
    }

    /// Adds the keys of a body's object; they go before the query's.
    pub fn extend(&mut self, body: Map<String, Value>) {
        self.values.extend(body);
    }

    /// Refuses every argument that isn't in `known`.
    pub fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        let extra: Vec<String> = self
            .values
            .keys()
            .filter(|name| !known.contains(&name.as_str()))
            .map(|name| name.chars().take(crate::limits::QUOTED_CHARACTERS).collect())
            .collect();
        if extra.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(format!("Unexpected arguments: {}", extra.join(", "))))
        }
    }

    /// The value as it came.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// Takes the value out.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name).filter(|value| !value.is_null())
    }

    /// Fails where an argument that must be there isn't. `null` is there, as in Ironic.
    pub fn require(&self, name: &str) -> Result<(), ApiError> {
        if self.values.contains_key(name) {
            Ok(())
        } else {
            Err(ApiError::invalid(format!("Missing mandatory parameter: {name}")))
        }
    }

    /// A text.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.contains('\0') => Err(has_nul(name)),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(ApiError::invalid(format!("Expected string for {name}: {}", display(other)))),
        }
    }

    /// A boolean, in any of the words that oslo knows.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.value(name).map(|value| boolean(name, value)).transpose()
    }

    /// An integer.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = match value {
            Value::Bool(value) => Some(i64::from(*value)),
            Value::Number(number) =>
            {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "floats are cut, as int() does; the cast saturates"
                )]
                number.as_i64().or_else(|| number.as_f64().map(|float| float as i64))
            }
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .map(Some)
            .ok_or_else(|| ApiError::invalid(format!("Expected an integer for {name}: {}", display(value))))
    }

    /// A UUID.
    pub fn uuid(&self, name: &str) -> Result<Option<Uuid>, ApiError> {
        self.value(name).map(|value| uuid(name, value)).transpose()
    }

    /// A UUID or a name.
    pub fn uuid_or_name(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) if is_logical_name(text) || parse_uuid(text).is_some() => {
                Ok(Some(text))
            }
            Some(other) => {
                Err(ApiError::invalid(format!("Expected UUID or name for {name}: {}", display(other))))
            }
        }
    }

    /// A list of texts: separated by commas, or a JSON list. Lower case, without doubles.
    pub fn list(&self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        let refuse =
            |value: &Value| ApiError::invalid(format!("Expected string for {name}: {}", display(value)));
        let mut out: Vec<String> = Vec::new();
        let mut add = |text: &str| {
            for part in text.split(',') {
                let part = part.trim().to_lowercase();
                if !part.is_empty() && !out.contains(&part) {
                    out.push(part);
                }
            }
        };
        match self.value(name) {
            None => return Ok(None),
            Some(Value::String(text)) => add(text),
            Some(Value::Array(items)) => {
                for item in items {
                    add(item.as_str().ok_or_else(|| refuse(item))?);
                }
            }
            Some(other) => return Err(refuse(other)),
        }
        Ok(Some(out))
    }

    /// A MAC address, lower case.
    pub fn mac(&self, name: &str) -> Result<Option<String>, ApiError> {
        self.value(name).map(|value| mac(name, value)).transpose()
    }
}

/// Not every database takes a NUL, and nothing is called by one.
fn has_nul(name: &str) -> ApiError {
    let name: String = name.replace('\0', "\\0").chars().take(crate::limits::QUOTED_CHARACTERS).collect();
    ApiError::invalid(format!("Expected string for {name}: it has a NUL character"))
}

/// Reads a boolean as oslo's `bool_from_string(strict=True)` does.
pub fn boolean(name: &str, value: &Value) -> Result<bool, ApiError> {
    model::wording::truth(value).ok_or_else(|| {
        ApiError::invalid(format!(
            "Invalid {name}: Unrecognized value '{}', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', 'off', 'on', \
             't', 'true', 'y', 'yes'",
            display(value)
        ))
    })
}

/// Reads a UUID.
pub fn uuid(name: &str, value: &Value) -> Result<Uuid, ApiError> {
    value
        .as_str()
        .and_then(parse_uuid)
        .ok_or_else(|| ApiError::invalid(format!("Expected UUID for {name}: {}", display(value))))
}

/// Reads a MAC address (`aa:bb:cc:dd:ee:ff`); out comes lower case.
pub fn mac(name: &str, value: &Value) -> Result<String, ApiError> {
    value.as_str().and_then(normal_mac).ok_or_else(|| {
        ApiError::invalid(format!("Expected valid MAC address for {name}: {}", display(value)))
    })
}

/// The MAC address in lower case, if it is one.
pub fn normal_mac(text: &str) -> Option<String> {
    let mut parts = 0;
    for part in text.split(':') {
        if part.len() != 2 || !part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        parts += 1;
    }
    (parts == 6).then(|| text.to_ascii_lowercase())
}

/// Reads a UUID with or without hyphens; URNs and braces are not for paths and bodies.
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if plain { Uuid::try_parse(text).ok() } else { None }
}

/// A name of RFC 3986's unreserved characters.
pub fn is_logical_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

/// May a node be asked for, or called, by this name at this microversion?
pub fn is_node_name(text: &str, version: Microversion) -> bool {
    if !version.has(NODE_NAME) {
        return false;
    }
    if version.has(RFC3986_NAMES) { is_logical_name(text) } else { is_host_name(text) }
}

/// Ironic's `is_hostname_safe`, the rule for names below 1.10.
fn is_host_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() || text.len() > 255 {
        return false;
    }
    text.split('.').enumerate().all(|(index, label)| {
        let bytes = label.as_bytes();
        let body = |byte: &u8| inner(*byte) || (index > 0 && *byte == b'_');
        let first = index > 0 || bytes.first().is_some_and(|byte| edge(*byte));
        bytes.len() <= 63 && first && bytes.last().is_some_and(|byte| edge(*byte)) && bytes.iter().all(body)
    })
}

/// Refuses a JSON value that is not an object, as a schema would.
pub fn object(what: &str, value: Value) -> Result<Map<String, Value>, ApiError> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(refusal(what, &format!("{} is not of type 'object'", repr(&other)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::version::Microversion;

    fn args(query: &str) -> Args {
        Args::from_query(query).unwrap()
    }

    #[test]
    fn values_are_read_by_type() {
        let args = args("a=yes&b=0&c=%2012&d=x&e=A,b,,a&m=52:54:00:AA:bb:01");
        assert_eq!(args.boolean("a"), Ok(Some(true)));
        assert_eq!(args.boolean("b"), Ok(Some(false)));
        assert_eq!(args.integer("c"), Ok(Some(12)));
        assert_eq!(args.integer("d").unwrap_err().text, "Expected an integer for d: x");
        assert_eq!(args.list("e"), Ok(Some(vec!["a".into(), "b".into()])));
        assert_eq!(args.mac("m"), Ok(Some("52:54:00:aa:bb:01".into())));
        assert_eq!(args.text("none"), Ok(None));
        assert_eq!(args.only(&["a"]).unwrap_err().text, "Unexpected arguments: b, c, d, e, m");
    }

    #[test]
    fn doubles_are_refused_where_one_is_meant() {
        assert_eq!(args("a=1&a=2").text("a").unwrap_err().text, "Expected string for a: ['1', '2']");
        assert_eq!(args("a=1&a=2").list("a"), Ok(Some(vec!["1".into(), "2".into()])));
        assert!(Args::from_query(&"a=1&".repeat(1000)).is_err());
        for nul in ["a=x%00", "a%00b=x"] {
            assert!(Args::from_query(nul).unwrap_err().text.contains("NUL"), "{nul}");
        }
    }

    #[test]
    fn names_follow_the_microversion() {
        let old = Microversion::new(9).unwrap();
        assert!(is_node_name("host-1.example.com", old));
        assert!(!is_node_name("Host_1", old));
        assert!(is_node_name("Host_1~x", Microversion::MAX));
        assert!(!is_node_name("a b", Microversion::MAX));
        assert!(!is_node_name("host", Microversion::MIN));
        assert!(parse_uuid("urn:uuid:1be26c0b-03f2-4d2e-ae87-c02d7f33c123").is_none());
        assert!(parse_uuid("1be26c0b03f24d2eae87c02d7f33c123").is_some());
    }
}

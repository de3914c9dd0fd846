//! The shape of bodies: which keys there are and of what type. Refusals are worded as Python's jsonschema words them.

use crate::error::ApiError;
use crate::wording::{repr, repr_text};
use serde_json::{Map, Value};

/// JSON types that a property may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types(u8);

/// A text.
pub const STRING: Types = Types(1);
/// A boolean; texts are converted where one is meant.
pub const BOOLEAN: Types = Types(2);
/// An object.
pub const OBJECT: Types = Types(4);
/// `null`.
pub const NULL: Types = Types(8);
/// A number without a fraction.
pub const INTEGER: Types = Types(32);

impl Types {
    /// Either.
    pub const fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    fn allows(self, value: &Value) -> bool {
        let own = match value {
            Value::String(_) => STRING,
            Value::Bool(_) => BOOLEAN,
            Value::Object(_) => OBJECT,
            Value::Null => NULL,
            // As in JSON Schema 1.0 is an integer too.
            Value::Number(number)
                if !number.is_f64() || number.as_f64().is_some_and(|float| float.fract() == 0.0) =>
            {
                INTEGER
            }
            Value::Number(_) | Value::Array(_) => return false,
        };
        self.0 & own.0 != 0
    }

    fn names(self) -> String {
        let names = [
            (STRING, "'string'"),
            (BOOLEAN, "'boolean'"),
            (OBJECT, "'object'"),
            (INTEGER, "'integer'"),
            (NULL, "'null'"),
        ];
        names
            .iter()
            .filter(|(own, _)| self.0 & own.0 != 0)
            .map(|(_, name)| *name)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// A text or nothing: what most properties are.
pub const TEXT: Types = STRING.or(NULL);
/// A boolean, a word for one, or nothing.
pub const FLAG: Types = STRING.or(BOOLEAN).or(NULL);
/// An object or nothing.
pub const BAG: Types = OBJECT.or(NULL);

/// One property.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Key.
    pub name: &'static str,
    /// Types.
    pub types: Types,
    /// Fewest and most characters of a text.
    pub length: (usize, usize),
}

/// A property without limits of its own (the body's limit holds).
pub const fn property(name: &'static str, types: Types) -> Property {
    Property { name, types, length: (0, usize::MAX) }
}

/// A text of limited length.
pub const fn limited(name: &'static str, types: Types, least: usize, most: usize) -> Property {
    Property { name, types, length: (least, most) }
}

/// Checks an object: required keys, unknown keys, types, lengths.
pub fn check(
    what: &str,
    object: &Map<String, Value>,
    properties: &[Property],
    required: &[&str],
) -> Result<(), ApiError> {
    let refuse = |text: String| Err(ApiError::invalid(format!("Schema error for {what}: {text}")));
    if let Some(missing) = required.iter().find(|key| !object.contains_key(**key)) {
        return refuse(format!("'{missing}' is a required property"));
    }
    let names: Vec<_> = properties.iter().map(|property| property.name).collect();
    check_keys(what, object, &names)?;
    for property in properties {
        let Some(value) = object.get(property.name) else { continue };
        if !property.types.allows(value) {
            return refuse(format!("{} is not of type {}", repr(value), property.types.names()));
        }
        if let Value::String(text) = value {
            let length = text.chars().count();
            if length > property.length.1 {
                return refuse(format!("{} is too long", repr(value)));
            }
            if length < property.length.0 {
                return refuse(format!("{} should be non-empty", repr(value)));
            }
        }
    }
    Ok(())
}

/// Refuses keys that aren't in `known`.
pub fn check_keys(what: &str, object: &Map<String, Value>, known: &[&str]) -> Result<(), ApiError> {
    let unknown: Vec<String> = object
        .keys()
        .filter(|key| !known.contains(&key.as_str()))
        .take(16)
        .map(|key| repr_text(key))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let verb = if unknown.len() == 1 { "was" } else { "were" };
    Err(ApiError::invalid(format!(
        "Schema error for {what}: Additional properties are not allowed ({} {verb} unexpected)",
        unknown.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PROPERTIES: &[Property] =
        &[property("driver", STRING), property("extra", BAG), limited("name", TEXT, 1, 3)];

    fn refusal(value: Value) -> String {
        check("node", value.as_object().unwrap(), PROPERTIES, &["driver"]).unwrap_err().text
    }

    #[test]
    fn refusals_read_as_jsonschemas() {
        assert_eq!(refusal(json!({})), "Schema error for node: 'driver' is a required property");
        assert_eq!(refusal(json!({"driver": 1})), "Schema error for node: 1 is not of type 'string'");
        assert_eq!(
            refusal(json!({"driver": "x", "extra": []})),
            "Schema error for node: [] is not of type 'object', 'null'"
        );
        assert_eq!(
            refusal(json!({"driver": "x", "foo": 1})),
            "Schema error for node: Additional properties are not allowed ('foo' was unexpected)"
        );
        assert_eq!(
            refusal(json!({"driver": "x", "b": 1, "a": 1})),
            "Schema error for node: Additional properties are not allowed ('a', 'b' were unexpected)"
        );
        assert_eq!(
            refusal(json!({"driver": "x", "name": "long"})),
            "Schema error for node: 'long' is too long"
        );
        assert_eq!(
            refusal(json!({"driver": "x", "name": ""})),
            "Schema error for node: '' should be non-empty"
        );
        assert!(
            check("node", json!({"driver": "x", "name": null}).as_object().unwrap(), PROPERTIES, &[]).is_ok()
        );
    }
}

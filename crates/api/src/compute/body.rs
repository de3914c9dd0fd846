//! Reading a request's body: every field is looked at before it is used, and an error names it as Nova's do.

use crate::cloud::{Call, CloudError};
use model::wording::{display, repr};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Numbers that Nova's columns hold.
pub const INTEGERS: RangeInclusive<i64> = 0..=0x7fff_ffff;
/// Characters of names and of pairs of metadata.
pub const NAME_LENGTH: usize = 255;
/// Characters of a description of a flavor.
pub const DESCRIPTION_LENGTH: usize = 65_535;
/// Pairs that one request may carry, whatever the quota says.
pub const PAIRS: usize = 1024;

/// An object of the body.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    what: &'a str,
    object: &'a Map<String, Value>,
}

/// 400 about one field.
pub fn refused(field: &str, value: &Value, why: &str) -> CloudError {
    CloudError::invalid(format!(
        "Invalid input for field/attribute {field}. Value: {}. {why}",
        display(value)
    ))
}

/// The object under the body's only key.
pub fn only<'a>(body: &'a Value, key: &'a str) -> Result<Fields<'a>, CloudError> {
    let outer = Fields::new("the request's body", body)?;
    outer.only(&[key])?;
    outer.object(key)
}

impl<'a> Fields<'a> {
    /// A value that must be an object.
    pub fn new(what: &'a str, value: &'a Value) -> Result<Self, CloudError> {
        match value {
            Value::Object(object) => Ok(Self { what, object }),
            other => Err(refused(what, other, &format!("{} is not of type 'object'", repr(other)))),
        }
    }

    /// Refuses fields that are not among these.
    pub fn only(&self, known: &[&str]) -> Result<(), CloudError> {
        match self.object.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(CloudError::invalid(format!(
                "Invalid input for field/attribute {}. Additional properties are not allowed ({} was unexpected)",
                self.what,
                model::wording::repr_text(name)
            ))),
        }
    }

    /// Field by field.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.object.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// A field as it is.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name)
    }

    /// Is there such a field?
    pub fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// 400 of a field that is not there.
    pub fn missing(&self, name: &str) -> CloudError {
        CloudError::invalid(format!(
            "Invalid input for field/attribute {}. '{name}' is a required property",
            self.what
        ))
    }

    /// An object that must be there.
    pub fn object(&self, name: &'a str) -> Result<Fields<'a>, CloudError> {
        Fields::new(name, self.get(name).ok_or_else(|| self.missing(name))?)
    }

    /// A list.
    pub fn list(&self, name: &str) -> Result<Option<&'a [Value]>, CloudError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(refused(name, other, &format!("{} is not of type 'array'", repr(other)))),
        }
    }

    /// A text of so many characters.
    pub fn text(&self, name: &str, length: RangeInclusive<usize>) -> Result<Option<&'a str>, CloudError> {
        self.get(name).map(|value| text(name, value, length)).transpose()
    }

    /// A text that must be there.
    pub fn needed_text(&self, name: &str, length: RangeInclusive<usize>) -> Result<&'a str, CloudError> {
        self.text(name, length)?.ok_or_else(|| self.missing(name))
    }

    /// A text, or null for none; not there: the outer `None`.
    pub fn nullable_text(
        &self,
        name: &str,
        length: RangeInclusive<usize>,
    ) -> Result<Option<Option<&'a str>>, CloudError> {
        match self.get(name) {
            Some(Value::Null) => Ok(Some(None)),
            _ => Ok(self.text(name, length)?.map(Some)),
        }
    }

    /// A name: printable, without blanks at its ends.
    pub fn name(&self, name: &str) -> Result<Option<&'a str>, CloudError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let own = text(name, value, 1..=NAME_LENGTH)?;
        if own.trim() != own || own.chars().any(char::is_control) {
            return Err(refused(
                name,
                value,
                "It has blanks at an end, or characters that can't be printed.",
            ));
        }
        Ok(Some(own))
    }

    /// A name that must be there.
    pub fn needed_name(&self, name: &str) -> Result<&'a str, CloudError> {
        self.name(name)?.ok_or_else(|| self.missing(name))
    }

    /// A whole number, or a text of one.
    pub fn integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, CloudError> {
        self.get(name).map(|value| integer(name, value, range)).transpose()
    }

    /// A whole number that must be there.
    pub fn needed_integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<i64, CloudError> {
        self.integer(name, range)?.ok_or_else(|| self.missing(name))
    }

    /// A boolean, or one of the words that OpenStack takes for one.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, CloudError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match model::wording::truth(value) {
            Some(flag) => Ok(Some(flag)),
            None => Err(refused(name, value, "It is neither true nor false.")),
        }
    }

    /// Pairs of texts: metadata, extra specs.
    pub fn pairs(&self, name: &'a str) -> Result<BTreeMap<String, String>, CloudError> {
        pairs(&self.object(name)?)
    }
}

/// An object's pairs of texts, as metadata has them.
pub fn pairs(fields: &Fields<'_>) -> Result<BTreeMap<String, String>, CloudError> {
    if fields.object.len() > PAIRS {
        return Err(CloudError::invalid(format!("{} has more than {PAIRS} pairs.", fields.what)));
    }
    fields
        .iter()
        .map(|(key, value)| {
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_:. ".contains(c);
            if key.is_empty() || key.len() > NAME_LENGTH || !key.chars().all(fits) {
                let why = "A key is 1 to 255 letters, digits, '-', '_', ':', '.' and spaces.";
                return Err(refused(fields.what, &Value::from(key), why));
            }
            Ok((key.to_owned(), text(key, value, 0..=NAME_LENGTH)?.to_owned()))
        })
        .collect()
}

/// A value that must be a text of so many characters.
pub fn text<'a>(name: &str, value: &'a Value, length: RangeInclusive<usize>) -> Result<&'a str, CloudError> {
    let Value::String(text) = value else {
        return Err(refused(name, value, &format!("{} is not of type 'string'", repr(value))));
    };
    if text.contains('\0') {
        return Err(refused(name, value, "It has a NUL character."));
    }
    let count = text.chars().count();
    if count < *length.start() {
        return Err(refused(name, value, &format!("{} is too short", repr(value))));
    }
    if count > *length.end() {
        return Err(refused(
            name,
            value,
            &format!("It has {count} characters, and {} may be.", length.end()),
        ));
    }
    Ok(text)
}

/// A value that must be a whole number, or a text of one.
pub fn integer(name: &str, value: &Value, range: RangeInclusive<i64>) -> Result<i64, CloudError> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) if text.len() <= 20 => text.parse().ok(),
        _ => None,
    };
    match number {
        None => Err(refused(name, value, &format!("{} is not of type 'integer'", repr(value)))),
        Some(number) if number < *range.start() => {
            Err(refused(name, value, &format!("{number} is less than the minimum of {}", range.start())))
        }
        Some(number) if number > *range.end() => {
            Err(refused(name, value, &format!("{number} is greater than the maximum of {}", range.end())))
        }
        Some(number) => Ok(number),
    }
}

impl Call {
    /// Refuses with 404 a call below the microversion (`2.minor`) that a route came with.
    pub(super) fn since(&self, minor: u16) -> Result<(), CloudError> {
        if self.minor >= minor {
            return Ok(());
        }
        Err(CloudError::not_found(format!(
            "The resource could not be found: it is there from microversion 2.{minor} on, and 2.{} was asked for.",
            self.minor
        )))
    }

    /// Refuses with 404 a call at or above the microversion (`2.minor`) that a route went with.
    pub(super) fn until(&self, minor: u16, instead: &str) -> Result<(), CloudError> {
        if self.minor < minor {
            return Ok(());
        }
        Err(CloudError::not_found(format!(
            "The resource could not be found: it is gone from microversion 2.{minor} on; {instead}"
        )))
    }

    /// Refuses arguments of the query that are not among these: from 2.75 on, as in Nova.
    pub(super) fn only_query(&self, known: &[&str]) -> Result<(), CloudError> {
        match self.query.iter().find(|(name, _)| !known.contains(name)) {
            Some((name, _)) if self.minor >= 75 => Err(CloudError::invalid(format!(
                "Invalid input for query parameters. Additional properties are not allowed ({} was unexpected)",
                model::wording::repr_text(name)
            ))),
            _ => Ok(()),
        }
    }
}

/// A time as Nova writes it.
pub fn time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time as Nova writes it where it has microseconds.
pub fn fine_time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_read_and_errors_name_them() {
        let body = json!({"flavor": {"name": "gold", "ram": "512", "disk": 1, "public": "False", "description": null}});
        let fields = only(&body, "flavor").unwrap();
        assert_eq!(fields.needed_name("name").unwrap(), "gold");
        assert_eq!(fields.needed_integer("ram", 1..=1024).unwrap(), 512);
        assert_eq!(fields.flag("public").unwrap(), Some(false));
        assert_eq!(fields.nullable_text("description", 0..=9).unwrap(), Some(None));
        assert_eq!(fields.nullable_text("other", 0..=9).unwrap(), None);
        for refusal in [
            fields.needed_integer("ram", 1..=511).unwrap_err(),
            fields.needed_integer("name", 1..=511).unwrap_err(),
            fields.text("disk", 1..=2).unwrap_err(),
            fields.flag("name").unwrap_err(),
            fields.text("name", 1..=3).unwrap_err(),
            fields.needed_name("vcpus").unwrap_err(),
            fields.only(&["name"]).unwrap_err(),
            only(&body, "server").unwrap_err(),
        ] {
            assert_eq!(refusal.status, 400);
            assert!(refusal.text.starts_with("Invalid input for field/attribute "), "{refusal}");
        }
    }

    #[test]
    fn names_and_pairs_are_held_to_novas_letters() {
        for name in [
            json!(""),
            json!(" x"),
            json!("x "),
            json!("a\nb"),
            json!("a\0b"),
            json!(7),
            json!("x".repeat(256)),
        ] {
            let body = json!({"name": name});
            assert!(Fields::new("x", &body).unwrap().name("name").is_err(), "{name}");
        }
        let fine = json!({"metadata": {"a:b.c-d_e f": "", "x": "ü"}});
        assert_eq!(Fields::new("x", &fine).unwrap().pairs("metadata").unwrap().len(), 2);
        for (key, value) in
            [("", json!("x")), ("ü", json!("x")), ("x", json!(1)), ("x", json!("y".repeat(256)))]
        {
            let body = json!({"metadata": {key: value}});
            assert!(Fields::new("x", &body).unwrap().pairs("metadata").is_err(), "{key}");
        }
    }

    #[test]
    fn times_are_novas() {
        let at = jiff::Timestamp::from_microsecond(1_700_000_000_123_456).unwrap();
        assert_eq!(
            (time(at).as_str(), fine_time(at).as_str()),
            ("2023-11-14T22:13:20Z", "2023-11-14T22:13:20.123456")
        );
    }
}

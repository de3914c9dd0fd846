//! Reading a request's attributes, one by one, with Neutron's leniency: the clients of 2017 send numbers and booleans as texts.

use super::error::{invalid_input, not_authorized};
use crate::cloud::{Call, CloudError};
use model::wording::{display, repr, truth};
use serde_json::{Map, Value};
use std::net::IpAddr;
use uuid::Uuid;

/// Resources that one request may create.
pub const BULK: usize = 200;
/// Characters of a name or a description.
pub const NAME_CHARACTERS: usize = 255;

/// The attributes of one resource in a request. Each that is read is taken out; what is left in the end is unknown.
#[derive(Debug)]
pub struct Attributes(Map<String, Value>);

/// What a request creates.
#[derive(Debug)]
pub enum Wanted {
    /// One resource.
    One(Attributes),
    /// Several, all or none.
    Many(Vec<Attributes>),
}

impl Wanted {
    /// Reads `{"network": {…}}` or `{"networks": [{…}, …]}`.
    pub fn read(call: &Call, one: &str, many: &str) -> Result<Self, CloudError> {
        let Value::Object(mut body) = call.json()? else {
            return Err(CloudError::invalid("The request's body must be a JSON object."));
        };
        match (body.remove(one), body.remove(many)) {
            (Some(Value::Object(attributes)), None) => Ok(Self::One(Attributes(attributes))),
            (None, Some(Value::Array(items))) if !items.is_empty() && items.len() <= BULK => {
                let read = items.into_iter().map(|item| match item {
                    Value::Object(attributes) => Ok(Attributes(attributes)),
                    other => Err(CloudError::invalid(format!("{} is not an object.", repr(&other)))),
                });
                Ok(Self::Many(read.collect::<Result<_, _>>()?))
            }
            _ => Err(CloudError::invalid(format!(
                "The request's body must have an object \"{one}\", or a list \"{many}\" of 1 to {BULK} objects."
            ))),
        }
    }
}

impl Attributes {
    /// Reads `{"network": {…}}`.
    pub fn read(call: &Call, one: &str) -> Result<Self, CloudError> {
        match call.json()? {
            Value::Object(mut body) => match body.remove(one) {
                Some(Value::Object(attributes)) => Ok(Self(attributes)),
                _ => Err(CloudError::invalid(format!("The request's body must have an object \"{one}\"."))),
            },
            _ => Err(CloudError::invalid("The request's body must be a JSON object.")),
        }
    }

    /// The attributes of a part of a resource.
    pub fn part(name: &str, value: Value) -> Result<Self, CloudError> {
        match value {
            Value::Object(attributes) => Ok(Self(attributes)),
            other => Err(wrong(name, &format!("{} is not an object", repr(&other)))),
        }
    }

    /// Was it given?
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Is it this boolean?
    pub fn is_flag(&self, name: &str, flag: bool) -> bool {
        self.0.get(name).and_then(truth) == Some(flag)
    }

    /// Is it a text that begins so?
    pub fn starts(&self, name: &str, prefix: &str) -> bool {
        self.0.get(name).and_then(Value::as_str).is_some_and(|text| text.starts_with(prefix))
    }

    /// Is it a list of which an item names an address?
    pub fn names_address(&self, name: &str) -> bool {
        let items = self.0.get(name).and_then(Value::as_array);
        items.is_some_and(|items| items.iter().any(|item| item["ip_address"].is_string()))
    }

    /// Takes a value as it is.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// Refuses attributes that the caller may not give.
    pub fn only_if(&self, may: bool, who: &str, names: &[&str]) -> Result<(), CloudError> {
        match names.iter().find(|name| !may && self.has(name)) {
            Some(name) => Err(not_authorized(&format!("The attribute {name}"), who)),
            None => Ok(()),
        }
    }

    /// A text of at most so many characters; null is the empty text.
    pub fn text(&mut self, name: &str, most: usize) -> Result<Option<String>, CloudError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(String::new())),
            Some(Value::String(text)) if text.chars().count() > most => {
                Err(wrong(name, &format!("it has more than {most} characters")))
            }
            Some(Value::String(text)) if text.contains('\0') => Err(wrong(name, "it has a NUL character")),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, &format!("{} is not a valid string", repr(&other)))),
        }
    }

    /// Name or description.
    pub fn set_text(&mut self, name: &str, place: &mut String) -> Result<(), CloudError> {
        if let Some(text) = self.text(name, NAME_CHARACTERS)? {
            *place = text;
        }
        Ok(())
    }

    /// A boolean.
    pub fn set_flag(&mut self, name: &str, place: &mut bool) -> Result<(), CloudError> {
        if let Some(value) = self.take(name) {
            let flag =
                truth(&value).ok_or_else(|| wrong(name, &format!("{} is not boolean", repr(&value))))?;
            *place = flag;
        }
        Ok(())
    }

    /// A whole number within bounds; null counts as not given.
    pub fn number(
        &mut self,
        name: &str,
        bounds: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>, CloudError> {
        let Some(value) = self.take(name).filter(|value| !value.is_null()) else { return Ok(None) };
        let number = match &value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_i64(),
        };
        match number.filter(|number| bounds.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let (least, most) = (bounds.start(), bounds.end());
                Err(wrong(name, &format!("{} is not an integer from {least} to {most}", repr(&value))))
            }
        }
    }

    /// A UUID; null and the empty text count as not given.
    pub fn uuid(&mut self, name: &str) -> Result<Option<Uuid>, CloudError> {
        let value = self.take(name).filter(|value| !value.is_null() && value.as_str() != Some(""));
        value.map(|value| uuid_of(name, &value)).transpose()
    }

    /// A UUID that must be given.
    pub fn needed_uuid(&mut self, name: &str) -> Result<Uuid, CloudError> {
        self.uuid(name)?.ok_or_else(|| missing(name))
    }

    /// A list of at most so many items; null counts as an empty one.
    pub fn list(&mut self, name: &str, most: usize) -> Result<Option<Vec<Value>>, CloudError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(Vec::new())),
            Some(Value::Array(items)) if items.len() <= most => Ok(Some(items)),
            Some(Value::Array(_)) => Err(wrong(name, &format!("it has more than {most} items"))),
            Some(other) => Err(wrong(name, &format!("{} is not a list", repr(&other)))),
        }
    }

    /// A list of texts.
    pub fn texts(&mut self, name: &str, most: usize) -> Result<Option<Vec<String>>, CloudError> {
        let Some(items) = self.list(name, most)? else { return Ok(None) };
        let read = items.into_iter().map(|item| match item {
            Value::String(text) if text.chars().count() <= NAME_CHARACTERS && !text.contains('\0') => {
                Ok(text)
            }
            other => Err(wrong(name, &format!("{} is not a valid string", repr(&other)))),
        });
        read.collect::<Result<_, _>>().map(Some)
    }

    /// The project that a new resource is for: the caller's own, unless an operator names another.
    pub fn project(&mut self, call: &Call) -> Result<String, CloudError> {
        let given = [self.text("project_id", 64)?, self.text("tenant_id", 64)?];
        let given = given.into_iter().flatten().find(|id| !id.is_empty());
        match given {
            Some(project) if call.is_operator() || call.owns(&project) => Ok(project),
            Some(_) => Err(CloudError::invalid(
                "Specifying 'project_id' other than the authenticated project in request requires admin privileges.",
            )),
            None => Ok(call.project()?.to_owned()),
        }
    }

    /// Refuses attributes that can't be changed, and those that nobody knows.
    pub fn finish(&self, fixed: &[&str]) -> Result<(), CloudError> {
        if let Some(name) = self.0.keys().find(|name| fixed.contains(&name.as_str())) {
            return Err(CloudError::invalid(format!("Cannot update read-only attribute {name}.")));
        }
        match self.0.keys().next() {
            None => Ok(()),
            Some(_) => {
                let names: Vec<_> =
                    self.0.keys().take(10).map(|name| display(&name.as_str().into())).collect();
                Err(CloudError::invalid(format!("Unrecognized attribute(s) '{}'.", names.join(", "))))
            }
        }
    }
}

/// 400 for an attribute's value.
pub fn wrong(name: &str, reason: &str) -> CloudError {
    CloudError::invalid(format!("Invalid input for {name}. Reason: {reason}."))
}

/// 400 for an attribute that is missing.
pub fn missing(name: &str) -> CloudError {
    CloudError::invalid(format!("Failed to parse request. Required attribute '{name}' not specified."))
}

/// A UUID out of a value.
pub fn uuid_of(name: &str, value: &Value) -> Result<Uuid, CloudError> {
    let parsed = value.as_str().and_then(|text| Uuid::try_parse(text).ok());
    parsed.ok_or_else(|| wrong(name, &format!("{} is not a valid UUID", repr(value))))
}

/// An address out of a value.
pub fn address_of(name: &str, value: &Value) -> Result<IpAddr, CloudError> {
    let parsed = value.as_str().and_then(|text| text.trim().parse().ok());
    parsed.ok_or_else(|| wrong(name, &format!("{} is not a valid IP address", repr(value))))
}

/// Holds a change to the revision that the caller knows (`If-Match: revision_number=7`).
pub fn check_revision(call: &Call, current: u64) -> Result<(), CloudError> {
    let Some(header) = call.header("if-match") else { return Ok(()) };
    let wanted =
        header.split(',').find_map(|part| part.trim().trim_matches('"').strip_prefix("revision_number="));
    match wanted.and_then(|number| number.parse::<u64>().ok()) {
        Some(wanted) if wanted == current => Ok(()),
        Some(wanted) => Err(CloudError::new(
            axum::http::StatusCode::PRECONDITION_FAILED,
            format!(
                "Constrained to revision {wanted}, but the current revision is {current}: read it again."
            ),
        )
        .kind("RevisionNumberConstraintFailed")),
        None => Err(invalid_input("If-Match has no revision_number=NUMBER")),
    }
}

//! How resources are read from requests and shown in answers, in Keystone's shapes.

use crate::cloud::{Call, CloudError, Reply};
use jiff::Timestamp;
use model::identity::Extra;
use serde::Serialize;
use serde_json::{Value, json};

/// A time as Keystone writes it: `2026-11-28T12:39:06.000000Z`.
pub fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// A resource with its link.
pub fn shown(call: &Call, collection: &str, id: &str, record: &impl Serialize) -> Result<Value, CloudError> {
    let mut document = serde_json::to_value(record).map_err(|error| {
        tracing::error!(%error, "an answer could not be written as JSON");
        CloudError::new(
            axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            "The answer could not be written as JSON.",
        )
    })?;
    if let Some(document) = document.as_object_mut() {
        document.insert("links".to_owned(), json!({"self": call.url(&format!("/v3/{collection}/{id}"))}));
    }
    Ok(document)
}

/// An answer with one resource.
pub fn one(member: &str, document: Value) -> Result<Reply, CloudError> {
    Reply::json(&json!({ member: document }))
}

/// An answer with many; `path` is where they were asked for, behind `/v3/`.
pub fn many(call: &Call, collection: &str, path: &str, documents: Vec<Value>) -> Result<Reply, CloudError> {
    Reply::json(&json!({
        collection: documents,
        "links": {"next": null, "self": call.url(&format!("/v3/{path}")), "previous": null},
    }))
}

/// Keeps what fits the query's filters: each named field must have the value that is given, `{field}__contains` a part of it and so on.
pub fn filtered(call: &Call, fields: &[&str], documents: Vec<Value>) -> Vec<Value> {
    let fits = |document: &Value| {
        call.query.iter().all(|(name, wanted)| {
            let (field, comparison) = name.split_once("__").unwrap_or((name, "exact"));
            if !fields.contains(&field) {
                return true;
            }
            match &document[field] {
                // Keystone takes any value but these for true.
                Value::Bool(value) => {
                    *value
                        != matches!(
                            wanted.to_ascii_lowercase().as_str(),
                            "0" | "false" | "f" | "no" | "off" | "n"
                        )
                }
                Value::String(value) => compare(value, comparison, wanted),
                _ => false,
            }
        })
    };
    documents.into_iter().filter(fits).collect()
}

fn compare(value: &str, comparison: &str, wanted: &str) -> bool {
    let (value, lower, wanted_lower) = (value, value.to_lowercase(), wanted.to_lowercase());
    match comparison {
        "exact" => value == wanted,
        "iexact" => lower == wanted_lower,
        "contains" => value.contains(wanted),
        "icontains" => lower.contains(&wanted_lower),
        "startswith" => value.starts_with(wanted),
        "istartswith" => lower.starts_with(&wanted_lower),
        "endswith" => value.ends_with(wanted),
        "iendswith" => lower.ends_with(&wanted_lower),
        _ => true,
    }
}

/// The attributes of a resource in a request's body, taken out one by one; what is left is kept as it is.
pub struct Attributes {
    member: &'static str,
    rest: Extra,
}

impl Attributes {
    /// Those under `member` in the body.
    pub fn of(call: &Call, member: &'static str) -> Result<Self, CloudError> {
        let mut body: Extra = call.json_as()?;
        match body.remove(member) {
            Some(Value::Object(rest)) => Ok(Self { member, rest }),
            _ => Err(missing(member, "request body")),
        }
    }

    /// A text, if it is there; `null` counts as absent.
    pub fn text(&mut self, name: &'static str, limit: usize) -> Result<Option<String>, CloudError> {
        match self.rest.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= limit => Ok(Some(text)),
            Some(Value::String(_)) => Err(self.bad(name, &format!("it is longer than {limit} characters"))),
            Some(_) => Err(self.bad(name, "it is no text")),
        }
    }

    /// The same, and whether it is there as `null`: that takes it away.
    pub fn change(&mut self, name: &'static str, limit: usize) -> Result<Option<Option<String>>, CloudError> {
        if self.rest.get(name).is_some_and(Value::is_null) {
            self.rest.remove(name);
            return Ok(Some(None));
        }
        Ok(self.text(name, limit)?.map(Some))
    }

    /// A name: some text that is not only blanks.
    pub fn name(&mut self, limit: usize) -> Result<Option<String>, CloudError> {
        match self.text("name", limit)? {
            Some(name) if name.trim().is_empty() => Err(self.bad("name", "it is empty")),
            other => Ok(other),
        }
    }

    /// A name that must be there.
    pub fn required_name(&mut self, limit: usize) -> Result<String, CloudError> {
        self.name(limit)?.ok_or_else(|| missing("name", self.member))
    }

    /// True or false, if it is there.
    pub fn flag(&mut self, name: &'static str) -> Result<Option<bool>, CloudError> {
        match self.rest.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            // Old clients write them as texts.
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(self.bad(name, "it is neither true nor false")),
        }
    }

    /// An object, if it is there.
    pub fn object(&mut self, name: &'static str) -> Result<Option<Extra>, CloudError> {
        match self.rest.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(self.bad(name, "it is no object")),
        }
    }

    /// Any value, if it is there.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.rest.remove(name).filter(|value| !value.is_null())
    }

    /// What is left. Links are Billet's own, and an `id` in a body says only what the path says.
    pub fn rest(mut self) -> Extra {
        self.rest.remove("links");
        self.rest.remove("id");
        self.rest
    }

    /// 400 about one of them.
    pub fn bad(&self, name: &str, why: &str) -> CloudError {
        CloudError::invalid(format!("Invalid input for field '{name}' of {}: {why}.", self.member))
    }
}

/// 400 about something that must be there, in Keystone's words.
pub fn missing(attribute: &str, target: &str) -> CloudError {
    CloudError::invalid(format!(
        "Expecting to find {attribute} in {target}. The server could not comply with the request since it is either malformed or \
         otherwise incorrect. The client is assumed to be in error."
    ))
}

/// Takes what a change has over what was there; `null` takes an attribute away.
pub fn merge(into: &mut Extra, changes: Extra) {
    for (name, value) in changes {
        if value.is_null() {
            into.remove(&name);
        } else {
            into.insert(name, value);
        }
    }
}

//! JSON patches of images, in the media types of Glance's API (v2.1, and v2.0 of old clients).

use super::fields;
use crate::cloud::{Call, CloudError};
use crate::limits::PATCH_OPERATIONS;
use axum::http::StatusCode;
use model::image::Image;
use serde_json::{Map, Value};

const V21: &str = "application/openstack-images-v2.1-json-patch";
const V20: &str = "application/openstack-images-v2.0-json-patch";

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Remove,
}

/// One operation on one attribute.
#[derive(Debug)]
pub(super) struct Operation {
    verb: Verb,
    name: String,
    value: Value,
}

/// Reads a patch. 415 for another media type, 400 for what is no patch of an image.
pub(super) fn parse(content_type: &str, body: &[u8]) -> Result<Vec<Operation>, CloudError> {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let read = match media {
        V21 => named_verb,
        V20 => verb_as_key,
        _ => {
            return Err(CloudError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("Changes of an image are sent as {V21}, not as \"{media}\"."),
            ));
        }
    };
    let operations: Vec<Map<String, Value>> = serde_json::from_slice(body).map_err(|error| {
        CloudError::invalid(format!("Request body must be a JSON array of operation objects: {error}"))
    })?;
    if operations.len() > PATCH_OPERATIONS {
        return Err(CloudError::invalid(format!("A patch has at most {PATCH_OPERATIONS} operations.")));
    }
    operations.into_iter().map(read).collect()
}

/// `{"op": "replace", "path": "/name", "value": "x"}`
fn named_verb(mut operation: Map<String, Value>) -> Result<Operation, CloudError> {
    let text = |key: &str| {
        operation
            .get(key)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| CloudError::invalid(format!("Unable to find '{key}' in JSON Schema change")))
    };
    let (verb, path) = (text("op")?, text("path")?);
    build(&verb, &path, operation.remove("value"))
}

/// `{"replace": "/name", "value": "x"}`
fn verb_as_key(mut operation: Map<String, Value>) -> Result<Operation, CloudError> {
    let value = operation.remove("value");
    let found = ["add", "replace", "remove"]
        .into_iter()
        .find_map(|verb| Some((verb, operation.get(verb)?.as_str()?.to_owned())));
    match found {
        Some((verb, path)) => build(verb, &path, value),
        None => {
            Err(CloudError::invalid("Operation objects must contain one of 'add', 'replace' and 'remove'."))
        }
    }
}

fn build(verb: &str, path: &str, value: Option<Value>) -> Result<Operation, CloudError> {
    let verb = match verb {
        "add" => Verb::Add,
        "replace" => Verb::Replace,
        "remove" => Verb::Remove,
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(CloudError::invalid(format!(
                "Operations must be 'add', 'replace' or 'remove', not '{other}'."
            )));
        }
    };
    let name = name(path)?;
    let value = match (verb, value) {
        (Verb::Remove, _) => Value::Null,
        (_, Some(value)) => value,
        (_, None) => {
            return Err(CloudError::invalid(format!(
                "Operation on '/{name}' requires a member named 'value'."
            )));
        }
    };
    Ok(Operation { verb, name, value })
}

/// The one segment of a JSON pointer.
fn name(path: &str) -> Result<String, CloudError> {
    let shown: String = path.chars().take(100).collect();
    let invalid =
        |why: &str| CloudError::invalid(format!("Invalid JSON pointer for this resource: '{shown}' {why}"));
    let segment = path.strip_prefix('/').ok_or_else(|| invalid("does not begin with '/'."))?;
    if segment.is_empty() || segment.contains('/') {
        return Err(invalid("must name one attribute or property."));
    }
    let rest = segment.replace("~0", "").replace("~1", "");
    if rest.contains('~') {
        return Err(invalid("has a '~' that is not part of an escape."));
    }
    Ok(segment.replace("~1", "/").replace("~0", "~"))
}

/// Applies a patch in order; the first operation that can't be done refuses the whole.
pub(super) fn apply(call: &Call, image: &mut Image, operations: &[Operation]) -> Result<(), CloudError> {
    for operation in operations {
        let name = operation.name.as_str();
        match operation.verb {
            Verb::Remove => fields::remove(image, name)?,
            Verb::Replace if !fields::is_attribute(name) && !image.properties.contains_key(name) => {
                fields::writable(name)?;
                return Err(CloudError::conflict(format!("Property {name} does not exist.")));
            }
            Verb::Add | Verb::Replace => fields::set(call, image, name, &operation.value)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_media_types_are_read() {
        let new = parse(V21, br#"[{"op": "replace", "path": "/a~1b", "value": 1}]"#).unwrap();
        assert_eq!((new[0].verb, new[0].name.as_str()), (Verb::Replace, "a/b"));
        let old = parse(V20, br#"[{"remove": "/x"}]"#).unwrap();
        assert_eq!((old[0].verb, old[0].name.as_str()), (Verb::Remove, "x"));
        assert_eq!(parse("application/json", b"[]").unwrap_err().status, 415);
    }

    #[test]
    fn nonsense_is_refused() {
        for body in [
            "{}",
            "[1]",
            r#"[{"op": "move", "path": "/x", "value": 1}]"#,
            r#"[{"op": "add", "path": "x", "value": 1}]"#,
            r#"[{"op": "add", "path": "/x/y", "value": 1}]"#,
            r#"[{"op": "add", "path": "/", "value": 1}]"#,
            r#"[{"op": "add", "path": "/x"}]"#,
            r#"[{"op": "add", "path": "/~2", "value": 1}]"#,
            "",
        ] {
            assert_eq!(parse(V21, body.as_bytes()).unwrap_err().status, 400, "{body}");
        }
    }
}

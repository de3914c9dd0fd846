//! JSON patch as Ironic's API knows it: `add`, `replace` and `remove` of RFC 6902, with the refusals of Python's jsonpatch.

use crate::error::ApiError;
use crate::limits::PATCH_OPERATIONS;
use crate::wording::{repr, repr_text};
use model::version::{Microversion, POINTER_ESCAPES};
use serde_json::{Map, Value};

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Set, or insert into a list.
    Add,
    /// Set what is there.
    Replace,
    /// Remove what is there.
    Remove,
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Operation {
    /// What it does.
    pub kind: Kind,
    /// The path as given.
    pub path: String,
    /// The path's parts, decoded; never empty.
    pub parts: Vec<String>,
    /// The value; `None` where the operation has none.
    pub value: Option<Value>,
    source: Value,
}

impl Operation {
    /// The attribute of the resource that is changed.
    pub fn root(&self) -> &str {
        self.parts.first().map_or("", String::as_str)
    }

    /// Is it about the attribute itself, not about something within it?
    pub fn is_of(&self, root: &str) -> bool {
        self.parts.len() == 1 && self.root() == root
    }
}

/// Reads and checks the body of a PATCH.
pub fn read(body: Value, version: Microversion) -> Result<Vec<Operation>, ApiError> {
    let refuse = |text: String| ApiError::invalid(format!("Schema error for patch: {text}"));
    let Value::Array(items) = body else {
        return Err(refuse(format!("{} is not of type 'array'", repr(&body))));
    };
    if items.len() > PATCH_OPERATIONS {
        return Err(refuse(format!(
            "{} operations are too many, at most {PATCH_OPERATIONS} are read",
            items.len()
        )));
    }
    items.into_iter().map(|item| operation(item, version).map_err(refuse)).collect()
}

/// Reads and checks the body of a PATCH that may change these attributes only.
pub fn read_for(body: Value, version: Microversion, patchable: &[&str]) -> Result<Vec<Operation>, ApiError> {
    let operations = read(body, version)?;
    only(&operations, patchable)?;
    Ok(operations)
}

fn operation(item: Value, version: Microversion) -> Result<Operation, String> {
    let Value::Object(map) = &item else {
        return Err(format!("{} is not of type 'object'", repr(&item)));
    };
    for key in ["op", "path"] {
        if !map.contains_key(key) {
            return Err(format!("'{key}' is a required property"));
        }
    }
    if let Some(key) = map.keys().find(|key| !matches!(key.as_str(), "op" | "path" | "value")) {
        return Err(format!("Additional properties are not allowed ({} was unexpected)", repr_text(key)));
    }
    let text = |key: &str| match map.get(key) {
        Some(Value::String(text)) => Ok(text.as_str()),
        other => Err(format!("{} is not of type 'string'", repr(other.unwrap_or(&Value::Null)))),
    };
    let kind = match text("op")? {
        "add" => Kind::Add,
        "replace" => Kind::Replace,
        "remove" => Kind::Remove,
        other => return Err(format!("{} is not one of ['add', 'replace', 'remove']", repr_text(other))),
    };
    let path = text("path")?;
    let parts = parts(path, version.has(POINTER_ESCAPES))
        .ok_or_else(|| format!("{} does not match '^(/[\\\\w-]+)+$'", repr_text(path)))?;
    Ok(Operation { kind, path: path.to_owned(), parts, value: map.get("value").cloned(), source: item })
}

/// Refuses operations on other attributes than these.
pub fn only(operations: &[Operation], patchable: &[&str]) -> Result<(), ApiError> {
    match operations.iter().find(|operation| !patchable.contains(&operation.root())) {
        Some(other) => Err(ApiError::invalid(format!(
            "Cannot patch {}. Only the following can be updated: {}",
            other.path,
            patchable.join(", ")
        ))),
        None => Ok(()),
    }
}

/// `/a/b~1c` → `a`, `b/c`. Escapes are for newer clients only; `None` where the path is not of that form.
fn parts(path: &str, escapes: bool) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    for part in path.strip_prefix('/')?.split('/') {
        let plain = if escapes { part.replace("~1", "").replace("~0", "") } else { part.to_owned() };
        let fits = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-');
        if part.is_empty() || !plain.chars().all(fits) {
            return None;
        }
        parts.push(if escapes { part.replace("~1", "/").replace("~0", "~") } else { part.to_owned() });
    }
    Some(parts)
}

/// Applies operations one after another; the first that can't be ends it.
pub fn apply(document: &mut Map<String, Value>, operations: &[Operation]) -> Result<(), ApiError> {
    for operation in operations {
        if operation.kind == Kind::Add
            && operation.parts.len() == 1
            && !document.contains_key(operation.root())
        {
            return Err(ApiError::invalid(format!(
                "Adding a new attribute ({}) to the root of the resource is not allowed",
                operation.path
            )));
        }
    }
    for operation in operations {
        step(document, operation).map_err(|reason| {
            ApiError::invalid(format!("Couldn't apply patch '{}'. Reason: {reason}", repr(&operation.source)))
        })?;
    }
    Ok(())
}

fn step(document: &mut Map<String, Value>, operation: &Operation) -> Result<(), String> {
    let value = match (operation.kind, &operation.value) {
        (Kind::Remove, _) => None,
        (_, Some(value)) => Some(value.clone()),
        (_, None) => return Err("The operation does not contain a 'value' member".to_owned()),
    };
    let Some((last, above)) = operation.parts.split_last() else {
        return Err("an empty path".to_owned());
    };
    let Some((root, inner)) = above.split_first() else {
        return in_object(document, last, operation.kind, value);
    };
    let mut place = document
        .get_mut(root)
        .ok_or_else(|| format!("member {} not found in the resource", repr_text(root)))?;
    for part in inner {
        place = descend(place, part)?;
    }
    match place {
        Value::Object(map) => in_object(map, last, operation.kind, value),
        Value::Array(list) => in_list(list, last, operation.kind, value),
        other => Err(format!(
            "can't look for {} in {}, it is neither an object nor a list",
            repr_text(last),
            repr(other)
        )),
    }
}

fn descend<'a>(place: &'a mut Value, part: &str) -> Result<&'a mut Value, String> {
    // Written before the look-up, since what is found stays borrowed.
    let missing = match &*place {
        Value::Array(list) => format!("{} is not an index of a list of {}", repr_text(part), list.len()),
        other => format!("member {} not found in {}", repr_text(part), repr(other)),
    };
    let found = match place {
        Value::Object(map) => map.get_mut(part),
        Value::Array(list) => part.parse::<usize>().ok().and_then(|index| list.get_mut(index)),
        _ => None,
    };
    found.ok_or(missing)
}

fn in_object(
    map: &mut Map<String, Value>,
    key: &str,
    kind: Kind,
    value: Option<Value>,
) -> Result<(), String> {
    match (kind, value) {
        (Kind::Add, Some(value)) => {
            map.insert(key.to_owned(), value);
        }
        (Kind::Replace, Some(value)) => {
            *map.get_mut(key)
                .ok_or_else(|| format!("can't replace a non-existent object {}", repr_text(key)))? = value;
        }
        _ => {
            map.remove(key)
                .ok_or_else(|| format!("can't remove a non-existent object {}", repr_text(key)))?;
        }
    }
    Ok(())
}

fn in_list(list: &mut Vec<Value>, part: &str, kind: Kind, value: Option<Value>) -> Result<(), String> {
    let index = match part {
        "-" => list.len(),
        _ => {
            part.parse::<usize>().map_err(|_| format!("{} is not a valid sequence index", repr_text(part)))?
        }
    };
    match (kind, value) {
        (Kind::Add, Some(value)) if index <= list.len() => list.insert(index, value),
        (Kind::Replace, Some(value)) if index < list.len() => list[index] = value,
        (Kind::Remove, _) if index < list.len() => {
            list.remove(index);
        }
        (Kind::Add, _) => return Err("can't insert outside of list".to_owned()),
        (Kind::Replace, _) => return Err("can't replace outside of list".to_owned()),
        (Kind::Remove, _) => return Err(format!("can't remove a non-existent object '{index}'")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn patched(document: Value, patch: Value) -> Result<Value, String> {
        let operations = read(patch, Microversion::MAX).map_err(|error| error.text)?;
        let mut map = document.as_object().cloned().unwrap();
        apply(&mut map, &operations).map_err(|error| error.text)?;
        Ok(Value::Object(map))
    }

    #[test]
    fn operations_work_on_objects_and_lists() {
        let document = json!({"extra": {"a": 1, "list": [1, 2]}, "name": null});
        let patch = json!([
            {"op": "add", "path": "/name", "value": "n"},
            {"op": "replace", "path": "/extra/a", "value": {"b": 2}},
            {"op": "add", "path": "/extra/a/c~1d", "value": 3},
            {"op": "add", "path": "/extra/list/0", "value": 0},
            {"op": "add", "path": "/extra/list/-", "value": 9},
            {"op": "remove", "path": "/extra/list/1"}
        ]);
        assert_eq!(
            patched(document, patch),
            Ok(json!({"extra": {"a": {"b": 2, "c/d": 3}, "list": [0, 2, 9]}, "name": "n"}))
        );
    }

    #[test]
    fn refusals_are_the_contracts() {
        let reason = |patch: Value| patched(json!({"extra": {}, "name": null}), patch).unwrap_err();
        assert_eq!(reason(json!({})), "Schema error for patch: {} is not of type 'array'");
        assert_eq!(reason(json!([{"op": "add"}])), "Schema error for patch: 'path' is a required property");
        assert_eq!(
            reason(json!([{"op": "move", "path": "/extra/a"}])),
            "Schema error for patch: 'move' is not one of ['add', 'replace', 'remove']"
        );
        assert_eq!(
            reason(json!([{"op": "add", "path": "/extra/a"}])),
            "Couldn't apply patch '{'op': 'add', 'path': '/extra/a'}'. Reason: The operation does not contain a 'value' member"
        );
        assert_eq!(
            reason(json!([{"op": "remove", "path": "/extra/zz"}])),
            "Couldn't apply patch '{'op': 'remove', 'path': '/extra/zz'}'. Reason: can't remove a non-existent object 'zz'"
        );
        assert_eq!(
            reason(json!([{"op": "add", "path": "/extra/a/b", "value": "s"}])),
            "Couldn't apply patch '{'op': 'add', 'path': '/extra/a/b', 'value': 's'}'. Reason: member 'a' not found in {}"
        );
        assert_eq!(
            reason(json!([{"op": "add", "path": "/new", "value": 1}])),
            "Adding a new attribute (/new) to the root of the resource is not allowed"
        );
        assert!(
            reason(json!([{"op": "add", "path": "/a b", "value": 1}]))
                .contains("does not match '^(/[\\\\w-]+)+$'")
        );
    }

    #[test]
    fn escapes_are_for_newer_clients() {
        let patch = json!([{"op": "add", "path": "/extra/a~0b", "value": 1}]);
        assert!(read(patch.clone(), Microversion::new(97).unwrap()).is_err());
        assert_eq!(read(patch, Microversion::new(98).unwrap()).unwrap()[0].parts, ["extra", "a~b"]);
    }

    proptest! {
        #[test]
        fn nothing_panics(path in "(/[a-z0-9~-]{0,3}){0,4}", op in "add|replace|remove", value in any::<bool>()) {
            let document = json!({"a": {"b": [1, {"c": null}]}, "0": [[[]]]});
            let _ = patched(document, json!([{"op": op, "path": path, "value": value}]));
        }
    }
}

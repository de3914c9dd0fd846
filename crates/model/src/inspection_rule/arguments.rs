//! Arguments of conditions and actions: which there are, by name or in order.

use super::Operation;
use super::{attributes, conditions};
use serde_json::{Map, Value};

/// What an operator takes.
pub struct Signature {
    /// Arguments that must be there, in their order.
    pub required: &'static [&'static str],
    /// Arguments that may follow, in their order.
    pub optional: &'static [&'static str],
    /// Arguments in which replacement fields are filled in; within a loop they are in all.
    pub formatted: &'static [&'static str],
}

/// What an operator takes; `None` for one that doesn't exist.
pub fn signature(op: &str) -> Option<Signature> {
    let takes = |required, optional, formatted| Some(Signature { required, optional, formatted });
    match op {
        "eq" | "lt" | "gt" => takes(&["values"], &["force_strings"], &["values"]),
        "is-empty" | "is-none" | "is-true" | "is-false" => takes(&["value"], &[], &["value"]),
        "in-net" => takes(&["address", "subnet"], &[], &["address", "subnet"]),
        "matches" | "contains" => takes(&["value", "regex"], &[], &["value"]),
        "one-of" => takes(&["value"], &["values"], &["value"]),
        "fail" => takes(&["msg"], &[], &[]),
        "log" => takes(&["msg"], &["level"], &["msg"]),
        "set-attribute" | "set-plugin-data" => takes(&["path", "value"], &[], &["value"]),
        "extend-attribute" | "extend-plugin-data" => takes(&["path", "value"], &["unique"], &["value"]),
        "del-attribute" | "unset-plugin-data" => takes(&["path"], &[], &[]),
        "set-capability" => takes(&["name", "value"], &[], &["value"]),
        "unset-capability" | "add-trait" | "remove-trait" => takes(&["name"], &[], &[]),
        "set-port-attribute" => takes(&["port_id", "path", "value"], &[], &["value"]),
        "extend-port-attribute" => takes(&["port_id", "path", "value"], &["unique"], &["value"]),
        "del-port-attribute" => takes(&["port_id", "path"], &[], &[]),
        _ => None,
    }
}

/// The arguments by name. The error is what is wrong with them, in Ironic's words.
pub fn named(signature: &Signature, args: &Value) -> Result<Map<String, Value>, String> {
    match args {
        Value::Object(map) => {
            let missing: Vec<_> =
                signature.required.iter().copied().filter(|name| !map.contains_key(*name)).collect();
            let known = |name: &str| signature.required.contains(&name) || signature.optional.contains(&name);
            let unexpected: Vec<_> = map.keys().map(String::as_str).filter(|name| !known(name)).collect();
            let mut faults = Vec::new();
            if !missing.is_empty() {
                faults.push(format!("missing required argument(s): {}", missing.join(", ")));
            }
            if !unexpected.is_empty() {
                faults.push(format!("unexpected argument(s): {}", unexpected.join(", ")));
            }
            if faults.is_empty() { Ok(map.clone()) } else { Err(faults.join("; ")) }
        }
        Value::Array(list) => {
            if let Some(missing) = signature.required.get(list.len()..)
                && !missing.is_empty()
            {
                return Err(format!("Not enough arguments provided. Missing: {}", missing.join(", ")));
            }
            let names = signature.required.iter().chain(signature.optional);
            Ok(names.zip(list).map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
        }
        _ => Err("args must be either a list or dictionary".to_owned()),
    }
}

/// What is wrong with an operation, as a sentence; `kind` is `condition` or `action`.
pub fn fault(operation: &Operation, kind: &str) -> Option<String> {
    let (op, _) = operation.operator();
    if op == "api-call" {
        return Some(
            "The action api-call is not served by this version of Billet: a rule that makes the conductor fetch any URL could \
             reach what only the conductor can reach. Poll the node, or read its events, instead"
                .to_owned(),
        );
    }
    let checked = signature(op).ok_or_else(|| "there is no such operator".to_owned()).and_then(|signature| {
        let args = named(&signature, &operation.args)?;
        if operation.looped().is_some() {
            // Filled in anew for each item: only then it is known.
            return Ok(());
        }
        let text = |name: &str| args.get(name).and_then(Value::as_str);
        if let Some(regex) = text("regex") {
            conditions::regex(regex, op == "matches")?;
        }
        if let Some(level) = text("level") {
            super::actions::level(level)?;
        }
        if let Some(path) = text("path") {
            attributes::check_path(op, path)?;
        }
        Ok(())
    });
    checked.err().map(|fault| format!("Invalid parameters for {kind} operator {op}: {fault}"))
}

//! Replacement fields in a rule's texts, as Python's `str.format` fills them in: `{node.uuid}`, `{inventory[cpu][count]}`,
//! `{plugin_data[x]}`, `{item[path]}`.
//!
//! Ironic formats some texts twice, so that an item of a loop may have fields of its own. Here the first of the two passes fills in
//! `item` only: its text is the rule's. What a ramdisk sent is filled in last and never looked at again, so it can't smuggle in a field.
//! Format specifications (`{x:>8}`) are not known; a text with one stays as it is, like any other text that can't be filled in.

use crate::wording::{repr, text};
use serde_json::{Map, Value};
use std::fmt;

/// Keys whose values are masked, wherever they are in inventory and plugin data.
const SENSITIVE: &[&str] = &["password", "auth_token", "bmc_password"];
/// What stands in their place.
const MASK: &str = "***";

/// What fields may refer to.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The node as the API shows it, secrets masked.
    pub node: &'a Map<String, Value>,
    /// What the ramdisk found.
    pub inventory: &'a Value,
    /// What plugins and earlier rules made of it.
    pub plugin_data: &'a Value,
    /// The item of the loop.
    pub item: Option<&'a Value>,
}

/// Why a text can't be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// A key isn't there.
    Key,
    /// Anything else.
    Other,
}

/// A value with its texts filled in. A text that can't be stays as it is; for `is-empty`, a missing key makes it `null`.
pub fn fill(value: &Value, context: Context<'_>, op: &str) -> Value {
    let once = |text: &str, pass: Pass| match expand(text, context, pass) {
        Ok(filled) => Value::String(filled),
        Err(Missed::Key) if op == "is-empty" => Value::Null,
        Err(_) => Value::String(text.to_owned()),
    };
    match value {
        Value::String(text) if context.item.is_some() => match once(text, Pass::Item) {
            Value::String(text) => once(&text, Pass::All),
            other => other,
        },
        Value::String(text) => once(text, Pass::All),
        Value::Array(list) => list
            .iter()
            .map(|element| match element {
                Value::String(text) => once(text, Pass::All),
                other => fill(other, context, op),
            })
            .collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, element)| (text(&once(key, Pass::All)), fill(element, context, op)))
            .collect(),
        other => other.clone(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Fields of the loop's item; all else stays, doubled braces too.
    Item,
    /// Every field.
    All,
}

fn expand(template: &str, context: Context<'_>, pass: Pass) -> Result<String, Missed> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            let brace = &from[..if pass == Pass::All { 1 } else { 2 }];
            out.push_str(brace);
            rest = after;
            continue;
        }
        // A lone `}` is an error, and so is a `{` that nothing closes.
        let inner = from.strip_prefix('{').ok_or(Missed::Other)?;
        let end = inner.find('}').ok_or(Missed::Other)?;
        let (field, after) = (&inner[..end], &inner[end + 1..]);
        if pass == Pass::Item && !is_of_item(field) {
            out.push_str(&from[..end + 2]);
        } else {
            out.push_str(&value_of(field, context)?);
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn is_of_item(field: &str) -> bool {
    field.strip_prefix("item").is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.', '!']))
}

/// One field: a root, a way of `[key]` and `.attribute`, and perhaps `!s` or `!r`.
fn value_of(field: &str, context: Context<'_>) -> Result<String, Missed> {
    if field.contains(['{', ':']) {
        return Err(Missed::Other);
    }
    let (path, conversion) = field.split_once('!').unwrap_or((field, "s"));
    let root_end = path.find(['[', '.']).unwrap_or(path.len());
    let (root, mut way) = path.split_at(root_end);
    let masks = matches!(root, "inventory" | "plugin_data");
    let mut sensitive = false;
    let mut place = Place::of(root, context)?;
    while !way.is_empty() {
        let (key, after, by_key) = match way.strip_prefix('[') {
            Some(inner) => {
                let (key, after) = inner.split_once(']').ok_or(Missed::Other)?;
                (key, after, true)
            }
            None => {
                let inner = way.strip_prefix('.').ok_or(Missed::Other)?;
                let (key, after) = inner.split_at(inner.find(['[', '.']).unwrap_or(inner.len()));
                (key, after, false)
            }
        };
        sensitive |= masks && SENSITIVE.contains(&key);
        place = place.step(key, by_key)?;
        way = after;
    }
    let value = if sensitive { Value::from(MASK) } else { place.value(masks) };
    match conversion {
        "s" => Ok(text(&value)),
        "r" => Ok(repr(&value)),
        _ => Err(Missed::Other),
    }
}

/// Where a way has come.
enum Place<'a> {
    /// At the node, whose fields are attributes.
    Node(&'a Map<String, Value>),
    /// At a value, whose members are keys.
    Value(&'a Value),
}

impl<'a> Place<'a> {
    fn of(root: &str, context: Context<'a>) -> Result<Self, Missed> {
        match root {
            "node" => Ok(Place::Node(context.node)),
            "inventory" => Ok(Place::Value(context.inventory)),
            "plugin_data" => Ok(Place::Value(context.plugin_data)),
            "item" => context.item.map(Place::Value).ok_or(Missed::Key),
            _ => Err(Missed::Key),
        }
    }

    fn step(self, key: &str, by_key: bool) -> Result<Self, Missed> {
        match (self, by_key) {
            (Place::Node(node), false) => node.get(key).map(Place::Value).ok_or(Missed::Other),
            (Place::Value(Value::Object(map)), true) => map.get(key).map(Place::Value).ok_or(Missed::Key),
            (Place::Value(Value::Array(list)), true) => {
                let index: usize = key.parse().map_err(|_| Missed::Other)?;
                list.get(index).map(Place::Value).ok_or(Missed::Other)
            }
            _ => Err(Missed::Other),
        }
    }

    fn value(self, masks: bool) -> Value {
        match self {
            Place::Node(node) => node.get("uuid").cloned().unwrap_or_default(),
            Place::Value(value) if masks => masked(value),
            Place::Value(value) => value.clone(),
        }
    }
}

/// A value with what is sensitive in it masked.
fn masked(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, inner)| {
                let shown = if SENSITIVE.contains(&key.as_str()) { Value::from(MASK) } else { masked(inner) };
                (key.clone(), shown)
            })
            .collect(),
        Value::Array(list) => list.iter().map(masked).collect(),
        other => other.clone(),
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("item", &self.item).finish_non_exhaustive()
    }
}

//! Actions over filled-in arguments.

use super::apply::{Line, RuleError, Subject};
use super::attributes::{Change, change_at, change_node, change_port};
use crate::wording::text;
use serde_json::{Map, Value};

/// Levels of a log line.
const LEVELS: &[&str] = &["debug", "info", "warning", "error", "critical"];
/// Traits of a node.
const TRAITS: usize = 50;

/// Reads the level of a log line.
pub fn level(level: &str) -> Result<&'static str, String> {
    let lower = level.to_lowercase();
    LEVELS
        .iter()
        .copied()
        .find(|known| *known == lower)
        .ok_or_else(|| format!("Invalid log level: {lower}. Choose from {}", LEVELS.join(", ")))
}

/// Carries an action out.
pub fn act(op: &str, args: &Map<String, Value>, subject: &mut Subject<'_>) -> Result<(), RuleError> {
    let word = |name: &str| args.get(name).map(text).unwrap_or_default();
    let value = || args.get("value").cloned().unwrap_or_default();
    let extend = || Change::Extend {
        value: value(),
        unique: args.get("unique").is_some_and(|unique| text(unique).eq_ignore_ascii_case("true")),
    };
    let path = word("path");
    let failed = |doing: String| move |why: String| RuleError::action(format!("{doing}: {why}"));
    let on_node = |doing: &str| failed(format!("Failed to {doing} {path}"));
    match op {
        "fail" => return Err(RuleError::Failed(word("msg"))),
        "log" => {
            let level = level(args.get("level").and_then(Value::as_str).unwrap_or("info"))
                .map_err(RuleError::Invalid)?;
            subject.log.lines.push(Line { level, text: word("msg") });
        }
        "set-attribute" => {
            let doing = format!("set attribute {path} with value {}", word("value"));
            change_node(subject.node, &path, Change::Set(value()))
                .map_err(failed(format!("Failed to {doing}")))?;
        }
        "extend-attribute" => {
            change_node(subject.node, &path, extend()).map_err(on_node("extend attribute"))?;
        }
        "del-attribute" => {
            change_node(subject.node, &path, Change::Remove).map_err(on_node("delete attribute at"))?;
        }
        "set-capability" => set_capability(subject, &word("name"), Some(&word("value"))),
        "unset-capability" => set_capability(subject, &word("name"), None),
        "add-trait" => {
            let name = word("name");
            add_trait(subject, &name).map_err(failed(format!("Failed to add new trait {name}")))?;
        }
        "remove-trait" => {
            let name = word("name");
            if !subject.node.traits.remove(&name) {
                subject.warn(format!("Failed to remove trait {name}: the node doesn't have it"));
            }
        }
        "set-plugin-data" => {
            let way: Vec<_> = path.split('.').collect();
            change_at(subject.plugin_data, &way, Change::Set(value()))
                .map_err(on_node("set plugin data at"))?;
        }
        "extend-plugin-data" => {
            let way: Vec<_> = path.split('.').collect();
            change_at(subject.plugin_data, &way, extend()).map_err(on_node("extend plugin data at"))?;
        }
        "unset-plugin-data" => {
            let way: Vec<_> = path.split('.').collect();
            if !unset(subject.plugin_data, &way) {
                subject.warn(format!("Path {path} not found"));
            }
        }
        "set-port-attribute" | "extend-port-attribute" | "del-port-attribute" => {
            let id = word("port_id");
            let port = subject.ports.iter_mut().find(|port| port.uuid.to_string() == id);
            let port = port.ok_or_else(|| RuleError::Invalid(format!("Port {id} could not be found.")))?;
            let (verb, change) = match op {
                "set-port-attribute" => ("set", Change::Set(value())),
                "extend-port-attribute" => ("extend", extend()),
                _ => ("delete", Change::Remove),
            };
            change_port(port, &path, change)
                .map_err(failed(format!("Failed to {verb} attribute {path} for port {id}")))?;
        }
        _ => return Err(RuleError::Invalid(format!("Unsupported action: '{op}'."))),
    }
    Ok(())
}

/// Sets or removes one of the node's capabilities (`"a:1,b:2"` in its properties).
fn set_capability(subject: &mut Subject<'_>, name: &str, value: Option<&str>) {
    let stored = subject.node.properties.get("capabilities").map(text).unwrap_or_default();
    let others = stored
        .split(',')
        .filter(|pair| !pair.is_empty() && pair.split_once(':').map_or(*pair, |(own, _)| own) != name);
    let set = value.map(|value| format!("{name}:{value}"));
    let all: Vec<_> = others.chain(set.as_deref()).collect();
    subject.node.properties.insert("capabilities".to_owned(), all.join(",").into());
}

fn add_trait(subject: &mut Subject<'_>, name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > 255 || !name.bytes().all(fits) {
        return Err("a trait has capitals, digits and underscores".to_owned());
    }
    let traits = &mut subject.node.traits;
    if !traits.contains(name) && traits.len() >= TRAITS {
        return Err(format!("a node has at most {TRAITS} traits"));
    }
    traits.insert(name.to_owned());
    Ok(())
}

/// Removes what is at the end of a way. As in Ironic, an object that would be left empty goes as a whole, unless it is the outermost.
fn unset(data: &mut Value, way: &[&str]) -> bool {
    let Some((last, above)) = way.split_last() else { return false };
    let parent = above.iter().try_fold(&*data, |place, part| place.get(part));
    let Some(Value::Object(map)) = parent.filter(|parent| parent.get(last).is_some()) else { return false };
    let way = if map.len() == 1 && !above.is_empty() { above } else { way };
    change_at(data, way, Change::Remove).is_ok()
}

//! What is known while the hooks run: the node and its ports as they are to be, and what the ramdisk sent.

use jiff::Timestamp;
use model::node::{Node, Object};
use model::port::Port;
use serde_json::Value;

/// A working copy; nothing of it is stored before all hooks have run.
pub struct Findings {
    /// The node as it is to be.
    pub node: Node,
    /// Its ports as they are to be.
    pub ports: Vec<Port>,
    /// The hardware, as the agent describes it.
    pub inventory: Object,
    /// What other collectors found, and what hooks add.
    pub data: Object,
    /// What the last inspection found.
    pub previous: Option<Object>,
    /// Now.
    pub now: Timestamp,
}

impl Findings {
    /// A value of the inventory, by JSON pointer; null counts as missing.
    pub fn found(&self, pointer: &str) -> Option<&Value> {
        let (first, rest) = pointer.split_once('/').unwrap_or((pointer, ""));
        let value = self.inventory.get(first)?;
        let value = if rest.is_empty() { value } else { value.pointer(&format!("/{rest}"))? };
        (!value.is_null()).then_some(value)
    }

    /// The interfaces of the inventory that are objects.
    pub fn interfaces(&self) -> Vec<&Object> {
        let list = self.inventory.get("interfaces").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_object).collect()
    }

    /// Puts capabilities into `properties.capabilities`, beside those that are there.
    pub fn set_capabilities(&mut self, new: &[(String, String)]) {
        let old = self.node.properties.get("capabilities").and_then(Value::as_str).unwrap_or_default();
        let mut all: Vec<(String, String)> = old
            .split(',')
            .filter_map(|pair| pair.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        for (name, value) in new {
            match all.iter_mut().find(|(known, _)| known == name) {
                Some(known) => known.1.clone_from(value),
                None => all.push((name.clone(), value.clone())),
            }
        }
        let text: Vec<_> = all.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        self.node.properties.insert("capabilities".into(), text.join(",").into());
    }
}

/// A text of an object.
pub fn text<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A MAC address with colons, in lower case; none if it is none.
pub fn mac(text: &str) -> Option<String> {
    text.parse::<wire::Mac>().ok().map(|mac| mac.to_string())
}

//! A node's document, and its secrets, which are sealed beside it.

use crate::{Result, Store, StoreError};
use model::Secret;
use model::node::{Node, Object};
use model::secret::{MASK, is_secret_key};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// What is sealed of a node. Pointers are JSON pointers into the named object.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Secrets {
    driver_info: Vec<(String, Value)>,
    driver_internal_info: Vec<(String, Value)>,
    instance_info: Vec<(String, Value)>,
    agent_token: Option<String>,
}

/// Takes the secrets out of an object, at any depth, and leaves masks.
pub(crate) fn take_secrets(object: &mut Object, prefix: &str, out: &mut Vec<(String, Value)>) {
    for (key, value) in object.iter_mut() {
        let pointer = format!("{prefix}/{}", key.replace('~', "~0").replace('/', "~1"));
        if is_secret_key(key) && !value.is_null() {
            if value.as_str() != Some(MASK) {
                out.push((pointer, value.take()));
                *value = Value::from(MASK);
            }
        } else {
            take_nested(value, &pointer, out);
        }
    }
}

fn take_nested(value: &mut Value, pointer: &str, out: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(inner) => take_secrets(inner, pointer, out),
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                take_nested(item, &format!("{pointer}/{index}"), out);
            }
        }
        _ => {}
    }
}

/// Puts back what [`take_secrets`] took.
pub(crate) fn put_secrets(object: &mut Object, secrets: Vec<(String, Value)>) {
    let mut whole = Value::Object(std::mem::take(object));
    for (pointer, secret) in secrets {
        if let Some(place) = whole.pointer_mut(&pointer) {
            *place = secret;
        }
    }
    if let Value::Object(inner) = whole {
        *object = inner;
    }
}

impl Store {
    /// Splits a node into the document that may be shown and the sealed rest.
    pub(super) fn encode(&self, node: &Node) -> Result<(String, Option<Vec<u8>>)> {
        let mut shown = node.clone();
        let mut secrets = Secrets::default();
        take_secrets(&mut shown.driver_info, "", &mut secrets.driver_info);
        take_secrets(&mut shown.driver_internal_info, "", &mut secrets.driver_internal_info);
        take_secrets(&mut shown.instance_info, "", &mut secrets.instance_info);
        if let Some(token) = shown.agent.token.take() {
            secrets.agent_token = Some(token.expose().to_owned());
            shown.agent.token = Some(Secret::new(MASK));
        }
        let corrupt = |source| StoreError::Corrupt { what: label(node.uuid), source };
        let empty = secrets.driver_info.is_empty()
            && secrets.driver_internal_info.is_empty()
            && secrets.instance_info.is_empty()
            && secrets.agent_token.is_none();
        let sealed = if empty {
            None
        } else {
            let plain = serde_json::to_vec(&secrets).map_err(corrupt)?;
            Some(self.sealer().seal(&label(node.uuid), &plain)?)
        };
        Ok((serde_json::to_string(&shown).map_err(corrupt)?, sealed))
    }

    /// Puts the sealed part back into a node as read.
    pub(super) fn unseal(&self, node: &mut Node, sealed: Option<Vec<u8>>) -> Result<()> {
        let Some(sealed) = sealed else { return Ok(()) };
        let plain = self.sealer().open_sealed(&label(node.uuid), &sealed)?;
        let secrets: Secrets = serde_json::from_slice(&plain)
            .map_err(|source| StoreError::Corrupt { what: label(node.uuid), source })?;
        put_secrets(&mut node.driver_info, secrets.driver_info);
        put_secrets(&mut node.driver_internal_info, secrets.driver_internal_info);
        put_secrets(&mut node.instance_info, secrets.instance_info);
        node.agent.token = secrets.agent_token.map(Secret::new);
        Ok(())
    }
}

fn label(uuid: Uuid) -> String {
    format!("node {uuid}")
}

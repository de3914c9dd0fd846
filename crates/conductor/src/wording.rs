//! Wordings of the contract that more than one place uses.

use model::node::Node;
use model::step::Step;
use model::wording::{repr, repr_text};
use serde_json::Value;

/// Ironic's InvalidStateRequested.
pub fn invalid_state(action: &str, node: &Node) -> String {
    format!(
        "The requested action \"{action}\" can not be performed on node \"{}\" while it is in state \"{}\".",
        node.uuid, node.provision_state
    )
}

/// Ironic's UnsupportedDriverExtension.
pub fn unsupported(node: &Node, extension: &str) -> String {
    format!("Driver {} does not support {extension} (disabled or not implemented).", node.driver)
}

/// A step as Ironic's errors quote it: what the user wrote and, if the step was found, what its offer says of it.
pub fn user_step(step: &Step, offer: Option<&Step>) -> String {
    let mut parts = vec![
        format!("'interface': {}", repr_text(&step.interface)),
        format!("'step': {}", repr_text(&step.step)),
    ];
    if !step.args.is_empty() {
        parts.push(format!("'args': {}", repr(&Value::Object(step.args.clone()))));
    }
    if let Some(offer) = offer {
        let abortable = if offer.abortable { "True" } else { "False" };
        parts.push(format!("'abortable': {abortable}, 'priority': {}", offer.priority));
    }
    format!("{{{}}}", parts.join(", "))
}

//! Wordings of the contract that more than one place uses.

use model::node::Node;

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

//! What of a node only its owner and operators see. A lessee reads in its place which permission it takes, as in Ironic.

use crate::call::Call;
use crate::policy::{Credentials, Target, admits};
use model::node::Node;
use serde_json::{Value, json};

/// Whoever needs watching: a caller with rules, and without the one that shows all of every node.
pub fn viewer(call: &Call) -> Option<&Credentials> {
    let credentials = &call.caller.identity.as_ref()?.credentials;
    let sees_all = admits("baremetal:node:get:filter_threshold", credentials, &Target::NONE);
    (!sees_all).then_some(credentials)
}

/// What stands in place of a node's field, where the viewer may not see it.
pub fn redacted(viewer: Option<&Credentials>, node: &Node, field: &str) -> Option<Value> {
    let viewer = viewer?;
    let (rule, text) = match field {
        "last_error" => (
            "baremetal:node:get:last_error",
            "** Value Redacted - Requires baremetal:node:get:last_error permission. **",
        ),
        "reservation" => (
            "baremetal:node:get:reservation",
            "** Redacted - requires baremetal:node:get:reservation permission. **",
        ),
        "driver_internal_info" => (
            "baremetal:node:get:driver_internal_info",
            "** Redacted - Requires baremetal:node:get:driver_internal_info permission. **",
        ),
        "driver_info" => (
            "baremetal:node:get:driver_info",
            "** Redacted - requires baremetal:node:get:driver_info permission. **",
        ),
        _ => return None,
    };
    if admits(rule, viewer, &Target::node(node)) {
        return None;
    }
    Some(if field.ends_with("_info") { json!({"content": text}) } else { text.into() })
}

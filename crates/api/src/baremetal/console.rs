//! `/v1/nodes/{node}/states/console`: no console interface is served yet, and the answers say so in Ironic's words.

use crate::call::{Call, Reply};
use crate::error::ApiError;
use model::node::Node;
use serde_json::json;

/// `GET …/console`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let node = call.node().await?.node;
    if node.console_enabled {
        return Err(unsupported(&node));
    }
    Reply::json(&json!({"console_enabled": false, "console_info": null}))
}

/// `PUT …/console {enabled}`
pub async fn set(call: Call) -> Result<Reply, ApiError> {
    let args = call.arguments()?;
    args.only(&["enabled"])?;
    args.require("enabled")?;
    args.boolean("enabled")?;
    Err(unsupported(&call.node().await?.node))
}

fn unsupported(node: &Node) -> ApiError {
    ApiError::invalid(format!(
        "Driver {} does not support console (disabled or not implemented).",
        node.driver
    ))
}

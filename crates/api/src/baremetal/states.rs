//! `GET /v1/nodes/{node}/states`

use super::fields::maybe_time;
use super::node_fields::provision_state;
use super::redaction::{redacted, viewer};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::Get;
use model::version::{BOOT_MODE, RAID};
use serde_json::{Value, json};

/// Rows of the route table.
pub const ROUTES: &[Route] =
    &[Route::new(Get, "/v1/nodes/{node}/states", "baremetal:node:get_states", handler!(show))
        .says("Shows what of a node changes while it is worked on.")
        .query(&[])];

/// What of a node changes while it is worked on: what clients poll.
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node;
    let mut states = json!({
        "console_enabled": node.console_enabled,
        "last_error": redacted(viewer(&call), &node, "last_error").or(node.last_error.clone().map(Value::from)),
        "power_state": node.power_state,
        "provision_state": provision_state(node.provision_state, call.version),
        "target_power_state": node.target_power_state.map(|target| target.outcome()),
        "target_provision_state": node.target_provision_state,
        "provision_updated_at": maybe_time(node.provision_updated_at),
    });
    if call.version.has(RAID) {
        states["raid_config"] = node.raid_config.into();
        states["target_raid_config"] = node.target_raid_config.into();
    }
    if call.version.has(BOOT_MODE) {
        states["boot_mode"] = node.boot_mode.into();
        states["secure_boot"] = node.secure_boot.into();
    }
    Reply::json(&states)
}

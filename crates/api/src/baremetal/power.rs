//! `PUT /v1/nodes/{node}/states/power`

use super::schema::{INTEGER, NULL, Property, STRING, property};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Verb::Put;
use crate::route::{Route, Takes};
use crate::wording::display;
use axum::http::StatusCode;
use conductor::PowerRequest;
use model::node::PowerTarget;
use model::state::ProvisionState;
use model::version::SOFT_POWER;

/// Rows of the route table.
pub const ROUTES: &[Route] =
    &[Route::new(Put, "/v1/nodes/{node}/states/power", "baremetal:node:set_power_state", handler!(set))
        .says("Turns the node on or off, or reboots it.")
        .takes(Takes::Arguments(POWER, &["target"]))
        .success(StatusCode::ACCEPTED)];

const POWER: &[Property] = &[
    property("target", STRING).one_of(PowerTarget::WORDS),
    property("timeout", INTEGER.or(NULL)).range(1, i64::MAX).since(SOFT_POWER),
];

/// Records the wish; the conductor carries it out.
pub async fn set(call: Call) -> Result<Reply, ApiError> {
    let args = call.arguments_of(POWER)?;
    args.require("target")?;
    let target = args.text("target")?.unwrap_or("None");
    let timeout = args.integer("timeout")?;
    let row = call.node().await?;
    let node = &row.node;
    let ident = call.parameter("node");
    let soft = matches!(target, "soft rebooting" | "soft power off");
    if (soft || timeout.is_some_and(|timeout| timeout != 0)) && !call.version.has(SOFT_POWER) {
        return Err(ApiError::not_acceptable());
    }
    let timeout_seconds = match timeout.map(u64::try_from) {
        None => None,
        Some(Ok(seconds)) if seconds >= 1 => Some(seconds),
        Some(_) => return Err(ApiError::invalid("timeout has to be positive integer")),
    };
    let refuse = |state: &str| {
        Err(ApiError::invalid(format!(
            "The requested action \"{}\" can not be performed on node \"{ident}\" while it is in state \"{state}\".",
            display(&target.into())
        )))
    };
    let Ok(parsed) = target.parse::<PowerTarget>() else {
        return refuse(node.power_state.map_or("None", |state| state.as_str()));
    };
    if matches!(node.provision_state, ProvisionState::CleanWait | ProvisionState::Cleaning) {
        return refuse(node.provision_state.as_str());
    }
    if node.disable_power_off && matches!(parsed, PowerTarget::Off | PowerTarget::SoftOff) {
        return Err(ApiError::conflict(format!("Failed to set node power state to {parsed}.")));
    }
    let known = call.state.store.open_row(row).await?;
    call.state.conductor.power_known(&known, PowerRequest { target: parsed, timeout_seconds }).await?;
    Ok(Reply::empty().at(call.url(&format!("nodes/{ident}/states"))))
}

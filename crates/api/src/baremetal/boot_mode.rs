//! `/v1/nodes/{node}/states/{boot_mode,secure_boot}`: changed behind the answer; `GET …/states` shows how they are.

use super::schema::{FLAG, Property, STRING, property};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Verb::Put;
use crate::route::{Route, Takes};
use axum::http::StatusCode;
use model::errand::Deed;
use model::version::CHANGE_BOOT_MODE;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Put, "/v1/nodes/{node}/states/boot_mode", "baremetal:node:set_boot_mode", handler!(set_mode))
        .says("Changes between BIOS and UEFI.")
        .since(CHANGE_BOOT_MODE)
        .takes(Takes::Arguments(BOOT_MODE, &["target"]))
        .success(StatusCode::ACCEPTED),
    Route::new(
        Put,
        "/v1/nodes/{node}/states/secure_boot",
        "baremetal:node:set_secure_boot",
        handler!(set_secure_boot),
    )
    .says("Turns secure boot on or off.")
    .since(CHANGE_BOOT_MODE)
    .takes(Takes::Arguments(SECURE_BOOT, &["target"]))
    .success(StatusCode::ACCEPTED),
];

const BOOT_MODE: &[Property] = &[property("target", STRING).one_of(&["bios", "uefi"])];
const SECURE_BOOT: &[Property] = &[property("target", FLAG)];

/// `PUT …/boot_mode {target: bios | uefi}`
pub async fn set_mode(call: Call) -> Result<Reply, ApiError> {
    let args = call.arguments_of(BOOT_MODE)?;
    args.require("target")?;
    let mode = args.text("target")?.unwrap_or("None");
    let node = call.node().await?.node;
    if !matches!(mode, "bios" | "uefi") {
        let mode: String = mode.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
        return Err(ApiError::invalid(format!(
            "Invalid boot mode {mode} requested for node. Allowed boot modes are: bios, uefi"
        )));
    }
    record(&call, node.uuid, Deed::BootMode(mode.to_owned())).await
}

/// `PUT …/secure_boot {target: bool}`
pub async fn set_secure_boot(call: Call) -> Result<Reply, ApiError> {
    let args = call.arguments_of(SECURE_BOOT)?;
    args.require("target")?;
    let on = args.boolean("target")?;
    let node = call.node().await?.node;
    let on = on.ok_or_else(|| {
        ApiError::invalid(
            "Invalid secure_boot None requested for node. Allowed secure_boot states are: True, False) ",
        )
    })?;
    record(&call, node.uuid, Deed::SecureBoot(on)).await
}

async fn record(call: &Call, node: uuid::Uuid, deed: Deed) -> Result<Reply, ApiError> {
    call.state.conductor.errand(node, deed, call.caller.user.clone()).await?;
    Ok(Reply::empty().at(call.url(&format!("nodes/{}/states", call.parameter("node")))))
}

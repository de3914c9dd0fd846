//! `/v1/nodes/{node}/management/boot_device`: by contract these ask the BMC at once.

use super::schema::{FLAG, Property, STRING, property};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::gate::Class;
use crate::handler;
use crate::route::Verb::{Get, Put};
use crate::route::{Route, Takes};
use axum::http::StatusCode;
use serde_json::json;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(
        Get,
        "/v1/nodes/{node}/management/boot_device",
        "baremetal:node:get_boot_device",
        handler!(show),
    )
    .class(Class::Slow)
    .says("Asks the BMC which device the node boots from.")
    .query(&[]),
    Route::new(
        Put,
        "/v1/nodes/{node}/management/boot_device",
        "baremetal:node:set_boot_device",
        handler!(set),
    )
    .class(Class::Slow)
    .says("Sets the device that the node boots from.")
    .takes(Takes::Arguments(BOOT_DEVICE, &["boot_device"]))
    .success(StatusCode::NO_CONTENT),
    Route::new(
        Get,
        "/v1/nodes/{node}/management/boot_device/supported",
        "baremetal:node:get_boot_device",
        handler!(supported),
    )
    .class(Class::Slow)
    .says("Lists the devices that the node can be told to boot from.")
    .query(&[]),
];

const BOOT_DEVICE: &[Property] = &[property("boot_device", STRING), property("persistent", FLAG)];

/// `GET …/boot_device`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let uuid = call.node().await?.node.uuid;
    let found = call.state.conductor.boot_device(uuid).await?;
    Reply::json(&json!({"boot_device": found.device, "persistent": found.persistent}))
}

/// `PUT …/boot_device {boot_device, persistent}`
pub async fn set(call: Call) -> Result<Reply, ApiError> {
    let args = call.arguments_of(BOOT_DEVICE)?;
    args.require("boot_device")?;
    let device = args.text("boot_device")?.unwrap_or("None");
    let device: String = device.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
    let persistent = args.boolean("persistent")?.unwrap_or(false);
    let node = call.node().await?.node;
    call.state.conductor.set_boot_device(node.uuid, &device, persistent).await?;
    Ok(Reply::empty())
}

/// `GET …/boot_device/supported`
pub async fn supported(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node;
    Reply::json(&json!({"supported_boot_devices": call.state.conductor.supported_boot_devices(&node)}))
}

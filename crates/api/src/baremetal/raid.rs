//! RAID: `/v1/nodes/{node}/states/raid`, and what a logical disk may have, driver by driver.

use super::drivers;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Verb::{Get, Put};
use crate::route::{Route, Takes};
use crate::wording::display;
use axum::http::StatusCode;
use model::raid::LOGICAL_DISK_PROPERTIES;
use model::version::RAID;
use serde_json::{Map, Value};

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Put, "/v1/nodes/{node}/states/raid", "baremetal:node:set_raid_state", handler!(set))
        .says("Sets the RAID configuration that the node shall get.")
        .since(RAID)
        .below(StatusCode::NOT_ACCEPTABLE)
        .query(&[])
        .takes(Takes::Anything)
        .success(StatusCode::NO_CONTENT),
    Route::new(
        Get,
        "/v1/drivers/{driver}/raid/logical_disk_properties",
        "baremetal:driver:get_raid_logical_disk_properties",
        handler!(properties),
    )
    .says("Describes what a logical disk of a RAID configuration may have.")
    .since(RAID)
    .below(StatusCode::NOT_ACCEPTABLE)
    .query(&[]),
];

/// `PUT …/states/raid {logical_disks}`; an empty object forgets the target.
pub async fn set(call: Call) -> Result<Reply, ApiError> {
    let target = match call.json()? {
        Value::Object(target) => target,
        Value::Null => Map::new(),
        other => {
            return Err(ApiError::invalid(format!(
                "Expected types <class 'dict'> for target_raid_config: {}",
                display(&other)
            )));
        }
    };
    let node = call.node().await?.node;
    call.state.conductor.set_target_raid(node.uuid, &target).await?;
    Ok(Reply::empty())
}

/// `GET /v1/drivers/{driver}/raid/logical_disk_properties`
pub async fn properties(call: Call) -> Result<Reply, ApiError> {
    drivers::serving(&call)?;
    let rows: Map<String, Value> =
        LOGICAL_DISK_PROPERTIES.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect();
    Reply::json(&rows)
}

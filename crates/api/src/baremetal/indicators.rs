//! `/v1/nodes/{node}/management/{inject_nmi,indicators}`: the machine's diagnostic interrupt and its LEDs.

use super::schema::{Property, STRING, property};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::gate::Class;
use crate::handler;
use crate::route::Verb::{Get, Put};
use crate::route::{Route, Takes};
use axum::http::StatusCode;
use model::version::{INDICATORS, INJECT_NMI};
use serde_json::{Value, json};

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(
        Put,
        "/v1/nodes/{node}/management/inject_nmi",
        "baremetal:node:inject_nmi",
        handler!(inject_nmi),
    )
    .class(Class::Slow)
    .says("Sends the node a non-maskable interrupt.")
    .since(INJECT_NMI)
    .takes(Takes::Arguments(&[], &[]))
    .success(StatusCode::NO_CONTENT),
    Route::new(
        Get,
        "/v1/nodes/{node}/management/indicators",
        "baremetal:node:get_indicator_state",
        handler!(list),
    )
    .class(Class::Slow)
    .says("Lists the node's indicator lamps.")
    .since(INDICATORS)
    .query(&[]),
    Route::new(
        Get,
        "/v1/nodes/{node}/management/indicators/{indicator}",
        "baremetal:node:get_indicator_state",
        handler!(show),
    )
    .class(Class::Slow)
    .says("Asks the BMC for the state of an indicator lamp.")
    .since(INDICATORS)
    .query(&[]),
    Route::new(
        Put,
        "/v1/nodes/{node}/management/indicators/{indicator}",
        "baremetal:node:set_indicator_state",
        handler!(set),
    )
    .class(Class::Slow)
    .says("Sets an indicator lamp.")
    .since(INDICATORS)
    .takes(Takes::Arguments(STATE, &["state"]))
    .success(StatusCode::NO_CONTENT),
];

const STATE: &[Property] = &[property("state", STRING)];

/// `PUT …/inject_nmi {}`
pub async fn inject_nmi(call: Call) -> Result<Reply, ApiError> {
    call.arguments_of(&[])?;
    let node = call.node().await?.node;
    call.state.conductor.inject_nmi(node.uuid).await?;
    Ok(Reply::empty())
}

/// `GET …/indicators`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node;
    let ident = call.parameter("node");
    let known = call.state.conductor.indicators(node.uuid).await?;
    let rows: Vec<Value> = known
        .iter()
        .map(|indicator| {
            let name = format!("{}@{}", indicator.name, indicator.component);
            json!({
                "links": call.links(&format!("nodes/{ident}/management/indicators/{name}")),
                "name": name,
                "component": indicator.component,
                "readonly": indicator.read_only,
                "states": indicator.states,
            })
        })
        .collect();
    Reply::json(&json!({"indicators": rows}))
}

/// `GET …/indicators/{name@component}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node;
    let (name, component) = indicator(&call)?;
    let state = call.state.conductor.indicator(node.uuid, component, name).await?;
    Reply::json(&json!({"state": state}))
}

/// `PUT …/indicators/{name@component} {state}`
pub async fn set(call: Call) -> Result<Reply, ApiError> {
    let args = call.arguments_of(STATE)?;
    args.require("state")?;
    args.text("state")?;
    let node = call.node().await?.node;
    indicator(&call)?;
    call.state.conductor.set_indicator(node.uuid).await?;
    Ok(Reply::empty())
}

/// Name and component of the indicator that the path names.
fn indicator(call: &Call) -> Result<(&str, &str), ApiError> {
    let unique = call.parameter("indicator");
    unique.split_once('@').ok_or_else(|| {
        let shown: String = unique.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
        ApiError::invalid(format!("Malformed indicator name \"{shown}\""))
    })
}

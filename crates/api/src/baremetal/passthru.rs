//! `vendor_passthru` of nodes and drivers: methods that a vendor interface has beyond the API.

use super::drivers;
use crate::args::object;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::gate::Class;
use crate::handler;
use crate::route::Verb::{Delete, Get, Patch, Post, Put};
use crate::route::{Handler, Route, Takes, Verb};
use axum::http::StatusCode;
use model::vendor::Method;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Rows of the route table. A method's name stands in the query, or behind the path as Ironic's router takes it too.
pub const ROUTES: &[Route] = &[
    Route::new(
        Get,
        "/v1/nodes/{node}/vendor_passthru/methods",
        "baremetal:node:vendor_passthru",
        handler!(node_methods),
    )
    .says("Lists the methods of the node's vendor interface.")
    .query(&[]),
    node_row(Get, false, handler!(get_node)),
    node_row(Post, false, handler!(post_node)),
    node_row(Put, false, handler!(put_node)),
    node_row(Patch, false, handler!(patch_node)),
    node_row(Delete, false, handler!(delete_node)),
    node_row(Get, true, handler!(get_node)),
    node_row(Post, true, handler!(post_node)),
    node_row(Put, true, handler!(put_node)),
    node_row(Patch, true, handler!(patch_node)),
    node_row(Delete, true, handler!(delete_node)),
    Route::new(
        Get,
        "/v1/drivers/{driver}/vendor_passthru/methods",
        "baremetal:driver:vendor_passthru",
        handler!(driver_methods),
    )
    .says("Lists the methods of the driver's vendor interface.")
    .query(&[]),
    driver_row(Get, false, handler!(get_driver)),
    driver_row(Post, false, handler!(post_driver)),
    driver_row(Put, false, handler!(put_driver)),
    driver_row(Patch, false, handler!(patch_driver)),
    driver_row(Delete, false, handler!(delete_driver)),
    driver_row(Get, true, handler!(get_driver)),
    driver_row(Post, true, handler!(post_driver)),
    driver_row(Put, true, handler!(put_driver)),
    driver_row(Patch, true, handler!(patch_driver)),
    driver_row(Delete, true, handler!(delete_driver)),
];

const fn node_row(verb: Verb, in_path: bool, handler: Handler) -> Route {
    let paths = ["/v1/nodes/{node}/vendor_passthru", "/v1/nodes/{node}/vendor_passthru/{method}"];
    row(verb, paths, in_path, "baremetal:node:vendor_passthru", handler)
}

const fn driver_row(verb: Verb, in_path: bool, handler: Handler) -> Route {
    let paths = ["/v1/drivers/{driver}/vendor_passthru", "/v1/drivers/{driver}/vendor_passthru/{method}"];
    row(verb, paths, in_path, "baremetal:driver:vendor_passthru", handler)
}

const fn row(
    verb: Verb,
    paths: [&'static str; 2],
    in_path: bool,
    policy: &'static str,
    handler: Handler,
) -> Route {
    let route = if in_path {
        Route::new(verb, paths[1], policy, handler).query(&[])
    } else {
        Route::new(verb, paths[0], policy, handler).query(&["method"])
    };
    let route = route.says("Calls a method of the vendor interface.").class(Class::Slow);
    if matches!(verb, Verb::Get) { route } else { route.takes(Takes::Anything) }
}

/// `GET …/vendor_passthru/methods` of a node.
pub async fn node_methods(call: Call) -> Result<Reply, ApiError> {
    let node = call.node().await?.node;
    listed(call.state.conductor.vendor_methods(&node))
}

/// `GET …/vendor_passthru/methods` of a driver: no driver has methods of its own.
pub async fn driver_methods(call: Call) -> Result<Reply, ApiError> {
    drivers::serving(&call)?;
    listed(&[])
}

fn listed(methods: &[Method]) -> Result<Reply, ApiError> {
    let rows: BTreeMap<_, _> = methods.iter().map(|method| (method.name, method)).collect();
    Reply::json(&rows)
}

/// The name of the method, from the path or the query.
fn method(call: &Call) -> Result<String, ApiError> {
    let in_path = call.parameter("method");
    if !in_path.is_empty() {
        return Ok(in_path.to_owned());
    }
    call.query.require("method")?;
    match call.query.text("method")? {
        None | Some("") => Err(ApiError::invalid("Method not specified")),
        Some(name) => Ok(name.chars().take(crate::limits::QUOTED_CHARACTERS).collect()),
    }
}

async fn call_node(call: Call, verb: Verb) -> Result<Reply, ApiError> {
    let method = method(&call)?;
    let arguments = arguments(&call)?;
    let node = call.node().await?.node;
    let user = call.caller.user.clone();
    let done =
        call.state.conductor.vendor_passthru(node.uuid, &method, verb.as_str(), arguments, user).await?;
    match done {
        Some(result) => Reply::json(&result),
        None => Ok(Reply { status: Some(StatusCode::ACCEPTED), ..Reply::empty() }),
    }
}

async fn call_driver(call: Call, verb: Verb) -> Result<Reply, ApiError> {
    let method = method(&call)?;
    arguments(&call)?;
    drivers::serving(&call)?;
    Reply::json(&call.state.conductor.driver_passthru(&method, verb.as_str())?)
}

/// The body: the method's arguments.
fn arguments(call: &Call) -> Result<Map<String, Value>, ApiError> {
    match call.json()? {
        Value::Null => Ok(Map::new()),
        body => object("data", body),
    }
}

macro_rules! by_verb {
    ($($name:ident: $function:ident $verb:ident;)+) => {
        $(async fn $name(call: Call) -> Result<Reply, ApiError> {
            $function(call, $verb).await
        })+
    };
}

by_verb! {
    get_node: call_node Get;
    post_node: call_node Post;
    put_node: call_node Put;
    patch_node: call_node Patch;
    delete_node: call_node Delete;
    get_driver: call_driver Get;
    post_driver: call_driver Post;
    put_driver: call_driver Put;
    patch_driver: call_driver Patch;
    delete_driver: call_driver Delete;
}

//! `/v1/runbooks/{runbook}/traits`: the traits of the nodes on which a runbook may run.

use super::runbooks::find;
use super::schema::{ARRAY, Property, STRING, check, property};
use super::traits::check_trait;
use crate::args::object;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::limits::RUNBOOK_TRAITS;
use crate::route::Verb::{Delete, Get, Put};
use crate::route::{Route, Takes};
use axum::http::StatusCode;
use model::runbook::Runbook;
use model::version as v;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/runbooks/{runbook}/traits", "baremetal:runbook:get", handler!(list))
        .says("Lists the runbook's traits.")
        .query(&[])
        .since(v::RUNBOOK_TRAITS),
    Route::new(Put, "/v1/runbooks/{runbook}/traits", "baremetal:runbook:update", handler!(replace))
        .says("Replaces the runbook's traits.")
        .query(&[])
        .takes(Takes::Object(PROPERTIES, &["traits"]))
        .since(v::RUNBOOK_TRAITS)
        .success(StatusCode::NO_CONTENT),
    Route::new(Delete, "/v1/runbooks/{runbook}/traits", "baremetal:runbook:update", handler!(clear))
        .says("Removes all of the runbook's traits.")
        .query(&[])
        .since(v::RUNBOOK_TRAITS)
        .success(StatusCode::NO_CONTENT),
    Route::new(Put, "/v1/runbooks/{runbook}/traits/{trait}", "baremetal:runbook:update", handler!(add))
        .says("Adds a trait to the runbook.")
        .takes(Takes::Nothing)
        .query(&[])
        .since(v::RUNBOOK_TRAITS)
        .success(StatusCode::NO_CONTENT),
    Route::new(Delete, "/v1/runbooks/{runbook}/traits/{trait}", "baremetal:runbook:update", handler!(remove))
        .says("Removes a trait from the runbook.")
        .query(&[])
        .since(v::RUNBOOK_TRAITS)
        .success(StatusCode::NO_CONTENT),
];

const PROPERTIES: &[Property] = &[property("traits", ARRAY).items(&property("", STRING))];

/// `GET …/traits`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    Reply::json(&json!({"traits": find(&call).await?.traits}))
}

/// `PUT …/traits {traits: […]}` replaces them all.
pub async fn replace(call: Call) -> Result<Reply, ApiError> {
    let body = read(&call)?;
    let Some(list) = body.get("traits") else { return Err(either()) };
    let traits: BTreeSet<String> =
        list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    change(&call, |stored| stored.clone_from(&traits)).await
}

/// `DELETE …/traits`
pub async fn clear(call: Call) -> Result<Reply, ApiError> {
    change(&call, BTreeSet::clear).await
}

/// `PUT …/traits/{trait}`, without a body.
pub async fn add(call: Call) -> Result<Reply, ApiError> {
    let name = call.parameter("trait");
    check_trait("trait", name)?;
    if !read(&call)?.is_empty() {
        return Err(either());
    }
    let reply = change(&call, |stored| {
        stored.insert(name.to_owned());
    })
    .await?;
    Ok(reply.at(call.url(&format!("runbooks/{}/traits/{name}", call.parameter("runbook")))))
}

/// `DELETE …/traits/{trait}`; one that isn't there is none to remove.
pub async fn remove(call: Call) -> Result<Reply, ApiError> {
    let name = call.parameter("trait");
    change(&call, |stored| {
        stored.remove(name);
    })
    .await
}

fn read(call: &Call) -> Result<Map<String, Value>, ApiError> {
    let body = object("body", call.json()?)?;
    check("body", &body, PROPERTIES, &[])?;
    for name in body.get("traits").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        check_trait("body", name)?;
    }
    Ok(body)
}

fn either() -> ApiError {
    ApiError::invalid(
        "A single runbook trait may be added via PUT /v1/runbooks/<runbook identifier>/traits/<trait> with no body, or all \
         runbook traits may be replaced via PUT /v1/runbooks/<runbook identifier>/traits with the list of traits specified in \
         the request body.",
    )
}

async fn change(call: &Call, edit: impl FnOnce(&mut BTreeSet<String>)) -> Result<Reply, ApiError> {
    let uuid = find(call).await?.uuid;
    let changed = |runbook: &mut Runbook| {
        edit(&mut runbook.traits);
        let count = runbook.traits.len();
        if count <= RUNBOOK_TRAITS {
            return Ok(());
        }
        Err(ApiError::invalid(format!(
            "Could not modify traits for runbook {uuid} as it would exceed the maximum number of traits per runbook ({count} \
             vs. {RUNBOOK_TRAITS})"
        )))
    };
    call.state.store.edit(uuid, changed).await?;
    Ok(Reply::empty())
}

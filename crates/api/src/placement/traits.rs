//! `/traits`, and `/resource_providers/{provider}/traits`.

use super::provider::{all, named};
use super::since;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use axum::http::StatusCode;
use serde_json::json;
use std::collections::BTreeSet;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/traits", Access::Operator, handler!(list)).says("Lists the traits that nodes have."),
    Route::new(Get, "/traits/{trait}", Access::Operator, handler!(show))
        .success(StatusCode::NO_CONTENT)
        .says("Tells whether some node has a trait."),
    Route::new(Get, "/resource_providers/{provider}/traits", Access::Operator, handler!(of_provider))
        .says("Lists a provider's traits."),
];

async fn every(call: &Call) -> Result<BTreeSet<String>, CloudError> {
    Ok(all(call).await?.into_iter().flat_map(|provider| provider.traits).collect())
}

async fn list(call: Call) -> Result<Reply, CloudError> {
    since(&call, 6)?;
    let name = call.query.first("name").unwrap_or_default();
    let fits: Box<dyn Fn(&str) -> bool + Send> = match name.split_once(':') {
        _ if name.is_empty() => Box::new(|_| true),
        Some(("in", list)) => {
            let wanted: BTreeSet<String> = list.split(',').map(str::to_owned).collect();
            Box::new(move |name| wanted.contains(name))
        }
        Some(("startswith", prefix)) => {
            let prefix = prefix.to_owned();
            Box::new(move |name| name.starts_with(&prefix))
        }
        _ => {
            return Err(CloudError::invalid(
                "Badly formatted name parameter. Expected name query string parameter in form: ?name=[in|startswith]:[name1,name2|prefix].",
            )
            .kind("placement.query.bad_value"));
        }
    };
    // Only those of nodes are known, so each is associated with a provider.
    let associated = call.query.flag("associated")?.unwrap_or(true);
    let traits: Vec<_> = every(&call).await?.into_iter().filter(|name| associated && fits(name)).collect();
    Reply::json(&json!({"traits": traits}))
}

async fn show(call: Call) -> Result<Reply, CloudError> {
    since(&call, 6)?;
    let name = call.parameter("trait");
    if every(&call).await?.contains(name) {
        return Ok(Reply::empty());
    }
    Err(CloudError::not_found(format!("No such trait(s): {name}.")))
}

async fn of_provider(call: Call) -> Result<Reply, CloudError> {
    since(&call, 6)?;
    let provider = named(&call).await?;
    Reply::json(&json!({
        "traits": provider.traits,
        "resource_provider_generation": provider.generation(),
    }))
}

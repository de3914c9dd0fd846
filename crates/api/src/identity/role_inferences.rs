//! `/v3/roles/{prior}/implies` and `/v3/role_inferences`: which role implies which.

use super::error::from_store;
use super::roles::role;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Put};
use axum::http::StatusCode;
use model::identity::{ImpliedRole, Role, implied_closure};
use serde_json::{Value, json};

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v3/role_inferences", Access::Operator, handler!(list))
        .says("Lists which role implies which."),
    Route::new(Get, "/v3/roles/{prior}/implies", Access::Operator, handler!(of_role))
        .says("Lists what a role implies."),
    Route::new(Get, "/v3/roles/{prior}/implies/{implied}", Access::Operator, handler!(show))
        .says("Shows that a role implies another."),
    Route::new(Put, "/v3/roles/{prior}/implies/{implied}", Access::Operator, handler!(create))
        .success(StatusCode::CREATED)
        .says("Makes a role imply another."),
    Route::new(Delete, "/v3/roles/{prior}/implies/{implied}", Access::Operator, handler!(delete))
        .success(StatusCode::NO_CONTENT)
        .says("Makes a role imply another no more."),
];

fn named(call: &Call, role: &Role) -> Value {
    json!({"id": role.id, "name": role.name, "links": {"self": call.url(&format!("/v3/roles/{}", role.id))}})
}

/// Every rule that begins with one of these roles.
async fn rules(call: &Call, priors: &[Role]) -> Result<Vec<Value>, CloudError> {
    let identity = call.state.store.identity();
    let rules = identity.implied_roles().await?;
    let roles: Vec<Role> = identity.list(&[]).await?;
    let find = |id: &str| roles.iter().find(|role| role.id == id);
    Ok(priors
        .iter()
        .filter_map(|prior| {
            let own = rules.iter().filter(|rule| rule.prior == prior.id);
            let implied: Vec<_> =
                own.filter_map(|rule| find(&rule.implied)).map(|role| named(call, role)).collect();
            (!implied.is_empty()).then(|| json!({"prior_role": named(call, prior), "implies": implied}))
        })
        .collect())
}

/// `GET /v3/role_inferences`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let roles: Vec<Role> = call.state.store.identity().list(&[]).await?;
    let rules = rules(&call, &roles).await?;
    Reply::json(&json!({"role_inferences": rules, "links": {"self": call.url("/v3/role_inferences")}}))
}

/// `GET /v3/roles/{prior}/implies`
async fn of_role(call: Call) -> Result<Reply, CloudError> {
    let prior = role(&call, call.parameter("prior")).await?;
    let rule = rules(&call, std::slice::from_ref(&prior)).await?.pop();
    let rule = rule.unwrap_or_else(|| json!({"prior_role": named(&call, &prior), "implies": []}));
    let links = json!({"self": call.url(&format!("/v3/roles/{}/implies", prior.id))});
    Reply::json(&json!({"role_inference": rule, "links": links}))
}

async fn both(call: &Call) -> Result<(Role, Role, ImpliedRole), CloudError> {
    let (prior, implied) =
        (role(call, call.parameter("prior")).await?, role(call, call.parameter("implied")).await?);
    let rule = ImpliedRole { prior: prior.id.clone(), implied: implied.id.clone() };
    Ok((prior, implied, rule))
}

fn absent(rule: &ImpliedRole) -> CloudError {
    CloudError::not_found(format!("{} does not imply {}.", rule.prior, rule.implied))
}

fn shown(call: &Call, prior: &Role, implied: &Role) -> Result<Reply, CloudError> {
    let links = json!({"self": call.url(&format!("/v3/roles/{}/implies/{}", prior.id, implied.id))});
    let rule = json!({"prior_role": named(call, prior), "implies": named(call, implied)});
    Reply::json(&json!({"role_inference": rule, "links": links}))
}

/// `GET /v3/roles/{prior}/implies/{implied}`; to `HEAD` it is the status that matters.
async fn show(call: Call) -> Result<Reply, CloudError> {
    let (prior, implied, rule) = both(&call).await?;
    if !call.state.store.identity().implied_roles().await?.contains(&rule) {
        return Err(absent(&rule));
    }
    let reply = shown(&call, &prior, &implied)?;
    Ok(if call.method == axum::http::Method::HEAD { reply.status(StatusCode::NO_CONTENT) } else { reply })
}

/// `PUT /v3/roles/{prior}/implies/{implied}`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let (prior, implied, rule) = both(&call).await?;
    let identity = call.state.store.identity();
    if implied.name == "admin" {
        return Err(CloudError::forbidden(format!("{} cannot be an implied roles.", implied.id)));
    }
    if implied_closure([implied.id.clone()], &identity.implied_roles().await?).contains(&prior.id) {
        return Err(CloudError::forbidden(format!(
            "The role {} implies {} already, and a role can't imply itself.",
            implied.name, prior.name
        )));
    }
    identity.imply(&rule).await.map_err(from_store)?;
    shown(&call, &prior, &implied)
}

/// `DELETE /v3/roles/{prior}/implies/{implied}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let (.., rule) = both(&call).await?;
    if call.state.store.identity().stop_implying(&rule).await.map_err(from_store)? {
        Ok(Reply::empty())
    } else {
        Err(absent(&rule))
    }
}

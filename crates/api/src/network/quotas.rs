//! `/v2.0/quotas`.

use super::attributes::Attributes;
use super::error::not_authorized;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Put};
use axum::http::StatusCode;
use model::network::QUOTA_RESOURCES;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.0/quotas", Access::Operator, handler!(list))
        .says("Lists the projects whose quotas were set."),
    Route::new(Get, "/v2.0/quotas/tenant", Access::Project, handler!(own_project))
        .says("Says which project the token is for."),
    Route::new(Get, "/v2.0/quotas/{project}", Access::Project, handler!(show))
        .says("Shows a project's quotas."),
    Route::new(Put, "/v2.0/quotas/{project}", Access::Operator, handler!(update))
        .says("Sets a project's quotas."),
    Route::new(Delete, "/v2.0/quotas/{project}", Access::Operator, handler!(delete))
        .says("Goes back to the default quotas for a project.")
        .success(StatusCode::NO_CONTENT),
    Route::new(Get, "/v2.0/quotas/{project}/default", Access::Project, handler!(defaults))
        .says("Shows the default quotas."),
    Route::new(Get, "/v2.0/quotas/{project}/details", Access::Project, handler!(details))
        .says("Shows a project's quotas and what it has of them."),
    // The clients of 2017 to 2020 write it so.
    Route::new(Get, "/v2.0/quotas/{project}/details.json", Access::Project, handler!(details))
        .says("Shows a project's quotas and what it has of them."),
];

/// The project that a path names: the caller's own, or any for operators.
fn project(call: &Call) -> Result<&str, CloudError> {
    let project = call.parameter("project");
    if call.may_see(project) {
        return Ok(project);
    }
    Err(not_authorized("Looking at another project's quotas", "an admin of the cloud"))
}

/// All quotas of a project: those that were set, the defaults for the rest.
fn effective(set: &BTreeMap<String, i64>) -> Map<String, Value> {
    let most = |name: &str, default: i64| set.get(name).copied().unwrap_or(default);
    QUOTA_RESOURCES
        .iter()
        .map(|resource| (resource.name.to_owned(), most(resource.name, resource.default).into()))
        .collect()
}

/// `GET /v2.0/quotas`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let mut quotas = Vec::new();
    for project in call.state.store.network_quota_projects().await? {
        let mut quota = effective(&call.state.store.network_quotas(&project).await?);
        quota.insert("tenant_id".to_owned(), project.clone().into());
        quota.insert("project_id".to_owned(), project.into());
        quotas.push(quota);
    }
    Reply::json(&json!({"quotas": quotas}))
}

/// `GET /v2.0/quotas/tenant`
async fn own_project(call: Call) -> Result<Reply, CloudError> {
    let project = call.project()?;
    Reply::json(&json!({"tenant": {"tenant_id": project, "project_id": project}}))
}

/// `GET /v2.0/quotas/{project}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let set = call.state.store.network_quotas(project(&call)?).await?;
    Reply::json(&json!({"quota": effective(&set)}))
}

/// `PUT /v2.0/quotas/{project}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let project = call.parameter("project");
    let mut attributes = Attributes::read(&call, "quota")?;
    drop((attributes.take("tenant_id"), attributes.take("project_id")));
    let mut is_checked = false;
    attributes.set_flag("check_limit", &mut is_checked)?;
    let mut is_forced = false;
    attributes.set_flag("force", &mut is_forced)?;
    let mut wanted = Vec::new();
    for resource in QUOTA_RESOURCES {
        if let Some(most) = attributes.number(resource.name, -1..=i64::from(i32::MAX))? {
            wanted.push((resource.name, most));
        }
    }
    attributes.finish(&[])?;
    let store = &call.state.store;
    if is_checked && !is_forced {
        for (resource, most) in &wanted {
            let used = store.network_usage(project, resource).await?;
            if *most >= 0 && used > *most {
                let text =
                    format!("Quota limit {most} of {resource} is less than the {used} that are in use.");
                return Err(CloudError::invalid(text).kind("QuotaException"));
            }
        }
    }
    store.put_network_quotas(project, &wanted).await?;
    Reply::json(&json!({"quota": effective(&store.network_quotas(project).await?)}))
}

/// `DELETE /v2.0/quotas/{project}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    call.state.store.delete_network_quotas(call.parameter("project")).await?;
    Ok(Reply::empty())
}

/// `GET /v2.0/quotas/{project}/default`
async fn defaults(call: Call) -> Result<Reply, CloudError> {
    project(&call)?;
    Reply::json(&json!({"quota": effective(&BTreeMap::new())}))
}

/// `GET /v2.0/quotas/{project}/details`
async fn details(call: Call) -> Result<Reply, CloudError> {
    let project = project(&call)?;
    let store = &call.state.store;
    let mut quota = effective(&store.network_quotas(project).await?);
    for (resource, most) in &mut quota {
        let used = store.network_usage(project, resource).await?;
        *most = json!({"limit": most.take(), "used": used, "reserved": 0});
    }
    Reply::json(&json!({"quota": quota}))
}

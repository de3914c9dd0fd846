//! `/os-quota-sets`, `/os-quota-class-sets`: how much a project may use.

use super::body::{Fields, NAME_LENGTH, integer, only};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Put};
use axum::http::StatusCode;
use model::compute::quota::{DEFAULTS, LARGEST, Limits, QuotaResource, UNLIMITED};
use model::identity::Project;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use store::StoreError;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/os-quota-sets/{project}", Access::Project, handler!(show))
        .says("Shows a project's quota."),
    Route::new(Put, "/v2.1/os-quota-sets/{project}", Access::Operator, handler!(update))
        .says("Sets a project's quota."),
    Route::new(Delete, "/v2.1/os-quota-sets/{project}", Access::Operator, handler!(delete))
        .says("Gives a project the default quota again.")
        .success(StatusCode::ACCEPTED),
    Route::new(Get, "/v2.1/os-quota-sets/{project}/defaults", Access::Project, handler!(defaults))
        .says("Shows the quota of projects that have none of their own."),
    Route::new(Get, "/v2.1/os-quota-sets/{project}/detail", Access::Project, handler!(detail))
        .says("Shows a project's quota and what is used of it."),
    Route::new(Get, "/v2.1/os-quota-class-sets/{class}", Access::Operator, handler!(show_class))
        .says("Shows the quota of a class: `default` is what projects have that have none of their own."),
    Route::new(Put, "/v2.1/os-quota-class-sets/{class}", Access::Operator, handler!(update_class))
        .says("Sets the quota of a class."),
];

/// How much a project uses of each resource that is counted for a project as a whole.
pub(super) async fn used(call: &Call, project: &str) -> Result<BTreeMap<QuotaResource, i64>, CloudError> {
    let store = &call.state.store;
    let usage = store.server_usage(project).await?;
    let groups = super::server_groups::of_project(call, project).await?.len();
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    Ok(BTreeMap::from([
        (QuotaResource::Instances, number(usage.instances)),
        (QuotaResource::Cores, number(usage.cores)),
        (QuotaResource::Ram, number(usage.ram_mb)),
        (QuotaResource::ServerGroups, i64::try_from(groups).unwrap_or(i64::MAX)),
    ]))
}

/// The project of the path: one's own, or any to who looks at all of them. 400 as in Nova where there is none.
async fn project(call: &Call) -> Result<&str, CloudError> {
    let project = call.parameter("project");
    if !call.may_see(project) {
        return Err(CloudError::forbidden(
            "Policy doesn't allow this to be performed: it is the quota of another project.",
        ));
    }
    if call.project().is_ok_and(|own| own == project) {
        return Ok(project);
    }
    let identity = call.state.store.identity();
    match identity.get::<Project>(project).await {
        Ok(_) => Ok(project),
        // Whose projects are another service's, nobody here knows.
        Err(StoreError::NotFound { .. }) if !identity.has_first_data().await? => Ok(project),
        Err(StoreError::NotFound { .. }) => Err(CloudError::invalid(format!(
            "Project ID {project} is not a valid project. (openstack project list shows those that there are.)"
        ))),
        Err(error) => Err(error.into()),
    }
}

fn shown(call: &Call) -> impl Iterator<Item = QuotaResource> {
    let minor = call.minor;
    QuotaResource::ALL.iter().copied().filter(move |resource| resource.is_in(minor))
}

fn document(call: &Call, id: Option<&str>, value: impl Fn(QuotaResource) -> Value) -> Value {
    let mut set: Map<String, Value> =
        shown(call).map(|resource| (resource.as_str().to_owned(), value(resource))).collect();
    if let Some(id) = id {
        set.insert("id".to_owned(), id.into());
    }
    json!({"quota_set": set})
}

/// `GET /os-quota-sets/{project}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    call.only_query(&["user_id"])?;
    let project = project(&call).await?;
    let limits = call.state.store.compute_limits(Some(project)).await?;
    Reply::json(&document(&call, Some(project), |resource| limits.get(resource).into()))
}

/// `GET /os-quota-sets/{project}/defaults`
async fn defaults(call: Call) -> Result<Reply, CloudError> {
    let project = project(&call).await?;
    let limits = call.state.store.compute_limits(None).await?;
    Reply::json(&document(&call, Some(project), |resource| limits.get(resource).into()))
}

/// `GET /os-quota-sets/{project}/detail`
async fn detail(call: Call) -> Result<Reply, CloudError> {
    call.only_query(&["user_id"])?;
    let project = project(&call).await?;
    let limits = call.state.store.compute_limits(Some(project)).await?;
    let used = used(&call, project).await?;
    Reply::json(&document(&call, Some(project), |resource| {
        json!({
            "limit": limits.get(resource),
            "in_use": used.get(&resource).copied().unwrap_or(0),
            "reserved": 0,
        })
    }))
}

/// `PUT /os-quota-sets/{project}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    call.only_query(&["user_id"])?;
    if call.query.has("user_id") {
        return Err(CloudError::invalid("Quotas are a project's here, not a user's: leave user_id out."));
    }
    let body = call.json()?;
    let fields = only(&body, "quota_set")?;
    let mut known: Vec<&str> = shown(&call).map(QuotaResource::as_str).collect();
    known.push("force");
    fields.only(&known)?;
    let limits = limits(&fields, shown(&call))?;
    let project = project(&call).await?;
    if !fields.flag("force")?.unwrap_or(false) {
        let used = used(&call, project).await?;
        for (resource, limit) in &limits {
            let least = used.get(resource).copied().unwrap_or(0);
            if *limit != UNLIMITED && *limit < least {
                return Err(CloudError::invalid(format!(
                    "Quota limit {limit} for {resource} must be greater than or equal to already used and reserved \
                     {least}. Say force to set it all the same: nothing is taken away, nothing new comes."
                )));
            }
        }
    }
    call.state.store.set_compute_quota(project, &limits).await?;
    let limits = call.state.store.compute_limits(Some(project)).await?;
    Reply::json(&document(&call, None, |resource| limits.get(resource).into()))
}

/// Limits of a body; what is null is left as it is, as in Nova.
fn limits(
    fields: &Fields<'_>,
    resources: impl Iterator<Item = QuotaResource>,
) -> Result<BTreeMap<QuotaResource, i64>, CloudError> {
    let mut limits = BTreeMap::new();
    for resource in resources {
        match fields.get(resource.as_str()) {
            None | Some(Value::Null) => {}
            Some(value) => {
                limits.insert(resource, integer(resource.as_str(), value, UNLIMITED..=LARGEST)?);
            }
        }
    }
    Ok(limits)
}

/// `DELETE /os-quota-sets/{project}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    call.only_query(&["user_id"])?;
    call.state.store.delete_compute_quota(call.parameter("project")).await?;
    Ok(Reply::empty())
}

/// Resources that a class has with this microversion: others than a project's, below 2.50.
fn of_class(call: &Call) -> impl Iterator<Item = QuotaResource> {
    let minor = call.minor;
    QuotaResource::ALL.iter().copied().filter(move |resource| match resource {
        QuotaResource::ServerGroups | QuotaResource::ServerGroupMembers => minor >= 50,
        resource if !resource.is_in(36) => minor < 50,
        resource => resource.is_in(minor),
    })
}

/// The class of the path. No project belongs to another one than `default`.
fn class(call: &Call) -> Result<&str, CloudError> {
    match call.parameter("class") {
        "default" => Ok("default"),
        other => Err(CloudError::not_found(format!(
            "Quota class {} could not be found: the only one that anything belongs to is 'default'.",
            other.chars().take(NAME_LENGTH).collect::<String>()
        ))),
    }
}

fn class_document(call: &Call, id: Option<&str>, limits: &Limits) -> Value {
    let mut set: Map<String, Value> =
        of_class(call).map(|resource| (resource.as_str().to_owned(), limits.get(resource).into())).collect();
    if let Some(id) = id {
        set.insert("id".to_owned(), id.into());
    }
    json!({"quota_class_set": set})
}

/// `GET /os-quota-class-sets/{class}`
async fn show_class(call: Call) -> Result<Reply, CloudError> {
    let class = class(&call)?;
    let limits = call.state.store.compute_limits(None).await?;
    Reply::json(&class_document(&call, Some(class), &limits))
}

/// `PUT /os-quota-class-sets/{class}`
async fn update_class(call: Call) -> Result<Reply, CloudError> {
    class(&call)?;
    let body = call.json()?;
    let fields = only(&body, "quota_class_set")?;
    fields.only(&of_class(&call).map(QuotaResource::as_str).collect::<Vec<_>>())?;
    call.state.store.set_compute_quota(DEFAULTS, &limits(&fields, of_class(&call))?).await?;
    let limits = call.state.store.compute_limits(None).await?;
    Reply::json(&class_document(&call, None, &limits))
}

//! `/v3/auth/{projects,domains,system,catalog}`: what a token's user may get tokens for, and what a token finds.

use super::catalog::catalog;
use super::document::{many, shown};
use super::error::from_store;
use super::tokens::caller;
use super::validated::{Place, scopes_of};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use model::identity::{Domain, Project};
use serde_json::json;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v3/auth/projects", Access::User, handler!(projects))
        .says("Lists the projects that the caller can get tokens for."),
    Route::new(Get, "/v3/auth/domains", Access::User, handler!(domains))
        .says("Lists the domains that the caller can get tokens for."),
    Route::new(Get, "/v3/auth/system", Access::User, handler!(system))
        .says("Tells whether the caller can get tokens for the whole site."),
    Route::new(Get, "/v3/auth/catalog", Access::User, handler!(own_catalog))
        .says("Lists services and endpoints."),
];

/// `GET /v3/auth/projects`
async fn projects(call: Call) -> Result<Reply, CloudError> {
    let token = caller(&call).await?;
    let identity = call.state.store.identity();
    let scopes = scopes_of(identity, &token.user.id).await.map_err(from_store)?;
    let mut ids: Vec<_> = scopes.projects.into_iter().collect();
    if let Some(credential) = &token.application_credential {
        ids.retain(|id| *id == credential.project_id);
    }
    let found: Vec<Project> = if ids.is_empty() { Vec::new() } else { identity.list_of(&ids).await? };
    let found = found.iter().filter(|project| project.enabled);
    let shown: Result<Vec<_>, _> =
        found.map(|project| shown(&call, "projects", &project.id, project)).collect();
    many(&call, "projects", "auth/projects", shown?)
}

/// `GET /v3/auth/domains`
async fn domains(call: Call) -> Result<Reply, CloudError> {
    let token = caller(&call).await?;
    let identity = call.state.store.identity();
    let scopes = scopes_of(identity, &token.user.id).await.map_err(from_store)?;
    let ids: Vec<_> = scopes.domains.into_iter().collect();
    let wanted = token.application_credential.is_none() && !ids.is_empty();
    let found: Vec<Domain> = if wanted { identity.list_of(&ids).await? } else { Vec::new() };
    let found = found.iter().filter(|domain| domain.enabled);
    let shown: Result<Vec<_>, _> = found.map(|domain| shown(&call, "domains", &domain.id, domain)).collect();
    many(&call, "domains", "auth/domains", shown?)
}

/// `GET /v3/auth/system`
async fn system(call: Call) -> Result<Reply, CloudError> {
    let token = caller(&call).await?;
    let scopes = scopes_of(call.state.store.identity(), &token.user.id).await.map_err(from_store)?;
    let has = scopes.system && token.application_credential.is_none();
    let system = if has { json!([{"all": true}]) } else { json!([]) };
    Reply::json(&json!({"system": system, "links": {"self": call.url("/v3/auth/system")}}))
}

/// `GET /v3/auth/catalog`
async fn own_catalog(call: Call) -> Result<Reply, CloudError> {
    let token = caller(&call).await?;
    let project = match &token.place {
        Place::Project(project, _) => Some(project.id.as_str()),
        Place::Unscoped => {
            return Err(CloudError::forbidden("A scoped token is required to produce a service catalog."));
        }
        Place::Domain(_) | Place::System => None,
    };
    let catalog = catalog(&call.state.store, &call.base_url, project, &token.user.id).await?;
    Reply::json(&json!({"catalog": catalog, "links": {"self": call.url("/v3/auth/catalog")}}))
}

//! `/v3/services`.

use super::document::{Attributes, filtered, many, merge, one, shown};
use super::error::{Refusal, from_store};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::limits::{DESCRIPTION_TEXT, NAME_CHARACTERS};
use crate::route::Verb::{Delete, Get, Patch, Post};
use axum::http::StatusCode;
use model::identity::{Service, id_from};
use uuid::Uuid;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v3/services", Access::Operator, handler!(list)).says("Lists services."),
    Route::new(Post, "/v3/services", Access::Operator, handler!(create))
        .success(StatusCode::CREATED)
        .says("Adds a service to the catalog."),
    Route::new(Get, "/v3/services/{service}", Access::Operator, handler!(show)).says("Shows a service."),
    Route::new(Patch, "/v3/services/{service}", Access::Operator, handler!(update))
        .says("Changes a service."),
    Route::new(Delete, "/v3/services/{service}", Access::Operator, handler!(delete))
        .success(StatusCode::NO_CONTENT)
        .says("Takes a service and its endpoints out of the catalog."),
];

/// `GET /v3/services`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let services: Vec<Service> = call.state.store.identity().list(&[]).await?;
    let documents: Result<Vec<_>, _> =
        services.iter().map(|service| shown(&call, "services", &service.id, service)).collect();
    many(&call, "services", "services", filtered(&call, &["type", "name"], documents?))
}

/// `POST /v3/services`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let mut attributes = Attributes::of(&call, "service")?;
    let kind = attributes.text("type", NAME_CHARACTERS)?.filter(|kind| !kind.is_empty());
    let service = Service {
        id: id_from(Uuid::new_v4()),
        kind: kind.ok_or_else(|| super::document::missing("type", "service"))?,
        name: attributes.text("name", NAME_CHARACTERS)?,
        description: attributes.text("description", DESCRIPTION_TEXT)?,
        enabled: attributes.flag("enabled")?.unwrap_or(true),
        extra: attributes.rest(),
    };
    call.state.store.identity().create(&service).await.map_err(from_store)?;
    one("service", shown(&call, "services", &service.id, &service)?)
}

/// `GET /v3/services/{service}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let service: Service =
        call.state.store.identity().get(call.parameter("service")).await.map_err(from_store)?;
    one("service", shown(&call, "services", &service.id, &service)?)
}

/// `PATCH /v3/services/{service}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let mut attributes = Attributes::of(&call, "service")?;
    let kind = attributes.text("type", NAME_CHARACTERS)?.filter(|kind| !kind.is_empty());
    let name = attributes.change("name", NAME_CHARACTERS)?;
    let description = attributes.change("description", DESCRIPTION_TEXT)?;
    let enabled = attributes.flag("enabled")?;
    let changes = attributes.rest();
    let edited = call.state.store.identity().edit(call.parameter("service"), |service: &mut Service| {
        if let Some(kind) = kind {
            service.kind = kind;
        }
        if let Some(name) = name {
            service.name = name;
        }
        if let Some(description) = description {
            service.description = description;
        }
        service.enabled = enabled.unwrap_or(service.enabled);
        merge(&mut service.extra, changes);
        Ok::<_, Refusal>(())
    });
    let service = edited.await.map_err(|refusal| refusal.0)?;
    one("service", shown(&call, "services", &service.id, &service)?)
}

/// `DELETE /v3/services/{service}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    call.state.store.identity().delete_service(call.parameter("service")).await.map_err(from_store)?;
    Ok(Reply::empty())
}

//! `/v3/endpoints`.

use super::document::{Attributes, filtered, many, merge, missing, one, shown};
use super::error::{Refusal, from_store};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::limits::{NAME_CHARACTERS, URL_CHARACTERS};
use crate::route::Verb::{Delete, Get, Patch, Post};
use axum::http::StatusCode;
use model::identity::{Endpoint, Extra, Interface, Region, Service, id_from};
use serde_json::{Value, json};
use store::StoreError;
use uuid::Uuid;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v3/endpoints", Access::Operator, handler!(list)).says("Lists endpoints."),
    Route::new(Post, "/v3/endpoints", Access::Operator, handler!(create))
        .success(StatusCode::CREATED)
        .says("Adds an endpoint to the catalog."),
    Route::new(Get, "/v3/endpoints/{endpoint}", Access::Operator, handler!(show)).says("Shows an endpoint."),
    Route::new(Patch, "/v3/endpoints/{endpoint}", Access::Operator, handler!(update))
        .says("Changes an endpoint."),
    Route::new(Delete, "/v3/endpoints/{endpoint}", Access::Operator, handler!(delete))
        .success(StatusCode::NO_CONTENT)
        .says("Takes an endpoint out of the catalog."),
];

/// An endpoint with its URL as the client sees it, and its region under the old name too.
fn document(call: &Call, endpoint: &Endpoint) -> Result<Value, CloudError> {
    let mut document = shown(call, "endpoints", &endpoint.id, endpoint)?;
    document["url"] = json!(endpoint.shown_url(&call.base_url));
    document["region"] = json!(endpoint.region_id);
    Ok(document)
}

/// `GET /v3/endpoints`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let endpoints: Vec<Endpoint> = call.state.store.identity().list(&[]).await?;
    let documents: Result<Vec<_>, _> = endpoints.iter().map(|endpoint| document(&call, endpoint)).collect();
    many(
        &call,
        "endpoints",
        "endpoints",
        filtered(&call, &["interface", "service_id", "region_id"], documents?),
    )
}

/// What a request says of an endpoint.
struct Fields {
    interface: Option<Interface>,
    url: Option<String>,
    service: Option<String>,
    region: Option<Option<String>>,
    enabled: Option<bool>,
    extra: Extra,
}

async fn fields(call: &Call) -> Result<Fields, CloudError> {
    let mut attributes = Attributes::of(call, "endpoint")?;
    let interface = match attributes.text("interface", NAME_CHARACTERS)? {
        None => None,
        // Keystone's clients of old say `publicURL`.
        Some(name) => {
            let short = name.strip_suffix("URL").unwrap_or(&name);
            let found = Interface::ALL.into_iter().find(|interface| interface.as_str() == short);
            Some(found.ok_or_else(|| attributes.bad("interface", "it is public, internal or admin"))?)
        }
    };
    let url = attributes.text("url", URL_CHARACTERS)?;
    // Paths stand for this process itself; nobody but the first start makes those.
    if url.as_ref().is_some_and(|url| !(url.starts_with("http://") || url.starts_with("https://"))) {
        return Err(attributes.bad("url", "it begins with http:// or https://"));
    }
    let service = attributes.text("service_id", NAME_CHARACTERS)?;
    let named = attributes.change("region_id", NAME_CHARACTERS)?;
    let region = match attributes.change("region", NAME_CHARACTERS)? {
        Some(region) if named.is_none() => Some(region),
        _ => named,
    };
    let enabled = attributes.flag("enabled")?;
    let identity = call.state.store.identity();
    if let Some(service) = &service {
        identity.get::<Service>(service).await.map_err(from_store)?;
    }
    if let Some(Some(region)) = &region {
        match identity.get::<Region>(region).await {
            Ok(_) => {}
            // As Keystone does for whoever names a region for the first time.
            Err(StoreError::NotFound { .. }) => {
                let new = Region {
                    id: region.clone(),
                    description: String::new(),
                    parent_region_id: None,
                    extra: Extra::new(),
                };
                identity.create(&new).await.map_err(from_store)?;
            }
            Err(error) => return Err(from_store(error)),
        }
    }
    Ok(Fields { interface, url, service, region, enabled, extra: attributes.rest() })
}

/// `POST /v3/endpoints`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let fields = fields(&call).await?;
    let needed = |name: &'static str| move || missing(name, "endpoint");
    let endpoint = Endpoint {
        id: id_from(Uuid::new_v4()),
        interface: fields.interface.ok_or_else(needed("interface"))?,
        service_id: fields.service.ok_or_else(needed("service_id"))?,
        region_id: fields.region.flatten(),
        url: fields.url.ok_or_else(needed("url"))?,
        enabled: fields.enabled.unwrap_or(true),
        extra: fields.extra,
    };
    call.state.store.identity().create(&endpoint).await.map_err(from_store)?;
    one("endpoint", document(&call, &endpoint)?)
}

/// `GET /v3/endpoints/{endpoint}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let endpoint: Endpoint =
        call.state.store.identity().get(call.parameter("endpoint")).await.map_err(from_store)?;
    one("endpoint", document(&call, &endpoint)?)
}

/// `PATCH /v3/endpoints/{endpoint}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let fields = fields(&call).await?;
    let base_url = call.base_url.clone();
    let edited = call.state.store.identity().edit(call.parameter("endpoint"), |endpoint: &mut Endpoint| {
        endpoint.interface = fields.interface.unwrap_or(endpoint.interface);
        // A client that writes back what it has read changes nothing.
        if let Some(url) = fields.url.filter(|url| *url != endpoint.shown_url(&base_url)) {
            endpoint.url = url;
        }
        if let Some(service) = fields.service {
            endpoint.service_id = service;
        }
        if let Some(region) = fields.region {
            endpoint.region_id = region;
        }
        endpoint.enabled = fields.enabled.unwrap_or(endpoint.enabled);
        merge(&mut endpoint.extra, fields.extra);
        Ok::<_, Refusal>(())
    });
    let endpoint = edited.await.map_err(|refusal| refusal.0)?;
    one("endpoint", document(&call, &endpoint)?)
}

/// `DELETE /v3/endpoints/{endpoint}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    call.state.store.identity().delete_endpoint(call.parameter("endpoint")).await.map_err(from_store)?;
    Ok(Reply::empty())
}

//! `/v3/regions`.

use super::document::{Attributes, filtered, many, merge, one, shown};
use super::error::{Refusal, from_store};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::limits::{DESCRIPTION_TEXT, NAME_CHARACTERS};
use crate::route::Verb::{Delete, Get, Patch, Post};
use axum::http::StatusCode;
use model::identity::{Region, id_from};
use store::StoreError;
use uuid::Uuid;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v3/regions", Access::User, handler!(list)).says("Lists regions."),
    Route::new(Post, "/v3/regions", Access::Operator, handler!(create))
        .success(StatusCode::CREATED)
        .says("Makes a region."),
    Route::new(Get, "/v3/regions/{region}", Access::User, handler!(show)).says("Shows a region."),
    Route::new(Patch, "/v3/regions/{region}", Access::Operator, handler!(update)).says("Changes a region."),
    Route::new(Delete, "/v3/regions/{region}", Access::Operator, handler!(delete))
        .success(StatusCode::NO_CONTENT)
        .says("Forgets a region that has no endpoints."),
];

/// `GET /v3/regions`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let regions: Vec<Region> = call.state.store.identity().list(&[]).await?;
    let documents: Result<Vec<_>, _> =
        regions.iter().map(|region| shown(&call, "regions", &region.id, region)).collect();
    many(&call, "regions", "regions", filtered(&call, &["parent_region_id"], documents?))
}

async fn check_parent(call: &Call, own: &str, parent: Option<&str>) -> Result<(), CloudError> {
    let mut above = parent.map(str::to_owned);
    while let Some(id) = above {
        if id == own {
            return Err(CloudError::invalid(format!(
                "The specified parent region {} would create a circular region hierarchy.",
                parent.unwrap_or_default()
            )));
        }
        above = call.state.store.identity().get::<Region>(&id).await.map_err(from_store)?.parent_region_id;
    }
    Ok(())
}

/// `POST /v3/regions`: its id is the client's to choose.
async fn create(call: Call) -> Result<Reply, CloudError> {
    let mut attributes = Attributes::of(&call, "region")?;
    let id = attributes.text("id", NAME_CHARACTERS)?.filter(|id| !id.is_empty());
    let region = Region {
        id: id.unwrap_or_else(|| id_from(Uuid::new_v4())),
        description: attributes.text("description", DESCRIPTION_TEXT)?.unwrap_or_default(),
        parent_region_id: attributes.text("parent_region_id", NAME_CHARACTERS)?,
        extra: attributes.rest(),
    };
    check_parent(&call, &region.id, region.parent_region_id.as_deref()).await?;
    call.state.store.identity().create(&region).await.map_err(from_store)?;
    one("region", shown(&call, "regions", &region.id, &region)?)
}

/// `GET /v3/regions/{region}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let region: Region =
        call.state.store.identity().get(call.parameter("region")).await.map_err(from_store)?;
    one("region", shown(&call, "regions", &region.id, &region)?)
}

/// `PATCH /v3/regions/{region}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let mut attributes = Attributes::of(&call, "region")?;
    let description = attributes.change("description", DESCRIPTION_TEXT)?;
    let parent = attributes.change("parent_region_id", NAME_CHARACTERS)?;
    let id = call.parameter("region");
    check_parent(&call, id, parent.as_ref().and_then(Option::as_deref)).await?;
    let changes = attributes.rest();
    let edited = call.state.store.identity().edit(id, |region: &mut Region| {
        if let Some(description) = description {
            region.description = description.unwrap_or_default();
        }
        if let Some(parent) = parent {
            region.parent_region_id = parent;
        }
        merge(&mut region.extra, changes);
        Ok::<_, Refusal>(())
    });
    let region = edited.await.map_err(|refusal| refusal.0)?;
    one("region", shown(&call, "regions", &region.id, &region)?)
}

/// `DELETE /v3/regions/{region}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let id = call.parameter("region");
    call.state.store.identity().delete_region(id).await.map_err(|error| match error {
        StoreError::InUse { .. } => CloudError::forbidden(format!(
            "Unable to delete region {id} because it or its child regions have associated endpoints."
        )),
        other => from_store(other),
    })?;
    Ok(Reply::empty())
}

//! Images: create, list, show, change, delete.

use super::records::{Refused, changeable, no_image, reworded, storage, visible};
use super::{document, fields, filters, patch};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Patch, Post};
use axum::http::{HeaderName, StatusCode, header};
use conductor::glance::boots_with;
use images::Name;
use model::compute::Server;
use model::image::{Image, Visibility};
use model::node::Node;
use serde_json::{Map, Value, json};
use store::StoreError;
use uuid::Uuid;

/// Rows of the route table.
pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v2/images", Access::Project, handler!(list)).says("Lists images."),
    Route::new(Post, "/v2/images", Access::Project, handler!(create))
        .success(StatusCode::CREATED)
        .says("Registers an image; its data is uploaded or imported then."),
    Route::new(Get, "/v2/images/{image}", Access::Project, handler!(show)).says("Shows an image."),
    Route::new(Patch, "/v2/images/{image}", Access::Project, handler!(update)).says("Changes an image."),
    Route::new(Delete, "/v2/images/{image}", Access::Project, handler!(delete))
        .success(StatusCode::NO_CONTENT)
        .says("Deletes an image and its data."),
];

/// How images can be brought in, told with every new one.
const IMPORT_METHODS: HeaderName = HeaderName::from_static("openstack-image-import-methods");

async fn list(call: Call) -> Result<Reply, CloudError> {
    let page = filters::page(&call)?;
    if let Some(marker) = page.query.marker {
        call.state.store.get::<Image>(&marker.to_string()).await.map_err(reworded)?;
    }
    let images = call.state.store.images(&page.query).await?;
    let mut answer = json!({
        "images": images.iter().map(document::image).collect::<Vec<_>>(),
        "first": page.first(),
        "schema": "/v2/schemas/images",
    });
    if let Some(last) = images.last().filter(|_| images.len() as i64 == page.query.limit) {
        answer["next"] = page.next(last.uuid).into();
    }
    Reply::json(&answer)
}

async fn create(call: Call) -> Result<Reply, CloudError> {
    let attributes: Map<String, Value> = if call.body.is_empty() { Map::new() } else { call.json_as()? };
    let uuid = match attributes.get("id") {
        None => Uuid::new_v4(),
        Some(id) => id.as_str().and_then(|id| Uuid::try_parse(id).ok()).ok_or_else(|| {
            CloudError::invalid("Invalid value for id: it is not a UUID. Leave it out to have one made.")
        })?,
    };
    let owner = call.project().ok().map(str::to_owned);
    let mut image = Image::new(uuid, owner, call.now());
    // With an owner that nobody is, `shared` would say nothing.
    if image.owner.is_none() {
        image.visibility = Visibility::Private;
    }
    for (name, value) in attributes.iter().filter(|(name, _)| *name != "id") {
        fields::set(&call, &mut image, name, value)?;
    }
    call.state.store.create_image(&image).await.map_err(|error| match error {
        StoreError::Duplicate { value, .. } => {
            CloudError::conflict(format!("Image ID {value} already exists!"))
        }
        other => other.into(),
    })?;
    Ok(Reply::json(&document::image(&image))?
        .at(call.url(&format!("/v2/images/{uuid}")))
        .with(IMPORT_METHODS, super::import::METHODS.join(",")))
}

async fn show(call: Call) -> Result<Reply, CloudError> {
    Reply::json(&document::image(&visible(&call).await?))
}

async fn update(call: Call) -> Result<Reply, CloudError> {
    let content_type = call.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let operations = patch::parse(content_type, &call.body)?;
    let image = changeable(&call, "modify").await?;
    let now = call.now();
    let changed = call
        .state
        .store
        .edit_image::<Refused>(image.uuid, |image| {
            patch::apply(&call, image, &operations)?;
            image.updated_at = now;
            Ok(())
        })
        .await?;
    Reply::json(&document::image(&changed))
}

async fn delete(call: Call) -> Result<Reply, CloudError> {
    let image = changeable(&call, "delete").await?;
    let id = image.uuid;
    let mut used_by = None;
    let deleted = call.state.store.delete_image::<Refused>(id, |image, nodes| {
        if image.protected {
            return Err(CloudError::forbidden(format!(
                "Image {id} is protected and cannot be deleted. Take the protection away first."
            ))
            .into());
        }
        used_by = nodes.iter().find(|node| boots_with(node, id)).cloned();
        if used_by.is_some() { Err(CloudError::conflict("in use").into()) } else { Ok(()) }
    });
    match (deleted.await, used_by) {
        (Ok(_), _) => {}
        (Err(_), Some(node)) => return Err(in_use(&call, id, &node).await),
        // Somebody else was faster.
        (Err(Refused::Store(StoreError::NotFound { .. })), None) => return Err(no_image(&id.to_string())),
        (Err(other), None) => return Err(other.into()),
    }
    // The record is gone for good: what is left of the bytes, if this fails, goes at the next start.
    if let Ok(storage) = storage(&call)
        && let Err(error) = storage.delete(&Name::image(id)).await
    {
        tracing::warn!(image = %id, %error, "an image's data could not be deleted; it is tried again at the next start");
    }
    Ok(Reply::empty())
}

/// Why an image stays with which a node boots. Whoever may see the server is told its name, operators the node's.
async fn in_use(call: &Call, image: Uuid, node: &Node) -> CloudError {
    let server = match &node.instance_uuid {
        Some(server) => call.state.store.get::<Server>(&server.to_string()).await.ok(),
        None => None,
    };
    let who = match server.filter(|server| call.may_see(&server.project_id)) {
        Some(server) => format!("server {} ({})", server.name, server.uuid),
        None if call.is_operator() => format!("the instance on node {}", node.label()),
        None => "another project's server".to_owned(),
    };
    CloudError::conflict(format!(
        "Image {image} could not be deleted because it is in use: {who} boots with it over the network on every start. It can be \
         deleted when that is."
    ))
}

//! Containers: made, described, listed, deleted.

use super::account::{done, take_keys, with_keys};
use super::door::{Deed, Guest, admit};
use super::headers::{apply, metadata_changes, named, text, with_metadata, with_times};
use super::listings::{Format, asked, reply};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post, Put};
use axum::http::{HeaderMap, Method, StatusCode, header};
use model::object_store::{Collector, Container, check_container_name, check_metadata};
use store::StoreError;
use uuid::Uuid;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/{account}/{container}", Access::Granted, handler!(list))
        .lists()
        .says("Lists a container's objects."),
    Route::new(Put, "/v1/{account}/{container}", Access::Granted, handler!(create))
        .success(StatusCode::CREATED)
        .says("Makes a container, or changes what is said about it."),
    Route::new(Post, "/v1/{account}/{container}", Access::Granted, handler!(update))
        .success(StatusCode::NO_CONTENT)
        .says("Changes what is said about a container."),
    Route::new(Delete, "/v1/{account}/{container}", Access::Granted, handler!(delete))
        .success(StatusCode::NO_CONTENT)
        .says("Deletes a container that is empty."),
];

/// The one place where objects are kept, as clients show it.
pub(super) const STORAGE_POLICY: &str = "default";

/// `GET` and `HEAD`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let guest = admit(&call, Deed::List).await?;
    let container = find(&call, &guest.project, call.parameter("container")).await?;
    let format = Format::of(&call)?;
    if call.method == Method::HEAD {
        let bare = Reply::empty()
            .status(StatusCode::NO_CONTENT)
            .with(header::CONTENT_TYPE, "text/plain; charset=utf-8");
        return Ok(describe(bare, &container, &guest, &call));
    }
    let listing = asked(&call)?;
    let mut collector = Collector::new(&listing);
    while let Some((span, count)) = collector.next() {
        let found =
            call.state.store.objects(container.uuid, span, listing.reverse, count, call.now()).await?;
        collector.take(found.into_iter().map(|object| (object.name.clone(), object)), count);
    }
    let listed = reply(format, ("container", &container.name), &collector.entries())?;
    Ok(describe(listed, &container, &guest, &call))
}

fn describe(reply: Reply, container: &Container, guest: &Guest, call: &Call) -> Reply {
    let mut reply = named(reply, "x-container-object-count", container.object_count.to_string());
    reply = named(reply, "x-container-bytes-used", container.bytes_used.to_string());
    reply = named(reply, "x-storage-policy", STORAGE_POLICY);
    reply = with_times(reply, container.created_at);
    reply = with_metadata(reply, "container", &container.metadata);
    if guest.is_owner {
        reply = with_keys(reply, "container", &container.keys);
        for (name, list) in
            [("x-container-read", &container.read_acl), ("x-container-write", &container.write_acl)]
        {
            if let Some(list) = list {
                reply = named(reply, name, list);
            }
        }
    }
    done(reply, call)
}

/// `PUT`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let guest = admit(&call, Deed::Change).await?;
    let name = call.parameter("container");
    check_container_name(name).map_err(CloudError::invalid)?;
    if text(&call.headers, "x-storage-policy")?.is_some_and(|policy| policy != STORAGE_POLICY) {
        return Err(CloudError::invalid(format!(
            "Invalid X-Storage-Policy: the only policy is {STORAGE_POLICY:?}."
        )));
    }
    let changes = Changes::of(&call.headers)?;
    let fresh = Container::new(Uuid::new_v4(), &guest.project, name, call.now());
    let store = &call.state.store;
    let is_new = store.put_object_container(fresh, call.now(), |container| changes.apply(container)).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    Ok(done(Reply::empty().status(status), &call))
}

/// `POST`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let guest = admit(&call, Deed::Change).await?;
    let changes = Changes::of(&call.headers)?;
    let name = call.parameter("container");
    call.state
        .store
        .edit_object_container(&guest.project, name, call.now(), |container| changes.apply(container))
        .await?;
    Ok(done(Reply::empty(), &call))
}

/// `DELETE`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let guest = admit(&call, Deed::Change).await?;
    remove(&call, &guest.project, call.parameter("container")).await?;
    Ok(done(Reply::empty(), &call))
}

/// Deletes a container; 409 while it has objects.
pub(super) async fn remove(call: &Call, project: &str, name: &str) -> Result<(), CloudError> {
    match call.state.store.delete_object_container(project, name, call.now()).await {
        Err(StoreError::InUse { .. }) => Err(CloudError::conflict(format!(
            "There was a conflict when trying to complete your request: container {name} is not empty, delete its objects first."
        ))),
        other => Ok(other?),
    }
}

/// A container of an account.
pub(super) async fn find(call: &Call, project: &str, name: &str) -> Result<Container, CloudError> {
    Ok(call.state.store.object_container(project, name).await?)
}

/// What a request says about a container.
struct Changes {
    metadata: Vec<(String, Option<String>)>,
    read_acl: Option<String>,
    write_acl: Option<String>,
}

impl Changes {
    fn of(headers: &HeaderMap) -> Result<Self, CloudError> {
        let list = |name: &str, remove: &str| {
            let removed = headers.contains_key(remove).then(String::new);
            Ok::<_, CloudError>(text(headers, name)?.map(str::to_owned).or(removed))
        };
        Ok(Self {
            metadata: metadata_changes(headers, "container")?,
            read_acl: list("x-container-read", "x-remove-container-read")?,
            write_acl: list("x-container-write", "x-remove-container-write")?,
        })
    }

    fn apply(&self, container: &mut Container) -> Result<(), CloudError> {
        let changes = take_keys(&self.metadata, &mut container.keys)?;
        apply(&changes, &mut container.metadata);
        for (given, place) in
            [(&self.read_acl, &mut container.read_acl), (&self.write_acl, &mut container.write_acl)]
        {
            if let Some(list) = given {
                *place = Some(list.clone()).filter(|list| !list.is_empty());
            }
        }
        check_metadata(&container.metadata).map_err(CloudError::invalid)
    }
}

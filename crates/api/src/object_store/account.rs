//! An account: what is said about it, and its containers.

use super::bulk;
use super::door::{Deed, Guest, admit};
use super::headers::{apply, decimal, metadata_changes, named, with_metadata};
use super::listings::{Format, asked, reply};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Get, Post};
use axum::http::{Method, StatusCode, header};
use model::Secret;
use model::object_store::{Account, Collector, MAX_DELETE_LIST_SIZE, TempUrlKeys, check_metadata};

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/{account}", Access::Granted, handler!(list))
        .lists()
        .says("Lists an account's containers."),
    Route::new(Post, "/v1/{account}", Access::Granted, handler!(update))
        .body_limit(MAX_DELETE_LIST_SIZE)
        .success(StatusCode::NO_CONTENT)
        .says("Changes what is said about an account; with bulk-delete, deletes many objects."),
];

/// `GET` and `HEAD`
async fn list(call: Call) -> Result<Reply, CloudError> {
    let guest = admit(&call, Deed::Look).await?;
    let store = &call.state.store;
    let account = store.object_account(&guest.project).await?;
    let format = Format::of(&call)?;
    if call.method == Method::HEAD {
        let bare = Reply::empty()
            .status(StatusCode::NO_CONTENT)
            .with(header::CONTENT_TYPE, "text/plain; charset=utf-8");
        return Ok(describe(bare, &account, &guest, &call));
    }
    let listing = asked(&call)?;
    let mut collector = Collector::new(&listing);
    while let Some((span, count)) = collector.next() {
        let found = store.object_containers(&guest.project, span, listing.reverse, count).await?;
        collector.take(found.into_iter().map(|container| (container.name.clone(), container)), count);
    }
    let listed = reply(format, ("account", call.parameter("account")), &collector.entries())?;
    Ok(describe(listed, &account, &guest, &call))
}

fn describe(reply: Reply, account: &Account, guest: &Guest, call: &Call) -> Reply {
    let mut reply = named(reply, "x-account-container-count", account.container_count.to_string());
    reply = named(reply, "x-account-object-count", account.object_count.to_string());
    reply = named(reply, "x-account-bytes-used", account.bytes_used.to_string());
    if let Some(at) = account.created_at {
        reply = named(reply, "x-timestamp", decimal(at));
    }
    reply = with_metadata(reply, "account", &account.metadata);
    if guest.is_owner {
        reply = with_keys(reply, "account", &account.keys);
    }
    done(reply, call)
}

/// `POST`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let guest = admit(&call, Deed::Change).await?;
    if call.query.has("bulk-delete") {
        return bulk::delete(&call, &guest.project).await;
    }
    let changes = metadata_changes(&call.headers, "account")?;
    call.state
        .store
        .edit_object_account(&guest.project, call.now(), |account| {
            let changes = take_keys(&changes, &mut account.keys)?;
            apply(&changes, &mut account.metadata);
            check_metadata(&account.metadata).map_err(CloudError::invalid)
        })
        .await?;
    Ok(done(Reply::empty(), &call))
}

/// The end of every answer: the identifier of the request under Swift's own name.
pub(super) fn done(reply: Reply, call: &Call) -> Reply {
    named(reply, "x-trans-id", &call.request_id)
}

/// Shows the keys of temporary URLs to those who may change them.
pub(super) fn with_keys(mut reply: Reply, kind: &str, keys: &TempUrlKeys) -> Reply {
    for (name, key) in keys.named() {
        reply = named(reply, &format!("x-{kind}-meta-{name}"), key.expose());
    }
    reply
}

/// Bytes of a key of temporary URLs.
const KEY_BYTES: usize = model::object_store::MAX_META_VALUE_LENGTH;

/// Sets the keys that changes of metadata speak of; out come the other changes.
pub(super) fn take_keys(
    changes: &[(String, Option<String>)],
    keys: &mut TempUrlKeys,
) -> Result<Vec<(String, Option<String>)>, CloudError> {
    let mut others = Vec::new();
    for (name, value) in changes {
        match keys.place(name) {
            Some(_) if value.as_ref().is_some_and(|value| value.len() > KEY_BYTES) => {
                return Err(CloudError::invalid(format!("Metadata value longer than {KEY_BYTES}: {name}")));
            }
            Some(place) => *place = value.as_ref().map(Secret::new),
            None => others.push((name.clone(), value.clone())),
        }
    }
    Ok(others)
}

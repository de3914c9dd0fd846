//! `/os-aggregates`: conductors grouped under a name.

use super::body::{Fields, fine_time, only};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post, Put};
use axum::http::StatusCode;
use model::compute::aggregate::{AVAILABILITY_ZONE, Aggregate};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use store::{Query, StoreError};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/os-aggregates", Access::Operator, handler!(index)).says("Lists aggregates."),
    Route::new(Post, "/v2.1/os-aggregates", Access::Operator, handler!(create)).says("Makes an aggregate."),
    Route::new(Get, "/v2.1/os-aggregates/{aggregate}", Access::Operator, handler!(show))
        .says("Shows an aggregate."),
    Route::new(Put, "/v2.1/os-aggregates/{aggregate}", Access::Operator, handler!(update))
        .says("Renames an aggregate."),
    Route::new(Delete, "/v2.1/os-aggregates/{aggregate}", Access::Operator, handler!(delete))
        .says("Forgets an aggregate without hosts."),
    Route::new(Post, "/v2.1/os-aggregates/{aggregate}/action", Access::Operator, handler!(action))
        .says("Adds or removes a host, or sets metadata."),
    Route::new(Post, "/v2.1/os-aggregates/{aggregate}/images", Access::Operator, handler!(images))
        .says("Refuses to cache images: machines fetch them when they are deployed."),
];

fn document(call: &Call, aggregate: &Aggregate) -> Value {
    let mut own = json!({
        "id": aggregate.id,
        "name": aggregate.name,
        "availability_zone": aggregate.availability_zone(),
        "hosts": aggregate.hosts,
        "metadata": aggregate.metadata,
        "created_at": fine_time(aggregate.created_at),
        "updated_at": aggregate.updated_at.map(fine_time),
        "deleted": false,
        "deleted_at": null,
    });
    if call.minor >= 41 {
        own["uuid"] = json!(aggregate.uuid);
    }
    own
}

async fn find(call: &Call) -> Result<Aggregate, CloudError> {
    let id = call.parameter("aggregate");
    match call.state.store.aggregate(id).await {
        Err(StoreError::NotFound { .. }) => {
            Err(CloudError::not_found(format!("Aggregate {id} could not be found.")))
        }
        other => Ok(other?),
    }
}

/// `GET /os-aggregates`
async fn index(call: Call) -> Result<Reply, CloudError> {
    let aggregates: Vec<Aggregate> = call.state.store.list(&Query::default()).await?;
    let aggregates: Vec<_> = aggregates.iter().map(|aggregate| document(&call, aggregate)).collect();
    Reply::json(&json!({"aggregates": aggregates}))
}

/// `GET /os-aggregates/{aggregate}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let aggregate = find(&call).await?;
    Reply::json(&json!({"aggregate": document(&call, &aggregate)}))
}

/// `POST /os-aggregates`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let body = call.json()?;
    let fields = only(&body, "aggregate")?;
    fields.only(&["name", "availability_zone"])?;
    no_zone(fields.get(AVAILABILITY_ZONE).unwrap_or(&Value::Null))?;
    let aggregate = Aggregate {
        uuid: Uuid::new_v4(),
        id: 0,
        name: fields.needed_name("name")?.to_owned(),
        hosts: BTreeSet::new(),
        metadata: BTreeMap::new(),
        created_at: call.now(),
        updated_at: None,
    };
    let name = aggregate.name.clone();
    let aggregate =
        call.state.store.create_aggregate(aggregate).await.map_err(|error| taken(error, &name))?;
    let mut own = document(&call, &aggregate);
    // Nova leaves them out here.
    if let Value::Object(own) = &mut own {
        own.remove("hosts");
        own.remove("metadata");
    }
    Reply::json(&json!({"aggregate": own}))
}

/// Refuses a zone: it would be a word without a deed.
fn no_zone(zone: &Value) -> Result<(), CloudError> {
    if zone.is_null() {
        return Ok(());
    }
    Err(CloudError::invalid(
        "An aggregate can't name an availability zone here: the zone of a node is its conductor group (openstack baremetal node \
         set --conductor-group ZONE NODE).",
    ))
}

fn taken(error: impl Into<CloudError>, name: &str) -> CloudError {
    let error = error.into();
    if error.status == StatusCode::CONFLICT {
        return CloudError::conflict(format!("Aggregate {name} already exists."));
    }
    error
}

/// `PUT /os-aggregates/{aggregate}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let body = call.json()?;
    let fields = only(&body, "aggregate")?;
    fields.only(&["name", "availability_zone"])?;
    no_zone(fields.get(AVAILABILITY_ZONE).unwrap_or(&Value::Null))?;
    let name = fields.name("name")?;
    if name.is_none() && !fields.has(AVAILABILITY_ZONE) {
        return Err(CloudError::invalid("There is nothing to change: give a name."));
    }
    let changed = edit(&call, |aggregate| {
        if let Some(name) = name {
            aggregate.name = name.to_owned();
        }
        Ok(())
    });
    let aggregate = changed.await.map_err(|error| taken(error, name.unwrap_or_default()))?;
    Reply::json(&json!({"aggregate": document(&call, &aggregate)}))
}

async fn edit(
    call: &Call,
    change: impl FnOnce(&mut Aggregate) -> Result<(), CloudError>,
) -> Result<Aggregate, CloudError> {
    let (found, now) = (find(call).await?, call.now());
    let changed = call.state.store.edit(found.uuid, |aggregate: &mut Aggregate| {
        change(aggregate)?;
        aggregate.updated_at = Some(now);
        Ok::<_, CloudError>(())
    });
    changed.await
}

/// `DELETE /os-aggregates/{aggregate}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let aggregate = find(&call).await?;
    if !aggregate.hosts.is_empty() {
        return Err(CloudError::invalid(format!(
            "Cannot perform action 'delete' on aggregate {}. Reason: Host aggregate is not empty.",
            aggregate.id
        )));
    }
    call.state.store.delete::<Aggregate>(aggregate.uuid).await?;
    Ok(Reply::empty())
}

/// `POST /os-aggregates/{aggregate}/action`
async fn action(call: Call) -> Result<Reply, CloudError> {
    let body = call.json()?;
    let outer = Fields::new("the request's body", &body)?;
    outer.only(&["add_host", "remove_host", "set_metadata"])?;
    let mut names = outer.iter();
    let (Some((name, _)), None) = (names.next(), names.next()) else {
        return Err(CloudError::invalid(
            "There is one action at a time: add_host, remove_host or set_metadata.",
        ));
    };
    let fields = outer.object(name)?;
    let aggregate = match name {
        "set_metadata" => set_metadata(&call, &fields).await?,
        _ => {
            fields.only(&["host"])?;
            let host = fields.needed_text("host", 1..=255)?;
            if name == "add_host" { add_host(&call, host).await? } else { remove_host(&call, host).await? }
        }
    };
    Reply::json(&json!({"aggregate": document(&call, &aggregate)}))
}

async fn add_host(call: &Call, host: &str) -> Result<Aggregate, CloudError> {
    if host != call.state.conductor.hostname() {
        return Err(CloudError::not_found(format!(
            "Compute host {host} could not be found: the conductor here is called {}.",
            call.state.conductor.hostname()
        )));
    }
    edit(call, |aggregate| {
        if aggregate.hosts.insert(host.to_owned()) {
            return Ok(());
        }
        Err(CloudError::conflict(format!("Aggregate {} already has host {host}.", aggregate.id)))
    })
    .await
}

async fn remove_host(call: &Call, host: &str) -> Result<Aggregate, CloudError> {
    edit(call, |aggregate| {
        if aggregate.hosts.remove(host) {
            return Ok(());
        }
        Err(CloudError::not_found(format!("Cannot remove host {host} in aggregate {}", aggregate.id)))
    })
    .await
}

/// Sets pairs; null removes one.
async fn set_metadata(call: &Call, fields: &Fields<'_>) -> Result<Aggregate, CloudError> {
    fields.only(&["metadata"])?;
    let mut pairs = Vec::new();
    for (key, value) in fields.object("metadata")?.iter().take(super::body::PAIRS) {
        if key == AVAILABILITY_ZONE {
            no_zone(value)?;
        }
        let value = match value {
            Value::Null => None,
            value => Some(super::body::text(key, value, 0..=255)?.to_owned()),
        };
        pairs.push((super::body::text("metadata", &Value::from(key), 1..=255)?.to_owned(), value));
    }
    edit(call, |aggregate| {
        for (key, value) in pairs {
            match value {
                Some(value) => drop(aggregate.metadata.insert(key, value)),
                None => drop(aggregate.metadata.remove(&key)),
            }
        }
        if aggregate.metadata.len() > super::body::PAIRS {
            return Err(CloudError::invalid("An aggregate has too much metadata: remove some first."));
        }
        Ok(())
    })
    .await
}

/// `POST /os-aggregates/{aggregate}/images`
async fn images(call: Call) -> Result<Reply, CloudError> {
    call.since(81)?;
    find(&call).await?;
    Err(CloudError::invalid(
        "Images can't be cached on hosts here: each machine fetches its image when it is deployed.",
    ))
}

//! What the resources have in common that are one record each: finding the one that a path names, pages of them, one as JSON.

use super::fields::{Chosen, Field, Page};
use crate::args::{is_logical_name, parse_uuid};
use crate::call::Call;
use crate::call::Reply;
use crate::error::ApiError;
use crate::wording::display;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use store::{Query, Record};

/// How a resource refuses what is neither a UUID nor a name.
pub type Neither = fn(&str) -> String;

/// The record that a path's `{parameter}` names, by UUID or by name.
pub async fn find<R: Record>(call: &Call, parameter: &str, neither: Neither) -> Result<R, ApiError> {
    let ident = call.parameter(parameter);
    match find_by(call, ident, neither).await {
        Err(error) if error.status == StatusCode::NOT_FOUND && call.json_suffix => {
            find_by(call, &format!("{ident}.json"), neither).await
        }
        other => other,
    }
}

async fn find_by<R: Record>(call: &Call, ident: &str, neither: Neither) -> Result<R, ApiError> {
    if let Some(uuid) = parse_uuid(ident) {
        return Ok(call.state.store.get(&uuid.to_string()).await?);
    }
    if !is_logical_name(ident) {
        return Err(ApiError::invalid(neither(&display(&Value::from(ident)))));
    }
    Ok(call.state.store.get(ident).await?)
}

/// One page of a collection, as `{collection: […], next}`. `repeated` are arguments that the link to the next page repeats.
pub async fn page<R: Record>(
    call: &Call,
    collection: &str,
    page: &Page,
    query: &Query,
    chosen: &Chosen,
    repeated: &[(&str, bool)],
    shown: fn(&Call, &R, &Chosen) -> Map<String, Value>,
) -> Result<Reply, ApiError> {
    if let Some(marker) = page.marker {
        call.state.store.get::<R>(&marker.to_string()).await?;
    }
    let records: Vec<R> = call.state.store.list(query).await?;
    let last = records.last().map(Record::uuid);
    let next = page.next(call, collection, chosen, repeated, records.len(), last);
    let rows: Vec<_> = records.iter().map(|record| shown(call, record, chosen)).collect();
    let mut body = json!({collection: rows});
    if let Some(next) = next {
        body["next"] = next.into();
    }
    Reply::json(&body)
}

/// The chosen fields that the microversion has, and the links.
pub fn fields(
    call: &Call,
    known: &[Field],
    chosen: &Chosen,
    path: &str,
    value: impl Fn(&str) -> Value,
) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, since) in known {
        if *name != "links" && call.version.has(*since) && chosen.has(name) {
            map.insert((*name).to_owned(), value(name));
        }
    }
    map.insert("links".into(), json!(call.links(path)));
    map
}

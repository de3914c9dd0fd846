//! What the resources have in common that are one record each: finding the one that a path names, pages of them, one as JSON.

use super::fields::{Chosen, Field, Page};
use crate::args::{is_logical_name, parse_uuid, uuid};
use crate::call::Call;
use crate::call::Reply;
use crate::error::ApiError;
use crate::wording::display;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use store::{Query, Record};
use uuid::Uuid;

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

/// A record by UUID or by name.
pub async fn find_by<R: Record>(call: &Call, ident: &str, neither: Neither) -> Result<R, ApiError> {
    if let Some(uuid) = parse_uuid(ident) {
        return Ok(call.state.store.get(&uuid.to_string()).await?);
    }
    if !is_logical_name(ident) {
        return Err(ApiError::invalid(neither(&display(&Value::from(ident)))));
    }
    Ok(call.state.store.get(ident).await?)
}

/// How a list of records is answered.
pub struct Listing<'a> {
    /// Key of the list in the answer.
    pub collection: &'a str,
    /// Path below `/v1`, for the link to the next page.
    pub url: &'a str,
    /// Fields that are shown.
    pub chosen: &'a Chosen,
    /// Arguments that the link to the next page repeats.
    pub repeated: &'a [(&'a str, bool)],
}

impl Listing<'_> {
    /// The records that a query finds, as `{collection: […], next}`. The page's marker must be a record.
    pub async fn answer<R: Record>(
        &self,
        call: &Call,
        page: &Page,
        query: &Query,
        shown: fn(&Call, &R, &Chosen) -> Map<String, Value>,
    ) -> Result<Reply, ApiError> {
        if let Some(marker) = page.marker {
            // One that isn't there would start the list anew.
            call.state.store.get::<R>(&marker.to_string()).await?;
        }
        let records: Vec<R> = call.state.store.list(query).await?;
        let last = records.last().map(Record::uuid);
        let next = page.next(call, self.url, self.chosen, self.repeated, records.len(), last);
        let rows: Vec<_> = records.iter().map(|record| shown(call, record, self.chosen)).collect();
        let mut body = json!({self.collection: rows});
        if let Some(next) = next {
            body["next"] = next.into();
        }
        Reply::json(&body)
    }
}

/// The UUID that a body gives to a new record, or one of its own.
pub fn own_uuid(body: &Map<String, Value>) -> Result<Uuid, ApiError> {
    match body.get("uuid") {
        None | Some(Value::Null) => Ok(Uuid::new_v4()),
        Some(value) => uuid("uuid", value),
    }
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

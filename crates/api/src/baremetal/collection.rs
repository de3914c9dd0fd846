//! Lists of records, page by page, single records as JSON, and the one that a path names.

use super::fields::{Chosen, Field, Page};
use crate::args::{is_logical_name, parse_uuid};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::wording::display;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use store::{Query, Record};

/// How a list of records is answered.
pub struct Listing<'a> {
    /// Key of the list in the answer.
    pub key: &'a str,
    /// Path below `/v1`, for the link to the next page.
    pub url: &'a str,
    /// Fields that are shown.
    pub chosen: &'a Chosen,
    /// Whether `detail` was asked for: the next page repeats it.
    pub detail: Option<bool>,
}

impl Listing<'_> {
    /// The records that a query finds, each shown by `shown`, and the link to the next page. The marker must be a record.
    pub async fn answer<R: Record>(
        &self,
        call: &Call,
        page: &Page,
        query: Query,
        shown: impl Fn(&R) -> Map<String, Value>,
    ) -> Result<Reply, ApiError> {
        if let Some(marker) = page.marker {
            // One that isn't there would start the list anew.
            call.state.store.get::<R>(&marker.to_string()).await?;
        }
        let records: Vec<R> = call.state.store.list(&query).await?;
        let detail = self.detail.map(|detail| ("detail", detail));
        let last = records.last().map(Record::uuid);
        let next = page.next(call, self.url, self.chosen, detail.as_slice(), records.len(), last);
        let mut body = Map::new();
        body.insert(self.key.to_owned(), json!(records.iter().map(shown).collect::<Vec<_>>()));
        if let Some(next) = next {
            body.insert("next".to_owned(), next.into());
        }
        Reply::json(&body)
    }
}

/// A record as JSON: the chosen ones of its fields that the microversion has, and its links. `path` is its own below `/v1`.
pub fn render(
    call: &Call,
    path: &str,
    fields: &[Field],
    chosen: &Chosen,
    value: impl Fn(&str) -> Value,
) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, since) in fields {
        if *name != "links" && call.version.has(*since) && chosen.has(name) {
            map.insert((*name).to_owned(), value(name));
        }
    }
    map.insert("links".to_owned(), json!(call.links(path)));
    map
}

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

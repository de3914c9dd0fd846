//! Lists of records, page by page, and single records as JSON.

use super::fields::{Chosen, Field, Page};
use crate::call::{Call, Reply};
use crate::error::ApiError;
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

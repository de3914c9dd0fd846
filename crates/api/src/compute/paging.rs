//! Pages of lists: `limit`, `marker`, and the link to the next one.

use crate::cloud::{Call, CloudError};
use serde_json::{Value, json};

/// One page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// `[{"rel": "next", …}]` where there is more.
    pub links: Option<Value>,
}

impl<T> Page<T> {
    /// Writes the page under `name`, with `name_links` where there is more.
    pub fn write(&self, name: &str, write: impl FnMut(&T) -> Value) -> Value {
        let mut body = json!({name: self.items.iter().map(write).collect::<Vec<_>>()});
        if let Some(links) = &self.links {
            body[format!("{name}_links")] = links.clone();
        }
        body
    }
}

impl Call {
    /// How many things a page has: what was asked for, within the site's limit.
    pub(super) fn page_limit(&self) -> Result<usize, CloudError> {
        let most = self.state.settings.max_limit;
        let limit = self.query.number("limit")?.unwrap_or(most).min(most);
        Ok(usize::try_from(limit).unwrap_or(0))
    }

    /// The link to the page behind `last`, at `path` with the query as it came.
    pub(super) fn next_link(&self, path: &str, last: &str) -> Value {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.query.iter().filter(|(name, _)| *name != "marker"));
        query.append_pair("marker", last);
        json!([{"rel": "next", "href": self.url(&format!("{path}?{}", query.finish()))}])
    }

    /// Cuts the page that is asked for out of a whole list; `key` is what the marker names.
    pub(super) fn page<T>(
        &self,
        path: &str,
        mut items: Vec<T>,
        key: impl Fn(&T) -> String,
    ) -> Result<Page<T>, CloudError> {
        if let Some(marker) = self.query.first("marker") {
            let place = items
                .iter()
                .position(|item| key(item) == marker)
                .ok_or_else(|| CloudError::invalid(format!("Marker {marker} could not be found.")))?;
            items.drain(..=place);
        }
        let limit = self.page_limit()?;
        let more = items.len() > limit && limit > 0;
        items.truncate(limit);
        let links = items.last().filter(|_| more).map(|last| self.next_link(path, &key(last)));
        Ok(Page { items, links })
    }
}

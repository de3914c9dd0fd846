//! Lists: filters, order, pages, and which fields are shown, for every collection alike.
//!
//! A list is read as far as the store can narrow it down, rendered as the caller may see it, and then everything else of the query is
//! applied to what was rendered, so that nothing can be learnt by filtering for what is not shown.

use super::error::invalid_input;
use crate::cloud::{Call, CloudError, Reply};
use model::wording::truth;
use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use store::{Query, Scope};

/// Arguments that are no filters.
const PAGING: &[&str] =
    &["fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir", "changed_since"];
/// Filters by tags.
const TAGS: &[&str] = &["tags", "tags-any", "not-tags", "not-tags-any"];

/// A collection.
pub struct Collection {
    /// Its name in the path and in bodies: `networks`.
    pub name: &'static str,
    /// What a missing marker is reported as.
    pub what: &'static str,
    /// Every field that may be filtered and sorted by.
    pub fields: &'static [&'static str],
    /// Filters that are also columns of the store: argument and column.
    pub columns: &'static [(&'static str, &'static str)],
    /// A filter of its own: name, values, and the item; `None` where it is none.
    pub own: fn(&str, &[&str], &Value) -> Option<bool>,
}

/// A collection without filters of its own.
pub fn no_own_filter(_: &str, _: &[&str], _: &Value) -> Option<bool> {
    None
}

impl Collection {
    /// The query that narrows a list down in the store, within a scope.
    pub fn query(&self, call: &Call, scope: Option<Scope>) -> Query {
        let mut query = Query::default().within(scope);
        for (argument, column) in self.columns {
            let values: Vec<String> = call.query.all(argument).map(str::to_owned).collect();
            if !values.is_empty() {
                query.one_of.push((column, values));
            }
        }
        query
    }

    /// The answer: what is left of the items, in order, a page of them.
    pub fn answer(&self, call: &Call, items: Vec<Value>) -> Result<Reply, CloudError> {
        let filters = self.filters(call)?;
        let fits = |item: &Value| filters.iter().all(|(name, values)| self.fits(name, values, item));
        let mut items: Vec<Value> = items.into_iter().filter(fits).collect();
        if let Some(since) = call.query.first("changed_since") {
            items.retain(|item| item["updated_at"].as_str().is_some_and(|at| at >= since));
        }
        self.sort(call, &mut items)?;
        let (page, links) = self.page(call, items)?;
        let fields: Vec<&str> = call.query.all("fields").flat_map(|names| names.split(',')).collect();
        let page: Vec<Value> = page.into_iter().map(|item| narrowed(item, &fields)).collect();
        let mut body = Map::new();
        body.insert(self.name.replace('-', "_"), Value::Array(page));
        if !links.is_empty() {
            body.insert(format!("{}_links", self.name.replace('-', "_")), Value::Array(links));
        }
        Reply::json(&body)
    }

    /// The filters of the query, each with all its values; any of them may fit.
    fn filters<'a>(&self, call: &'a Call) -> Result<Vec<(&'a str, Vec<&'a str>)>, CloudError> {
        let mut filters: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, value) in call.query.iter().filter(|(name, _)| !PAGING.contains(name)) {
            let is_known = self.fields.contains(&name)
                || TAGS.contains(&name)
                || (self.own)(name, &[], &Value::Null).is_some();
            if !is_known {
                let name: String = name.chars().take(60).collect();
                return Err(invalid_input(format!("'{name}' is not a filter of {}", self.name)));
            }
            match filters.iter_mut().find(|(own, _)| *own == name) {
                Some((_, values)) => values.push(value),
                None => filters.push((name, vec![value])),
            }
        }
        Ok(filters)
    }

    fn fits(&self, name: &str, values: &[&str], item: &Value) -> bool {
        if let Some(fits) = (self.own)(name, values, item) {
            return fits;
        }
        if TAGS.contains(&name) {
            return tags_fit(name, values, &item["tags"]);
        }
        values.iter().any(|value| equals(&item[name], value))
    }

    fn sort(&self, call: &Call, items: &mut [Value]) -> Result<(), CloudError> {
        let keys: Vec<&str> = call.query.all("sort_key").collect();
        let directions: Vec<&str> = call.query.all("sort_dir").collect();
        if let Some(key) = keys.iter().find(|key| !self.fields.contains(key)) {
            let key: String = key.chars().take(60).collect();
            return Err(invalid_input(format!("{} can't be sorted by '{key}'", self.name)));
        }
        if let Some(direction) = directions.iter().find(|word| !["asc", "desc"].contains(word)) {
            let direction: String = direction.chars().take(60).collect();
            return Err(invalid_input(format!("sort_dir '{direction}' is neither asc nor desc")));
        }
        // Stable: equals stay in the order of their creation.
        items.sort_by(|one, other| {
            let each = keys.iter().enumerate().map(|(n, key)| {
                let order = compare(&one[*key], &other[*key]);
                if directions.get(n) == Some(&"desc") { order.reverse() } else { order }
            });
            each.fold(Ordering::Equal, Ordering::then)
        });
        Ok(())
    }

    /// One page, and the links to its neighbours.
    fn page(&self, call: &Call, mut items: Vec<Value>) -> Result<(Vec<Value>, Vec<Value>), CloudError> {
        let limit = call.query.number("limit")?.filter(|limit| *limit > 0);
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let is_backward = call.query.flag("page_reverse")?.unwrap_or(false);
        let marker = call.query.first("marker").filter(|marker| !marker.is_empty());
        let place = match marker {
            None => None,
            Some(marker) => {
                let place = items.iter().position(|item| item["id"].as_str() == Some(marker));
                Some(place.ok_or_else(|| super::error::not_found(self.what, marker))?)
            }
        };
        let (mut from, mut to) = match (place, is_backward) {
            (None, _) => (0, items.len()),
            (Some(place), false) => (place + 1, items.len()),
            (Some(place), true) => (0, place),
        };
        if let Some(limit) = limit {
            if is_backward {
                from = from.max(to.saturating_sub(limit));
            } else {
                to = to.min(from.saturating_add(limit));
            }
        }
        let (has_more, has_before) = (to < items.len(), from > 0);
        items.truncate(to);
        let page = items.split_off(from.min(items.len()));
        let mut links = Vec::new();
        if limit.is_some() {
            let mut link = |rel: &str, item: Option<&Value>| {
                let Some(id) = item.and_then(|item| item["id"].as_str()) else { return };
                links.push(json!({"rel": rel, "href": self.link(call, id, rel == "previous")}));
            };
            if has_more {
                link("next", page.last());
            }
            if has_before {
                link("previous", page.first());
            }
        }
        Ok((page, links))
    }

    /// The same query behind or before another item.
    fn link(&self, call: &Call, marker: &str, is_backward: bool) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in call.query.iter().filter(|(name, _)| !["marker", "page_reverse"].contains(name))
        {
            query.append_pair(name, value);
        }
        query.append_pair("marker", marker);
        if is_backward {
            query.append_pair("page_reverse", "True");
        }
        call.url(&format!("/v2.0/{}?{}", self.name, query.finish()))
    }
}

/// One resource as an answer, with the fields that were asked for.
pub fn one(call: &Call, name: &str, item: Value) -> Result<Reply, CloudError> {
    let fields: Vec<&str> = call.query.all("fields").flat_map(|names| names.split(',')).collect();
    Reply::json(&json!({name: narrowed(item, &fields)}))
}

/// An item with these fields only; all where none are named.
fn narrowed(item: Value, fields: &[&str]) -> Value {
    match item {
        Value::Object(mut map) if !fields.is_empty() => {
            map.retain(|name, _| fields.contains(&name.as_str()));
            Value::Object(map)
        }
        other => other,
    }
}

/// Does a field have the value that a query writes as a text? Lists fit where they have it.
fn equals(field: &Value, wanted: &str) -> bool {
    match field {
        Value::Null => {
            wanted.is_empty() || wanted.eq_ignore_ascii_case("none") || wanted.eq_ignore_ascii_case("null")
        }
        Value::Bool(flag) => truth(&wanted.into()) == Some(*flag),
        Value::String(text) => text == wanted,
        Value::Array(items) => items.iter().any(|item| equals(item, wanted)),
        Value::Number(number) => wanted.parse().is_ok_and(|wanted: serde_json::Number| wanted == *number),
        Value::Object(_) => false,
    }
}

fn tags_fit(filter: &str, values: &[&str], tags: &Value) -> bool {
    let wanted: Vec<&str> = values.iter().flat_map(|value| value.split(',')).collect();
    let has =
        |tag: &&str| tags.as_array().is_some_and(|tags| tags.iter().any(|own| own.as_str() == Some(tag)));
    match filter {
        "tags" => wanted.iter().all(has),
        "tags-any" => wanted.iter().any(has),
        "not-tags" => !wanted.iter().all(has),
        _ => !wanted.iter().any(has),
    }
}

fn compare(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one.as_f64().partial_cmp(&other.as_f64()).unwrap_or(Ordering::Equal)
        }
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (one, other) => one.to_string().cmp(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_as_a_query_writes_them() {
        for (field, wanted, fits) in [
            (json!(true), "True", true),
            (json!(true), "0", false),
            (json!(1500), "1500", true),
            (json!(null), "", true),
            (json!("a"), "A", false),
            (json!(["a", "b"]), "b", true),
            (json!([]), "b", false),
        ] {
            assert_eq!(equals(&field, wanted), fits, "{field} {wanted}");
        }
        let tags = json!(["red", "blue"]);
        for (filter, values, fits) in [
            ("tags", "red,blue", true),
            ("tags", "red,green", false),
            ("tags-any", "red,green", true),
            ("not-tags", "red,blue", false),
            ("not-tags", "red,green", true),
            ("not-tags-any", "green", true),
            ("not-tags-any", "red,green", false),
        ] {
            assert_eq!(tags_fit(filter, &[values], &tags), fits, "{filter} {values}");
        }
    }
}

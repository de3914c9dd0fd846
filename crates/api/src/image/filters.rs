//! The query of a list of images: filters, order, page, and the links to the next one.

use crate::cloud::{Call, CloudError};
use jiff::Timestamp;
use model::image::{Image, MemberStatus, Visibility};
use store::image::{Condition, ImageQuery, Operator, Viewer};
use store::{Column, Record, SortDirection};
use uuid::Uuid;

/// `[DEFAULT] limit_param_default` and `api_limit_max`.
const DEFAULT_LIMIT: i64 = 25;
const MOST: i64 = 1000;
/// Sort keys, and values of an `in:` filter, that one list may have.
const SORT_KEYS: usize = 8;
const VALUES: usize = 256;

/// Columns that may be compared with a text, or with one of several.
const TEXTS: &[(&str, &str)] = &[
    ("id", "uuid"),
    ("name", "name"),
    ("status", "status"),
    ("owner", "owner"),
    ("container_format", "container_format"),
    ("disk_format", "disk_format"),
    ("checksum", "checksum"),
    ("os_hash_algo", "os_hash_algo"),
    ("os_hash_value", "os_hash_value"),
];
const NUMBERS: &[(&str, &str, Operator)] = &[
    ("size", "size", Operator::Equal),
    ("size_min", "size", Operator::AtLeast),
    ("size_max", "size", Operator::AtMost),
    ("min_disk", "min_disk", Operator::Equal),
    ("min_ram", "min_ram", Operator::Equal),
];
const TIMES: &[(&str, &str)] = &[("created_at", "created_us"), ("updated_at", "updated_us")];

/// One page of a list, as it was asked for.
pub(super) struct Page {
    /// What the store is asked.
    pub query: ImageQuery,
    /// The arguments without the marker, for links.
    arguments: Vec<(String, String)>,
}

impl Page {
    /// Link to the first page.
    pub fn first(&self) -> String {
        self.link(None)
    }

    /// Link to the page behind an image.
    pub fn next(&self, last: Uuid) -> String {
        self.link(Some(last))
    }

    fn link(&self, marker: Option<Uuid>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.arguments);
        if let Some(marker) = marker {
            query.append_pair("marker", &marker.to_string());
        }
        let query = query.finish();
        if query.is_empty() { "/v2/images".to_owned() } else { format!("/v2/images?{query}") }
    }
}

/// Reads the query of `GET /v2/images`. What is no argument is the name of a property.
pub(super) fn page(call: &Call) -> Result<Page, CloudError> {
    let viewer = match call.sees_all() {
        true => Viewer::Operator,
        false => Viewer::Project(call.project()?.to_owned()),
    };
    let limit = call.query.number("limit")?.unwrap_or(DEFAULT_LIMIT).min(MOST);
    let mut query = ImageQuery {
        viewer,
        member_status: Some(MemberStatus::Accepted),
        limit,
        sort: sort(call)?,
        ..ImageQuery::default()
    };
    let mut shows_hidden = false;
    for (name, value) in call.query.iter() {
        match name {
            "limit" | "sort" | "sort_key" | "sort_dir" => {}
            "marker" => {
                query.marker = Some(Uuid::try_parse(value).map_err(|_| super::records::no_image(value))?);
            }
            "visibility" if value == "all" => query.with_community = true,
            "visibility" => query.visibility = Some(word(name, value, &Visibility::ALL, Visibility::as_str)?),
            "member_status" if value == "all" => query.member_status = None,
            "member_status" => {
                query.member_status = Some(word(name, value, &MemberStatus::ALL, MemberStatus::as_str)?);
            }
            "tag" => query.tags.push(value.to_owned()),
            "protected" | "os_hidden" => {
                let column = if name == "protected" { "protected" } else { "os_hidden" };
                shows_hidden |= name == "os_hidden";
                let flag = call.query.flag(name)?.unwrap_or_default();
                query.conditions.push(Condition::equal(column, Column::flag(flag)));
            }
            _ => match condition(name, value)? {
                Some(condition) => query.conditions.push(condition),
                None => query.properties.push((name.to_owned(), value.to_owned())),
            },
        }
    }
    if !shows_hidden {
        query.conditions.push(Condition::equal("os_hidden", Column::flag(false)));
    }
    let arguments = call
        .query
        .iter()
        .filter(|(name, _)| *name != "marker")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Ok(Page { query, arguments })
}

/// A filter on a column; none for names that are no column's.
fn condition(name: &str, value: &str) -> Result<Option<Condition>, CloudError> {
    if let Some((_, column)) = TEXTS.iter().find(|(own, _)| *own == name) {
        let values = match value.strip_prefix("in:") {
            Some(list) => quoted_list(name, list)?,
            None => vec![value.to_owned()],
        };
        let values = values.iter().map(|value| Column::text(Some(value))).collect();
        return Ok(Some(Condition { column, operator: Operator::Equal, values }));
    }
    if let Some((_, column, operator)) = NUMBERS.iter().find(|(own, ..)| *own == name) {
        let number = value.parse::<i64>().ok().filter(|number| *number >= 0).ok_or_else(|| {
            CloudError::invalid(format!("Invalid value for {name}: it is not a whole number of 0 or more."))
        })?;
        let values = vec![Column::Number(Some(number))];
        return Ok(Some(Condition { column, operator: *operator, values }));
    }
    let Some((_, column)) = TIMES.iter().find(|(own, _)| *own == name) else { return Ok(None) };
    let (operator, time) = match value.split_once(':') {
        Some((word, time)) => match operator(word) {
            Some(operator) => (operator, time),
            // A time without an operator has colons of its own.
            None => (Operator::Equal, value),
        },
        None => (Operator::Equal, value),
    };
    let values = vec![Column::time(Some(parse_time(name, time)?))];
    Ok(Some(Condition { column, operator, values }))
}

fn operator(word: &str) -> Option<Operator> {
    Some(match word {
        "eq" => Operator::Equal,
        "neq" => Operator::NotEqual,
        "lt" => Operator::Less,
        "lte" => Operator::AtMost,
        "gt" => Operator::Greater,
        "gte" => Operator::AtLeast,
        _ => return None,
    })
}

/// ISO 8601; without a zone it is UTC.
fn parse_time(name: &str, text: &str) -> Result<Timestamp, CloudError> {
    let zoned = text.parse::<Timestamp>().ok();
    let plain = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    zoned.or_else(|| Some(plain()?.timestamp())).ok_or_else(|| {
        let text: String = text.chars().take(40).collect();
        CloudError::invalid(format!(
            "Invalid value for {name}: \"{text}\" is no time as in 2026-01-31T12:00:00Z, with lt:, lte:, gt:, gte:, eq: or neq: before it."
        ))
    })
}

/// Values between commas; those with a comma within them stand in quotes, a quote in which is escaped by a backslash.
fn quoted_list(name: &str, list: &str) -> Result<Vec<String>, CloudError> {
    let invalid = || CloudError::invalid(format!("Invalid filter value for {name}: a quote is not closed."));
    let (mut values, mut value) = (Vec::new(), String::new());
    let (mut is_quoted, mut characters) = (false, list.chars());
    while let Some(character) = characters.next() {
        match character {
            '\\' if is_quoted => value.push(characters.next().ok_or_else(invalid)?),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => values.push(std::mem::take(&mut value)),
            other => value.push(other),
        }
    }
    if is_quoted {
        return Err(invalid());
    }
    values.push(value);
    if values.len() > VALUES {
        return Err(CloudError::invalid(format!("Too many values for {name}: at most {VALUES} are read.")));
    }
    Ok(values)
}

fn word<T: Copy>(name: &str, value: &str, all: &[T], text: fn(T) -> &'static str) -> Result<T, CloudError> {
    all.iter().copied().find(|known| text(*known) == value).ok_or_else(|| {
        let words: Vec<_> = all.iter().map(|known| text(*known)).collect();
        CloudError::invalid(format!("Invalid {name} value: it must be one of {}, all.", words.join(", ")))
    })
}

/// `sort=name:asc,size`, or `sort_key=…&sort_dir=…` as often as wanted.
fn sort(call: &Call) -> Result<Vec<(&'static str, SortDirection)>, CloudError> {
    let mut keys = Vec::new();
    if let Some(sort) = call.query.first("sort") {
        if call.query.has("sort_key") || call.query.has("sort_dir") {
            return Err(CloudError::invalid("Old and new sorting syntax cannot be combined."));
        }
        for part in sort.split(',') {
            let (key, direction) = part.split_once(':').unwrap_or((part, "desc"));
            keys.push((sort_key(key)?, direction_of(direction)?));
        }
    } else {
        let directions: Vec<_> =
            call.query.all("sort_dir").map(direction_of).collect::<Result<_, CloudError>>()?;
        let of = |n: usize| match directions.as_slice() {
            [] => SortDirection::Descending,
            [one] => *one,
            many => many.get(n).copied().unwrap_or(SortDirection::Descending),
        };
        for (n, key) in call.query.all("sort_key").enumerate() {
            keys.push((sort_key(key)?, of(n)));
        }
        if keys.is_empty() {
            keys.push((sort_key("created_at")?, of(0)));
        }
    }
    if keys.len() > SORT_KEYS {
        return Err(CloudError::invalid(format!("A list is sorted by at most {SORT_KEYS} keys.")));
    }
    Ok(keys)
}

fn sort_key(name: &str) -> Result<&'static str, CloudError> {
    let found = Image::SORT_COLUMNS.iter().find(|(own, _)| *own == name.trim());
    found.map(|(_, column)| *column).ok_or_else(|| {
        let names: Vec<_> = Image::SORT_COLUMNS.iter().map(|(own, _)| *own).collect();
        CloudError::invalid(format!(
            "Invalid sort key: it must be one of the following: {}.",
            names.join(", ")
        ))
    })
}

fn direction_of(text: &str) -> Result<SortDirection, CloudError> {
    match text.trim() {
        "asc" => Ok(SortDirection::Ascending),
        "desc" => Ok(SortDirection::Descending),
        _ => Err(CloudError::invalid("Invalid sort direction: it must be asc or desc.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_values_may_be_quoted() {
        assert_eq!(quoted_list("name", "a,b").unwrap(), ["a", "b"]);
        assert_eq!(quoted_list("name", r#""a,\"b",c"#).unwrap(), ["a,\"b", "c"]);
        assert!(quoted_list("name", "\"a").is_err());
    }

    #[test]
    fn times_have_operators() {
        let found = condition("created_at", "gte:2026-01-31T12:00:00Z").unwrap().unwrap();
        assert_eq!((found.column, found.operator), ("created_us", Operator::AtLeast));
        let plain = condition("updated_at", "2026-01-31T12:00:00").unwrap().unwrap();
        assert_eq!(plain.operator, Operator::Equal);
        assert!(condition("created_at", "gt:yesterday").is_err());
        assert!(condition("os_distro", "debian").unwrap().is_none());
    }
}

//! Listings: what the query asks for, and the answer as text, JSON or XML.

use super::headers::iso;
use crate::cloud::{Call, CloudError, Reply};
use axum::body::Body;
use axum::http::StatusCode;
use model::object_store::{Container, Entry, LISTING_LIMIT, Listing, Object};
use serde_json::{Value, json};

/// How a listing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
    Xml,
}

impl Format {
    /// What the query asks for, else the first of what `Accept` has that is known; text where it takes anything.
    pub fn of(call: &Call) -> Result<Self, CloudError> {
        match call.query.first("format").map(str::to_ascii_lowercase).as_deref() {
            Some("json") => return Ok(Format::Json),
            Some("xml") => return Ok(Format::Xml),
            Some("plain") => return Ok(Format::Text),
            // Swift ignores what it does not know.
            _ => {}
        }
        let Some(accept) = call.header("accept").filter(|accept| !accept.is_empty()) else {
            return Ok(Format::Text);
        };
        let kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
        kinds
            .filter_map(|kind| match kind {
                "application/json" => Some(Format::Json),
                "application/xml" | "text/xml" => Some(Format::Xml),
                "text/plain" | "text/*" | "*/*" => Some(Format::Text),
                "application/*" => Some(Format::Json),
                _ => None,
            })
            .next()
            .ok_or_else(|| {
                CloudError::new(
                    StatusCode::NOT_ACCEPTABLE,
                    "Listings are text/plain, application/json or application/xml.",
                )
            })
    }

    fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; charset=utf-8",
            Format::Json => "application/json; charset=utf-8",
            Format::Xml => "application/xml; charset=utf-8",
        }
    }
}

/// What the query asks of a listing; 412 for a limit that is too large.
pub(super) fn asked(call: &Call) -> Result<Listing, CloudError> {
    let given = |name: &str| call.query.first(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let limit = match given("limit").and_then(|limit| limit.parse::<usize>().ok()) {
        Some(limit) if limit > LISTING_LIMIT => {
            return Err(CloudError::new(
                StatusCode::PRECONDITION_FAILED,
                format!("Maximum limit is {LISTING_LIMIT}"),
            ));
        }
        limit => limit.unwrap_or(LISTING_LIMIT),
    };
    Ok(Listing {
        marker: given("marker"),
        end_marker: given("end_marker"),
        prefix: given("prefix").unwrap_or_default(),
        delimiter: given("delimiter"),
        path: call.query.first("path").map(str::to_owned),
        limit,
        reverse: call.query.flag("reverse")?.unwrap_or_default(),
    })
}

/// Something that a listing shows.
pub(super) trait Listed {
    /// Its name.
    fn name(&self) -> &str;
    /// Its fields in order; the first one is its name.
    fn fields(&self) -> Vec<(&'static str, Value)>;
    /// Its element in XML.
    const ELEMENT: &'static str;
}

impl Listed for Container {
    const ELEMENT: &'static str = "container";

    fn name(&self) -> &str {
        &self.name
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("name", json!(self.name)),
            ("count", json!(self.object_count)),
            ("bytes", json!(self.bytes_used)),
            ("last_modified", json!(iso(self.updated_at.unwrap_or(self.created_at)))),
        ]
    }
}

impl Listed for Object {
    const ELEMENT: &'static str = "object";

    fn name(&self) -> &str {
        &self.name
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("name", json!(self.name)),
            ("hash", json!(self.etag)),
            ("bytes", json!(self.bytes)),
            ("content_type", json!(self.content_type)),
            ("last_modified", json!(iso(self.modified_at))),
        ]
    }
}

/// Answers with a listing; `root` is the element around it in XML and that one's name.
pub(super) fn reply<T: Listed>(
    format: Format,
    root: (&str, &str),
    entries: &[Entry<T>],
) -> Result<Reply, CloudError> {
    let text = match format {
        Format::Text => as_text(entries),
        Format::Json => as_json(entries),
        Format::Xml => as_xml(root, entries),
    };
    // An empty text is no content.
    let status = if text.is_empty() { StatusCode::NO_CONTENT } else { StatusCode::OK };
    Ok(Reply::body(Body::from(text), format.content_type()).status(status))
}

fn as_text<T: Listed>(entries: &[Entry<T>]) -> String {
    let mut text = String::new();
    for entry in entries {
        text.push_str(match entry {
            Entry::Item(item) => item.name(),
            Entry::Subdir(folder) => folder,
        });
        text.push('\n');
    }
    text
}

fn as_json<T: Listed>(entries: &[Entry<T>]) -> String {
    let shown = entries.iter().map(|entry| match entry {
        Entry::Item(item) => {
            Value::Object(item.fields().into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        }
        Entry::Subdir(folder) => json!({"subdir": folder}),
    });
    Value::Array(shown.collect()).to_string()
}

fn as_xml<T: Listed>((root, name): (&str, &str), entries: &[Entry<T>]) -> String {
    let mut text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} name=\"{}\">", escape(name));
    for entry in entries {
        match entry {
            Entry::Item(item) => {
                text.push_str(&format!("<{}>", T::ELEMENT));
                for (key, value) in item.fields() {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    text.push_str(&format!("<{key}>{}</{key}>", escape(&value)));
                }
                text.push_str(&format!("</{}>", T::ELEMENT));
            }
            Entry::Subdir(folder) => {
                let folder = escape(folder);
                text.push_str(&format!("<subdir name=\"{folder}\"><name>{folder}</name></subdir>"));
            }
        }
    }
    text.push_str(&format!("</{root}>"));
    text
}

/// Text in an element or an attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // XML 1.0 has no way to write the others.
            c if c < ' ' && !matches!(c, '\t' | '\n' | '\r') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

//! Large objects: objects that are made of others.

use super::{MAX_MANIFEST_SEGMENTS, MAX_MANIFEST_SIZE};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a large object is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manifest {
    /// These segments (`multipart-manifest=put`).
    Static(Vec<Segment>),
    /// Whatever has this prefix at the time (`X-Object-Manifest`).
    Dynamic {
        /// The container of the segments.
        container: String,
        /// How their names begin.
        prefix: String,
    },
}

/// A segment of a static large object. Field names are those of Swift's manifests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// `/container/object`.
    pub name: String,
    /// Bytes of the whole object.
    pub bytes: i64,
    /// Its ETag.
    pub hash: String,
    /// Its `Content-Type`.
    pub content_type: String,
    /// When it was written.
    pub last_modified: Timestamp,
    /// Only these bytes of it: first and last, as in `0-99`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// It is a static large object itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sub_slo: bool,
}

impl Segment {
    /// Container and object.
    pub fn place(&self) -> Option<(&str, &str)> {
        self.name.trim_start_matches('/').split_once('/')
    }
}

/// A segment as a client asks for it; what it says of size and hash is checked.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentRequest {
    /// Container.
    pub container: String,
    /// Object.
    pub object: String,
    /// What the client takes its ETag for.
    pub etag: Option<String>,
    /// What the client takes its size for.
    pub size_bytes: Option<i64>,
    /// Only these bytes: first and last, each of which may be missing.
    pub range: Option<String>,
}

/// Why a manifest is refused; the text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ManifestError(pub String);

/// Reads the body of `multipart-manifest=put`. All that is wrong with it is told at once.
pub fn parse_static(body: &[u8]) -> Result<Vec<SegmentRequest>, ManifestError> {
    let refuse = |text: &str| Err(ManifestError(format!("{text}\n")));
    if body.len() > MAX_MANIFEST_SIZE {
        return refuse(&format!("Manifest File > {MAX_MANIFEST_SIZE} bytes"));
    }
    let Ok(parsed) = serde_json::from_slice::<Value>(body) else {
        return refuse("Manifest must be valid JSON.");
    };
    let Value::Array(items) = parsed else { return refuse("Manifest must be a list.") };
    if items.is_empty() {
        return refuse("Manifest must have at least one segment.");
    }
    if items.len() > MAX_MANIFEST_SEGMENTS {
        return refuse(&format!("Number of segments must be <= {MAX_MANIFEST_SEGMENTS}"));
    }
    let last = items.len() - 1;
    let mut errors = String::new();
    let mut segments = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match parse_segment(item, index == last) {
            Ok(segment) => segments.push(segment),
            Err(text) => errors.push_str(&format!("Index {index}: {text}\n")),
        }
    }
    if errors.is_empty() { Ok(segments) } else { Err(ManifestError(errors)) }
}

fn parse_segment(item: &Value, is_last: bool) -> Result<SegmentRequest, String> {
    let Value::Object(fields) = item else { return Err("not a JSON object".to_owned()) };
    if fields.contains_key("data") {
        return Err("inlined data is not supported: upload it as an object and name that".to_owned());
    }
    let path = fields.get("path").ok_or("expected keys to include \"path\"")?;
    let path = path.as_str().ok_or("\"path\" must be a string")?;
    if let Some(other) =
        fields.keys().find(|key| !["path", "etag", "size_bytes", "range"].contains(&key.as_str()))
    {
        return Err(format!("extraneous keys {other:?}"));
    }
    let (container, object) = path
        .trim_start_matches('/')
        .split_once('/')
        .filter(|(_, object)| !object.is_empty())
        .ok_or("path does not refer to an object. Path must be of the form /container/object.")?;
    let text = |key: &str| match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("\"{key}\" must be a string or null (if provided)")),
    };
    let size_bytes = match fields.get("size_bytes") {
        None | Some(Value::Null) => None,
        Some(Value::Number(number)) => Some(number.as_i64().ok_or("invalid size_bytes")?),
        Some(Value::String(text)) => Some(text.trim().parse().map_err(|_| "invalid size_bytes")?),
        Some(_) => return Err("invalid size_bytes".to_owned()),
    };
    if size_bytes.is_some_and(|size| size < 1) && !is_last {
        return Err("too small; each segment must be at least 1 byte.".to_owned());
    }
    Ok(SegmentRequest {
        container: container.to_owned(),
        object: object.to_owned(),
        etag: text("etag")?.map(|etag| etag.trim_matches('"').to_ascii_lowercase()),
        size_bytes,
        range: text("range")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_says_what_it_is_made_of() {
        let parsed = parse_static(
            br#"[{"path": "/c/a/b", "etag": "\"AB\"", "size_bytes": "5"}, {"path": "c/z", "range": "-3", "etag": null}]"#,
        )
        .unwrap();
        assert_eq!(
            parsed[0],
            SegmentRequest {
                container: "c".into(),
                object: "a/b".into(),
                etag: Some("ab".into()),
                size_bytes: Some(5),
                range: None
            }
        );
        assert_eq!(parsed[1].range.as_deref(), Some("-3"));
        assert_eq!(parsed[1].etag, None);
    }

    #[test]
    fn all_that_is_wrong_with_a_manifest_is_told_at_once() {
        let told = parse_static(
            br#"[7, {"path": "/c"}, {"path": "/c/o", "x": 1}, {"data": "eA=="}, {"path": "/c/o", "size_bytes": 0}, {"path": "/c/o"}]"#,
        )
        .unwrap_err()
        .0;
        assert_eq!(told.lines().count(), 5, "{told}");
        for bad in ["", "{}", "[]", "nonsense"] {
            assert!(parse_static(bad.as_bytes()).is_err(), "{bad}");
        }
        let many = format!("[{}]", vec![r#"{"path":"/c/o"}"#; 1001].join(","));
        assert!(parse_static(many.as_bytes()).unwrap_err().0.contains("1000"));
    }
}

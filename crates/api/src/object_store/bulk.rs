//! Bulk deletion: many objects and containers by one request.
//!
//! Source: Swift's `bulk` middleware. The body has a percent-encoded path a line; what could not be deleted is told line by line.

use super::account::done;
use super::{containers, lifetime, objects};
use crate::cloud::{Call, CloudError, Reply};
use axum::http::StatusCode;
use model::object_store::MAX_DELETES_PER_REQUEST;
use percent_encoding::percent_decode_str;
use serde_json::json;

/// `POST /v1/{account}?bulk-delete`
pub(super) async fn delete(call: &Call, project: &str) -> Result<Reply, CloudError> {
    let Ok(list) = std::str::from_utf8(&call.body) else {
        return Err(CloudError::invalid("The list of what to delete is not UTF-8."));
    };
    let lines: Vec<&str> = list.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() > MAX_DELETES_PER_REQUEST {
        return Err(CloudError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("Maximum Bulk Deletes: {MAX_DELETES_PER_REQUEST} per request"),
        ));
    }
    let paths: Vec<String> =
        lines.into_iter().map(|line| percent_decode_str(line).decode_utf8_lossy().into_owned()).collect();
    delete_paths(call, project, &paths).await
}

/// Deletes objects (`/container/object`) and containers (`/container`), one after another.
pub(super) async fn delete_paths(call: &Call, project: &str, paths: &[String]) -> Result<Reply, CloudError> {
    let (mut deleted, mut missing, mut errors) = (0, 0, Vec::new());
    for path in paths {
        match delete_one(call, project, path).await {
            Ok(()) => deleted += 1,
            Err(error) if error.status == StatusCode::NOT_FOUND => missing += 1,
            Err(error) => {
                errors.push([lifetime::quoted(path), format!("{} {}", error.status.as_u16(), error.title())])
            }
        }
    }
    let status = if !errors.is_empty() {
        "400 Bad Request"
    } else if deleted == 0 && missing > 0 {
        "404 Not Found"
    } else {
        "200 OK"
    };
    let told = json!({
        "Number Deleted": deleted,
        "Number Not Found": missing,
        "Response Status": status,
        "Response Body": "",
        "Errors": errors,
    });
    // The request itself is done, whatever came of its lines.
    Ok(done(Reply::json(&told)?.status(StatusCode::OK), call))
}

async fn delete_one(call: &Call, project: &str, path: &str) -> Result<(), CloudError> {
    let path = path.trim_start_matches('/');
    match path.split_once('/') {
        Some((container, object)) if !object.is_empty() => {
            objects::remove(call, project, container, object).await
        }
        Some((container, _)) => containers::remove(call, project, container).await,
        None => containers::remove(call, project, path).await,
    }
}

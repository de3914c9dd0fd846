//! One row of the route table as an operation.

use super::{SINCE, arguments, bodies, parameter, resources, tag};
use crate::route::{Route, Verb};
use crate::versions;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

/// The operation of a row.
pub fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": id(route),
        "summary": route.summary,
        "tags": [tag(route)],
        "parameters": arguments::parameters(route),
        "responses": responses(route),
        "x-openstack-policy": route.policy,
    });
    if let Some(body) = bodies::request(route) {
        operation["requestBody"] = body;
    }
    if route.is_versioned() {
        operation[SINCE] = route.since.to_string().into();
    }
    if route.public {
        operation["security"] = json!([]);
    }
    operation
}

/// `get_nodes_node_states`: the method, then the path without its version.
fn id(route: &Route) -> String {
    let words = route.path.split('/').filter(|segment| !matches!(*segment, "" | "v1"));
    let words = words.map(|segment| parameter(segment).unwrap_or(segment).replace('.', "_"));
    let mut id = vec![route.verb.as_str().to_lowercase()];
    id.extend(words);
    if id.len() == 1 {
        id.push(if route.path == "/" { "root" } else { "v1" }.to_owned());
    }
    id.join("_")
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    responses.insert(route.success.as_str().to_owned(), success(route));
    if is_passthru(route) {
        responses.insert(
            "202".to_owned(),
            json!({"description": "Goes on behind the answer.", "headers": headers()}),
        );
    }
    for (status, _) in REFUSALS.iter().filter(|(status, _)| may_answer(route, *status)) {
        let name = name(*status);
        responses
            .insert(status.as_str().to_owned(), json!({"$ref": format!("#/components/responses/{name}")}));
    }
    Value::Object(responses)
}

/// The refusals that operations refer to.
pub fn refusals() -> Value {
    let refusal = |description: &str| {
        json!({
            "description": description,
            "headers": headers(),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        })
    };
    Value::Object(
        REFUSALS.iter().map(|(status, description)| (name(*status), refusal(description))).collect(),
    )
}

/// `NotFound`
fn name(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or_default().replace(' ', "")
}

/// Such a method may run behind its answer.
fn is_passthru(route: &Route) -> bool {
    route.path.contains("/vendor_passthru") && !route.path.ends_with("/methods")
}

fn success(route: &Route) -> Value {
    let mut response = json!({"description": route.summary, "headers": headers()});
    // What goes on behind its answer says no more than that, but to a ramdisk, which learns who it is.
    let is_empty = match route.success {
        StatusCode::NO_CONTENT => true,
        StatusCode::ACCEPTED => route.path != "/v1/continue_inspection",
        _ => false,
    };
    if !is_empty {
        let (kind, schema) = resources::answer(route);
        response["content"] = json!({kind: {"schema": schema}});
    }
    response
}

fn headers() -> Value {
    let names = [versions::USED, versions::OLDEST, versions::NEWEST, "x-openstack-request-id"];
    let headers =
        names.map(|name| (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")})));
    Value::Object(headers.into_iter().collect())
}

/// Statuses that may come in place of success, and why.
const REFUSALS: &[(StatusCode, &str)] = &[
    (StatusCode::BAD_REQUEST, "What was sent is not valid, or can't be done now."),
    (StatusCode::UNAUTHORIZED, "The caller did not say who it is."),
    (StatusCode::FORBIDDEN, "The caller may not do this."),
    (StatusCode::NOT_FOUND, "What is named isn't there, or not at this microversion."),
    (StatusCode::METHOD_NOT_ALLOWED, "Not at this microversion."),
    (StatusCode::NOT_ACCEPTABLE, "The microversion is not served, or lacks something that was asked for."),
    (StatusCode::REQUEST_TIMEOUT, "The body did not come in time."),
    (StatusCode::CONFLICT, "Something else is under way or already there."),
    (StatusCode::PAYLOAD_TOO_LARGE, "The body is too large."),
    (StatusCode::INTERNAL_SERVER_ERROR, "The server, or the machine's BMC, failed."),
    (StatusCode::SERVICE_UNAVAILABLE, "Too much is under way, or the disk is full."),
];

/// May a row answer with this status?
fn may_answer(route: &Route, status: StatusCode) -> bool {
    let writes = route.verb != Verb::Get;
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => !route.public,
        StatusCode::NOT_FOUND => route.is_versioned() || route.path.contains('{'),
        StatusCode::METHOD_NOT_ALLOWED => route.below == status,
        StatusCode::NOT_ACCEPTABLE => route.is_versioned(),
        StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::PAYLOAD_TOO_LARGE => writes,
        StatusCode::SERVICE_UNAVAILABLE => writes || !route.public || route.path == "/healthcheck",
        _ => true,
    }
}

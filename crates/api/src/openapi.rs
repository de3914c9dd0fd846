//! `GET /openapi.json`: the API described as an OpenAPI 3.1 document, made from the tables that serve it.
//!
//! Nothing is described by hand: paths, methods, microversions, policies, queries and bodies come from the rows of
//! [`baremetal::TABLE`](crate::baremetal::TABLE), response schemas from the resources' lists of fields. What those tables don't say
//! (what a query's argument or a field looks like) stands in [`arguments`] and [`resources`], and the tests below fail where a row,
//! an argument or a field is not described.
//!
//! One document holds for all microversions; `x-openstack-min-microversion` says what came when.

mod arguments;
mod bodies;
mod operations;
mod resources;

use crate::auth::Auth;
use crate::baremetal::TABLE;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::route::Route;
use crate::versions;
use model::version::Microversion;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// Where a schema says the microversion that something came with.
const SINCE: &str = "x-openstack-min-microversion";

/// `GET /openapi.json`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    /// The document differs by what callers must show, and by nothing else.
    static TEXTS: [OnceLock<Result<Vec<u8>, ApiError>>; 3] = [const { OnceLock::new() }; 3];
    let auth = &call.state.settings.auth;
    let schemes = security_schemes(auth);
    let text = &TEXTS[match auth {
        Auth::None => 0,
        Auth::Basic(_) => 1,
        Auth::Keystone(_) | Auth::Own(_) => 2,
    }];
    let text = text.get_or_init(|| {
        let document = document(&schemes);
        Reply::json(&document).map(|reply| reply.json.unwrap_or_default())
    });
    Ok(Reply { json: Some(text.clone()?), ..Reply::empty() })
}

/// What callers must show, by the configured authentication: names and OpenAPI's descriptions of them.
fn security_schemes(auth: &Auth) -> Vec<(&'static str, Value)> {
    match auth {
        Auth::None => Vec::new(),
        Auth::Basic(_) => vec![("basic", json!({"type": "http", "scheme": "basic"}))],
        Auth::Keystone(_) | Auth::Own(_) => {
            vec![("keystone", json!({"type": "apiKey", "in": "header", "name": "X-Auth-Token"}))]
        }
    }
}

/// The whole document.
fn document(schemes: &[(&'static str, Value)]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut tags = BTreeSet::new();
    for route in TABLE.routes() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.verb.as_str().to_lowercase()] = operations::operation(route);
        tags.insert(tag(route));
    }
    let requirements: Vec<_> = schemes.iter().map(|(name, _)| json!({*name: []})).collect();
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Billet",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A bare-metal cloud that speaks the OpenStack Bare Metal API.",
            "description": "Clients name a microversion in a header and get 1.1 without one. `x-openstack-min-microversion` is the \
                            microversion that an operation, an argument or a field came with; `x-openstack-policy` is the rule that \
                            guards an operation.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags.into_iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": resources::schemas(),
            "parameters": arguments::headers(),
            "headers": response_headers(),
            "responses": operations::refusals(),
            "securitySchemes": schemes.iter().cloned().map(|(name, scheme)| (name.to_owned(), scheme)).collect::<Map<_, _>>(),
        },
        "security": requirements,
        "x-openstack-min-microversion": Microversion::MIN.to_string(),
        "x-openstack-max-microversion": Microversion::MAX.to_string(),
    })
}

/// Headers that every answer has.
fn response_headers() -> Value {
    let text = |description: &str| json!({"description": description, "schema": {"type": "string"}});
    json!({
        versions::USED: text("The microversion that was used; absent where none could be chosen."),
        versions::OLDEST: text("The oldest microversion that is served."),
        versions::NEWEST: text("The newest microversion that is served."),
        "x-openstack-request-id": text("The request's id, under which the log has its details."),
    })
}

/// The resource that an operation is about: the middle of its policy's name.
fn tag(route: &Route) -> &'static str {
    match route.policy.split(':').nth(1) {
        Some(resource) => resource,
        None => "discovery",
    }
}

/// Is it a `{name}` of a path? Then its name.
fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Takes, Verb};

    fn operations(document: &Value) -> Vec<(String, &Value)> {
        let paths = document["paths"].as_object().unwrap();
        paths
            .iter()
            .flat_map(|(path, item)| {
                item.as_object()
                    .unwrap()
                    .iter()
                    .map(move |(verb, operation)| (format!("{verb} {path}"), operation))
            })
            .collect()
    }

    #[test]
    fn every_row_says_what_it_does_and_what_it_takes() {
        for route in TABLE.routes() {
            let row = format!("{} {}", route.verb.as_str(), route.path);
            assert!(route.summary.ends_with('.'), "{row} has no `.says(…)`, or one that is no sentence");
            let discovers = route.policy == "public_api";
            let in_query = matches!(route.takes, Some(Takes::Arguments(..) | Takes::Anything));
            assert!(route.query.is_some() || in_query || discovers, "{row} has no `.query(…)`");
            if matches!(route.verb, Verb::Post | Verb::Put | Verb::Patch) {
                assert!(route.takes.is_some(), "{row} has no `.takes(…)`");
            }
        }
    }

    #[test]
    fn every_argument_and_field_is_described() {
        let missing: Vec<_> = arguments::undescribed().chain(resources::undescribed()).collect();
        assert!(missing.is_empty(), "{}", missing.join("\n"));
    }

    #[test]
    fn every_row_is_an_operation_of_its_own_name() {
        let document = document(&[]);
        let operations = operations(&document);
        assert_eq!(operations.len(), TABLE.routes().count());
        let ids: BTreeSet<_> =
            operations.iter().map(|(_, operation)| operation["operationId"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), operations.len());
        assert!(ids.contains("patch_nodes_node"));
    }

    #[test]
    fn references_lead_somewhere() {
        fn visit(value: &Value, document: &Value) {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(target)) = map.get("$ref") {
                        assert!(document.pointer(target.strip_prefix('#').unwrap()).is_some(), "{target}");
                    }
                    map.values().for_each(|value| visit(value, document));
                }
                Value::Array(list) => list.iter().for_each(|value| visit(value, document)),
                _ => {}
            }
        }
        let document = document(&[]);
        visit(&document, &document);
    }

    #[test]
    fn a_guarded_operation_names_its_policy_its_microversion_and_its_refusals() {
        let document = document(&[("basic", json!({"type": "http", "scheme": "basic"}))]);
        assert_eq!(document["security"], json!([{"basic": []}]));
        let traits = &document["paths"]["/v1/nodes/{node}/traits"]["put"];
        assert_eq!(traits["x-openstack-policy"], "baremetal:node:traits:set");
        assert_eq!(traits[SINCE], "1.37");
        assert_eq!(traits["tags"], json!(["node"]));
        let statuses: Vec<_> = traits["responses"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            statuses,
            ["204", "400", "401", "403", "404", "405", "406", "408", "409", "413", "500", "503"]
        );
        assert_eq!(document["paths"]["/v1"]["get"]["security"], json!([]));
        let owner = document["paths"]["/v1/nodes"]["get"]["parameters"].as_array().unwrap();
        let owner = owner.iter().find(|parameter| parameter["name"] == "owner").unwrap();
        assert_eq!(owner[SINCE], "1.50");
    }
}

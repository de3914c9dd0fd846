//! `/openstack/{version}/…`, as Nova serves it and as config drives have it.

use super::Told;
use conductor::ServerMetadata;
use serde_json::json;

/// Versions whose documents are the same here.
const VERSIONS: &[&str] = &[
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
    "latest",
];

/// What is at a path behind `/openstack`.
pub(super) fn find(told: ServerMetadata, path: &[&str]) -> Option<Told> {
    match path {
        [] | ["versions"] => Some(Told::Text(VERSIONS.join("\n"))),
        [version, rest @ ..] if VERSIONS.contains(version) => document(told, rest),
        _ => None,
    }
}

fn document(mut told: ServerMetadata, path: &[&str]) -> Option<Told> {
    match path {
        [] => {
            let mut names =
                vec!["meta_data.json", "network_data.json", "vendor_data.json", "vendor_data2.json"];
            if told.user_data.is_some() {
                names.push("user_data");
            }
            Some(Told::Text(names.join("\n")))
        }
        ["meta_data.json"] => {
            // As in Nova: a password travels on the config drive only, which no other machine on the wire can see.
            if let Some(fields) = told.meta_data.as_object_mut() {
                fields.remove("admin_pass");
            }
            Some(Told::Json(told.meta_data))
        }
        ["network_data.json"] => Some(Told::Json(told.network_data)),
        ["vendor_data.json"] => Some(Told::Json(told.vendor_data)),
        ["vendor_data2.json"] => Some(Told::Json(json!({}))),
        ["user_data"] => told.user_data.map(Told::Bytes),
        _ => None,
    }
}

//! `/v1/conductors`: the one of this process.

use super::fields::{Chosen, Field, Page, time};
use super::query_schema;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::Get;
use model::version as v;
use serde_json::{Map, Value, json};

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/conductors", "baremetal:conductor:get", handler!(list))
        .since(v::CONDUCTORS)
        .says("Lists conductors.")
        .query(&["marker", "limit", "sort_key", "sort_dir", "fields", "detail"]),
    Route::new(Get, "/v1/conductors/{hostname}", "baremetal:conductor:get", handler!(show))
        .since(v::CONDUCTORS)
        .says("Shows a conductor.")
        .query(&["fields"]),
];

/// Fields of a conductor, and the microversion of each.
pub const FIELDS: &[Field] = &[
    ("hostname", v::CONDUCTORS),
    ("conductor_group", v::CONDUCTORS),
    ("alive", v::CONDUCTORS),
    ("drivers", v::CONDUCTORS),
    ("created_at", v::CONDUCTORS),
    ("updated_at", v::CONDUCTORS),
    ("links", v::CONDUCTORS),
];
const DEFAULT: &[&str] = &["hostname", "conductor_group", "alive"];
const COLUMNS: &[(&str, &str)] =
    &[("id", "id"), ("hostname", "hostname"), ("conductor_group", "conductor_group")];

/// `GET /v1/conductors`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let mut args = call.query.clone();
    let chosen = Chosen::of_list(&args, call.version, FIELDS, DEFAULT, unknown_field)?;
    let marker = args.take("marker");
    let page = Page::read(&call, &args, FIELDS, COLUMNS)?;
    let hostname = call.state.conductor.hostname();
    let rows = match marker.as_ref().and_then(Value::as_str) {
        None => vec![shown(&call, &chosen)],
        Some(marker) if marker == hostname => Vec::new(),
        Some(marker) => return Err(missing(marker)),
    };
    // The one conductor fills a page of one: as in Ironic that page links to an empty one.
    let mut body = json!({"conductors": rows});
    if page.limit == 1 && marker.is_none() {
        let fields = match &chosen {
            Chosen::All => String::new(),
            Chosen::Some(fields) => format!("&fields={}", fields.join(",")),
        };
        let next =
            format!("conductors?sort_key={}&sort_dir=asc{fields}&limit=1&marker={hostname}", page.sort_key);
        body["next"] = call.url(&next).into();
    }
    Reply::json(&body)
}

/// `GET /v1/conductors/{hostname}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let chosen = Chosen::of_one(&call.query, call.version, FIELDS, unknown_field)?;
    let asked = call.parameter("hostname");
    if asked != call.state.conductor.hostname() {
        return Err(missing(asked));
    }
    Reply::json(&shown(&call, &chosen))
}

/// Conductors' wording of a field that isn't there.
fn unknown_field(name: &str) -> String {
    query_schema::unknown_field(name, FIELDS)
}

fn missing(hostname: &str) -> ApiError {
    let hostname: String = hostname.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
    ApiError::not_found(format!("Conductor {hostname} could not be found."))
}

fn shown(call: &Call, chosen: &Chosen) -> Map<String, Value> {
    let settings = &call.state.settings;
    let hostname = call.state.conductor.hostname();
    let drivers: Vec<_> = settings.drivers.hardware_types().iter().map(|hardware| hardware.name).collect();
    let all = [
        ("hostname", json!(hostname)),
        ("conductor_group", json!(settings.conductor_group)),
        ("alive", json!(true)),
        ("drivers", json!(drivers)),
        ("created_at", json!(time(call.state.started_at))),
        ("updated_at", json!(time(call.now()))),
    ];
    let mut map: Map<String, Value> = all
        .into_iter()
        .filter(|(name, _)| chosen.has(name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    map.insert("links".into(), json!(call.links(&format!("conductors/{hostname}"))));
    map
}

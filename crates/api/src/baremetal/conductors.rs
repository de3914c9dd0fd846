//! `/v1/conductors`: the processes that move nodes, alive or seen within the last day.

use super::fields::{Chosen, Field, Page, time};
use super::query_schema;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::route::Route;
use crate::route::Verb::Get;
use conductor::Role;
use model::driver::CLASSIC_DRIVERS;
use model::version as v;
use serde_json::{Map, Value, json};
use store::{Member, SortDirection};

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
const COLUMNS: &[(&str, &str)] = &[
    ("id", "id"),
    ("hostname", "hostname"),
    ("conductor_group", "conductor_group"),
    ("created_at", "created_at"),
    ("updated_at", "updated_at"),
];

/// `GET /v1/conductors`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let mut args = call.query.clone();
    let chosen = Chosen::of_list(&args, call.version, FIELDS, DEFAULT, unknown_field)?;
    let marker = args.take("marker");
    let page = Page::read(&call, &args, FIELDS, COLUMNS)?;
    let mut members = conductors(&call).await?;
    // There are few. Those that are equal stay in the order in which they were first seen.
    match page.sort {
        "hostname" => members.sort_by(|a, b| a.presence.hostname.cmp(&b.presence.hostname)),
        "conductor_group" => {
            members.sort_by(|a, b| a.presence.conductor_group.cmp(&b.presence.conductor_group))
        }
        "created_at" => members.sort_by_key(|member| member.created_at),
        "updated_at" => members.sort_by_key(|member| member.seen_at),
        _ => {}
    }
    if page.direction == SortDirection::Descending {
        members.reverse();
    }
    if let Some(marker) = marker.as_ref().and_then(Value::as_str) {
        let at = members.iter().position(|member| member.presence.hostname == marker);
        members.drain(..=at.ok_or_else(|| missing(marker))?);
    }
    members.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
    let rows: Vec<_> = members.iter().map(|member| shown(&call, &chosen, member)).collect();
    let mut body = json!({"conductors": rows});
    if let Some(last) = members.last()
        && i64::try_from(members.len()) == Ok(page.limit)
    {
        let fields = match &chosen {
            Chosen::All => String::new(),
            Chosen::Some(fields) => format!("&fields={}", fields.join(",")),
        };
        let direction = if page.direction == SortDirection::Descending { "desc" } else { "asc" };
        let next = format!(
            "conductors?sort_key={}&sort_dir={direction}{fields}&limit={}&marker={}",
            page.sort_key, page.limit, last.presence.hostname
        );
        body["next"] = call.url(&next).into();
    }
    Reply::json(&body)
}

/// `GET /v1/conductors/{hostname}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let chosen = Chosen::of_one(&call.query, call.version, FIELDS, unknown_field)?;
    let asked = call.parameter("hostname");
    let members = conductors(&call).await?;
    let found = members.iter().find(|member| member.presence.hostname == asked);
    Reply::json(&shown(&call, &chosen, found.ok_or_else(|| missing(asked))?))
}

/// Processes that have the role, in the order in which they were first seen.
async fn conductors(call: &Call) -> Result<Vec<Member>, ApiError> {
    let mut members = call.state.conductor.conductors().await?;
    members.retain(|member| member.presence.roles.iter().any(|role| role == Role::Conductor.as_str()));
    Ok(members)
}

/// Conductors' wording of a field that isn't there.
fn unknown_field(name: &str) -> String {
    query_schema::unknown_field(name, FIELDS)
}

fn missing(hostname: &str) -> ApiError {
    let hostname: String = hostname.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
    ApiError::not_found(format!("Conductor {hostname} could not be found."))
}

fn shown(call: &Call, chosen: &Chosen, member: &Member) -> Map<String, Value> {
    let presence = &member.presence;
    // One that names none serves what this one does.
    let drivers: Vec<&str> = if presence.drivers.is_empty() {
        call.state.settings.drivers.hardware_types().iter().map(|hardware| hardware.name).collect()
    } else {
        let is_classic = |name: &str| CLASSIC_DRIVERS.iter().any(|classic| classic.name == name);
        presence.drivers.iter().map(String::as_str).filter(|name| !is_classic(name)).collect()
    };
    let all = [
        ("hostname", json!(presence.hostname)),
        ("conductor_group", json!(presence.conductor_group)),
        ("alive", json!(member.is_alive)),
        ("drivers", json!(drivers)),
        ("created_at", json!(time(member.created_at))),
        ("updated_at", json!(time(member.seen_at))),
    ];
    let mut map: Map<String, Value> = all
        .into_iter()
        .filter(|(name, _)| chosen.has(name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    map.insert("links".into(), json!(call.links(&format!("conductors/{}", presence.hostname))));
    map
}

//! `GET /servers`, `GET /servers/detail`: filters, order and pages of servers.

use super::paging::Page;
use super::server_document::{Beside, brief, full};
use crate::args::parse_uuid;
use crate::cloud::{Call, CloudError, Reply};
use jiff::Timestamp;
use model::compute::Server;
use regex::Regex;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use store::{Column, Query, Record, SortDirection, StoreError};
use uuid::Uuid;

/// Statuses that a server can have here; what others of Nova's stand for never happens.
const STATUSES: &[&str] =
    &["ACTIVE", "BUILD", "ERROR", "HARD_REBOOT", "REBOOT", "REBUILD", "RESCUE", "SHUTOFF"];
/// Nova's other ones, by which lists are empty.
const OTHER_STATUSES: &[&str] = &[
    "DELETED",
    "MIGRATING",
    "PASSWORD",
    "PAUSED",
    "RESIZE",
    "REVERT_RESIZE",
    "SHELVED",
    "SHELVED_OFFLOADED",
    "SOFT_DELETED",
    "SUSPENDED",
    "UNKNOWN",
    "VERIFY_RESIZE",
];

/// Filters on columns that everybody has: argument and column.
const EVERYBODYS: &[(&str, &str)] = &[
    ("flavor", "flavor_id"),
    ("flavor_id", "flavor_id"),
    ("image", "image_id"),
    ("image_ref", "image_id"),
    ("key_name", "key_name"),
    ("availability_zone", "availability_zone"),
    ("reservation_id", "reservation_id"),
    ("user_id", "user_id"),
    ("vm_state", "vm_state"),
    ("task_state", "task_state"),
    ("uuid", "uuid"),
];
/// Those that operators have: they tell of machines.
const OPERATORS: &[(&str, &str)] =
    &[("host", "host"), ("node", "node_uuid"), ("hypervisor_hostname", "node_uuid")];

/// `GET /servers`
pub(super) async fn index(call: Call) -> Result<Reply, CloudError> {
    let page = listed(&call, "/v2.1/servers").await?;
    Reply::json(&page.write("servers", |server| brief(&call, server)))
}

/// `GET /servers/detail`
pub(super) async fn detail(call: Call) -> Result<Reply, CloudError> {
    let page = listed(&call, "/v2.1/servers/detail").await?;
    let zones = zones(&call, &page.items).await?;
    Reply::json(&page.write("servers", |server| detailed(&call, server, &zones)))
}

fn detailed(call: &Call, server: &Server, zones: &HashMap<Uuid, String>) -> Value {
    let zone = server.node.and_then(|node| zones.get(&node).cloned());
    full(call, server, &Beside { zone, ..Beside::default() })
}

/// The zones of the nodes, where there is more than the default one.
async fn zones(call: &Call, servers: &[Server]) -> Result<HashMap<Uuid, String>, CloudError> {
    if servers.iter().all(|server| server.node.is_none()) {
        return Ok(HashMap::new());
    }
    let glimpses = call.state.store.glimpses().await?;
    Ok(glimpses
        .into_iter()
        .map(|glimpse| (glimpse.uuid, model::compute::scheduler::zone(&glimpse.conductor_group).to_owned()))
        .collect())
}

/// The page of servers that a query asks for.
async fn listed(call: &Call, path: &str) -> Result<Page<Server>, CloudError> {
    let mut query = Query { direction: SortDirection::Descending, ..Query::default() };
    let Some(()) = by_column(call, &mut query)? else { return Ok(Page { items: Vec::new(), links: None }) };
    order(call, &mut query)?;
    let rest = Rest::of(call)?;
    let limit = call.page_limit()?;
    query.marker = marker(call).await?;
    // One more than is shown tells whether there is another page; what columns don't tell has to be looked for.
    if rest.is_empty() {
        query.limit = Some(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1));
    }
    let mut servers: Vec<Server> = call.state.store.list(&query).await?;
    servers.retain(|server| rest.fits(server));
    let more = limit > 0 && servers.len() > limit;
    servers.truncate(limit);
    let links = servers.last().filter(|_| more).map(|last| call.next_link(path, &last.uuid.to_string()));
    Ok(Page { items: servers, links })
}

async fn marker(call: &Call) -> Result<Option<Uuid>, CloudError> {
    let Some(marker) = call.query.first("marker") else { return Ok(None) };
    let missing = || CloudError::invalid(format!("marker [{marker}] not found"));
    let uuid = parse_uuid(marker).ok_or_else(missing)?;
    match call.state.store.get::<Server>(&uuid.to_string()).await {
        Ok(server) if call.may_see(&server.project_id) => Ok(Some(uuid)),
        Ok(_) | Err(StoreError::NotFound { .. }) => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

/// Filters that are columns. `None`: nothing can fit.
fn by_column(call: &Call, query: &mut Query) -> Result<Option<()>, CloudError> {
    let mut equal = |column, value: &str| query.equal.push((column, Column::Text(Some(value.to_owned()))));
    if all_projects(call)? {
        if let Some(project) = call.query.first("project_id").or_else(|| call.query.first("tenant_id")) {
            equal("project_id", project);
        }
    } else {
        equal("project_id", call.project()?);
    }
    let own = if call.sees_all() { OPERATORS } else { &[] };
    for (argument, column) in EVERYBODYS.iter().chain(own) {
        if let Some(value) = call.query.first(argument) {
            equal(column, value);
        }
    }
    if let Some(locked) = call.query.flag("locked")?.filter(|_| call.minor >= 73) {
        query.equal.push(("locked", Column::flag(locked)));
    }
    if call
        .query
        .first("deleted")
        .is_some_and(|text| ["true", "1", "yes", "on"].contains(&text.to_lowercase().as_str()))
    {
        // What is deleted leaves nothing behind.
        return Ok(None);
    }
    if call.query.has("status") {
        let asked: BTreeSet<String> = call.query.all("status").map(str::to_uppercase).collect();
        let known: Vec<_> = STATUSES
            .iter()
            .filter(|status| asked.contains(**status))
            .map(|status| (*status).to_owned())
            .collect();
        if known.is_empty() {
            let is_other = asked.iter().any(|status| OTHER_STATUSES.contains(&status.as_str()));
            return if is_other || call.minor < 38 {
                Ok(None)
            } else {
                Err(CloudError::invalid("Invalid status value"))
            };
        }
        query.one_of.push(("status", known));
    }
    Ok(Some(()))
}

/// Does the query ask for the servers of all projects? Only who may look at all of the cloud gets them.
fn all_projects(call: &Call) -> Result<bool, CloudError> {
    let given = call.query.first("all_tenants").or_else(|| call.query.first("all_projects"));
    let all = match given {
        // Who has no project can't mean its own.
        None => call.sees_all() && call.project().is_err(),
        Some("") => true,
        Some(_) if call.query.has("all_tenants") => call.query.flag("all_tenants")?.unwrap_or(false),
        Some(_) => call.query.flag("all_projects")?.unwrap_or(false),
    };
    if all && !call.sees_all() {
        return Err(CloudError::forbidden(
            "Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed: only operators list the servers \
             of all projects.",
        ));
    }
    Ok(all)
}

fn order(call: &Call, query: &mut Query) -> Result<(), CloudError> {
    let key = call.query.first("sort_key").unwrap_or("created_at");
    let of_machines = matches!(key, "host" | "node") && !call.sees_all();
    query.sort = Server::SORT_COLUMNS.iter().find(|(name, _)| *name == key).map(|(_, column)| *column);
    if query.sort.is_none() || of_machines {
        let shown: String = key.chars().take(100).collect();
        return Err(CloudError::invalid(format!(
            "Invalid input for query parameters sort_key. Value: {shown}."
        )));
    }
    query.direction = match call.query.first("sort_dir").unwrap_or("desc") {
        "asc" => SortDirection::Ascending,
        "desc" => SortDirection::Descending,
        _ => {
            return Err(CloudError::invalid(
                "Invalid input for query parameters sort_dir: it is asc or desc.",
            ));
        }
    };
    // Nothing orders as creation does but the order of creation.
    if key == "created_at" {
        query.sort = None;
    }
    Ok(())
}

/// Texts of a server, of which one must fit.
type TextsOf = fn(&Server) -> Vec<String>;

/// Filters that no column tells.
#[derive(Default)]
struct Rest {
    patterns: Vec<(TextsOf, Regex)>,
    since: Option<Timestamp>,
    before: Option<Timestamp>,
    tags: Vec<(TagRule, BTreeSet<String>)>,
    power_state: Option<i64>,
}

#[derive(Clone, Copy)]
enum TagRule {
    All,
    Any,
    NotAll,
    NotAny,
}

/// Arguments that are regular expressions, and what they are held against.
const PATTERNS: &[(&str, TextsOf)] = &[
    ("name", |server| vec![server.name.clone()]),
    ("display_name", |server| vec![server.name.clone()]),
    ("hostname", |server| vec![server.hostname.clone()]),
    ("description", |server| server.description.iter().cloned().collect()),
    ("ip", |server| addresses(server, true)),
    ("ip6", |server| addresses(server, false)),
];

fn addresses(server: &Server, of_four: bool) -> Vec<String> {
    let all = server.ports.iter().flat_map(|port| &port.addresses);
    all.filter(|address| address.is_ipv4() == of_four).map(ToString::to_string).collect()
}

/// Bytes that a compiled regular expression may take.
const PATTERN_BYTES: usize = 1 << 20;

impl Rest {
    fn of(call: &Call) -> Result<Self, CloudError> {
        let mut rest = Self::default();
        for (argument, of_server) in PATTERNS {
            let Some(text) = call.query.first(argument) else { continue };
            let pattern = regex::RegexBuilder::new(text).size_limit(PATTERN_BYTES).build().map_err(|_| {
                let shown: String = text.chars().take(100).collect();
                CloudError::invalid(format!(
                    "Invalid input for query parameters {argument}. Value: {shown}. It is not a regular expression."
                ))
            })?;
            rest.patterns.push((*of_server, pattern));
        }
        rest.since = instant(call, "changes-since")?;
        rest.before = if call.minor >= 66 { instant(call, "changes-before")? } else { None };
        if rest.since.zip(rest.before).is_some_and(|(since, before)| since > before) {
            return Err(CloudError::invalid(
                "The value of changes-since must be less than or equal to changes-before.",
            ));
        }
        if call.minor >= 26 {
            for (argument, rule) in [
                ("tags", TagRule::All),
                ("tags-any", TagRule::Any),
                ("not-tags", TagRule::NotAll),
                ("not-tags-any", TagRule::NotAny),
            ] {
                if let Some(text) = call.query.first(argument) {
                    rest.tags.push((rule, text.split(',').map(str::to_owned).collect()));
                }
            }
        }
        rest.power_state = call.query.number("power_state")?;
        Ok(rest)
    }

    fn is_empty(&self) -> bool {
        self.patterns.is_empty()
            && self.since.is_none()
            && self.before.is_none()
            && self.tags.is_empty()
            && self.power_state.is_none()
    }

    fn fits(&self, server: &Server) -> bool {
        let changed = server.updated_at.unwrap_or(server.created_at);
        self.patterns
            .iter()
            .all(|(of_server, pattern)| of_server(server).iter().any(|text| pattern.is_match(text)))
            && self.since.is_none_or(|since| changed >= since)
            && self.before.is_none_or(|before| changed <= before)
            && self.tags.iter().all(|(rule, tags)| rule.fits(tags, &server.tags))
            && self.power_state.is_none_or(|state| i64::from(server.power.number()) == state)
    }
}

impl TagRule {
    fn fits(self, asked: &BTreeSet<String>, own: &BTreeSet<String>) -> bool {
        match self {
            TagRule::All => asked.is_subset(own),
            TagRule::Any => !asked.is_disjoint(own),
            TagRule::NotAll => !asked.is_subset(own),
            TagRule::NotAny => asked.is_disjoint(own),
        }
    }
}

/// A time of the query, as ISO 8601 writes it, with or without a zone.
pub(super) fn instant(call: &Call, name: &str) -> Result<Option<Timestamp>, CloudError> {
    let Some(text) = call.query.first(name) else { return Ok(None) };
    let with_zone = text.parse::<Timestamp>();
    let in_utc = || {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    match with_zone.ok().or_else(in_utc) {
        Some(at) => Ok(Some(at)),
        None => Err(CloudError::invalid(format!("Invalid filter field: {name}."))),
    }
}

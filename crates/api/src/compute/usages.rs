//! `/os-simple-tenant-usage`: how many hours of processors, memory and disk each project has used.
//!
//! Servers that ran count, be they there or deleted since (`store::Store::past_servers`).

use super::body::fine_time;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use model::compute::{PastServer, Server, ServerFlavor};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use store::Query;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/os-simple-tenant-usage", Access::Operator, handler!(index))
        .says("Lists what projects have used."),
    Route::new(Get, "/v2.1/os-simple-tenant-usage/{project}", Access::Project, handler!(show))
        .says("Shows what a project has used."),
];

/// From when to when.
struct Period {
    start: Timestamp,
    stop: Timestamp,
}

impl Period {
    fn asked(call: &Call) -> Result<Self, CloudError> {
        call.only_query(&["start", "end", "detailed", "limit", "marker"])?;
        let now = call.now();
        let (start, stop) = (read(call, "start", now)?, read(call, "end", now)?);
        if start >= stop {
            return Err(CloudError::invalid(
                "Invalid start time. The start time cannot occur after the end time.",
            ));
        }
        Ok(Self { start, stop: stop.min(now) })
    }

    /// Hours that a server ran within it.
    fn hours(&self, server: &Ran) -> f64 {
        let end = server.ended_at.unwrap_or(self.stop).min(self.stop);
        end.duration_since(server.launched_at.max(self.start)).as_secs_f64().max(0.0) / 3600.0
    }
}

fn read(call: &Call, name: &str, now: Timestamp) -> Result<Timestamp, CloudError> {
    let Some(text) = call.query.first(name).filter(|text| !text.is_empty()) else { return Ok(now) };
    let refused = || {
        CloudError::invalid(format!(
            "Datetime is in invalid format: {name} is written like 2026-01-31T12:00:00."
        ))
    };
    let civil: DateTime = text.replacen(' ', "T", 1).parse().map_err(|_| refused())?;
    Ok(civil.to_zoned(TimeZone::UTC).map_err(|_| refused())?.timestamp())
}

/// A server that runs, or ran until it was deleted.
struct Ran {
    uuid: Uuid,
    name: String,
    project_id: String,
    flavor: ServerFlavor,
    launched_at: Timestamp,
    ended_at: Option<Timestamp>,
    state: &'static str,
}

impl Ran {
    /// None: it has not run yet.
    fn of(server: Server) -> Option<Self> {
        Some(Self {
            uuid: server.uuid,
            name: server.name,
            project_id: server.project_id,
            flavor: server.flavor,
            launched_at: server.launched_at?,
            ended_at: None,
            state: server.vm_state.as_str(),
        })
    }

    fn once(server: PastServer) -> Self {
        Self {
            uuid: server.uuid,
            name: server.name,
            project_id: server.project_id,
            flavor: server.flavor,
            launched_at: server.launched_at,
            ended_at: Some(server.ended_at),
            state: "terminated",
        }
    }

    fn local_gb(&self) -> u64 {
        self.flavor.disk_gb.saturating_add(self.flavor.ephemeral_gb)
    }
}

/// The servers that a period may count, of one project or of all: those that are there in the order of their creation, then those that
/// were deleted.
async fn servers(call: &Call, project: Option<&str>, period: &Period) -> Result<Vec<Ran>, CloudError> {
    let store = &call.state.store;
    let query = project.map_or_else(Query::default, |project| Query::equal("project_id", project));
    // Read first: a server that is deleted in between is found there or among those.
    let there: Vec<Server> = store.list(&query).await?;
    let past = store.past_servers(project, period.start).await?;
    let known: BTreeSet<Uuid> = past.iter().map(|server| server.uuid).collect();
    let there = there.into_iter().filter(|server| !known.contains(&server.uuid)).filter_map(Ran::of);
    Ok(there.chain(past.into_iter().map(Ran::once)).collect())
}

fn row(server: &Ran, period: &Period, now: Timestamp) -> Value {
    let uptime = server.ended_at.unwrap_or(now).duration_since(server.launched_at).as_secs().max(0);
    json!({
        "instance_id": server.uuid,
        "name": server.name,
        "tenant_id": server.project_id,
        "flavor": server.flavor.name,
        "hours": period.hours(server),
        "memory_mb": server.flavor.ram_mb,
        "local_gb": server.local_gb(),
        "vcpus": server.flavor.vcpus,
        "started_at": fine_time(server.launched_at),
        "ended_at": server.ended_at.map(fine_time),
        "state": server.state,
        "uptime": uptime,
    })
}

/// What one project has used.
fn summary(call: &Call, project: &str, servers: &[&Ran], period: &Period, detailed: bool) -> Value {
    let sum = |size: &dyn Fn(&Ran) -> u64| -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "sizes of machines are far below 2^52")]
        servers.iter().map(|server| period.hours(server) * size(server) as f64).sum()
    };
    let mut own = json!({
        "tenant_id": project,
        "start": fine_time(period.start),
        "stop": fine_time(period.stop),
        "total_hours": sum(&|_| 1),
        "total_vcpus_usage": sum(&|server| server.flavor.vcpus),
        "total_memory_mb_usage": sum(&|server| server.flavor.ram_mb),
        "total_local_gb_usage": sum(&Ran::local_gb),
    });
    if detailed {
        let now = call.now();
        own["server_usages"] =
            servers.iter().map(|server| row(server, period, now)).collect::<Vec<_>>().into();
    }
    own
}

/// `GET /os-simple-tenant-usage`
async fn index(call: Call) -> Result<Reply, CloudError> {
    let period = Period::asked(&call)?;
    // Nova knows 1; today's openstacksdk says True.
    let detailed = call.query.flag("detailed")?.unwrap_or(false);
    let servers = servers(&call, None, &period).await?;
    let mut by_project: BTreeMap<&str, Vec<&Ran>> = BTreeMap::new();
    for server in &servers {
        by_project.entry(&server.project_id).or_default().push(server);
    }
    let rows: Vec<_> = by_project
        .iter()
        .map(|(project, servers)| summary(&call, project, servers, &period, detailed))
        .collect();
    Reply::json(&json!({"tenant_usages": rows}))
}

/// `GET /os-simple-tenant-usage/{project}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let project = call.parameter("project");
    if !call.may_see(project) {
        return Err(CloudError::forbidden(
            "Policy doesn't allow this to be performed: it is the usage of another project.",
        ));
    }
    let period = Period::asked(&call)?;
    let servers = servers(&call, Some(project), &period).await?;
    let ran: Vec<_> = servers.iter().collect();
    let usage = if ran.is_empty() { json!({}) } else { summary(&call, project, &ran, &period, true) };
    Reply::json(&json!({"tenant_usage": usage}))
}

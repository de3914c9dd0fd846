//! `/os-simple-tenant-usage`: how many hours of processors, memory and disk each project has used.
//!
//! Only servers that are there count: one that was deleted leaves nothing behind.

use super::body::fine_time;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use model::compute::Server;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::Query;

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
    fn hours(&self, server: &Server) -> f64 {
        let Some(launched) = server.launched_at.filter(|at| *at < self.stop) else { return 0.0 };
        self.stop.duration_since(launched.max(self.start)).as_secs_f64().max(0.0) / 3600.0
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

fn row(server: &Server, period: &Period, now: Timestamp) -> Value {
    let uptime = server.launched_at.map_or(0, |at| now.duration_since(at).as_secs().max(0));
    json!({
        "instance_id": server.uuid,
        "name": server.name,
        "tenant_id": server.project_id,
        "flavor": server.flavor.name,
        "hours": period.hours(server),
        "memory_mb": server.flavor.ram_mb,
        "local_gb": local_gb(server),
        "vcpus": server.flavor.vcpus,
        "started_at": server.launched_at.map(fine_time),
        "ended_at": null,
        "state": server.vm_state,
        "uptime": uptime,
    })
}

fn local_gb(server: &Server) -> u64 {
    server.flavor.disk_gb.saturating_add(server.flavor.ephemeral_gb)
}

/// What one project has used.
fn summary(call: &Call, project: &str, servers: &[&Server], period: &Period, detailed: bool) -> Value {
    let sum = |size: &dyn Fn(&Server) -> u64| -> f64 {
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
        "total_local_gb_usage": sum(&local_gb),
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
    let servers: Vec<Server> = call.state.store.list(&Query::default()).await?;
    let mut by_project: BTreeMap<&str, Vec<&Server>> = BTreeMap::new();
    for server in servers.iter().filter(|server| server.launched_at.is_some()) {
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
    let servers: Vec<Server> = call.state.store.list(&Query::equal("project_id", project)).await?;
    let ran: Vec<_> = servers.iter().filter(|server| server.launched_at.is_some()).collect();
    let usage = if ran.is_empty() { json!({}) } else { summary(&call, project, &ran, &period, true) };
    Reply::json(&json!({"tenant_usage": usage}))
}

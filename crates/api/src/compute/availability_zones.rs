//! `/os-availability-zone`: the conductor groups of the nodes, and `nova` for nodes in none.

use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use model::compute::scheduler::{DEFAULT_ZONE, zone};
use serde_json::json;
use std::collections::BTreeSet;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/os-availability-zone", Access::Project, handler!(index))
        .says("Lists availability zones."),
    Route::new(Get, "/v2.1/os-availability-zone/detail", Access::Operator, handler!(detail))
        .says("Lists availability zones with the services in them."),
];

/// Names of all zones, sorted.
pub(super) async fn names(call: &Call) -> Result<BTreeSet<String>, CloudError> {
    let glimpses = call.state.store.glimpses().await?;
    let mut names: BTreeSet<_> =
        glimpses.iter().map(|glimpse| zone(&glimpse.conductor_group).to_owned()).collect();
    names.insert(DEFAULT_ZONE.to_owned());
    Ok(names)
}

/// `GET /os-availability-zone`
async fn index(call: Call) -> Result<Reply, CloudError> {
    let rows: Vec<_> = names(&call)
        .await?
        .iter()
        .map(|name| json!({"zoneName": name, "zoneState": {"available": true}, "hosts": null}))
        .collect();
    Reply::json(&json!({"availabilityZoneInfo": rows}))
}

/// `GET /os-availability-zone/detail`
async fn detail(call: Call) -> Result<Reply, CloudError> {
    let host = call.state.conductor.hostname();
    let up = json!({"available": true, "active": true, "updated_at": super::body::fine_time(call.now())});
    let mut rows = vec![json!({
        "zoneName": "internal",
        "zoneState": {"available": true},
        "hosts": {host: {"nova-conductor": up, "nova-scheduler": up}},
    })];
    rows.extend(names(&call).await?.iter().map(|name| {
        json!({"zoneName": name, "zoneState": {"available": true}, "hosts": {host: {"nova-compute": up}}})
    }));
    Reply::json(&json!({"availabilityZoneInfo": rows}))
}

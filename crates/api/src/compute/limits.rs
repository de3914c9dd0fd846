//! `/limits`: what a project may use and does use, in one answer.

use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use model::compute::quota::QuotaResource as R;
use serde_json::{Map, Value, json};

/// Rows of the route table.
pub const ROUTES: &[Route] = &[Route::new(Get, "/v2.1/limits", Access::Project, handler!(show))
    .says("Shows a project's limits and use.")];

/// The name of each limit.
const LIMITS: &[(R, &str)] = &[
    (R::Ram, "maxTotalRAMSize"),
    (R::Instances, "maxTotalInstances"),
    (R::Cores, "maxTotalCores"),
    (R::KeyPairs, "maxTotalKeypairs"),
    (R::FloatingIps, "maxTotalFloatingIps"),
    (R::MetadataItems, "maxServerMeta"),
    (R::InjectedFiles, "maxPersonality"),
    (R::InjectedFileContentBytes, "maxPersonalitySize"),
    (R::SecurityGroups, "maxSecurityGroups"),
    (R::SecurityGroupRules, "maxSecurityGroupRules"),
    (R::ServerGroups, "maxServerGroups"),
    (R::ServerGroupMembers, "maxServerGroupMembers"),
];

/// The name of what is used of each.
const USED: &[(R, &str)] = &[
    (R::Ram, "totalRAMUsed"),
    (R::Cores, "totalCoresUsed"),
    (R::Instances, "totalInstancesUsed"),
    (R::FloatingIps, "totalFloatingIpsUsed"),
    (R::SecurityGroups, "totalSecurityGroupsUsed"),
    (R::ServerGroups, "totalServerGroupsUsed"),
];

/// `GET /limits`
async fn show(call: Call) -> Result<Reply, CloudError> {
    call.only_query(&["tenant_id", "reserved"])?;
    let project = match call.query.first("tenant_id") {
        Some(other) if !call.may_see(other) => {
            return Err(CloudError::forbidden(
                "Policy doesn't allow this to be performed: these are the limits of another project.",
            ));
        }
        Some(project) => project,
        None => call.project()?,
    };
    let limits = call.state.store.compute_limits(Some(project)).await?;
    let used = super::quota_sets::used(&call, project).await?;
    let mut absolute: Map<String, Value> = LIMITS
        .iter()
        .filter(|(resource, _)| resource.is_in(call.minor))
        .map(|(resource, name)| ((*name).to_owned(), limits.get(*resource).into()))
        .collect();
    if call.minor < 39 {
        absolute.insert("maxImageMeta".to_owned(), limits.get(R::MetadataItems).into());
    }
    for (resource, name) in USED.iter().filter(|(resource, _)| resource.is_in(call.minor)) {
        absolute.insert((*name).to_owned(), used.get(resource).copied().unwrap_or(0).into());
    }
    Reply::json(&json!({"limits": {"rate": [], "absolute": absolute}}))
}

//! `/os-server-groups`: servers that shall have machines of their own, or one together.

use super::body::{INTEGERS, only, refused};
use crate::args::parse_uuid;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post};
use axum::http::StatusCode;
use model::compute::Server;
use model::compute::quota::QuotaResource;
use model::compute::server_group::{GroupPolicy, ServerGroup};
use serde_json::{Value, json};
use std::collections::HashSet;
use store::{Query, StoreError};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/os-server-groups", Access::Project, handler!(index))
        .says("Lists a project's server groups."),
    Route::new(Post, "/v2.1/os-server-groups", Access::Project, handler!(create))
        .says("Makes a server group."),
    Route::new(Get, "/v2.1/os-server-groups/{group}", Access::Project, handler!(show))
        .says("Shows a server group."),
    Route::new(Delete, "/v2.1/os-server-groups/{group}", Access::Project, handler!(delete))
        .says("Forgets a server group; its servers stay.")
        .success(StatusCode::NO_CONTENT),
];

/// Members that a group keeps before those that are gone are left out.
const MEMBERS_KEPT: usize = 2000;

/// A project's groups.
pub(super) async fn of_project(call: &Call, project: &str) -> Result<Vec<ServerGroup>, CloudError> {
    Ok(call.state.store.list(&Query::equal("project_id", project)).await?)
}

impl Call {
    /// A server group that the caller may see; others aren't there.
    pub(super) async fn server_group(&self, ident: &str) -> Result<ServerGroup, CloudError> {
        let missing = || CloudError::not_found(format!("Instance group {ident} could not be found."));
        let uuid = parse_uuid(ident).ok_or_else(missing)?;
        match self.state.store.get::<ServerGroup>(&uuid.to_string()).await {
            Ok(group) if self.may_see(&group.project_id) => Ok(group),
            Ok(_) | Err(StoreError::NotFound { .. }) => Err(missing()),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts new servers into a group, if its rule and the quota let them.
    pub(super) async fn join_group(&self, group: &ServerGroup, servers: &[Uuid]) -> Result<(), CloudError> {
        let limits = self.state.store.compute_limits(Some(&group.project_id)).await?;
        let there = self.members(std::slice::from_ref(group)).await?;
        self.state
            .store
            .edit(group.uuid, |stored: &mut ServerGroup| {
                // Whoever was put in by a request that runs now is not a server yet, and stays.
                if stored.members.len() > MEMBERS_KEPT {
                    stored.members.retain(|member| there.contains(member));
                }
                let used = count(stored.members.iter().filter(|member| there.contains(member)).count());
                let wanted = count(servers.len());
                if stored.policy == GroupPolicy::Affinity && used + wanted > 1 {
                    return Err(CloudError::conflict(format!(
                        "Server group {} wants its servers on one machine (affinity), and a machine carries one server. \
                         Use a group with the policy soft-affinity, or none.",
                        stored.name
                    )));
                }
                if limits.exceeded(QuotaResource::ServerGroupMembers, used, wanted).is_some() {
                    return Err(CloudError::forbidden(format!(
                        "Quota exceeded, too many servers in group {}: at most {}.",
                        stored.name,
                        limits.get(QuotaResource::ServerGroupMembers)
                    )));
                }
                stored.members.extend(servers);
                Ok(())
            })
            .await
            .map(|_| ())
    }

    /// Members of these groups that are servers still.
    async fn members(&self, groups: &[ServerGroup]) -> Result<HashSet<Uuid>, CloudError> {
        let named: Vec<String> =
            groups.iter().flat_map(|group| &group.members).map(ToString::to_string).collect();
        if named.is_empty() {
            return Ok(HashSet::new());
        }
        let query = Query { one_of: vec![("uuid", named)], ..Query::default() };
        let servers: Vec<Server> = self.state.store.list(&query).await?;
        Ok(servers.into_iter().map(|server| server.uuid).collect())
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn document(call: &Call, group: &ServerGroup, there: &HashSet<Uuid>) -> Value {
    let members: Vec<_> = group.members.iter().filter(|member| there.contains(member)).collect();
    let mut own = json!({"id": group.uuid, "name": group.name, "members": members});
    if call.minor >= 13 {
        own["project_id"] = json!(group.project_id);
        own["user_id"] = json!(group.user_id);
    }
    if call.minor >= 64 {
        own["policy"] = json!(group.policy);
        own["rules"] =
            group.max_server_per_host.map_or_else(|| json!({}), |most| json!({"max_server_per_host": most}));
    } else {
        own["policies"] = json!([group.policy]);
        own["metadata"] = json!({});
    }
    own
}

/// `GET /os-server-groups`
async fn index(call: Call) -> Result<Reply, CloudError> {
    call.only_query(&["all_projects", "limit", "offset"])?;
    let mut groups = if call.query.has("all_projects") && call.sees_all() {
        call.state.store.list(&Query::default()).await?
    } else {
        of_project(&call, call.project()?).await?
    };
    let offset = usize::try_from(call.query.number("offset")?.unwrap_or(0)).unwrap_or(usize::MAX);
    groups.drain(..offset.min(groups.len()));
    groups.truncate(call.page_limit()?);
    let there = call.members(&groups).await?;
    let groups: Vec<_> = groups.iter().map(|group| document(&call, group, &there)).collect();
    Reply::json(&json!({"server_groups": groups}))
}

/// `GET /os-server-groups/{group}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let group = call.server_group(call.parameter("group")).await?;
    let there = call.members(std::slice::from_ref(&group)).await?;
    Reply::json(&json!({"server_group": document(&call, &group, &there)}))
}

/// `DELETE /os-server-groups/{group}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let group = call.server_group(call.parameter("group")).await?;
    call.state.store.delete::<ServerGroup>(group.uuid).await?;
    Ok(Reply::empty())
}

/// `POST /os-server-groups`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let body = call.json()?;
    let fields = only(&body, "server_group")?;
    let mut most = None;
    let word = if call.minor >= 64 {
        fields.only(&["name", "policy", "rules"])?;
        if fields.has("rules") {
            let rules = fields.object("rules")?;
            rules.only(&["max_server_per_host"])?;
            most = rules.integer("max_server_per_host", 1..=*INTEGERS.end())?;
        }
        fields.get("policy").ok_or_else(|| fields.missing("policy"))?
    } else {
        fields.only(&["name", "policies"])?;
        match fields.list("policies")?.ok_or_else(|| fields.missing("policies"))? {
            [word] => word,
            _ => return Err(refused("policies", &body["server_group"]["policies"], "It has one policy.")),
        }
    };
    let known: &[&str] = if call.minor >= 15 { GroupPolicy::WORDS } else { &["affinity", "anti-affinity"] };
    let policy = word.as_str().filter(|word| known.contains(word)).and_then(|word| word.parse().ok());
    let policy: GroupPolicy =
        policy.ok_or_else(|| refused("policy", word, &format!("It is one of: {}", known.join(", "))))?;
    if most.is_some() && policy != GroupPolicy::AntiAffinity {
        return Err(CloudError::invalid("Only anti-affinity policy supports rules."));
    }
    let name = fields.needed_name("name")?;
    let project = call.project()?.to_owned();
    let used = count(of_project(&call, &project).await?.len());
    let limits = call.state.store.compute_limits(Some(&project)).await?;
    if limits.exceeded(QuotaResource::ServerGroups, used, 1).is_some() {
        return Err(CloudError::forbidden(format!(
            "Quota exceeded, too many server groups: {used} of {} are there; delete one, or have an operator raise the quota.",
            limits.get(QuotaResource::ServerGroups)
        )));
    }
    let group = ServerGroup {
        uuid: Uuid::new_v4(),
        name: name.to_owned(),
        policy,
        max_server_per_host: most.and_then(|most| u32::try_from(most).ok()),
        project_id: project,
        user_id: call.user_id()?.to_owned(),
        members: Vec::new(),
        created_at: call.now(),
    };
    call.state.store.create(&group).await?;
    Reply::json(&json!({"server_group": document(&call, &group, &HashSet::new())}))
}

//! `/resource_providers/{provider}/usages`, and `/usages` of a project.

use super::provider::{all, named};
use super::since;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use model::compute::Server;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet};
use store::Query;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/resource_providers/{provider}/usages", Access::Operator, handler!(of_provider))
        .says("Shows what is taken of a provider."),
    Route::new(Get, "/usages", Access::Operator, handler!(of_project))
        .says("Shows what a project's servers take."),
];

async fn of_provider(call: Call) -> Result<Reply, CloudError> {
    let provider = named(&call).await?;
    Reply::json(&json!({
        "resource_provider_generation": provider.generation(),
        "usages": provider.usages(),
    }))
}

async fn of_project(call: Call) -> Result<Reply, CloudError> {
    since(&call, 9)?;
    let project = call.query.first("project_id").ok_or_else(|| {
        CloudError::invalid("Invalid query string parameters: 'project_id' is a required property")
            .kind("placement.query.missing_value")
    })?;
    let user = call.query.first("user_id");
    let servers: Vec<Server> = call.state.store.list(&Query::equal("project_id", project)).await?;
    let servers: HashSet<String> = servers
        .into_iter()
        .filter(|server| user.is_none_or(|user| user == server.user_id))
        .map(|server| server.uuid.to_string())
        .collect();
    let mut taken: BTreeMap<String, i64> = BTreeMap::new();
    let mut consumers = 0;
    for provider in all(&call).await? {
        // A node may be somebody's without a server of the compute service.
        let is_lent = user.is_none() && provider.project.as_deref() == Some(project);
        if let (Some(consumer), Some(class)) = (&provider.consumer, &provider.class)
            && (is_lent || servers.contains(consumer))
        {
            *taken.entry(class.clone()).or_default() += 1;
            consumers += 1;
        }
    }
    let mut usages: Map<String, Value> =
        taken.into_iter().map(|(class, count)| (class, json!(count))).collect();
    // By the kind of consumer, all of which are servers.
    if call.minor >= 38 && consumers > 0 {
        usages.insert("consumer_count".to_owned(), json!(consumers));
        usages = Map::from_iter([("INSTANCE".to_owned(), Value::Object(usages))]);
    }
    Reply::json(&json!({"usages": usages}))
}

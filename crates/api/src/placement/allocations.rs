//! `/allocations/{consumer}`, and `/resource_providers/{provider}/allocations`: which server has which node.

use super::provider::{Provider, named};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use model::compute::Server;
use serde_json::{Map, Value, json};
use store::{NodeQuery, StoreError};
use uuid::Uuid;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/allocations/{consumer}", Access::Operator, handler!(of_consumer))
        .says("Shows what a server has."),
    Route::new(Get, "/resource_providers/{provider}/allocations", Access::Operator, handler!(of_provider))
        .says("Shows who has a provider."),
];

async fn of_consumer(call: Call) -> Result<Reply, CloudError> {
    let consumer = call.parameter("consumer");
    let query = NodeQuery {
        equal: vec![("instance_uuid", consumer.to_owned())],
        include_children: true,
        limit: i64::MAX,
        ..NodeQuery::default()
    };
    let nodes = call.state.store.listed_nodes(&query).await?;
    let providers: Vec<Provider> = nodes.iter().map(|listed| Provider::of(&listed.node)).collect();
    let mut allocations = Map::new();
    for provider in &providers {
        let mut allocation = json!({"resources": provider.allocated()});
        allocation["generation"] = json!(provider.generation());
        allocations.insert(provider.uuid.to_string(), allocation);
    }
    let mut document = json!({"allocations": allocations});
    if let Some(provider) = providers.first() {
        if call.minor >= 12 {
            let (project, user) = owner(&call, consumer, provider).await?;
            document["project_id"] = json!(project);
            document["user_id"] = json!(user);
        }
        if call.minor >= 28 {
            document["consumer_generation"] = json!(1);
        }
        if call.minor >= 38 {
            document["consumer_type"] = json!("INSTANCE");
        }
    }
    Reply::json(&document)
}

/// Project and user of a consumer: of the server, or of the node where that was given to somebody without a server.
async fn owner(call: &Call, consumer: &str, provider: &Provider) -> Result<(String, String), CloudError> {
    let of_node = || (provider.project.clone().unwrap_or_default(), String::new());
    let Ok(uuid) = Uuid::try_parse(consumer) else { return Ok(of_node()) };
    match call.state.store.get::<Server>(&uuid.to_string()).await {
        Ok(server) => Ok((server.project_id, server.user_id)),
        Err(StoreError::NotFound { .. }) => Ok(of_node()),
        Err(error) => Err(error.into()),
    }
}

async fn of_provider(call: Call) -> Result<Reply, CloudError> {
    let provider = named(&call).await?;
    let mut allocations = Map::new();
    if let Some(consumer) = &provider.consumer {
        let mut allocation = json!({"resources": provider.allocated()});
        if call.minor >= 28 {
            allocation["consumer_generation"] = json!(1);
        }
        allocations.insert(consumer.clone(), allocation);
    }
    Reply::json(&json!({
        "allocations": Value::Object(allocations),
        "resource_provider_generation": provider.generation(),
    }))
}

//! `/allocations/{consumer}`, and `/resource_providers/{provider}/allocations`: which server has which node.

use super::provider::{Provider, named};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use serde_json::{Map, Value, json};
use store::NodeQuery;

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
            document["project_id"] = json!(provider.project.as_deref().unwrap_or_default());
            document["user_id"] = json!("");
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

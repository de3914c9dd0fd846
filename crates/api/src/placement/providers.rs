//! `/resource_providers`

use super::filters::{Filters, OF_PROVIDERS};
use super::provider::{Provider, all, named};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use serde_json::{Value, json};

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/resource_providers", Access::Operator, handler!(list))
        .says("Lists resource providers: each node is one."),
    Route::new(Get, "/resource_providers/{provider}", Access::Operator, handler!(show))
        .says("Shows a resource provider."),
];

/// What belongs to a provider, and the microversion since when there is a link to it.
const LINKS: &[(&str, u16)] =
    &[("inventories", 0), ("usages", 0), ("aggregates", 1), ("traits", 6), ("allocations", 11)];

async fn list(call: Call) -> Result<Reply, CloudError> {
    let filters = Filters::of(&call, OF_PROVIDERS)?;
    let providers = all(&call).await?;
    let shown: Vec<_> = providers
        .iter()
        .filter(|provider| filters.fit(provider))
        .map(|provider| document(&call, provider))
        .collect();
    Reply::json(&json!({"resource_providers": shown}))
}

async fn show(call: Call) -> Result<Reply, CloudError> {
    let provider = named(&call).await?;
    Reply::json(&document(&call, &provider))
}

fn document(call: &Call, provider: &Provider) -> Value {
    // Links are paths, as the original's are.
    let own = format!("/placement/resource_providers/{}", provider.uuid);
    let mut links = vec![json!({"rel": "self", "href": own})];
    for (rel, since) in LINKS {
        if call.minor >= *since {
            links.push(json!({"rel": rel, "href": format!("{own}/{rel}")}));
        }
    }
    let mut document = json!({
        "uuid": provider.uuid,
        "name": provider.uuid,
        "generation": provider.generation(),
        "links": links,
    });
    if call.minor >= 14 {
        document["parent_provider_uuid"] = Value::Null;
        document["root_provider_uuid"] = json!(provider.uuid);
    }
    document
}

//! `/allocation_candidates`: which nodes could be given to who asks for this.

use super::filters::{Filters, OF_CANDIDATES};
use super::provider::{Provider, all};
use super::since;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use serde_json::{Map, Value, json};

pub(super) const ROUTES: &[Route] =
    &[Route::new(Get, "/allocation_candidates", Access::Operator, handler!(list))
        .says("Lists the nodes that could be given to who asks for these resources.")];

async fn list(call: Call) -> Result<Reply, CloudError> {
    since(&call, 10)?;
    let filters = Filters::of(&call, OF_CANDIDATES)?;
    if filters.resources.is_empty() {
        return Err(CloudError::invalid("All request groups must specify resources.")
            .kind("placement.query.missing_value"));
    }
    let limit =
        call.query.number("limit")?.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let providers = all(&call).await?;
    let found: Vec<&Provider> =
        providers.iter().filter(|provider| filters.fit(provider)).take(limit).collect();
    let requests: Vec<Value> = found.iter().map(|provider| request(&call, provider)).collect();
    let summaries: Map<String, Value> =
        found.iter().map(|provider| (provider.uuid.to_string(), summary(&call, provider))).collect();
    Reply::json(&json!({"allocation_requests": requests, "provider_summaries": summaries}))
}

fn request(call: &Call, provider: &Provider) -> Value {
    let resources = provider.allocated();
    if call.minor < 12 {
        return json!({
            "allocations": [{"resource_provider": {"uuid": provider.uuid}, "resources": resources}]
        });
    }
    let mut request = json!({"allocations": {provider.uuid.to_string(): {"resources": resources}}});
    if call.minor >= 34 {
        request["mappings"] = json!({"": [provider.uuid]});
    }
    request
}

fn summary(call: &Call, provider: &Provider) -> Value {
    let mut resources = Map::new();
    if let Some(class) = &provider.class {
        resources.insert(class.clone(), json!({"capacity": 1, "used": provider.used()}));
    }
    let mut summary = json!({"resources": resources});
    if call.minor >= 17 {
        summary["traits"] = json!(provider.traits);
    }
    if call.minor >= 29 {
        summary["parent_provider_uuid"] = Value::Null;
        summary["root_provider_uuid"] = json!(provider.uuid);
    }
    summary
}

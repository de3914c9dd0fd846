//! `/resource_providers/{provider}/inventories`

use super::provider::named;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use serde_json::json;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/resource_providers/{provider}/inventories", Access::Operator, handler!(list))
        .says("Lists what a provider has."),
    Route::new(Get, "/resource_providers/{provider}/inventories/{class}", Access::Operator, handler!(show))
        .says("Shows what a provider has of a resource class."),
];

async fn list(call: Call) -> Result<Reply, CloudError> {
    let provider = named(&call).await?;
    Reply::json(&json!({
        "resource_provider_generation": provider.generation(),
        "inventories": provider.inventories(),
    }))
}

async fn show(call: Call) -> Result<Reply, CloudError> {
    let provider = named(&call).await?;
    let class = call.parameter("class");
    if provider.class.as_deref() != Some(class) {
        return Err(CloudError::not_found(format!(
            "No inventory of class {class} for {} found",
            provider.uuid
        )));
    }
    let mut inventory = provider.inventory();
    inventory["resource_provider_generation"] = json!(provider.generation());
    Reply::json(&inventory)
}

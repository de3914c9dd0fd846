//! `/resource_providers/{provider}/aggregates`: nodes are in none.

use super::provider::named;
use super::since;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use serde_json::json;

pub(super) const ROUTES: &[Route] =
    &[Route::new(Get, "/resource_providers/{provider}/aggregates", Access::Operator, handler!(list))
        .says("Lists a provider's aggregates, of which there are none.")];

async fn list(call: Call) -> Result<Reply, CloudError> {
    since(&call, 1)?;
    let provider = named(&call).await?;
    let none: [&str; 0] = [];
    let mut document = json!({"aggregates": none});
    if call.minor >= 19 {
        document["resource_provider_generation"] = json!(provider.generation());
    }
    Reply::json(&document)
}

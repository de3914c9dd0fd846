//! The catalog as tokens carry it.

use crate::cloud::CloudError;
use crate::identity::error::from_store;
use model::identity::{Endpoint, Service};
use serde_json::{Value, json};
use store::Store;

/// Every enabled service with its enabled endpoints, for a user and a project and for somebody who called this process at `base_url`.
pub async fn catalog(
    store: &Store,
    base_url: &str,
    project: Option<&str>,
    user: &str,
) -> Result<Value, CloudError> {
    let identity = store.identity();
    let services: Vec<Service> = identity.list(&[]).await.map_err(from_store)?;
    let endpoints: Vec<Endpoint> = identity.list(&[]).await.map_err(from_store)?;
    let mut catalog = Vec::with_capacity(services.len());
    for service in services.iter().filter(|service| service.enabled) {
        let own = endpoints.iter().filter(|endpoint| endpoint.enabled && endpoint.service_id == service.id);
        let shown: Vec<_> = own
            .filter_map(|endpoint| {
                let url = endpoint.url_for(base_url, project, Some(user))?;
                Some(json!({
                    "id": endpoint.id,
                    "interface": endpoint.interface,
                    "region_id": endpoint.region_id,
                    "region": endpoint.region_id,
                    "url": url,
                }))
            })
            .collect();
        catalog.push(json!({
            "id": service.id,
            "type": service.kind,
            "name": service.name.as_deref().unwrap_or_default(),
            "endpoints": shown,
        }));
    }
    Ok(Value::Array(catalog))
}

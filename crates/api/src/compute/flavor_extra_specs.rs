//! `/flavors/{flavor}/os-extra_specs`: what a flavor asks of a machine beyond its size.

use super::body::{Fields, PAIRS, only, refused};
use crate::baremetal::is_trait;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post, Put};
use model::compute::Flavor;
use model::compute::extra_spec::ExtraSpec;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/flavors/{flavor}/os-extra_specs", Access::Project, handler!(index))
        .says("Lists a flavor's extra specs."),
    Route::new(Post, "/v2.1/flavors/{flavor}/os-extra_specs", Access::Operator, handler!(create))
        .says("Adds extra specs to a flavor."),
    Route::new(Get, "/v2.1/flavors/{flavor}/os-extra_specs/{key}", Access::Project, handler!(show))
        .says("Shows one extra spec."),
    Route::new(Put, "/v2.1/flavors/{flavor}/os-extra_specs/{key}", Access::Operator, handler!(update))
        .says("Sets one extra spec."),
    Route::new(Delete, "/v2.1/flavors/{flavor}/os-extra_specs/{key}", Access::Operator, handler!(delete))
        .says("Removes one extra spec."),
];

/// `GET /flavors/{flavor}/os-extra_specs`
async fn index(call: Call) -> Result<Reply, CloudError> {
    let flavor = call.flavor(call.parameter("flavor")).await?;
    Reply::json(&json!({"extra_specs": flavor.extra_specs}))
}

/// `POST /flavors/{flavor}/os-extra_specs`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let body = call.json()?;
    let specs = parsed(&only(&body, "extra_specs")?)?;
    let flavor = call.flavor(call.parameter("flavor")).await?;
    add(&call, &flavor, &specs).await?;
    Reply::json(&json!({"extra_specs": specs}))
}

/// `GET /flavors/{flavor}/os-extra_specs/{key}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let flavor = call.flavor(call.parameter("flavor")).await?;
    let key = call.parameter("key");
    let value = flavor.extra_specs.get(key).ok_or_else(|| missing(&flavor, key))?;
    Reply::json(&json!({key: value}))
}

/// `PUT /flavors/{flavor}/os-extra_specs/{key}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let body = call.json()?;
    let specs = parsed(&Fields::new("the request's body", &body)?)?;
    let key = call.parameter("key");
    if specs.len() != 1 || !specs.contains_key(key) {
        return Err(CloudError::invalid(format!(
            "Request body and URI mismatch: the body is to have '{key}', and nothing else."
        )));
    }
    let flavor = call.flavor(call.parameter("flavor")).await?;
    add(&call, &flavor, &specs).await?;
    Reply::json(&specs)
}

/// `DELETE /flavors/{flavor}/os-extra_specs/{key}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let flavor = call.flavor(call.parameter("flavor")).await?;
    let (key, now) = (call.parameter("key"), call.now());
    call.state
        .store
        .edit(flavor.uuid, |stored: &mut Flavor| {
            stored.updated_at = Some(now);
            stored.extra_specs.remove(key).map(|_| ()).ok_or_else(|| missing(&flavor, key))
        })
        .await?;
    Ok(Reply::empty())
}

fn missing(flavor: &Flavor, key: &str) -> CloudError {
    CloudError::not_found(format!("Flavor {} has no extra specs with key {key}.", flavor.id))
}

async fn add(call: &Call, flavor: &Flavor, specs: &BTreeMap<String, String>) -> Result<(), CloudError> {
    let now = call.now();
    let edited = call.state.store.edit(flavor.uuid, |flavor: &mut Flavor| {
        flavor.extra_specs.extend(specs.clone());
        flavor.updated_at = Some(now);
        if flavor.extra_specs.len() > PAIRS {
            return Err(CloudError::invalid(format!("A flavor has at most {PAIRS} extra specs.")));
        }
        let classes = flavor.extra_specs.iter().filter(|(key, value)| {
            matches!(ExtraSpec::parse(key, value), Ok(ExtraSpec::Resource { class, amount: 1.. }) if class.starts_with("CUSTOM_"))
        });
        if classes.count() > 1 {
            return Err(CloudError::invalid(format!(
                "Flavor {} would ask for several resource classes, and a node has just one: remove the other one first \
                 (openstack flavor unset --property resources:CUSTOM_… {}).",
                flavor.id, flavor.name
            )));
        }
        Ok(())
    });
    edited.await.map(|_| ())
}

/// The pairs of a body, each of which must make sense. Numbers are taken as their texts, as in Nova.
fn parsed(fields: &Fields<'_>) -> Result<BTreeMap<String, String>, CloudError> {
    let mut specs = BTreeMap::new();
    for (key, value) in fields.iter().take(PAIRS) {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            other => return Err(refused(key, other, "It is neither a text nor a number.")),
        };
        if let ExtraSpec::Trait { name, .. } = ExtraSpec::parse(key, &text).map_err(CloudError::invalid)?
            && !is_trait(&name)
        {
            return Err(CloudError::invalid(format!(
                "Extra spec '{key}' names no trait: it is neither a standard one nor CUSTOM_ and capitals, digits, '_'."
            )));
        }
        specs.insert(key.to_owned(), text);
    }
    Ok(specs)
}

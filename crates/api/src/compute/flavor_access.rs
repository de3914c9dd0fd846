//! `/flavors/{flavor}/os-flavor-access`: the projects that may use a private flavor.

use super::body::{Fields, only};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Get, Post};
use model::compute::Flavor;
use serde_json::{Value, json};

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/flavors/{flavor}/os-flavor-access", Access::Operator, handler!(index))
        .says("Lists the projects that may use a private flavor."),
    Route::new(Post, "/v2.1/flavors/{flavor}/action", Access::Operator, handler!(action))
        .says("Lets a project use a private flavor, or no longer."),
];

/// Projects that one flavor may have in its list.
const PROJECTS: usize = 10_000;

/// `GET /flavors/{flavor}/os-flavor-access`
async fn index(call: Call) -> Result<Reply, CloudError> {
    let flavor = call.flavor(call.parameter("flavor")).await?;
    if flavor.is_public {
        return Err(CloudError::not_found("Access list not available for public flavors."));
    }
    Reply::json(&document(&flavor))
}

fn document(flavor: &Flavor) -> Value {
    let rows = flavor.projects.iter().map(|project| json!({"flavor_id": flavor.id, "tenant_id": project}));
    json!({"flavor_access": rows.collect::<Vec<_>>()})
}

/// `POST /flavors/{flavor}/action`
async fn action(call: Call) -> Result<Reply, CloudError> {
    let body = call.json()?;
    let outer = Fields::new("the request's body", &body)?;
    let (key, adds) = match ["addTenantAccess", "removeTenantAccess"].map(|key| outer.has(key)) {
        [true, false] => ("addTenantAccess", true),
        [false, true] => ("removeTenantAccess", false),
        _ => {
            return Err(CloudError::invalid(
                "There is no such action: a flavor knows addTenantAccess and removeTenantAccess, one at a time.",
            ));
        }
    };
    let fields = only(&body, key)?;
    fields.only(&["tenant"])?;
    let project = fields.needed_text("tenant", 1..=255)?.to_owned();
    let flavor = call.flavor(call.parameter("flavor")).await?;
    let now = call.now();
    let flavor = call
        .state
        .store
        .edit(flavor.uuid, |flavor: &mut Flavor| {
            change(flavor, project, adds)?;
            flavor.updated_at = Some(now);
            Ok::<_, CloudError>(())
        })
        .await?;
    Reply::json(&document(&flavor))
}

fn change(flavor: &mut Flavor, project: String, adds: bool) -> Result<(), CloudError> {
    if adds {
        if flavor.is_public {
            return Err(CloudError::conflict("Can not add access to a public flavor."));
        }
        if flavor.projects.len() >= PROJECTS {
            return Err(CloudError::invalid(format!(
                "A flavor has at most {PROJECTS} projects: make it public."
            )));
        }
        if !flavor.projects.insert(project.clone()) {
            return Err(CloudError::conflict(format!(
                "Flavor access already exists for flavor {} and project {project} combination.",
                flavor.id
            )));
        }
    } else if !flavor.projects.remove(&project) {
        return Err(CloudError::not_found(format!(
            "Flavor access not found for {} / {project} combination.",
            flavor.id
        )));
    }
    Ok(())
}

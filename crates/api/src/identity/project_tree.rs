//! Projects above and below one another.

use super::document::shown;
use super::error::from_store;
use super::reach::Reach;
use super::validated::above;
use crate::cloud::{Call, CloudError};
use crate::limits::PROJECT_DEPTH;
use model::identity::{Domain, Project, Scope};
use serde_json::{Map, Value, json};
use store::StoreError;

/// The domain and the parent of a new project, if it may be made there. A parent that is a domain is none.
pub async fn check_parent(
    call: &Call,
    reach: &Reach,
    asked_domain: Option<String>,
    parent: Option<String>,
) -> Result<(String, Option<String>), CloudError> {
    let identity = call.state.store.identity();
    let Some(parent) = parent else {
        return Ok((reach.domain_for(call, asked_domain).await?, None));
    };
    let project: Project = match identity.get(&parent).await {
        Ok(project) => project,
        Err(StoreError::NotFound { .. }) => {
            let domain: Domain = identity.get(&parent).await.map_err(|error| match error {
                StoreError::NotFound { .. } => super::error::not_found("project", &parent),
                other => from_store(other),
            })?;
            return agreed(reach.domain_for(call, Some(domain.id)).await?, asked_domain).map(|id| (id, None));
        }
        Err(error) => return Err(from_store(error)),
    };
    reach.check(&project.domain_id, "project", &parent)?;
    let depth = above(identity, &project).await?.len() + 1;
    if depth > PROJECT_DEPTH {
        return Err(CloudError::forbidden(format!(
            "Max hierarchy depth reached for {parent} branch: projects lie at most {PROJECT_DEPTH} deep."
        )));
    }
    if !project.enabled {
        return Err(CloudError::forbidden(format!(
            "cannot create a project in a branch containing a disabled project: {parent}"
        )));
    }
    Ok((agreed(project.domain_id, asked_domain)?, Some(parent)))
}

fn agreed(domain: String, asked: Option<String>) -> Result<String, CloudError> {
    if asked.is_some_and(|asked| asked != domain) {
        return Err(CloudError::invalid("A project lies in the domain of its parent: leave domain_id out."));
    }
    Ok(domain)
}

/// Adds what the query asks for: the projects above or below, as documents or as ids.
pub async fn with_tree(call: &Call, project: &Project, document: &mut Value) -> Result<(), CloudError> {
    let wants = |name: &str| {
        call.query
            .first(name)
            .is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "0" | "false"))
    };
    let identity = call.state.store.identity();
    if wants("parents_as_list") || wants("parents_as_ids") {
        let parents: Vec<_> = above(identity, project)
            .await?
            .into_iter()
            .filter_map(|place| match place {
                Scope::Project(id) => Some(id),
                _ => None,
            })
            .collect();
        if wants("parents_as_ids") {
            let domain = json!({ project.domain_id.as_str(): null });
            document["parents"] =
                parents.iter().rev().fold(domain, |inner, id| json!({ id.as_str(): inner }));
        } else {
            let found: Vec<Project> =
                if parents.is_empty() { Vec::new() } else { identity.list_of(&parents).await? };
            document["parents"] = listed(call, &found)?;
        }
    }
    if wants("subtree_as_list") || wants("subtree_as_ids") {
        let all: Vec<Project> = identity.list(&[("domain_id", project.domain_id.as_str())]).await?;
        if wants("subtree_as_ids") {
            document["subtree"] = ids_below(&all, &project.id);
        } else {
            let mut below = Vec::new();
            collect_below(&all, &project.id, &mut below);
            document["subtree"] = listed(call, &below)?;
        }
    }
    Ok(())
}

fn listed(call: &Call, projects: &[Project]) -> Result<Value, CloudError> {
    let documents: Result<Vec<_>, CloudError> = projects
        .iter()
        .map(|project| Ok(json!({"project": shown(call, "projects", &project.id, project)?})))
        .collect();
    Ok(Value::Array(documents?))
}

fn ids_below(all: &[Project], parent: &str) -> Value {
    let children: Map<_, _> = all
        .iter()
        .filter(|project| project.parent_id == parent)
        .map(|project| (project.id.clone(), ids_below(all, &project.id)))
        .collect();
    if children.is_empty() { Value::Null } else { Value::Object(children) }
}

/// The projects below one, in no deeper recursion than projects lie.
pub fn collect_below(all: &[Project], parent: &str, into: &mut Vec<Project>) {
    for project in all.iter().filter(|project| project.parent_id == parent) {
        into.push(project.clone());
        collect_below(all, &project.id, into);
    }
}

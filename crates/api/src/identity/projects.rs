//! `/v3/projects`.

use super::document::{Attributes, filtered, many, merge, one, shown};
use super::error::{Refusal, forbidden, from_store};
use super::immutable::{check_deletion, check_update};
use super::project_tree::{check_parent, with_tree};
use super::reach::{reach, required};
use super::tags::{self, fits};
use super::tokens::caller;
use super::validated::scopes_of;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::limits::{DESCRIPTION_TEXT, NAME_CHARACTERS, PROJECT_NAME_CHARACTERS};
use crate::route::Verb::{Delete, Get, Patch, Post};
use axum::http::StatusCode;
use model::identity::{Project, id_from};
use std::collections::BTreeSet;
use store::StoreError;
use uuid::Uuid;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v3/projects", Access::User, handler!(list)).says("Lists projects."),
    Route::new(Post, "/v3/projects", Access::User, handler!(create))
        .success(StatusCode::CREATED)
        .says("Makes a project."),
    Route::new(Get, "/v3/projects/{project}", Access::User, handler!(show)).says("Shows a project."),
    Route::new(Patch, "/v3/projects/{project}", Access::User, handler!(update)).says("Changes a project."),
    Route::new(Delete, "/v3/projects/{project}", Access::User, handler!(delete))
        .success(StatusCode::NO_CONTENT)
        .says("Forgets a project and the roles in it."),
];

/// The project that the path names, for whoever may look after it; those with a role in it may look where `own_too`.
pub(super) async fn named(call: &Call, action: &str, own_too: bool) -> Result<Project, CloudError> {
    let identity = call.state.store.identity();
    let id = call.parameter("project");
    let Some(reach) = reach(call).await? else {
        let user = caller(call).await?;
        if own_too && (call.owns(id) || scopes_of(identity, &user.user.id).await?.projects.contains(id)) {
            return identity.get(id).await.map_err(from_store);
        }
        return Err(forbidden(action));
    };
    let project: Project = identity.get(id).await.map_err(from_store)?;
    reach.check(&project.domain_id, "project", id)?;
    Ok(project)
}

/// `GET /v3/projects`. Who looks after nobody may still look for one of its own projects by name, as clients do for who gives a name.
async fn list(call: Call) -> Result<Reply, CloudError> {
    let reach = match reach(&call).await? {
        Some(reach) => Some(reach),
        None if call.query.has("name") => None,
        None => return Err(forbidden("identity:list_projects")),
    };
    let own = match &reach {
        Some(_) => BTreeSet::new(),
        None => scopes_of(call.state.store.identity(), call.user_id()?).await?.projects,
    };
    let mut equal = Vec::new();
    for column in ["domain_id", "name", "parent_id"] {
        equal.extend(call.query.first(column).map(|value| (column, value)));
    }
    let projects: Vec<Project> = call.state.store.identity().list(&equal).await?;
    let sees = |project: &Project| match &reach {
        Some(reach) => reach.covers(&project.domain_id),
        None => own.contains(&project.id),
    };
    let seen = projects.iter().filter(|project| sees(project) && fits(&call.query, &project.tags));
    let documents: Result<Vec<_>, _> =
        seen.map(|project| shown(&call, "projects", &project.id, project)).collect();
    let documents = documents?;
    if reach.is_none() && documents.is_empty() {
        // As Keystone: on this the client takes what it was given for an id, which it may be.
        return Err(forbidden("identity:list_projects"));
    }
    let fields = ["domain_id", "name", "parent_id", "enabled", "is_domain"];
    many(&call, "projects", "projects", filtered(&call, &fields, documents))
}

/// `GET /v3/projects/{project}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let project = named(&call, "identity:get_project", true).await?;
    let mut document = shown(&call, "projects", &project.id, &project)?;
    with_tree(&call, &project, &mut document).await?;
    one("project", document)
}

/// `POST /v3/projects`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let reach = required(&call, "identity:create_project").await?;
    let mut attributes = Attributes::of(&call, "project")?;
    let name = attributes.required_name(PROJECT_NAME_CHARACTERS)?;
    if attributes.flag("is_domain")? == Some(true) {
        return Err(attributes.bad("is_domain", "a domain is made by POST /v3/domains"));
    }
    let parent = attributes.text("parent_id", NAME_CHARACTERS)?;
    let asked = attributes.text("domain_id", NAME_CHARACTERS)?;
    let (domain, parent) = check_parent(&call, &reach, asked, parent).await?;
    let project = Project {
        parent_id: parent.unwrap_or_else(|| domain.clone()),
        description: attributes.text("description", DESCRIPTION_TEXT)?.unwrap_or_default(),
        enabled: attributes.flag("enabled")?.unwrap_or(true),
        tags: tags::taken(&mut attributes)?.unwrap_or_default(),
        options: attributes.object("options")?.unwrap_or_default(),
        extra: attributes.rest(),
        ..Project::new(id_from(Uuid::new_v4()), name, domain)
    };
    call.state.store.identity().create(&project).await.map_err(from_store)?;
    one("project", shown(&call, "projects", &project.id, &project)?)
}

/// `PATCH /v3/projects/{project}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let project = named(&call, "identity:update_project", false).await?;
    let mut attributes = Attributes::of(&call, "project")?;
    let name = attributes.name(PROJECT_NAME_CHARACTERS)?;
    let description = attributes.change("description", DESCRIPTION_TEXT)?;
    let enabled = attributes.flag("enabled")?;
    let tags = tags::taken(&mut attributes)?;
    let options = attributes.object("options")?;
    for (field, stays) in [("domain_id", &project.domain_id), ("parent_id", &project.parent_id)] {
        if attributes.text(field, NAME_CHARACTERS)?.is_some_and(|value| value != *stays) {
            return Err(attributes.bad(field, "a project stays where it was made"));
        }
    }
    attributes.flag("is_domain")?;
    let changes = attributes.rest();
    let edited = call.state.store.identity().edit(&project.id, |project: &mut Project| {
        check_update("project", &project.id, &project.options, options.as_ref())?;
        if let Some(name) = name {
            project.name = name;
        }
        if let Some(description) = description {
            project.description = description.unwrap_or_default();
        }
        project.enabled = enabled.unwrap_or(project.enabled);
        if let Some(tags) = tags {
            project.tags = tags;
        }
        merge(&mut project.options, options.unwrap_or_default());
        merge(&mut project.extra, changes);
        Ok::<_, Refusal>(())
    });
    let project = edited.await.map_err(|refusal| refusal.0)?;
    one("project", shown(&call, "projects", &project.id, &project)?)
}

/// `DELETE /v3/projects/{project}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let project = named(&call, "identity:delete_project", false).await?;
    check_deletion("project", &project.id, &project.options)?;
    call.state.store.identity().delete_project(&project.id).await.map_err(|error| match error {
        StoreError::InUse { .. } => CloudError::forbidden(format!(
            "Cannot delete the project {} since it is not a leaf in the hierarchy. Delete the projects \
             below it first.",
            project.id
        )),
        other => from_store(other),
    })?;
    Ok(Reply::empty())
}

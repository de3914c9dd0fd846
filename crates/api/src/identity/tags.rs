//! `/v3/projects/{project}/tags`, and tags as a filter.

use super::document::{Attributes, missing};
use super::error::{Refusal, not_found};
use super::projects::named;
use crate::cloud::{Access, Call, CloudError, Query, Reply, Route};
use crate::handler;
use crate::limits::{NAME_CHARACTERS, PROJECT_TAGS};
use crate::route::Verb::{Delete, Get, Put};
use axum::http::StatusCode;
use model::identity::Project;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v3/projects/{project}/tags", Access::User, handler!(list))
        .says("Lists a project's tags."),
    Route::new(Put, "/v3/projects/{project}/tags", Access::User, handler!(replace))
        .says("Sets a project's tags."),
    Route::new(Delete, "/v3/projects/{project}/tags", Access::User, handler!(clear))
        .success(StatusCode::NO_CONTENT)
        .says("Takes all tags of a project away."),
    Route::new(Get, "/v3/projects/{project}/tags/{tag}", Access::User, handler!(check))
        .success(StatusCode::NO_CONTENT)
        .says("Tells whether a project has a tag."),
    Route::new(Put, "/v3/projects/{project}/tags/{tag}", Access::User, handler!(add))
        .success(StatusCode::CREATED)
        .says("Gives a project a tag."),
    Route::new(Delete, "/v3/projects/{project}/tags/{tag}", Access::User, handler!(remove))
        .success(StatusCode::NO_CONTENT)
        .says("Takes a tag of a project away."),
];

fn read(tags: &Value) -> Result<BTreeSet<String>, CloudError> {
    let bad = || {
        CloudError::invalid(format!(
            "Tags are a list of at most {PROJECT_TAGS} texts of at most {NAME_CHARACTERS} characters, without commas and slashes."
        ))
    };
    let tags = tags.as_array().ok_or_else(bad)?;
    let tags: Option<BTreeSet<_>> = tags.iter().map(|tag| tag.as_str().filter(|tag| is_tag(tag))).collect();
    let tags = tags.filter(|tags| tags.len() <= PROJECT_TAGS).ok_or_else(bad)?;
    Ok(tags.into_iter().map(str::to_owned).collect())
}

fn is_tag(tag: &str) -> bool {
    !tag.is_empty() && tag.chars().count() <= NAME_CHARACTERS && !tag.contains(['/', ','])
}

/// The tags in a request about a project, if it has some.
pub(super) fn taken(attributes: &mut Attributes) -> Result<Option<BTreeSet<String>>, CloudError> {
    attributes.value("tags").map(|tags| read(&tags)).transpose()
}

/// Do the tags fit the query's `tags`, `tags-any`, `not-tags` and `not-tags-any`?
pub(super) fn fits(query: &Query, tags: &BTreeSet<String>) -> bool {
    let asked = |name: &str| query.first(name).map(|list| list.split(',').collect::<Vec<_>>());
    let all = |list: &Vec<&str>| list.iter().all(|tag| tags.contains(*tag));
    let any = |list: &Vec<&str>| list.iter().any(|tag| tags.contains(*tag));
    asked("tags").as_ref().is_none_or(all)
        && asked("tags-any").as_ref().is_none_or(any)
        && !asked("not-tags").as_ref().is_some_and(all)
        && !asked("not-tags-any").as_ref().is_some_and(any)
}

async fn edit(
    call: &Call,
    change: impl FnOnce(&mut BTreeSet<String>) -> Result<(), Refusal>,
) -> Result<Project, CloudError> {
    let project = named(call, "identity:update_project", false).await?;
    let edited =
        call.state.store.identity().edit(&project.id, |project: &mut Project| change(&mut project.tags));
    edited.await.map_err(|refusal: Refusal| refusal.0)
}

fn shown(call: &Call, project: &Project) -> Result<Reply, CloudError> {
    let links = json!({"self": call.url(&format!("/v3/projects/{}/tags", project.id))});
    Reply::json(&json!({"tags": project.tags, "links": links}))
}

/// `GET …/tags`
async fn list(call: Call) -> Result<Reply, CloudError> {
    shown(&call, &named(&call, "identity:list_project_tags", true).await?)
}

/// `PUT …/tags`
async fn replace(call: Call) -> Result<Reply, CloudError> {
    named(&call, "identity:update_project_tags", false).await?;
    let body = call.json()?;
    let tags = read(body.get("tags").ok_or_else(|| missing("tags", "request body"))?)?;
    let project = edit(&call, |own| {
        *own = tags;
        Ok(())
    });
    shown(&call, &project.await?)
}

/// `DELETE …/tags`
async fn clear(call: Call) -> Result<Reply, CloudError> {
    edit(&call, |own| {
        own.clear();
        Ok(())
    })
    .await?;
    Ok(Reply::empty())
}

/// `GET …/tags/{tag}`
async fn check(call: Call) -> Result<Reply, CloudError> {
    let project = named(&call, "identity:get_project_tag", true).await?;
    let tag = call.parameter("tag");
    if project.tags.contains(tag) { Ok(Reply::empty()) } else { Err(not_found("project tag", tag)) }
}

/// `PUT …/tags/{tag}`
async fn add(call: Call) -> Result<Reply, CloudError> {
    let tag = call.parameter("tag").to_owned();
    if !is_tag(&tag) {
        return Err(CloudError::invalid("A tag is a text without commas and slashes."));
    }
    let project = edit(&call, |own| {
        own.insert(tag);
        if own.len() > PROJECT_TAGS {
            return Err(Refusal(CloudError::invalid(format!("A project has at most {PROJECT_TAGS} tags."))));
        }
        Ok(())
    });
    let at = format!("/v3/projects/{}/tags/{}", project.await?.id, call.parameter("tag"));
    Ok(Reply::empty().at(call.url(&at)))
}

/// `DELETE …/tags/{tag}`
async fn remove(call: Call) -> Result<Reply, CloudError> {
    let tag = call.parameter("tag").to_owned();
    edit(&call, |own| if own.remove(&tag) { Ok(()) } else { Err(Refusal(not_found("project tag", &tag))) })
        .await?;
    Ok(Reply::empty())
}

//! Tasks: what came of imports.

use super::document::time;
use super::import::TASK_TIME;
use super::records::visible;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use model::image::Task;
use serde_json::{Map, Value, json};
use store::{Query, SortDirection, StoreError};
use uuid::Uuid;

/// Rows of the route table.
pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v2/images/{image}/tasks", Access::Project, handler!(of_image))
        .says("Lists an image's tasks."),
    Route::new(Get, "/v2/tasks", Access::Project, handler!(list)).says("Lists tasks."),
    Route::new(Get, "/v2/tasks/{task}", Access::Project, handler!(show)).says("Shows a task."),
];

/// Tasks on a page.
const DEFAULT_LIMIT: i64 = 25;
const MOST: i64 = 1000;

fn document(task: &Task) -> Map<String, Value> {
    let expires = task.updated_at.saturating_add(TASK_TIME).unwrap_or(task.updated_at);
    match json!({
        "id": task.uuid,
        "type": Task::TYPE,
        "status": task.status.as_str(),
        "owner": task.owner,
        "image_id": task.image,
        "user_id": task.user_id,
        "request_id": task.request_id,
        "expires_at": time(expires),
        "created_at": time(task.created_at),
        "updated_at": time(task.updated_at),
        "self": format!("/v2/tasks/{}", task.uuid),
        "schema": "/v2/schemas/task",
    }) {
        Value::Object(document) => document,
        _ => Map::new(),
    }
}

/// With what was asked for, and what came of it.
fn detailed(task: &Task) -> Map<String, Value> {
    let mut document = document(task);
    document.insert("input".into(), task.input.clone());
    document.insert("result".into(), json!({"image_id": task.image}));
    document.insert("message".into(), task.message.clone().into());
    document
}

async fn of_image(call: Call) -> Result<Reply, CloudError> {
    let image = visible(&call).await?;
    let tasks = call.state.store.tasks_of_image(image.uuid).await?;
    let shown: Vec<_> = tasks.iter().filter(|task| may_see(&call, task)).map(detailed).collect();
    Reply::json(&json!({"tasks": shown}))
}

fn may_see(call: &Call, task: &Task) -> bool {
    call.sees_all() || task.owner.as_deref().is_some_and(|owner| call.owns(owner))
}

async fn list(call: Call) -> Result<Reply, CloudError> {
    let limit = call.query.number("limit")?.unwrap_or(DEFAULT_LIMIT).min(MOST);
    let mut query = match call.sees_all() {
        true => Query::default(),
        false => Query::equal("owner", call.project()?),
    };
    if let Some(status) = call.query.first("status") {
        query = query.and("status", status);
    }
    query.direction = SortDirection::Descending;
    query.limit = Some(limit);
    if let Some(marker) = call.query.first("marker") {
        query.marker = Some(Uuid::try_parse(marker).map_err(|_| no_task(marker))?);
    }
    let tasks: Vec<Task> = call.state.store.list(&query).await?;
    let shown: Vec<_> = tasks.iter().map(document).collect();
    let mut answer = json!({"tasks": shown, "first": "/v2/tasks", "schema": "/v2/schemas/tasks"});
    if let Some(last) = tasks.last().filter(|_| tasks.len() as i64 == limit) {
        answer["next"] = format!("/v2/tasks?limit={limit}&marker={}", last.uuid).into();
    }
    Reply::json(&answer)
}

fn no_task(id: &str) -> CloudError {
    let id: String = id.chars().take(100).collect();
    CloudError::not_found(format!("No task found with ID {id}"))
}

async fn show(call: Call) -> Result<Reply, CloudError> {
    let id = call.parameter("task");
    let task = match call.state.store.get::<Task>(id).await {
        Ok(task) if may_see(&call, &task) => task,
        Ok(_) | Err(StoreError::NotFound { .. }) => return Err(no_task(id)),
        Err(error) => return Err(error.into()),
    };
    Reply::json(&detailed(&task))
}

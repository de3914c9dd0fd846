//! Imports: of staged data, or from a URL. They are done behind the answer; a task tells how far they are.
//!
//! An image that is `importing` carries what is to be done ([`Import`]), so that where its process dies another
//! finds it and does it again from the beginning.

use super::records::{changeable, storage};
use super::{download, intake};
use crate::ApiState;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Post;
use axum::http::StatusCode;
use images::Name;
use jiff::{SignedDuration, Timestamp};
use model::image::{Image, Import, Status, Task, TaskStatus};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use store::StoreError;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Rows of the route table.
pub(super) const ROUTES: &[Route] =
    &[Route::new(Post, "/v2/images/{image}/import", Access::Project, handler!(import))
        .success(StatusCode::ACCEPTED)
        .says("Imports staged data, or data from a URL.")];

const GLANCE_DIRECT: &str = "glance-direct";
const WEB_DOWNLOAD: &str = "web-download";
/// What `info/import` and every new image tell.
pub(super) const METHODS: &[&str] = &[GLANCE_DIRECT, WEB_DOWNLOAD];

/// Imports under way at once; the others wait.
static AT_ONCE: Semaphore = Semaphore::const_new(4);
/// Longest URL, in bytes.
const LONGEST_URL: usize = 4096;
/// Tasks are forgotten after this time (`[task] task_time_to_live`).
pub(super) const TASK_TIME: SignedDuration = SignedDuration::from_hours(48);

async fn import(call: Call) -> Result<Reply, CloudError> {
    let body = call.json()?;
    let method = &body["method"];
    let name = method["name"].as_str().unwrap_or_default();
    let uri = method["uri"].as_str().map(str::to_owned);
    let from = match name {
        GLANCE_DIRECT => Status::Uploading,
        WEB_DOWNLOAD => {
            let url = uri
                .as_deref()
                .ok_or_else(|| CloudError::invalid("Import method web-download needs a 'uri'."))?;
            if url.len() > LONGEST_URL {
                return Err(CloudError::invalid(format!("The URL is longer than {LONGEST_URL} bytes.")));
            }
            download::parse(url).map_err(CloudError::invalid)?;
            Status::Queued
        }
        other => {
            let other: String = other.chars().take(100).collect();
            return Err(CloudError::invalid(format!(
                "Unknown import method name '{other}'; these are there: {}.",
                METHODS.join(", ")
            )));
        }
    };
    let image = changeable(&call, "import data for").await?;
    storage(&call)?;
    let now = call.now();
    let task = Task {
        uuid: Uuid::new_v4(),
        image: image.uuid,
        status: TaskStatus::Pending,
        owner: image.owner.clone(),
        user_id: call.user_id().ok().map(str::to_owned),
        request_id: call.request_id.clone(),
        input: json!({"image_id": image.uuid, "import_req": shown(&body)}),
        message: String::new(),
        created_at: now,
        updated_at: now,
    };
    let wish = Import { method: name.to_owned(), uri, task: task.uuid };
    let states = [from];
    let begun = intake::begin(&call.state, image.uuid, &states, Status::Importing, |image| {
        // Staging that is still under way has no data yet.
        if from == Status::Uploading && image.data.is_none() {
            return Err(CloudError::conflict(
                "Image needs to be staged before 'glance-direct' method can be used",
            ));
        }
        image.import = Some(wish);
        Ok(())
    });
    begun.await.map_err(|error| match (error.status, from) {
        (StatusCode::CONFLICT, Status::Uploading) => {
            CloudError::conflict("Image needs to be staged before 'glance-direct' method can be used")
        }
        (StatusCode::CONFLICT, _) => {
            CloudError::conflict("Image needs to be in 'queued' state to use 'web-download' method")
        }
        _ => error,
    })?;
    call.state.store.create(&task).await?;
    tokio::spawn(run(Arc::clone(&call.state), image.uuid));
    Ok(Reply::empty())
}

/// What a task shows of the request: not the user and the password that a URL may carry.
fn shown(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(uri) = body["method"]["uri"].as_str().map(download::without_secrets) {
        body["method"]["uri"] = uri.into();
    }
    body
}

/// Does one import to its end.
async fn run(state: Arc<ApiState>, image: Uuid) {
    // Never closed.
    let Ok(_turn) = AT_ONCE.acquire().await else { return };
    let Ok(record) = intake::read(&state, image).await else { return };
    let Some(import) = record.import.clone().filter(|_| record.status == Status::Importing) else { return };
    let Some(storage) = state.conductor.storage() else { return };
    tell(&state, import.task, TaskStatus::Processing, "").await;
    let outcome = match import.method.as_str() {
        WEB_DOWNLOAD => fetch(&state, &record, import.uri.as_deref().unwrap_or_default()).await,
        _ => take_staged(&state, &record).await,
    };
    match outcome {
        Ok(()) => tell(&state, import.task, TaskStatus::Success, "").await,
        Err(error) => {
            tracing::info!(%image, reason = %error.text, "an image could not be imported");
            intake::take_back(&state, storage, image, Status::Importing).await;
            tell(&state, import.task, TaskStatus::Failure, &error.text).await;
        }
    }
}

/// `glance-direct`: the bytes are there, and are looked at.
async fn take_staged(state: &ApiState, image: &Image) -> Result<(), CloudError> {
    let Some(storage) = state.conductor.storage() else { return Ok(()) };
    let virtual_size = intake::inspect(storage, image).await?;
    intake::complete(state, storage, image.uuid, Status::Importing, |image| {
        image.virtual_size = virtual_size;
        image.import = None;
        image.status = Status::Active;
    })
    .await
}

/// `web-download`
async fn fetch(state: &ApiState, image: &Image, url: &str) -> Result<(), CloudError> {
    let Some(storage) = state.conductor.storage() else { return Ok(()) };
    let settings = &state.settings.images;
    let response = download::open(url, settings).await.map_err(CloudError::invalid)?;
    let announced = response.content_length();
    let stored = intake::store(state, storage, image.uuid, announced, download::body(response)).await?;
    let virtual_size = intake::inspect(storage, image).await?;
    intake::complete(state, storage, image.uuid, Status::Importing, |image| {
        intake::describe(image, &stored, settings.hashing_algorithm);
        image.virtual_size = virtual_size;
        image.import = None;
        image.status = Status::Active;
    })
    .await
}

async fn tell(state: &ApiState, task: Uuid, status: TaskStatus, message: &str) {
    let now = Timestamp::now();
    let told = state
        .store
        .edit::<Task, StoreError>(task, |task| {
            task.status = status;
            task.message = message.to_owned();
            task.updated_at = now;
            Ok(())
        })
        .await;
    if let Err(error) = told {
        tracing::warn!(%task, %error, "a task's outcome could not be written down");
    }
}

/// Puts in order what processes that ended left: uploads that broke off go back to `queued`, imports are done again, and bytes that no
/// image owns are deleted. For one process at a time.
pub async fn resume(state: &Arc<ApiState>) -> Result<(), StoreError> {
    let now = Timestamp::now();
    state.store.purge_image_tasks(now.saturating_sub(TASK_TIME).unwrap_or(now)).await?;
    let Some(storage) = state.conductor.storage() else { return Ok(()) };
    for image in intake::given_up(state).await? {
        if image.status == Status::Importing {
            if intake::take_over(state, &image).await? {
                tokio::spawn(run(Arc::clone(state), image.uuid));
            }
        } else if image.data.is_none() && intake::take_over(state, &image).await? {
            intake::take_back(state, storage, image.uuid, image.status).await;
        }
    }
    match storage.list("images").await {
        Ok(names) => sweep(state, storage, names).await,
        Err(error) => {
            tracing::warn!(%error, "the storage can't be looked through for what no image owns");
            Ok(())
        }
    }
}

async fn sweep(state: &ApiState, storage: &images::Backend, names: Vec<Name>) -> Result<(), StoreError> {
    if names.is_empty() {
        return Ok(());
    }
    let with_data =
        [Status::Saving, Status::Uploading, Status::Importing, Status::Active, Status::Deactivated];
    let owned: HashSet<String> = state
        .store
        .images_in(&with_data)
        .await?
        .into_iter()
        .map(|image| Name::image(image.uuid).to_string())
        .collect();
    for name in names.iter().filter(|name| !owned.contains(name.as_str())) {
        match storage.delete(name).await {
            Ok(()) => tracing::info!(%name, "deleted data that no image owns"),
            Err(error) => tracing::warn!(%name, %error, "data that no image owns could not be deleted"),
        }
    }
    Ok(())
}

//! `/servers/{server}/os-instance-actions`: what was done with a server, and how it went.

use super::body::fine_time;
use super::server_list::instant;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use model::compute::{ActionEvent, Server, ServerAction};
use serde_json::{Value, json};

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/servers/{server}/os-instance-actions", Access::Project, handler!(index))
        .says("Lists what was done with a server."),
    Route::new(Get, "/v2.1/servers/{server}/os-instance-actions/{request}", Access::Project, handler!(show))
        .says("Shows one action with its events."),
];

fn document(call: &Call, action: &ServerAction) -> Value {
    let mut own = json!({
        "action": action.action,
        "instance_uuid": action.server_uuid,
        "request_id": action.request_id,
        "user_id": action.user_id,
        "project_id": action.project_id,
        "start_time": fine_time(action.started_at),
        "message": action.message,
    });
    if call.minor >= 58 {
        own["updated_at"] = json!(fine_time(action.updated_at));
    }
    own
}

/// One step. Tenants see it from 2.51 on; what tells of machines is for operators.
fn event(call: &Call, server: &Server, event: &ActionEvent) -> Value {
    let mut own = json!({
        "event": event.event,
        "start_time": fine_time(event.started_at),
        "finish_time": event.finished_at.map(fine_time),
        "result": event.result,
    });
    let failed = event.result.as_deref() == Some("Error");
    if call.sees_all() || call.minor < 51 {
        own["traceback"] = json!(event.details.as_ref().filter(|_| failed));
    }
    if call.minor >= 62 {
        own["hostId"] = json!(super::server_document::host_id(server));
        if call.sees_all() {
            own["host"] = json!(event.host);
        }
    }
    if call.minor >= 84 {
        own["details"] = json!(event.details);
    }
    own
}

/// `GET /servers/{server}/os-instance-actions`
async fn index(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let mut actions = call.state.store.server_actions(server.uuid).await?;
    // The newest first.
    actions.reverse();
    if call.minor < 58 {
        let rows: Vec<_> = actions.iter().map(|action| document(&call, action)).collect();
        return Reply::json(&json!({"instanceActions": rows}));
    }
    let since = instant(&call, "changes-since")?;
    let before = if call.minor >= 66 { instant(&call, "changes-before")? } else { None };
    actions.retain(|action| {
        since.is_none_or(|since| action.updated_at >= since)
            && before.is_none_or(|before| action.updated_at <= before)
    });
    let path = format!("/v2.1/servers/{}/os-instance-actions", server.uuid);
    let page = call.page(&path, actions, |action| action.request_id.clone())?;
    let mut body = json!({
        "instanceActions": page.items.iter().map(|action| document(&call, action)).collect::<Vec<_>>(),
    });
    if let Some(links) = page.links {
        body["links"] = links;
    }
    Reply::json(&body)
}

/// `GET /servers/{server}/os-instance-actions/{request}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let request = call.parameter("request");
    let actions = call.state.store.server_actions(server.uuid).await?;
    let action = actions.iter().rev().find(|action| action.request_id == request).ok_or_else(|| {
        CloudError::not_found(format!(
            "Action for request_id {request} on instance {} not found",
            server.uuid
        ))
    })?;
    let mut own = document(&call, action);
    if call.sees_all() || call.minor >= 51 {
        // The newest first, as in Nova.
        own["events"] =
            action.events.iter().rev().map(|step| event(&call, &server, step)).collect::<Vec<_>>().into();
    }
    Reply::json(&json!({"instanceAction": own}))
}

//! What Nova tells of a virtual machine from outside of it, and what can't be told of a machine: consoles, diagnostics, a password, the
//! topology; and volumes, of which there are none.

use super::body::Fields;
use super::server_actions::NO_CONSOLE;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post, Put};
use axum::http::StatusCode;
use serde_json::json;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Post, "/v2.1/servers/{server}/remote-consoles", Access::Project, handler!(remote_console))
        .says("Refuses a console: machines have none for tenants."),
    Route::new(Get, "/v2.1/servers/{server}/diagnostics", Access::Operator, handler!(diagnostics))
        .says("Refuses diagnostics: nothing looks into a machine from outside."),
    Route::new(Get, "/v2.1/servers/{server}/os-server-password", Access::Project, handler!(password))
        .says("Shows the sealed password that a machine has posted: none does."),
    Route::new(
        Delete,
        "/v2.1/servers/{server}/os-server-password",
        Access::Project,
        handler!(clear_password),
    )
    .says("Forgets that password.")
    .success(StatusCode::NO_CONTENT),
    Route::new(Get, "/v2.1/servers/{server}/topology", Access::Project, handler!(topology))
        .says("Shows how a hypervisor has laid out a server: a machine has no layout (from 2.78 on)."),
    Route::new(Get, "/v2.1/servers/{server}/migrations", Access::Operator, handler!(migrations))
        .says("Lists a server's migrations: no machine moves (from 2.23 on)."),
    Route::new(Get, "/v2.1/os-migrations", Access::Operator, handler!(all_migrations))
        .says("Lists migrations: no machine moves."),
    Route::new(Get, "/v2.1/servers/{server}/os-volume_attachments", Access::Project, handler!(volumes))
        .says("Lists a server's volumes: there are none."),
    Route::new(Post, "/v2.1/servers/{server}/os-volume_attachments", Access::Project, handler!(no_volumes))
        .says("Refuses to attach a volume: there are none."),
    Route::new(
        Get,
        "/v2.1/servers/{server}/os-volume_attachments/{volume}",
        Access::Project,
        handler!(no_volume),
    )
    .says("Shows a server's volume: there is none."),
    Route::new(
        Put,
        "/v2.1/servers/{server}/os-volume_attachments/{volume}",
        Access::Project,
        handler!(no_volume),
    )
    .says("Changes a server's volume: there is none."),
    Route::new(
        Delete,
        "/v2.1/servers/{server}/os-volume_attachments/{volume}",
        Access::Project,
        handler!(no_volume),
    )
    .says("Detaches a server's volume: there is none."),
    Route::new(Get, "/v2.1/os-volumes", Access::Project, handler!(no_volume_service)).says(NO_SERVICE),
    Route::new(Get, "/v2.1/os-volumes/detail", Access::Project, handler!(no_volume_service)).says(NO_SERVICE),
    Route::new(Get, "/v2.1/os-snapshots", Access::Project, handler!(no_volume_service)).says(NO_SERVICE),
];

const NO_SERVICE: &str = "Says that there is no volume service.";

/// `POST /servers/{server}/remote-consoles`
async fn remote_console(call: Call) -> Result<Reply, CloudError> {
    call.since(6)?;
    let server = call.server().await?;
    let body = call.json()?;
    let fields = super::body::only(&body, "remote_console")?;
    fields.only(&["protocol", "type"])?;
    fields.needed_text("protocol", 1..=16)?;
    let kind = fields.needed_text("type", 1..=16)?;
    Err(CloudError::invalid(format!(
        "Unavailable console type {kind} for instance {}: {NO_CONSOLE}.",
        server.uuid
    )))
}

/// `GET /servers/{server}/diagnostics`
async fn diagnostics(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let node = server.node.map_or_else(|| "NODE".to_owned(), |node| node.to_string());
    Err(CloudError::new(
        StatusCode::NOT_IMPLEMENTED,
        format!(
            "Nothing looks into a machine from outside: see what is known of its hardware (openstack baremetal node show {node})."
        ),
    ))
}

/// `GET /servers/{server}/os-server-password`
async fn password(call: Call) -> Result<Reply, CloudError> {
    call.server().await?;
    Reply::json(&json!({"password": ""}))
}

/// `DELETE /servers/{server}/os-server-password`
async fn clear_password(call: Call) -> Result<Reply, CloudError> {
    call.server().await?;
    Ok(Reply::empty())
}

/// `GET /servers/{server}/topology`
async fn topology(call: Call) -> Result<Reply, CloudError> {
    call.since(78)?;
    call.server().await?;
    Reply::json(&json!({"nodes": [], "pagesize_kb": null}))
}

/// `GET /servers/{server}/migrations`
async fn migrations(call: Call) -> Result<Reply, CloudError> {
    call.since(23)?;
    call.server().await?;
    Reply::json(&json!({"migrations": []}))
}

/// `GET /os-migrations`
async fn all_migrations(_: Call) -> Result<Reply, CloudError> {
    Reply::json(&json!({"migrations": []}))
}

/// `GET /servers/{server}/os-volume_attachments`
async fn volumes(call: Call) -> Result<Reply, CloudError> {
    call.server().await?;
    Reply::json(&json!({"volumeAttachments": []}))
}

/// `POST /servers/{server}/os-volume_attachments`
async fn no_volumes(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let body = call.json()?;
    Fields::new("the request's body", &body)?;
    Err(CloudError::invalid(format!(
        "Nothing can be attached to instance {}: there is no volume service; what a machine has are its own disks.",
        server.uuid
    )))
}

/// `… /servers/{server}/os-volume_attachments/{volume}`
async fn no_volume(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    Err(CloudError::not_found(format!(
        "Volume {} is not attached to instance {}: there is no volume service.",
        call.parameter("volume"),
        server.uuid
    )))
}

/// `GET /os-volumes`
async fn no_volume_service(_: Call) -> Result<Reply, CloudError> {
    Err(CloudError::not_found("There is no volume service: what a machine has are its own disks."))
}

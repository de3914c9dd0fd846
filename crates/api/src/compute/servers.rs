//! `/servers`: the machines that tenants have.

use super::body::{Fields, only, refused};
use super::server_document::{Beside, full};
use super::{server_create, server_list};
use crate::args::parse_uuid;
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post, Put};
use axum::http::StatusCode;
use conductor::servers::Requester;
use model::compute::{Server, ServerGroup};
use serde_json::{Value, json};
use store::{Query, ServerEdit, StoreError};

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/servers", Access::Project, handler!(server_list::index)).says("Lists servers."),
    Route::new(Post, "/v2.1/servers", Access::Project, handler!(server_create::create))
        .says("Makes servers.")
        .success(StatusCode::ACCEPTED),
    Route::new(Get, "/v2.1/servers/detail", Access::Project, handler!(server_list::detail))
        .says("Lists servers in full."),
    Route::new(Get, "/v2.1/servers/{server}", Access::Project, handler!(show)).says("Shows a server."),
    Route::new(Put, "/v2.1/servers/{server}", Access::Project, handler!(update))
        .says("Changes a server's name and description."),
    Route::new(Delete, "/v2.1/servers/{server}", Access::Project, handler!(delete))
        .says("Deletes a server; its machine is cleaned behind the answer.")
        .success(StatusCode::NO_CONTENT),
];

/// Characters of a server's description.
const DESCRIPTION_LENGTH: usize = 255;

impl Call {
    /// The server that the path names, if the caller may see it; others aren't there.
    pub(super) async fn server(&self) -> Result<Server, CloudError> {
        let ident = self.parameter("server");
        let missing = || CloudError::not_found(format!("Instance {ident} could not be found."));
        let uuid = parse_uuid(ident).ok_or_else(missing)?;
        match self.state.store.get::<Server>(&uuid.to_string()).await {
            Ok(server) if self.may_see(&server.project_id) => Ok(server),
            Ok(_) | Err(StoreError::NotFound { .. }) => Err(missing()),
            Err(error) => Err(error.into()),
        }
    }

    /// Who asks, as the conductor wants to know it.
    pub(super) fn requester(&self) -> Result<Requester, CloudError> {
        Ok(Requester {
            request_id: self.request_id.clone(),
            user_id: self.user_id()?.to_owned(),
            project_id: self.project().unwrap_or_default().to_owned(),
            is_operator: self.is_operator(),
        })
    }

    /// Changes words of a server that its machine has nothing to do with. A locked one is its owner's to leave alone.
    pub(super) async fn edit_server<T>(
        &self,
        server: &Server,
        change: impl FnOnce(&mut ServerEdit) -> Result<T, CloudError>,
    ) -> Result<(T, Server), CloudError> {
        let is_operator = self.is_operator();
        let edited = self.state.store.edit_server(server.uuid, self.now(), |edit| {
            if edit.server.locked.is_some() && !is_operator {
                return Err(CloudError::conflict(format!("Instance {} is locked", edit.server.uuid)));
            }
            change(edit)
        });
        edited.await
    }

    /// A server in full, with what is looked up for it.
    pub(super) async fn server_in_full(&self, server: &Server) -> Result<Value, CloudError> {
        let store = &self.state.store;
        let mut beside = Beside::default();
        if self.minor >= 71 {
            let groups: Vec<ServerGroup> =
                store.list(&Query::equal("project_id", &server.project_id)).await?;
            let of_server = groups.iter().filter(|group| group.members.contains(&server.uuid));
            beside.groups = Some(of_server.map(|group| group.uuid).collect());
        }
        if self.sees_all() && self.minor >= 3 && server.has_user_data {
            let secrets = store.server_secrets(server.uuid).await?;
            beside.user_data = secrets.user_data.map(|data| data.expose().to_owned());
        }
        if let Some(node) = server.node
            && let Ok(row) = store.node(&node.to_string()).await
        {
            beside.zone = Some(model::compute::scheduler::zone(&row.node.conductor_group).to_owned());
        }
        Ok(full(self, server, &beside))
    }
}

/// `GET /servers/{server}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    Reply::json(&json!({"server": call.server_in_full(&server).await?}))
}

/// `DELETE /servers/{server}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    call.state.conductor.delete_server(server.uuid, &call.requester()?).await?;
    Ok(Reply::empty())
}

/// `PUT /servers/{server}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    let server = call.server().await?;
    let body = call.json()?;
    let fields = only(&body, "server")?;
    let mut known = vec!["name", "OS-DCF:diskConfig", "accessIPv4", "accessIPv6"];
    if call.minor >= 19 {
        known.push("description");
    }
    if call.minor >= 90 {
        known.push("hostname");
    }
    fields.only(&known)?;
    no_more_than_nova(&fields)?;
    let name = fields.name("name")?.map(str::to_owned);
    let description = description(&fields)?;
    let hostname = hostname(&fields)?;
    let changed = call.edit_server(&server, |edit| {
        if let Some(name) = name {
            edit.server.name = name;
        }
        if let Some(description) = description {
            edit.server.description = description;
        }
        if let Some(hostname) = hostname {
            edit.server.hostname = hostname;
        }
        Ok(())
    });
    let ((), server) = changed.await?;
    Reply::json(&json!({"server": call.server_in_full(&server).await?}))
}

/// A description, or null for none.
pub(super) fn description(fields: &Fields<'_>) -> Result<Option<Option<String>>, CloudError> {
    let given = fields.nullable_text("description", 0..=DESCRIPTION_LENGTH)?;
    Ok(given.map(|text| text.map(str::to_owned)))
}

/// A host name: one label, as RFC 1123 has it.
pub(super) fn hostname(fields: &Fields<'_>) -> Result<Option<String>, CloudError> {
    let Some(name) = fields.text("hostname", 1..=63)? else { return Ok(None) };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !name.chars().all(fits) || name.starts_with('-') || name.ends_with('-') {
        let why = "A host name has letters, digits and '-', and no '-' at its ends.";
        return Err(refused("hostname", &Value::from(name), why));
    }
    Ok(Some(name.to_owned()))
}

/// What Nova takes and what has no meaning on bare metal: it may be said as long as it asks for nothing.
pub(super) fn no_more_than_nova(fields: &Fields<'_>) -> Result<(), CloudError> {
    if let Some(word) = fields.text("OS-DCF:diskConfig", 0..=255)?
        && !["AUTO", "MANUAL"].contains(&word)
    {
        return Err(refused("OS-DCF:diskConfig", &Value::from(word), "It is one of: AUTO, MANUAL"));
    }
    for name in ["accessIPv4", "accessIPv6"] {
        if fields.nullable_text(name, 0..=64)?.flatten().is_some_and(|text| !text.is_empty()) {
            return Err(CloudError::invalid(format!(
                "{name} can't be set: a server is reached at the addresses of its ports."
            )));
        }
    }
    Ok(())
}

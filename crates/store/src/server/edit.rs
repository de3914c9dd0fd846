//! Changing a server, alone or together with its machine.

use super::ServerSecrets;
use super::due;
use crate::node::{Edit, Guard};
use crate::record;
use crate::transaction::Write;
use crate::{Result, Store, StoreError};
use jiff::Timestamp;
use model::compute::{ActionEvent, PastServer, Server, ServerAction};
use model::port::Port;
use model::portgroup::Portgroup;
use telemetry::request::{self, Origin};
use uuid::Uuid;

/// A server being changed, and what is to be said about it.
#[derive(Debug)]
pub struct ServerEdit {
    /// The server; change it in place.
    pub server: Server,
    /// What of it is secret from now on, if that changes.
    pub secrets: Option<ServerSecrets>,
    /// The reconciler is to look at it at once.
    pub nudge: bool,
    actions: Vec<ServerAction>,
    notes: Vec<(String, ActionEvent)>,
}

impl ServerEdit {
    fn new(server: Server) -> Self {
        Self { server, secrets: None, nudge: false, actions: Vec::new(), notes: Vec::new() }
    }

    /// Begins an action, which is the one under way from now on.
    pub fn begin(&mut self, action: ServerAction) {
        self.server.work.request_id = Some(action.request_id.clone());
        self.actions.push(action);
    }

    /// Stores an action that is done at once.
    pub fn record(&mut self, action: ServerAction) {
        self.actions.push(action);
    }

    /// Adds an event to the action under way.
    pub fn note(&mut self, event: ActionEvent) {
        if let Some(request) = &self.server.work.request_id {
            self.notes.push((request.clone(), event));
        }
    }
}

/// A server's machine being changed together with it.
#[derive(Debug)]
pub struct MachineEdit {
    /// The node with its secrets, and what is to be said about it.
    pub edit: Edit,
    /// Its ports; those that change are written.
    pub ports: Vec<Port>,
    /// Its port groups; those that change are written.
    pub portgroups: Vec<Portgroup>,
}

impl Store {
    /// Changes a server as it is stored now, in one transaction with its actions and secrets. If `change` fails, nothing is written.
    pub async fn edit_server<T, E: From<StoreError>>(
        &self,
        server: Uuid,
        now: Timestamp,
        change: impl FnOnce(&mut ServerEdit) -> Result<T, E>,
    ) -> Result<(T, Server), E> {
        let mut tx = self.write_rows().await?;
        let before: Server = record::read(&mut tx, server).await?;
        let mut edit = ServerEdit::new(before.clone());
        let out = change(&mut edit)?;
        self.write_server(&mut tx, &before, &mut edit, now).await?;
        tx.commit().await?;
        if edit.nudge {
            self.nudge_servers();
        }
        Ok((out, edit.server))
    }

    /// Changes a server and a node in one transaction, if nobody holds the node: [`StoreError::Locked`] otherwise. The node need not
    /// be the server's yet. If `change` fails, nothing is written.
    pub async fn edit_server_with_node<T, E: From<StoreError>>(
        &self,
        server: Uuid,
        node: Uuid,
        now: Timestamp,
        change: impl FnOnce(&mut ServerEdit, &mut MachineEdit) -> Result<T, E>,
    ) -> Result<(T, Server), E> {
        let mut tx = self.write().await?;
        let before: Server = record::read(&mut tx, server).await?;
        let node = self.read_open(&mut tx, node, Guard::Free).await?;
        let ports: Vec<Port> = of_node(&mut tx, "ports", node.uuid).await?;
        let portgroups: Vec<Portgroup> = of_node(&mut tx, "portgroups", node.uuid).await?;
        let mut edit = ServerEdit::new(before.clone());
        let mut machine = MachineEdit {
            edit: Edit::new(node.clone()),
            ports: ports.clone(),
            portgroups: portgroups.clone(),
        };
        let out = change(&mut edit, &mut machine)?;
        for (port, _) in machine.ports.iter().zip(&ports).filter(|(after, before)| after != before) {
            record::overwrite(&mut tx, port).await?;
        }
        for (group, _) in machine.portgroups.iter().zip(&portgroups).filter(|(after, before)| after != before)
        {
            record::overwrite(&mut tx, group).await?;
        }
        // A reconciler that goes on with a server does so for the request that began it.
        let of_server = || edit.server.work.request_id.as_deref().map(Origin::of_request);
        let origin = request::current().or_else(of_server);
        let writing = self.write_edit(&mut tx, &node, &mut machine.edit, None, now);
        let told = request::on_behalf_of(origin, writing).await?;
        self.write_server(&mut tx, &before, &mut edit, now).await?;
        tx.commit().await?;
        if machine.edit.node.due.is_some() {
            self.nudge();
        }
        if edit.nudge || told {
            self.nudge_servers();
        }
        Ok((out, edit.server))
    }

    /// Forgets a server with its actions and secrets, if `allow` agrees; of one that ran stays what it used. One that is gone is no error.
    pub async fn delete_server<E: From<StoreError>>(
        &self,
        server: Uuid,
        now: Timestamp,
        allow: impl FnOnce(&Server) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut tx = self.write().await?;
        let last = match record::read::<Server>(&mut tx, server).await {
            Ok(server) => server,
            Err(StoreError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        allow(&last)?;
        if let Some(launched_at) = last.launched_at {
            let past = PastServer {
                uuid: last.uuid,
                name: last.name,
                project_id: last.project_id,
                flavor: last.flavor,
                launched_at,
                ended_at: now,
            };
            record::insert(&mut tx, &past).await?;
        }
        sqlx::query("DELETE FROM servers WHERE uuid = $1")
            .bind(server.to_string())
            .execute(&mut *tx)
            .await
            .map_err(StoreError::from)?;
        tx.commit().await?;
        Ok(())
    }

    /// Writes a server that was changed within a transaction.
    pub(super) async fn write_server(
        &self,
        tx: &mut Write,
        before: &Server,
        edit: &mut ServerEdit,
        now: Timestamp,
    ) -> Result<()> {
        let uuid = before.uuid;
        if edit.server != *before {
            edit.server.updated_at = Some(now);
            record::overwrite(tx, &edit.server).await?;
        }
        for action in &edit.actions {
            record::insert(tx, action).await?;
        }
        for (request, event) in edit.notes.drain(..) {
            note(tx, uuid, &request, event).await?;
        }
        if let Some(secrets) = &edit.secrets {
            self.put_secrets(tx, uuid, secrets).await?;
        }
        if edit.nudge {
            due::nudge(tx, &uuid.to_string(), now).await?;
        }
        Ok(())
    }
}

/// Adds an event to the newest action of a request; one that is not there has none.
async fn note(tx: &mut Write, server: Uuid, request: &str, event: ActionEvent) -> Result<()> {
    let row = sqlx::query(
        "SELECT doc FROM server_actions WHERE server_uuid = $1 AND request_id = $2 ORDER BY id DESC LIMIT 1",
    )
    .bind(server.to_string())
    .bind(request)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let mut action: ServerAction = record::decode(&row)?;
    action.note(event);
    record::overwrite(tx, &action).await
}

/// The parts of a node, in the order of their creation.
async fn of_node<R: record::Record>(tx: &mut Write, table: &'static str, node: Uuid) -> Result<Vec<R>> {
    let sql = match table {
        "ports" => "SELECT doc FROM ports WHERE node_uuid = $1 ORDER BY id",
        _ => "SELECT doc FROM portgroups WHERE node_uuid = $1 ORDER BY id",
    };
    let rows = sqlx::query(sql).bind(node.to_string()).fetch_all(&mut **tx).await?;
    rows.iter().map(record::decode).collect()
}

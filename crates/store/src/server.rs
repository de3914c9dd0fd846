//! Servers: a server and its node change together, and what changes a node wakes its server, in one transaction each.

mod due;
mod edit;
mod past;
mod place;

pub use due::DueServer;
pub use edit::{MachineEdit, ServerEdit};

pub(crate) use due::{concerns, follow};

use crate::record::{self, Record};
use crate::select::Column;
use crate::transaction::Write;
use crate::{Result, Store, StoreError};
use model::Secret;
use model::compute::{Server, ServerAction, ServerUsage};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use uuid::Uuid;

impl Record for Server {
    const TABLE: &'static str = "servers";
    const WHAT: &'static str = "Server";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("id", "id"),
        ("uuid", "uuid"),
        ("display_name", "name"),
        ("hostname", "hostname"),
        ("project_id", "project_id"),
        ("user_id", "user_id"),
        ("vm_state", "vm_state"),
        ("task_state", "task_state"),
        ("status", "status"),
        ("instance_type_id", "flavor_id"),
        ("image_ref", "image_id"),
        ("key_name", "key_name"),
        ("availability_zone", "availability_zone"),
        ("host", "host"),
        ("node", "node_uuid"),
        ("locked", "locked"),
        ("created_at", "created_us"),
        ("updated_at", "updated_us"),
        ("launched_at", "launched_us"),
    ];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        let number = |value: u64| Column::Number(Some(i64::try_from(value).unwrap_or(i64::MAX)));
        vec![
            ("name", Column::text(Some(&self.name))),
            ("hostname", Column::text(Some(&self.hostname))),
            ("project_id", Column::text(Some(&self.project_id))),
            ("user_id", Column::text(Some(&self.user_id))),
            ("vm_state", Column::text(Some(self.vm_state.as_str()))),
            ("task_state", Column::text(self.task_state.map(|state| state.as_str()))),
            ("status", Column::text(Some(self.status()))),
            ("flavor_id", Column::text(Some(&self.flavor.id))),
            ("image_id", Column::text(self.image.as_ref().map(|image| image.id.as_str()))),
            ("key_name", Column::text(self.key.as_ref().map(|key| key.name.as_str()))),
            ("availability_zone", Column::text(self.availability_zone.as_deref())),
            ("host", Column::text(self.host.as_deref())),
            ("node_uuid", Column::id(self.node)),
            ("locked", Column::flag(self.locked.is_some())),
            ("vcpus", number(self.flavor.vcpus)),
            ("ram_mb", number(self.flavor.ram_mb)),
            ("reservation_id", Column::text(Some(&self.reservation_id))),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(self.updated_at)),
            ("launched_us", Column::time(self.launched_at)),
        ]
    }
}

impl Record for ServerAction {
    const TABLE: &'static str = "server_actions";
    const WHAT: &'static str = "Action";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] =
        &[("id", "id"), ("created_at", "created_us")];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("server_uuid", Column::id(Some(self.server_uuid))),
            ("request_id", Column::text(Some(&self.request_id))),
            ("created_us", Column::time(Some(self.started_at))),
        ]
    }

    fn parent(&self) -> (&'static str, String) {
        ("Server", self.server_uuid.to_string())
    }
}

/// What of a server is secret: sealed beside it, and in no list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerSecrets {
    /// User data as the user sent it: base64.
    pub user_data: Option<Secret>,
    /// Files that go onto the config drive (`personality`): path and base64.
    pub files: Vec<(String, Secret)>,
    /// The administrator's password that the user was told, for the config drive.
    pub admin_password: Option<Secret>,
    /// Password of a rescue that is under way.
    pub rescue_password: Option<Secret>,
}

/// A server that is about to be stored.
#[derive(Debug, Clone)]
pub struct NewServer {
    /// The server.
    pub server: Server,
    /// The action that makes it.
    pub action: ServerAction,
    /// What of it is secret.
    pub secrets: ServerSecrets,
}

impl Store {
    /// Stores new servers of one project, all or none, if `allow` agrees with what the project's servers take already. The reconciler
    /// takes them up at once.
    pub async fn create_servers<E: From<StoreError>>(
        &self,
        project: &str,
        servers: &[NewServer],
        allow: impl FnOnce(ServerUsage) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut tx = self.write().await?;
        let usage = sqlx::query(USAGE).bind(project).fetch_one(&mut *tx).await.map_err(StoreError::from)?;
        allow(read_usage(&usage)?)?;
        for new in servers {
            record::insert(&mut tx, &new.server).await?;
            record::insert(&mut tx, &new.action).await?;
            self.put_secrets(&mut tx, new.server.uuid, &new.secrets).await?;
            due::nudge(&mut tx, &new.server.uuid.to_string(), new.server.created_at).await?;
        }
        tx.commit().await?;
        self.nudge_servers();
        Ok(())
    }

    /// What a project's servers take of its quota.
    pub async fn server_usage(&self, project: &str) -> Result<ServerUsage> {
        let row = sqlx::query(USAGE).bind(project).fetch_optional(self.read()).await?;
        row.as_ref().map_or(Ok(ServerUsage::default()), read_usage)
    }

    /// What of a server is secret.
    pub async fn server_secrets(&self, server: Uuid) -> Result<ServerSecrets> {
        let row = sqlx::query("SELECT sealed FROM server_secrets WHERE server_uuid = $1")
            .bind(server.to_string())
            .fetch_optional(self.read())
            .await?;
        let Some(row) = row else { return Ok(ServerSecrets::default()) };
        let plain = self.sealer().open_sealed(&label(server), row.try_get("sealed")?)?;
        serde_json::from_slice(&plain).map_err(|source| StoreError::Corrupt { what: label(server), source })
    }

    /// What was done with a server, the oldest first.
    pub async fn server_actions(&self, server: Uuid) -> Result<Vec<ServerAction>> {
        self.list(&record::Query::equal("server_uuid", server.to_string())).await
    }

    /// Writes what is secret within a transaction; nothing is kept where nothing is.
    async fn put_secrets(&self, tx: &mut Write, server: Uuid, secrets: &ServerSecrets) -> Result<()> {
        if *secrets == ServerSecrets::default() {
            sqlx::query("DELETE FROM server_secrets WHERE server_uuid = $1")
                .bind(server.to_string())
                .execute(&mut **tx)
                .await?;
            return Ok(());
        }
        let plain = serde_json::to_vec(secrets)
            .map_err(|source| StoreError::Corrupt { what: label(server), source })?;
        sqlx::query(
            "INSERT INTO server_secrets (server_uuid, sealed) VALUES ($1, $2) \
             ON CONFLICT (server_uuid) DO UPDATE SET sealed = excluded.sealed",
        )
        .bind(server.to_string())
        .bind(self.sealer().seal(&label(server), &plain)?)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

const USAGE: &str = "SELECT COUNT(*) AS instances, CAST(COALESCE(SUM(vcpus), 0) AS BIGINT) AS cores, \
                     CAST(COALESCE(SUM(ram_mb), 0) AS BIGINT) AS ram_mb FROM servers WHERE project_id = $1";

fn read_usage(row: &sqlx::any::AnyRow) -> Result<ServerUsage> {
    let number = |name: &str| Ok::<_, StoreError>(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or(0));
    Ok(ServerUsage { instances: number("instances")?, cores: number("cores")?, ram_mb: number("ram_mb")? })
}

fn label(server: Uuid) -> String {
    format!("server {server}")
}

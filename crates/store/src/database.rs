//! Opening the database: the state directory, its lock, connections, migrations.

use crate::Result;
use crate::readers::Readers;
use crate::seal::Sealer;
use crate::writer::{Write, Writer};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, SqlSafeStr};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::Notify;

/// What is told of an error that has many sources.
pub(crate) type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// Why a state directory can't be used. Each is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file or directory can't be made, read or locked.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The directory holds other things than Billet's.
    #[error("{} is not a Billet state directory: it is not empty and has no billet.db (choose another with --state-dir)", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// Another process uses it.
    #[error("{} is in use by another billet process (stop it, or choose another with --state-dir)", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The database can't be opened or brought up to date.
    #[error("{}: {source}", path.display())]
    Database {
        /// Which.
        path: PathBuf,
        /// Why.
        source: BoxedError,
    },
}

/// The database of one site. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Writer,
    readers: Readers,
    sealer: Sealer,
    due: Notify,
    identity_generation: AtomicU64,
    servers_due: Notify,
    _lock: fs::File,
}

const DATABASE: &str = "billet.db";

impl Store {
    /// Opens, or makes, the SQLite database in a state directory, and brings it up to date.
    ///
    /// The directory is locked for as long as the store lives, so leases that a dead process left in it can be dropped at once
    /// (see [`Store::release_all`]).
    pub async fn open(state_dir: &Path) -> Result<Self, OpenError> {
        let lock = prepare(state_dir)?;
        let path = state_dir.join(DATABASE);
        let failed = |source: BoxedError| OpenError::Database { path: path.clone(), source };
        bring_up_to_date(&path).await.map_err(failed)?;
        let writer = Writer::open(&path).map_err(|error| failed(error.into()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
            .map_err(|source| OpenError::File { path: path.clone(), source })?;
        let readers = Readers::new(&path);
        let sealer = Sealer::open(&state_dir.join("seal.key"))?;
        Ok(Self {
            inner: Arc::new(Inner {
                writer,
                readers,
                sealer,
                due: Notify::new(),
                servers_due: Notify::new(),
                identity_generation: AtomicU64::new(0),
                _lock: lock,
            }),
        })
    }

    /// Other processes may use the database too.
    pub fn is_shared(&self) -> bool {
        false
    }

    /// Begins a change; writers queue up here, and those that do share a transaction ([`crate::writer`]).
    pub(crate) async fn write(&self) -> Result<Write> {
        self.inner.writer.write().await
    }

    pub(crate) fn read(&self) -> &Readers {
        &self.inner.readers
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.inner.sealer
    }

    pub(crate) fn identity_generation(&self) -> &AtomicU64 {
        &self.inner.identity_generation
    }

    /// A key for signing, one for each purpose, that lasts as long as the state directory's `seal.key`.
    pub fn derived_key(&self, purpose: &str) -> [u8; 32] {
        self.sealer().derive(purpose)
    }

    /// Waits until some node may have become due since the last call returned.
    pub async fn due(&self) {
        self.inner.due.notified().await;
    }

    pub(crate) fn nudge(&self) {
        self.inner.due.notify_one();
    }

    /// Waits until some server may have become due since the last call returned.
    pub async fn servers_due(&self) {
        self.inner.servers_due.notified().await;
    }

    pub(crate) fn nudge_servers(&self) {
        self.inner.servers_due.notify_one();
    }

    /// Lets this process look at once for nodes and servers that are due.
    pub fn look_again(&self) {
        self.nudge();
        self.nudge_servers();
    }

    /// Answers if the database does: for the health check.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(self.read()).await?;
        Ok(())
    }

    /// Writes everything out and closes the connections.
    pub async fn close(&self) {
        self.inner.readers.close();
        self.inner.writer.close().await;
    }
}

/// Makes the database if need be, and runs the migrations that it lacks.
async fn bring_up_to_date(path: &Path) -> Result<(), BoxedError> {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(&format!("sqlite://{}?mode=rwc", path.display())).await?;
    // The log's mode before the first table: it stays with the file.
    connection
        .execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
        .await?;
    migrations().run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Makes the directory if need be, refuses a foreign one, and takes its lock.
fn prepare(state_dir: &Path) -> Result<fs::File, OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::File { path, source }
    };
    fs::create_dir_all(state_dir).map_err(failed(state_dir))?;
    let lock_path = state_dir.join("lock");
    let known = [DATABASE, "lock"].iter().any(|name| state_dir.join(name).exists());
    let mut entries = fs::read_dir(state_dir).map_err(failed(state_dir))?;
    // `ramdisk` may be put there before the first start.
    let foreign = entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "ramdisk"));
    if !known && foreign {
        return Err(OpenError::Foreign { path: state_dir.to_owned() });
    }
    fs::set_permissions(state_dir, fs::Permissions::from_mode(0o700)).map_err(failed(state_dir))?;
    let lock = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(failed(&lock_path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse { path: state_dir.to_owned() }),
        Err(fs::TryLockError::Error(source)) => Err(OpenError::File { path: lock_path, source }),
    }
}

/// The numbered migrations, forward only. `{id}` and `{bytes}` stand for the dialect's self-numbering key and byte string.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "first", include_str!("../migrations/0001_first.sql")),
    (2, "groups", include_str!("../migrations/0002_groups.sql")),
    (3, "allocations", include_str!("../migrations/0003_allocations.sql")),
    (4, "hardware", include_str!("../migrations/0004_hardware.sql")),
    (5, "inventory", include_str!("../migrations/0005_inventory.sql")),
    (6, "identity", include_str!("../migrations/0006_identity.sql")),
    (7, "images", include_str!("../migrations/0007_images.sql")),
    (8, "networks", include_str!("../migrations/0008_networks.sql")),
    (9, "compute", include_str!("../migrations/0009_compute.sql")),
    (10, "servers", include_str!("../migrations/0010_servers.sql")),
    (11, "object_store", include_str!("../migrations/0011_object_store.sql")),
    (13, "conductors", include_str!("../migrations/0013_conductors.sql")),
];

/// The migrations in SQLite's dialect.
fn migrations() -> Migrator {
    let in_dialect =
        |sql: &str| sql.replace("{id}", "INTEGER PRIMARY KEY AUTOINCREMENT").replace("{bytes}", "BLOB");
    let migration = |(number, name, sql): &(i64, &'static str, &str)| {
        let sql = AssertSqlSafe(in_dialect(sql)).into_sql_str();
        Migration::new(*number, (*name).into(), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use model::node::Node;
    use model::port::Port;
    use uuid::Uuid;

    /// Each migration must do on a database that was in use before it.
    #[tokio::test]
    async fn a_database_of_the_first_version_is_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}?mode=rwc", dir.path().join(DATABASE).display());
        let old = sqlx::any::AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
        let first: Vec<_> = migrations().iter().filter(|step| step.version == 1).cloned().collect();
        Migrator::with_migrations(first).run(&old).await.unwrap();
        let now = Timestamp::now();
        let node = Node::new(Uuid::new_v4(), "ipmi", now);
        let port = Port::new(Uuid::new_v4(), node.uuid, "52:54:00:00:00:01".into(), now);
        sqlx::query(
            "INSERT INTO nodes (uuid, provision_state, driver, maintenance, retired, conductor_group, created_us, doc) \
             VALUES ($1, 'enroll', 'ipmi', 0, 0, '', 0, $2)",
        )
        .bind(node.uuid.to_string())
        .bind(serde_json::to_string(&node).unwrap())
        .execute(&old)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO ports (uuid, node_uuid, address, created_us, doc) VALUES ($1, $2, $3, 0, $4)",
        )
        .bind(port.uuid.to_string())
        .bind(node.uuid.to_string())
        .bind(&port.address)
        .bind(serde_json::to_string(&port).unwrap())
        .execute(&old)
        .await
        .unwrap();
        old.close().await;

        let store = Store::open(dir.path()).await.unwrap();
        assert_eq!(store.node(&node.uuid.to_string()).await.unwrap().node, node);
        store.update(&port).await.unwrap();
        assert_eq!(store.ports_of_node(node.uuid).await.unwrap(), [port]);
    }
}

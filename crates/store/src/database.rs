//! Opening the database: the state directory, its lock, connections, migrations.

use crate::Result;
use crate::migrations::Dialect;
use crate::postgres::{Notices, Postgres, Topic};
use crate::readers::Readers;
use crate::seal::Sealer;
use crate::sqlite;
use crate::state_dir;
use crate::transaction::{Backend, Reach, Write};
use sqlx::{AnyConnection, Connection, Executor, Row};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// What is told of an error that has many sources.
pub(crate) type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// Why a state directory or a database can't be used. Each is one line for the operator, its sources behind it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file or directory can't be made, read or locked.
    #[error("{}", path.display())]
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
    #[error("{} is in use by another billet process: stop it, or choose another with --state-dir (several processes of one site need \
             --database postgres://…)", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The database was made with another key, so its secrets can't be read.
    #[error(
        "{} is not the key of this database: copy the file from the state directory of a process that uses it", path.display()
    )]
    ForeignKey {
        /// The key file.
        path: PathBuf,
    },
    /// The URL of the database can't be used.
    #[error(
        "the database's URL has to begin with postgres:// (for SQLite give none: it is in the state directory)"
    )]
    Url,
    /// The database at a URL can't be reached or brought up to date.
    #[error("database {place}")]
    Remote {
        /// Host, port and name, without password.
        place: String,
        /// Why.
        source: BoxedError,
    },
    /// The database can't be opened or brought up to date.
    #[error("{}", path.display())]
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
    writers: Writers,
    readers: Readers,
    sealer: Sealer,
    word: Arc<Word>,
    /// Between processes, where there may be several.
    notices: Option<Notices>,
    /// The state directory's, where no other process may use the database.
    _lock: Option<fs::File>,
}

enum Writers {
    Sqlite(sqlite::Writer),
    Postgres(Postgres),
}

/// What this process was told of changes.
#[derive(Default)]
struct Word {
    due: Notify,
    servers_due: Notify,
    identity_generation: AtomicU64,
}

impl Word {
    fn heed(&self, topic: Topic) {
        match topic {
            Topic::Nodes => self.due.notify_one(),
            Topic::Servers => self.servers_due.notify_one(),
            Topic::Identity => {
                self.identity_generation.fetch_add(1, Ordering::AcqRel);
            }
        }
    }
}

pub(crate) const DATABASE: &str = "billet.db";

impl Store {
    /// Opens, or makes, the SQLite database in a state directory, and brings it up to date.
    ///
    /// The directory is locked for as long as the store lives, so leases that a dead process left in it can be dropped at once
    /// (see [`Store::release_all`]).
    pub async fn open(state_dir: &Path) -> Result<Self, OpenError> {
        state_dir::prepare(state_dir)?;
        let lock = state_dir::lock(state_dir)?;
        let path = state_dir.join(DATABASE);
        let failed = |source: BoxedError| OpenError::Database { path: path.clone(), source };
        let url = format!("sqlite://{}?mode=rwc", path.display());
        bring_up_to_date(&url, Dialect::Sqlite).await.map_err(failed)?;
        let writer = sqlite::Writer::open(&path).map_err(|error| failed(error.into()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
            .map_err(|source| OpenError::File { path: path.clone(), source })?;
        let key = state_dir.join("seal.key");
        let store = Self {
            inner: Arc::new(Inner {
                writers: Writers::Sqlite(writer),
                readers: Readers::Sqlite(sqlite::Readers::new(&path)),
                sealer: Sealer::open(&key)?,
                word: Arc::default(),
                notices: None,
                _lock: Some(lock),
            }),
        };
        store.check_key(&key, failed).await?;
        Ok(store)
    }

    /// Opens a PostgreSQL database that other processes may use too, and brings it up to date. The state directory holds the site's
    /// key, which all of them share; the URL is as libpq's, `postgres://user@host/database`.
    pub async fn connect(state_dir: &Path, url: &str) -> Result<Self, OpenError> {
        let place = place(url).ok_or(OpenError::Url)?;
        let failed = |source: BoxedError| OpenError::Remote { place: place.clone(), source };
        state_dir::prepare(state_dir)?;
        bring_up_to_date(url, Dialect::Postgres).await.map_err(failed)?;
        let database = Postgres::new(url).map_err(|error| failed(error.into()))?;
        let key = state_dir.join("seal.key");
        let word: Arc<Word> = Arc::default();
        let told = Arc::clone(&word);
        let store = Self {
            inner: Arc::new(Inner {
                readers: Readers::Postgres(database.clone()),
                sealer: Sealer::open(&key)?,
                notices: Some(Notices::start(&database, move |topic| told.heed(topic))),
                writers: Writers::Postgres(database),
                word,
                _lock: None,
            }),
        };
        store.check_key(&key, failed).await?;
        Ok(store)
    }

    /// Other processes may use the database too.
    pub fn is_shared(&self) -> bool {
        self.inner.notices.is_some()
    }

    /// The first process writes down which key is the site's; a process with another one would seal what nobody else can open.
    async fn check_key(
        &self,
        path: &Path,
        failed: impl Fn(BoxedError) -> OpenError,
    ) -> Result<(), OpenError> {
        let own = self.key_mark();
        let outcome: Result<Vec<u8>> = async {
            let sql = "SELECT value FROM site WHERE name = 'seal key'";
            // It is there but for the first time, and a process that starts need not keep the others from their work.
            if let Some(row) = sqlx::query(sql).fetch_optional(self.read()).await? {
                return Ok(row.try_get("value")?);
            }
            let mut tx = self.write().await?;
            sqlx::query("INSERT INTO site (name, value) VALUES ('seal key', $1) ON CONFLICT DO NOTHING")
                .bind(own.to_vec())
                .execute(&mut *tx)
                .await?;
            let row = sqlx::query(sql).fetch_one(&mut *tx).await?;
            tx.commit().await?;
            Ok(row.try_get("value")?)
        }
        .await;
        match outcome {
            Ok(known) if known == own => Ok(()),
            Ok(_) => Err(OpenError::ForeignKey { path: path.to_owned() }),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// What tells whether two keys are the same, and nothing else of them.
    pub(crate) fn key_mark(&self) -> [u8; 32] {
        self.sealer().derive("telling whether two keys are the same")
    }

    /// Begins a change that may read and write whatever it likes, as if it were alone.
    pub(crate) async fn write(&self) -> Result<Write> {
        self.begin(Reach::All).await
    }

    /// Begins a change that reads the rows it decides by with [`Write::row_lock`]; those of other rows run beside it.
    pub(crate) async fn write_rows(&self) -> Result<Write> {
        self.begin(Reach::Rows).await
    }

    /// Begins the change by which a process says that it lives.
    pub(crate) async fn write_life(&self) -> Result<Write> {
        self.begin(Reach::Life).await
    }

    async fn begin(&self, reach: Reach) -> Result<Write> {
        match &self.inner.writers {
            // Writers queue up, and those that do share a transaction.
            Writers::Sqlite(writer) => Ok(Write::new(Backend::Sqlite(writer.write().await?))),
            Writers::Postgres(database) => Ok(Write::new(Backend::Postgres(database.write(reach).await?))),
        }
    }

    /// Changes of this process in the lane that this runs in which wait for a connection. SQLite's wait in one queue, whoever's they
    /// are, and commit together: there it is none.
    pub fn backlog(&self) -> usize {
        match &self.inner.writers {
            Writers::Sqlite(_) => 0,
            Writers::Postgres(database) => database.backlog(),
        }
    }

    /// Changes of this process that wait for their turn.
    pub(crate) fn waiting_writers(&self) -> usize {
        match &self.inner.writers {
            Writers::Sqlite(writer) => writer.waiting(),
            Writers::Postgres(database) => database.waiting(),
        }
    }

    /// PostgreSQL, if the database is one.
    pub(crate) fn postgres(&self) -> Option<&Postgres> {
        match &self.inner.writers {
            Writers::Sqlite(_) => None,
            Writers::Postgres(database) => Some(database),
        }
    }

    pub(crate) fn read(&self) -> &Readers {
        &self.inner.readers
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.inner.sealer
    }

    /// A number that differs whenever identity data may have changed since it was asked for.
    pub(crate) fn identity_generation(&self) -> u64 {
        let generation = &self.inner.word.identity_generation;
        match &self.inner.notices {
            // Another process may have changed something, and nobody says so.
            Some(notices) if !notices.is_listening() => generation.fetch_add(1, Ordering::AcqRel) + 1,
            _ => generation.load(Ordering::Acquire),
        }
    }

    pub(crate) fn identity_has_changed(&self) {
        self.tell(Topic::Identity);
    }

    /// Tells this process now, and others soon.
    fn tell(&self, topic: Topic) {
        self.inner.word.heed(topic);
        if let Some(notices) = &self.inner.notices {
            notices.tell(topic);
        }
    }

    /// A key for signing, one for each purpose, that lasts as long as the state directory's `seal.key`.
    pub fn derived_key(&self, purpose: &str) -> [u8; 32] {
        self.sealer().derive(purpose)
    }

    /// Waits until some node may have become due since the last call returned.
    pub async fn due(&self) {
        self.inner.word.due.notified().await;
    }

    pub(crate) fn nudge(&self) {
        self.tell(Topic::Nodes);
    }

    /// Waits until some server may have become due since the last call returned.
    pub async fn servers_due(&self) {
        self.inner.word.servers_due.notified().await;
    }

    pub(crate) fn nudge_servers(&self) {
        self.tell(Topic::Servers);
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
        self.inner.readers.close().await;
        match &self.inner.writers {
            Writers::Sqlite(writer) => writer.close().await,
            Writers::Postgres(database) => database.close().await,
        }
    }
}

/// Makes the database if need be, and runs the migrations that it lacks.
pub(crate) async fn bring_up_to_date(url: &str, dialect: Dialect) -> Result<(), BoxedError> {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await?;
    if dialect == Dialect::Sqlite {
        // The log's mode before the first table: it stays with the file.
        connection
            .execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
            .await?;
    }
    dialect.migrations().run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Where a PostgreSQL database is, for people to read; `None`: the URL is not one.
fn place(url: &str) -> Option<String> {
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"))?;
    let rest = rest.split('?').next().unwrap_or_default();
    Some(rest.rsplit('@').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use model::node::Node;
    use model::port::Port;
    use sqlx::migrate::Migrator;
    use uuid::Uuid;

    /// Each migration must do on a database that was in use before it.
    #[tokio::test]
    async fn a_database_of_the_first_version_is_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}?mode=rwc", dir.path().join(DATABASE).display());
        let old = sqlx::any::AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
        let first: Vec<_> =
            Dialect::Sqlite.migrations().iter().filter(|step| step.version == 1).cloned().collect();
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

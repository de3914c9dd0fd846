//! Stores for tests: on SQLite or, where [`VARIABLE`] names a cluster, each in a PostgreSQL database of its own.

use crate::database::{BoxedError, bring_up_to_date};
use crate::migrations::Dialect;
use crate::{OpenError, Store};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, Row};
use std::path::Path;

/// The environment variable with the URL of a throw-away cluster, `postgres://user@host:port` without a database.
pub const VARIABLE: &str = "BILLET_TEST_DATABASE";

const TEMPLATE: &str = "billet_template";
/// Number of the advisory lock under which the template is made.
const LOCK: i64 = 14;

/// Opens the store of a test's directory; the same directory has the same store again.
pub async fn open(dir: &Path) -> Result<Store, OpenError> {
    let Ok(cluster) = std::env::var(VARIABLE) else { return Store::open(dir).await };
    let failed = |source: BoxedError| OpenError::Remote { place: cluster.clone(), source };
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    make(&cluster, dir, &name).await.map_err(failed)?;
    Store::connect(dir, &format!("{cluster}/{}", name.replace('%', "%25"))).await
}

async fn make(cluster: &str, dir: &Path, name: &str) -> Result<(), BoxedError> {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(&format!("{cluster}/postgres")).await?;
    let databases = sqlx::query("SELECT CAST(datname AS TEXT) AS name FROM pg_database")
        .fetch_all(&mut connection)
        .await?;
    let databases: Vec<String> = databases.iter().map(|row| row.try_get("name")).collect::<Result<_, _>>()?;
    if databases.iter().any(|known| known == name) {
        return Ok(());
    }
    // Those of tests that have ended, and removed their directory.
    let is_over = |known: &&String| {
        known.starts_with(".tmp") && !dir.with_file_name(known).exists() && !known.contains('"')
    };
    for known in databases.iter().filter(is_over).take(2) {
        let drop = format!("DROP DATABASE IF EXISTS \"{known}\" WITH (FORCE)");
        connection.execute(AssertSqlSafe(drop)).await?;
    }
    make_template(cluster, &mut connection).await?;
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE \"{name}\" TEMPLATE {TEMPLATE}"))).await?;
    Ok(connection.close().await?)
}

/// Brings one database up to date, of which the others are copies: that takes a tenth of the time.
async fn make_template(cluster: &str, connection: &mut AnyConnection) -> Result<(), BoxedError> {
    sqlx::query("SELECT CAST(pg_advisory_lock($1) AS TEXT)").bind(LOCK).execute(&mut *connection).await?;
    let known = sqlx::query("SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate")
        .bind(TEMPLATE)
        .fetch_optional(&mut *connection)
        .await?;
    if known.is_none() {
        connection.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {TEMPLATE}"))).await?;
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {TEMPLATE}"))).await?;
        bring_up_to_date(&format!("{cluster}/{TEMPLATE}"), Dialect::Postgres).await?;
        connection.execute(AssertSqlSafe(format!("ALTER DATABASE {TEMPLATE} IS_TEMPLATE true"))).await?;
    }
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(LOCK).execute(&mut *connection).await?;
    Ok(())
}

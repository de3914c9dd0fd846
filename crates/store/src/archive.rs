//! A whole site in one file, from one database into another.
//!
//! Lines of JSON: a head, then for each table its name and columns, and each of its rows as an array (bytes in hex within an
//! object), and an end that counts them. Secrets stay sealed: the file is of use only with the site's `seal.key`.

use crate::migrations::{Dialect, newest};
use crate::transaction::Write;
use crate::{Result, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Executor, Row};
use std::io::BufRead;

/// The tables, those first to which others refer, and the key by which each is read in pages. What is of processes and not of the site
/// (`site`, `conductors`, `task_leases`) stays behind.
pub(crate) const TABLES: &[(&str, &[&str])] = &[
    ("chassis", ID),
    ("nodes", ID),
    ("portgroups", ID),
    ("ports", ID),
    ("config_drives", NODE),
    ("events", ID),
    ("dhcp_leases", &["mac"]),
    ("volume_connectors", ID),
    ("volume_targets", ID),
    ("allocations", ID),
    ("deploy_templates", ID),
    ("runbooks", ID),
    ("inspection_rules", ID),
    ("bios_settings", ID),
    ("firmware_components", ID),
    ("node_history", ID),
    ("node_inventory", NODE),
    ("node_findings", NODE),
    ("identity_domains", ID),
    ("identity_projects", ID),
    ("identity_users", ID),
    ("identity_groups", ID),
    ("identity_members", &["group_id", "user_id"]),
    ("identity_roles", ID),
    ("identity_implied_roles", &["prior", "implied"]),
    ("identity_assignments", ID),
    ("identity_regions", ID),
    ("identity_services", ID),
    ("identity_endpoints", ID),
    ("identity_application_credentials", ID),
    ("identity_revocations", &["audit_id"]),
    ("images", ID),
    ("image_tags", &["image_uuid", "tag"]),
    ("image_properties", &["image_uuid", "name"]),
    ("image_members", &["image_uuid", "project"]),
    ("image_tasks", ID),
    ("networks", ID),
    ("subnets", ID),
    ("network_ports", ID),
    ("network_addresses", &["network_uuid", "address"]),
    ("security_groups", ID),
    ("network_quotas", &["project_id", "resource"]),
    ("flavors", ID),
    ("keypairs", ID),
    ("compute_quotas", ID),
    ("server_groups", ID),
    ("aggregates", ID),
    ("servers", ID),
    ("server_secrets", &["server_uuid"]),
    ("server_actions", ID),
    ("past_servers", ID),
    ("object_accounts", ID),
    ("object_containers", ID),
    ("objects", ID),
    ("object_bodies", &["uuid"]),
];
const ID: &[&str] = &["id"];
const NODE: &[&str] = &["node_uuid"];

/// Rows that are in memory at once.
const PAGE: i64 = 200;
const FORMAT: u32 = 1;

/// Why a site can't be exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file can't be read or written.
    #[error("the archive: {0}")]
    File(#[from] std::io::Error),
    /// The file is not an archive, or not a whole one.
    #[error("line {line} of the archive: {why}")]
    Malformed {
        /// Counted from 1.
        line: u64,
        /// What is wrong there.
        why: String,
    },
    /// It was written by a program with other tables.
    #[error(
        "the archive has the tables of migration {theirs} and this program those of {ours}: bring the old site up to date \
         with this program (billet db migrate), then export it again"
    )]
    Version {
        /// The archive's.
        theirs: i64,
        /// This program's.
        ours: i64,
    },
    /// It was sealed with another key.
    #[error(
        "the archive's secrets are sealed with another key: copy seal.key from the old site's state directory, before the first start"
    )]
    ForeignKey,
    /// There is a site already.
    #[error("the database has rows in {0} already: a site is imported into an empty database")]
    NotEmpty(&'static str),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ArchiveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    billet_archive: u32,
    migration: i64,
    key: String,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Holds {
    Number,
    Text,
    Bytes,
}

pub(crate) type Columns = Vec<(String, Holds)>;

impl Store {
    /// Writes the whole site, as it is at one moment: changes wait meanwhile. Out comes the number of rows.
    pub async fn export(&self, out: &mut (dyn std::io::Write + Send)) -> Result<u64, ArchiveError> {
        let mut tx = self.write().await?;
        let head = Head { billet_archive: FORMAT, migration: newest(), key: hex(&self.key_mark()) };
        writeln!(out, "{}", json!(head))?;
        let mut count = 0;
        for (table, key) in TABLES {
            let columns = columns(&mut tx, table).await?;
            writeln!(out, "{}", json!({"table": table, "columns": columns}))?;
            let mut last: Option<AnyRow> = None;
            loop {
                let rows = page(&mut tx, table, key, &columns, last.as_ref()).await?;
                for row in &rows {
                    let values = columns.iter().map(|(name, holds)| value(row, name, *holds));
                    writeln!(out, "{}", Value::Array(values.collect::<Result<_>>()?))?;
                    count += 1;
                }
                match rows.into_iter().next_back() {
                    Some(row) => last = Some(row),
                    None => break,
                }
            }
        }
        writeln!(out, "{}", json!({"rows": count}))?;
        Ok(count)
    }

    /// Reads a whole site into an empty database: all of it or nothing. Out comes the number of rows. Nodes are held by nobody then.
    pub async fn import(&self, input: &mut (dyn BufRead + Send)) -> Result<u64, ArchiveError> {
        let mut lines = Lines { input, number: 0 };
        let head: Head = lines.parse()?;
        if head.billet_archive != FORMAT || head.migration != newest() {
            return Err(ArchiveError::Version { theirs: head.migration, ours: newest() });
        }
        if head.key != hex(&self.key_mark()) {
            return Err(ArchiveError::ForeignKey);
        }
        let mut tx = self.write().await?;
        for (table, _) in TABLES {
            let sql = format!("SELECT 1 FROM {table} LIMIT 1");
            if sqlx::query(AssertSqlSafe(sql)).fetch_optional(&mut *tx).await?.is_some() {
                return Err(ArchiveError::NotEmpty(table));
            }
        }
        let mut count = 0;
        let mut into: Option<(String, Columns)> = None;
        let told = loop {
            match lines.parse()? {
                Value::Array(row) => {
                    let Some((sql, columns)) = &into else {
                        return Err(lines.malformed("a row before its table"));
                    };
                    insert(&mut tx, sql, columns, row, &lines).await?;
                    count += 1;
                }
                Value::Object(mut object) => match object.remove("rows") {
                    Some(rows) => break rows,
                    None => into = Some(table(&mut tx, object, &lines).await?),
                },
                _ => return Err(lines.malformed("neither a table nor a row")),
            }
        };
        if told != json!(count) {
            return Err(lines.malformed(&format!("{told} rows were written and {count} read")));
        }
        tx.execute("UPDATE nodes SET lease_holder = NULL, lease_session = NULL").await?;
        number_on(&mut tx).await?;
        tx.commit().await?;
        Ok(count)
    }
}

/// The columns of a table, as the database tells them.
pub(crate) async fn columns(tx: &mut Write, table: &str) -> Result<Columns> {
    let sql = match tx.dialect() {
        Dialect::Sqlite => "SELECT name, type FROM pragma_table_info($1) ORDER BY cid",
        Dialect::Postgres => {
            "SELECT CAST(column_name AS TEXT) AS name, CAST(data_type AS TEXT) AS type FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
        }
    };
    let rows = sqlx::query(sql).bind(table.to_owned()).fetch_all(&mut **tx).await?;
    let column = |row: &AnyRow| {
        let declared: String = row.try_get("type")?;
        let holds = match declared.to_ascii_uppercase().as_str() {
            "INTEGER" | "BIGINT" => Holds::Number,
            "BLOB" | "BYTEA" => Holds::Bytes,
            _ => Holds::Text,
        };
        Ok((row.try_get("name")?, holds))
    };
    rows.iter().map(column).collect()
}

/// The rows behind `last`, in the order of the key.
async fn page(
    tx: &mut Write,
    table: &str,
    key: &[&str],
    columns: &Columns,
    last: Option<&AnyRow>,
) -> Result<Vec<AnyRow>> {
    let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let (names, order) = (names.join(", "), key.join(", "));
    let marks: Vec<_> = (1..=key.len()).map(|n| format!("${n}")).collect();
    let behind = last.map_or_else(String::new, |_| format!(" WHERE ({order}) > ({})", marks.join(", ")));
    let sql = format!("SELECT {names} FROM {table}{behind} ORDER BY {order} LIMIT {PAGE}");
    let mut query = sqlx::query(AssertSqlSafe(sql));
    if let Some(last) = last {
        for name in key {
            query = match columns.iter().find(|(known, _)| known == name) {
                Some((_, Holds::Number)) => query.bind(last.try_get::<i64, _>(*name)?),
                _ => query.bind(last.try_get::<String, _>(*name)?),
            };
        }
    }
    Ok(query.fetch_all(&mut **tx).await?)
}

fn value(row: &AnyRow, name: &str, holds: Holds) -> Result<Value> {
    Ok(match holds {
        Holds::Number => json!(row.try_get::<Option<i64>, _>(name)?),
        Holds::Text => json!(row.try_get::<Option<String>, _>(name)?),
        Holds::Bytes => {
            row.try_get::<Option<Vec<u8>>, _>(name)?.map_or(Value::Null, |bytes| json!({"hex": hex(&bytes)}))
        }
    })
}

/// What a table's line asks for: the statement that inserts its rows, if this program has such a table with such columns.
async fn table(
    tx: &mut Write,
    mut line: Map<String, Value>,
    lines: &Lines<'_>,
) -> Result<(String, Columns), ArchiveError> {
    let name = line.remove("table");
    let known = TABLES.iter().find(|(table, _)| name.as_ref().is_some_and(|name| name == table));
    let Some((name, _)) = known else { return Err(lines.malformed("no table of this program's")) };
    let columns: Columns = serde_json::from_value(line.remove("columns").unwrap_or_default())
        .map_err(|error| lines.malformed(&error.to_string()))?;
    let mut own = self::columns(tx, name).await?;
    // A table that was extended has its columns in another order than one that was made so.
    own.retain(|column| columns.contains(column));
    if own.len() != columns.len() || columns.is_empty() {
        return Err(lines.malformed(&format!("{name} has other columns in this program")));
    }
    let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let marks: Vec<_> = (1..=columns.len()).map(|n| format!("${n}")).collect();
    let sql = format!("INSERT INTO {name} ({}) VALUES ({})", names.join(", "), marks.join(", "));
    Ok((sql, columns))
}

async fn insert(
    tx: &mut Write,
    sql: &str,
    columns: &Columns,
    row: Vec<Value>,
    lines: &Lines<'_>,
) -> Result<(), ArchiveError> {
    if row.len() != columns.len() {
        return Err(lines.malformed("a row of another length than its table"));
    }
    let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    for ((name, holds), value) in columns.iter().zip(row) {
        query = bind(query, *holds, value)
            .ok_or_else(|| lines.malformed(&format!("{name} is of another kind")))?;
    }
    match query.execute(&mut **tx).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.as_database_error() {
            Some(database) => lines.malformed(database.message()),
            None => error.into(),
        }),
    }
}

fn bind(
    query: Query<'_, Any, AnyArguments>,
    holds: Holds,
    value: Value,
) -> Option<Query<'_, Any, AnyArguments>> {
    Some(match (holds, value) {
        (Holds::Number, Value::Null) => query.bind(None::<i64>),
        (Holds::Number, value) => query.bind(value.as_i64()?),
        (Holds::Text, Value::Null) => query.bind(None::<String>),
        (Holds::Text, Value::String(text)) => query.bind(text),
        (Holds::Bytes, Value::Null) => query.bind(None::<Vec<u8>>),
        (Holds::Bytes, value) => query.bind(unhex(value.get("hex")?.as_str()?)?),
        _ => return None,
    })
}

/// Lets the next rows get numbers behind those that were imported; SQLite does so by itself.
async fn number_on(tx: &mut Write) -> Result<()> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    for (table, _) in TABLES.iter().filter(|(_, key)| *key == ID) {
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT COALESCE(MAX(id), 0) + 1 FROM {table}), false)"
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&mut **tx).await?;
    }
    Ok(())
}

/// The lines of an archive.
struct Lines<'a> {
    input: &'a mut (dyn BufRead + Send),
    number: u64,
}

impl Lines<'_> {
    fn parse<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, ArchiveError> {
        let mut line = String::new();
        self.number += 1;
        if self.input.read_line(&mut line)? == 0 {
            return Err(self.malformed("the archive ends here, before its end: it was cut off"));
        }
        serde_json::from_str(&line).map_err(|error| self.malformed(&error.to_string()))
    }

    fn malformed(&self, why: &str) -> ArchiveError {
        ArchiveError::Malformed { line: self.number, why: why.to_owned() }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Of processes, of sqlx, of SQLite.
    const NOT_OF_THE_SITE: &[&str] = &[
        "site",
        "network_own_addresses",
        "conductors",
        "task_leases",
        "_sqlx_migrations",
        "sqlite_sequence",
    ];

    #[tokio::test]
    async fn every_table_of_the_site_is_in_the_archive() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        let rows = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table'");
        let rows = rows.fetch_all(store.read()).await.unwrap();
        let mut there: BTreeSet<String> = rows.iter().map(|row| row.try_get("name").unwrap()).collect();
        there.retain(|name| !NOT_OF_THE_SITE.contains(&name.as_str()));
        assert_eq!(there, TABLES.iter().map(|(name, _)| (*name).to_owned()).collect());
    }
}

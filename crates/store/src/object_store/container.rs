//! Containers.

use super::{CONTAINER, decode, encode};
use crate::transaction::Write;
use crate::{Result, Store, StoreError, micros};
use jiff::Timestamp;
use model::object_store::{Container, Span};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

const COLUMNS: &str = "object_count, bytes_used, sealed, doc";

fn missing(name: &str) -> StoreError {
    StoreError::NotFound { what: CONTAINER, ident: name.to_owned() }
}

impl Store {
    /// A container of a project's account.
    pub async fn object_container(&self, project: &str, name: &str) -> Result<Container> {
        let sql = format!("SELECT {COLUMNS} FROM object_containers WHERE project = $1 AND name = $2");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(project.to_owned())
            .bind(name.as_bytes().to_vec())
            .fetch_optional(self.read())
            .await?;
        self.read_container(&row.ok_or_else(|| missing(name))?)
    }

    /// Containers of an account within a span of names, in their order.
    pub async fn object_containers(
        &self,
        project: &str,
        span: &Span,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<Container>> {
        let end = if span.to.is_some() { " AND name < $4" } else { "" };
        let order = if reverse { " DESC" } else { "" };
        let sql = format!(
            "SELECT {COLUMNS} FROM object_containers WHERE project = $1 AND name >= $2{end} ORDER BY name{order} LIMIT $3"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql))
            .bind(project.to_owned())
            .bind(span.from.clone())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        if let Some(to) = &span.to {
            query = query.bind(to.clone());
        }
        query.fetch_all(self.read()).await?.iter().map(|row| self.read_container(row)).collect()
    }

    /// Makes a container or, where it is there, changes it; true: it is new. If `change` fails, nothing is written.
    pub async fn put_object_container<E: From<StoreError>>(
        &self,
        fresh: Container,
        now: Timestamp,
        change: impl FnOnce(&mut Container) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut tx = self.write().await?;
        let known = self.container_in(&mut tx, &fresh.project, &fresh.name).await?;
        let is_new = known.is_none();
        let mut container = known.unwrap_or(fresh);
        change(&mut container)?;
        container.updated_at = Some(now);
        self.write_container(&mut tx, &container).await?;
        tx.commit().await?;
        Ok(is_new)
    }

    /// Changes a container that is there. If `change` fails, nothing is written.
    pub async fn edit_object_container<E: From<StoreError>>(
        &self,
        project: &str,
        name: &str,
        now: Timestamp,
        change: impl FnOnce(&mut Container) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut tx = self.write().await?;
        let mut container = self.container_in(&mut tx, project, name).await?.ok_or_else(|| missing(name))?;
        change(&mut container)?;
        container.updated_at = Some(now);
        self.write_container(&mut tx, &container).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets a container; [`StoreError::InUse`] while it has objects that have not expired.
    pub async fn delete_object_container(&self, project: &str, name: &str, now: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        let uuid = self.container_in(&mut tx, project, name).await?.ok_or_else(|| missing(name))?.uuid;
        let live = sqlx::query(
            "SELECT 1 FROM objects WHERE container_uuid = $1 AND (delete_us IS NULL OR delete_us > $2) LIMIT 1",
        )
        .bind(uuid.to_string())
        .bind(micros(now))
        .fetch_optional(&mut *tx)
        .await?;
        if live.is_some() {
            return Err(StoreError::InUse { what: CONTAINER, ident: name.to_owned(), parts: "objects" });
        }
        sqlx::query(
            "INSERT INTO object_bodies (uuid, doomed, since_us) \
             SELECT body, 1, $2 FROM objects WHERE container_uuid = $1 AND body IS NOT NULL",
        )
        .bind(uuid.to_string())
        .bind(micros(now))
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM object_containers WHERE uuid = $1")
            .bind(uuid.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// The identity of a container, within a transaction.
    pub(super) async fn container_uuid(&self, tx: &mut Write, project: &str, name: &str) -> Result<Uuid> {
        let row = sqlx::query("SELECT uuid FROM object_containers WHERE project = $1 AND name = $2")
            .bind(project.to_owned())
            .bind(name.as_bytes().to_vec())
            .fetch_optional(&mut **tx)
            .await?
            .ok_or_else(|| missing(name))?;
        row.try_get::<String, _>("uuid")?.parse().map_err(|_| missing(name))
    }

    async fn container_in(&self, tx: &mut Write, project: &str, name: &str) -> Result<Option<Container>> {
        let sql = format!("SELECT {COLUMNS} FROM object_containers WHERE project = $1 AND name = $2");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(project.to_owned())
            .bind(name.as_bytes().to_vec())
            .fetch_optional(&mut **tx)
            .await?;
        row.map(|row| self.read_container(&row)).transpose()
    }

    async fn write_container(&self, tx: &mut Write, container: &Container) -> Result<()> {
        let of = sealed_of(container.uuid);
        sqlx::query(
            "INSERT INTO object_containers (uuid, project, name, object_count, bytes_used, sealed, doc) \
             VALUES ($1, $2, $3, 0, 0, $4, $5) \
             ON CONFLICT (uuid) DO UPDATE SET sealed = excluded.sealed, doc = excluded.doc",
        )
        .bind(container.uuid.to_string())
        .bind(container.project.clone())
        .bind(container.name.as_bytes().to_vec())
        .bind(self.seal_keys(&of, &container.keys)?)
        .bind(encode(&of, container)?)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    fn read_container(&self, row: &AnyRow) -> Result<Container> {
        let mut container: Container = decode("container", row.try_get("doc")?)?;
        container.keys = self.open_keys(&sealed_of(container.uuid), row.try_get("sealed")?)?;
        container.object_count = row.try_get("object_count")?;
        container.bytes_used = row.try_get("bytes_used")?;
        Ok(container)
    }
}

fn sealed_of(container: Uuid) -> String {
    format!("container {container}")
}

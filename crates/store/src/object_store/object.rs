//! Objects, and the counters of their containers, which change with them.

use super::{OBJECT, body, decode, encode};
use crate::transaction::Write;
use crate::{Result, Store, StoreError, micros};
use jiff::Timestamp;
use model::object_store::{Object, Span};
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

/// What a change left behind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replaced {
    /// A body that no object names any more: to be removed from the backend, then [forgotten](Store::forget_object_bodies).
    pub body: Option<Uuid>,
}

fn missing(name: &str) -> StoreError {
    StoreError::NotFound { what: OBJECT, ident: name.to_owned() }
}

fn is_there(object: &Object, now: Timestamp) -> bool {
    object.delete_at.is_none_or(|at| at > now)
}

impl Store {
    /// An object of a container that has not expired.
    pub async fn object(&self, container: Uuid, name: &str, now: Timestamp) -> Result<Object> {
        let row = sqlx::query("SELECT doc FROM objects WHERE container_uuid = $1 AND name = $2")
            .bind(container.to_string())
            .bind(name.as_bytes().to_vec())
            .fetch_optional(self.read())
            .await?
            .ok_or_else(|| missing(name))?;
        let object: Object = decode(OBJECT, row.try_get("doc")?)?;
        if is_there(&object, now) { Ok(object) } else { Err(missing(name)) }
    }

    /// Objects of a container within a span of names, in their order, but for those that have expired.
    pub async fn objects(
        &self,
        container: Uuid,
        span: &Span,
        reverse: bool,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Object>> {
        let end = if span.to.is_some() { " AND name < $5" } else { "" };
        let order = if reverse { " DESC" } else { "" };
        let sql = format!(
            "SELECT doc FROM objects WHERE container_uuid = $1 AND name >= $2{end} \
             AND (delete_us IS NULL OR delete_us > $3) ORDER BY name{order} LIMIT $4"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql))
            .bind(container.to_string())
            .bind(span.from.clone())
            .bind(micros(now))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        if let Some(to) = &span.to {
            query = query.bind(to.clone());
        }
        let rows = query.fetch_all(self.read()).await?;
        rows.iter().map(|row| decode(OBJECT, row.try_get("doc")?)).collect()
    }

    /// Puts an object in place of whatever has its name in the container, if `allow` agrees with what is there now. Its body leaves
    /// the list of those that no object names, the one before comes to it.
    pub async fn put_object<E: From<StoreError>>(
        &self,
        project: &str,
        container: &str,
        object: &Object,
        now: Timestamp,
        allow: impl FnOnce(Option<&Object>) -> Result<(), E>,
    ) -> Result<Replaced, E> {
        let mut tx = self.write().await?;
        let container = self.container_uuid(&mut tx, project, container).await?;
        let before = object_in(&mut tx, container, &object.name).await?;
        allow(before.as_ref().filter(|before| is_there(before, now)))?;
        write_object(&mut tx, container, object).await?;
        let old = before.as_ref().and_then(|before| before.body);
        if let Some(own) = object.body.filter(|own| old != Some(*own)) {
            body::take(&mut tx, own).await?;
        }
        let old = old.filter(|old| object.body != Some(*old));
        if let Some(old) = old {
            body::insert(&mut tx, old, true, now).await?;
        }
        let (count, bytes) = match &before {
            Some(before) => (0, object.stored_bytes - before.stored_bytes),
            None => (1, object.stored_bytes),
        };
        count_in(&mut tx, container, count, bytes).await?;
        tx.commit().await?;
        Ok(Replaced { body: old })
    }

    /// Changes what is said about an object, but not its bytes. If `change` fails, nothing is written.
    pub async fn edit_object<E: From<StoreError>>(
        &self,
        project: &str,
        container: &str,
        name: &str,
        now: Timestamp,
        change: impl FnOnce(&mut Object) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut tx = self.write().await?;
        let container = self.container_uuid(&mut tx, project, container).await?;
        let mut object = object_in(&mut tx, container, name)
            .await?
            .filter(|object| is_there(object, now))
            .ok_or_else(|| missing(name))?;
        change(&mut object)?;
        write_object(&mut tx, container, &object).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets an object, if `allow` agrees; its body comes to the list of those that no object names.
    pub async fn delete_object<E: From<StoreError>>(
        &self,
        project: &str,
        container: &str,
        name: &str,
        now: Timestamp,
        allow: impl FnOnce(&Object) -> Result<(), E>,
    ) -> Result<Replaced, E> {
        let mut tx = self.write().await?;
        let container = self.container_uuid(&mut tx, project, container).await?;
        let object = object_in(&mut tx, container, name)
            .await?
            .filter(|object| is_there(object, now))
            .ok_or_else(|| missing(name))?;
        allow(&object)?;
        remove(&mut tx, container, &object, now).await?;
        tx.commit().await?;
        Ok(Replaced { body: object.body })
    }

    /// Forgets objects that have expired, `limit` at most; how many it were.
    pub async fn expire_objects(&self, now: Timestamp, limit: i64) -> Result<usize> {
        const EXPIRED: &str = "SELECT container_uuid, doc FROM objects WHERE delete_us <= $1 LIMIT $2";
        // Looked at beside the writers first: mostly there are none.
        let look = sqlx::query(EXPIRED).bind(micros(now)).bind(1_i64).fetch_optional(self.read()).await?;
        if look.is_none() {
            return Ok(0);
        }
        let mut tx = self.write().await?;
        let rows = sqlx::query(EXPIRED).bind(micros(now)).bind(limit).fetch_all(&mut *tx).await?;
        for row in &rows {
            let object: Object = decode(OBJECT, row.try_get("doc")?)?;
            if let Ok(container) = row.try_get::<String, _>("container_uuid")?.parse() {
                remove(&mut tx, container, &object, now).await?;
            }
        }
        tx.commit().await?;
        Ok(rows.len())
    }
}

async fn object_in(tx: &mut Write, container: Uuid, name: &str) -> Result<Option<Object>> {
    let row = sqlx::query("SELECT doc FROM objects WHERE container_uuid = $1 AND name = $2")
        .bind(container.to_string())
        .bind(name.as_bytes().to_vec())
        .fetch_optional(&mut **tx)
        .await?;
    row.map(|row| decode(OBJECT, row.try_get("doc")?)).transpose()
}

async fn write_object(tx: &mut Write, container: Uuid, object: &Object) -> Result<()> {
    sqlx::query(
        "INSERT INTO objects (container_uuid, name, body, delete_us, doc) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (container_uuid, name) DO UPDATE SET body = excluded.body, delete_us = excluded.delete_us, \
         doc = excluded.doc",
    )
    .bind(container.to_string())
    .bind(object.name.as_bytes().to_vec())
    .bind(object.body.map(|body| body.to_string()))
    .bind(object.delete_at.map(micros))
    .bind(encode(OBJECT, object)?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn remove(tx: &mut Write, container: Uuid, object: &Object, now: Timestamp) -> Result<()> {
    sqlx::query("DELETE FROM objects WHERE container_uuid = $1 AND name = $2")
        .bind(container.to_string())
        .bind(object.name.as_bytes().to_vec())
        .execute(&mut **tx)
        .await?;
    if let Some(own) = object.body {
        body::insert(tx, own, true, now).await?;
    }
    count_in(tx, container, -1, -object.stored_bytes).await
}

async fn count_in(tx: &mut Write, container: Uuid, objects: i64, bytes: i64) -> Result<()> {
    sqlx::query(
        "UPDATE object_containers SET object_count = object_count + $1, bytes_used = bytes_used + $2 WHERE uuid = $3",
    )
    .bind(objects)
    .bind(bytes)
    .bind(container.to_string())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

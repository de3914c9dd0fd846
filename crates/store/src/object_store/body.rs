//! Bodies that no object names.

use crate::transaction::Write;
use crate::{Result, Store, StoreError, micros};
use jiff::Timestamp;
use sqlx::Row;
use uuid::Uuid;

/// Bodies that are removed in one go.
const BATCH: i64 = 1000;

impl Store {
    /// Records that a body is about to arrive in a session, before anything of it is written.
    pub async fn expect_object_body(&self, body: Uuid, session: Uuid, now: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO object_bodies (uuid, doomed, since_us, session) VALUES ($1, 0, $2, $3)")
            .bind(body.to_string())
            .bind(micros(now))
            .bind(session.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Dooms the bodies that were to arrive in sessions that have ended.
    pub async fn doom_object_bodies(&self) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE object_bodies SET doomed = 1 WHERE doomed = 0 AND (session IS NULL OR session NOT IN \
             (SELECT session FROM conductors WHERE ended = 0))",
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Bodies that wait for their removal, some of them.
    pub async fn doomed_object_bodies(&self) -> Result<Vec<Uuid>> {
        let rows = sqlx::query("SELECT uuid FROM object_bodies WHERE doomed = 1 ORDER BY since_us LIMIT $1")
            .bind(BATCH)
            .fetch_all(self.read())
            .await?;
        let mut bodies = Vec::with_capacity(rows.len());
        for row in rows {
            if let Ok(body) = row.try_get::<String, _>("uuid")?.parse() {
                bodies.push(body);
            }
        }
        Ok(bodies)
    }

    /// Records that bodies are gone from the backend.
    pub async fn forget_object_bodies(&self, bodies: &[Uuid]) -> Result<()> {
        let mut tx = self.write().await?;
        for body in bodies {
            remove(&mut tx, *body).await?;
        }
        tx.commit().await
    }
}

/// Lists a body as one that no object names.
pub(super) async fn insert(tx: &mut Write, body: Uuid, doomed: bool, now: Timestamp) -> Result<()> {
    sqlx::query(
        "INSERT INTO object_bodies (uuid, doomed, since_us) VALUES ($1, $2, $3) \
         ON CONFLICT (uuid) DO UPDATE SET doomed = excluded.doomed",
    )
    .bind(body.to_string())
    .bind(i64::from(doomed))
    .bind(micros(now))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes a body that has arrived off the list. One that was doomed meanwhile can't be had any more.
pub(super) async fn take(tx: &mut Write, body: Uuid) -> Result<()> {
    let done = sqlx::query("DELETE FROM object_bodies WHERE uuid = $1 AND doomed = 0")
        .bind(body.to_string())
        .execute(&mut **tx)
        .await?;
    if done.rows_affected() == 0 { Err(StoreError::Aborted) } else { Ok(()) }
}

/// Takes a body off the list.
async fn remove(tx: &mut Write, body: Uuid) -> Result<()> {
    sqlx::query("DELETE FROM object_bodies WHERE uuid = $1")
        .bind(body.to_string())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

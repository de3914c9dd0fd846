//! The event log.

use crate::claim::Claim;
use crate::transaction::Write;
use crate::{Result, Store, micros};
use jiff::Timestamp;
use model::event::LogEvent;
use sqlx::Row;
use telemetry::request::{self, Origin};
use telemetry::{EVENTS, table};
use uuid::Uuid;

/// Appends an event, and the claim under which it came about.
pub(crate) async fn insert(tx: &mut Write, event: &LogEvent, claim: Option<&Claim>) -> Result<()> {
    sqlx::query(
        "INSERT INTO events (node_uuid, at_us, duration_us, kind, name, ok, detail, conductor, epoch, recorded_us) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(event.node_uuid.map(|uuid| uuid.to_string()))
    .bind(micros(event.at))
    .bind(event.duration_us)
    .bind(event.kind.as_str())
    .bind(&event.name)
    .bind(i64::from(event.ok))
    .bind(&event.detail)
    .bind(claim.map(|claim| claim.holder.hostname.clone()))
    .bind(claim.map(|claim| claim.epoch))
    .bind(micros(Timestamp::now()))
    .execute(&mut **tx)
    .await?;
    tx.tell(Told { event: event.clone(), origin: request::current() });
    Ok(())
}

/// An event that was written, to be told once it is safe.
pub(crate) struct Told {
    event: LogEvent,
    origin: Option<Origin>,
}

impl Told {
    /// One line of the process's log, with a field for each thing that one may want to find it by.
    pub fn tell(self) {
        let LogEvent { node_uuid, duration_us, kind, name, ok, detail, .. } = &self.event;
        table::EVENTS.count([kind.as_str(), if *ok { "ok" } else { "failed" }]);
        let node = node_uuid.map(tracing::field::display);
        let duration_ms = duration_us.map(|micros| micros as f64 / 1e3);
        let request_id = self.origin.as_ref().map(|origin| &*origin.id);
        let kind = kind.as_str();
        if *ok {
            tracing::info!(target: EVENTS, node, kind, name, ok, duration_ms, request_id, detail);
        } else {
            tracing::warn!(target: EVENTS, node, kind, name, ok, duration_ms, request_id, detail);
        }
    }
}

impl Store {
    /// Appends events that change no node.
    pub async fn record(&self, events: &[LogEvent]) -> Result<()> {
        self.append(events, None).await
    }

    /// Appends events of a node that is held. They are kept even if the claim was lost meanwhile: they tell what was done under it.
    pub async fn record_held(&self, claim: &Claim, events: &[LogEvent]) -> Result<()> {
        self.append(events, Some(claim)).await
    }

    async fn append(&self, events: &[LogEvent], claim: Option<&Claim>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let mut tx = self.write_rows().await?;
        for event in events {
            insert(&mut tx, event, claim).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The newest `limit` events of a node, oldest first.
    pub async fn events(&self, node: Uuid, limit: i64) -> Result<Vec<LogEvent>> {
        let rows = sqlx::query(
            "SELECT at_us, duration_us, kind, name, ok, detail FROM events WHERE node_uuid = $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(node.to_string())
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        let mut events = Vec::with_capacity(rows.len());
        for row in rows.iter().rev() {
            let Ok(kind) = row.try_get::<String, _>("kind")?.parse() else { continue };
            events.push(LogEvent {
                node_uuid: Some(node),
                at: Timestamp::from_microsecond(row.try_get("at_us")?).unwrap_or_default(),
                duration_us: row.try_get("duration_us")?,
                kind,
                name: row.try_get("name")?,
                ok: row.try_get::<i64, _>("ok")? != 0,
                detail: row.try_get("detail")?,
            });
        }
        Ok(events)
    }
}

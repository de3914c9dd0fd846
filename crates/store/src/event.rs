//! The event log.

use crate::claim::Claim;
use crate::draft::Draft;
use crate::select::Column;
use crate::transaction::Write;
use crate::{Result, Store, StoreError, micros, postgres};
use jiff::Timestamp;
use model::event::LogEvent;
use sqlx::Row;
use telemetry::request::{self, Origin};
use telemetry::{EVENTS, table};
use uuid::Uuid;

/// With what an event is written, which says what its time of record tells of the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// With a change that only the holder of the claim could make: the claim lasted until then.
    WithChange,
    /// By itself, and perhaps when the claim was lost: it lasted when what is told of came to its end.
    Afterwards,
}

/// An event's row, and the claim under which it came about.
fn columns(event: &LogEvent, claim: Option<&Claim>, written: Written) -> Vec<(&'static str, Column)> {
    use Column as C;
    let recorded = match written {
        Written::WithChange => micros(Timestamp::now()),
        Written::Afterwards => micros(event.at).saturating_add(event.duration_us.unwrap_or(0)),
    };
    vec![
        ("node_uuid", C::id(event.node_uuid)),
        ("at_us", C::time(Some(event.at))),
        ("duration_us", C::Number(event.duration_us)),
        ("kind", C::text(Some(event.kind.as_str()))),
        ("name", C::text(Some(&event.name))),
        ("ok", C::flag(event.ok)),
        ("detail", C::text(Some(&event.detail))),
        ("conductor", C::text(claim.map(|claim| claim.holder.hostname.as_str()))),
        ("epoch", C::Number(claim.map(|claim| claim.epoch))),
        ("recorded_us", C::Number(Some(recorded))),
    ]
}

/// Goes on with an `INSERT` of events, as [`Draft::insert`].
pub(crate) fn draft_insert(
    draft: &mut Draft,
    events: &[LogEvent],
    claim: Option<&Claim>,
    from: Option<&str>,
    written: Written,
) -> sqlx::Result<()> {
    draft.insert("events", events.iter().map(|event| columns(event, claim, written)).collect(), from)
}

/// Appends events, and the claim under which they came about.
pub(crate) async fn insert(
    tx: &mut Write,
    events: &[LogEvent],
    claim: Option<&Claim>,
    written: Written,
) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let mut draft = Draft::default();
    draft_insert(&mut draft, events, claim, None, written)?;
    draft.query().execute(&mut **tx).await?;
    events.iter().for_each(|event| tx.tell(Told::of(event)));
    Ok(())
}

/// An event that was written, to be told once it is safe.
pub(crate) struct Told {
    event: LogEvent,
    origin: Option<Origin>,
}

impl Told {
    /// An event of the request that this runs for.
    pub fn of(event: &LogEvent) -> Self {
        Self { event: event.clone(), origin: request::current() }
    }

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
        let written = if claim.is_some() { Written::Afterwards } else { Written::WithChange };
        if let Some(database) = self.postgres() {
            let mut draft = Draft::new(&postgres::with_lock());
            draft_insert(&mut draft, events, claim, Some("lock"), written)?;
            match database.change_at_once(draft.query()).await {
                // Nobody knows whether they are written: twice is better than never.
                Err(StoreError::Away(_)) => {}
                done => {
                    done?;
                    events.iter().for_each(|event| Told::of(event).tell());
                    return Ok(());
                }
            }
        }
        let mut tx = self.write_rows().await?;
        insert(&mut tx, events, claim, written).await?;
        tx.commit().await
    }

    /// Forgets up to `limit` events that were written before a time; out comes how many there were.
    ///
    /// # Errors
    /// As every change.
    pub async fn forget_events(&self, before: Timestamp, limit: u64) -> Result<u64> {
        let mut tx = self.write_rows().await?;
        // They lie in the order in which they were written, or nearly: no index is needed to find the oldest. Those that come from before
        // that was noted have the time at which it happened.
        let done = sqlx::query(
            "DELETE FROM events WHERE COALESCE(recorded_us, at_us) < $1 AND id IN (SELECT id FROM events ORDER BY id LIMIT $2)",
        )
        .bind(micros(before))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected())
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

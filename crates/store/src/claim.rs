//! Claims: a node is one process's for as long as its session lasts ([`crate::conductor`]), with an epoch that fences off whoever
//! lost it.

use crate::draft::Draft;
use crate::node::NodeVersion;
use crate::transaction::Write;
use crate::{Result, Store, StoreError, micros, postgres};
use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;
use telemetry::table;
use uuid::Uuid;

/// Who claims: a process in one of its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The conductor's host name, shown as `reservation`.
    pub hostname: String,
    /// The session that the claims hang on.
    pub session: Uuid,
}

impl Holder {
    /// A holder whose claims last until they are released.
    pub fn new(hostname: impl Into<String>, session: Uuid) -> Self {
        Self { hostname: hostname.into(), session }
    }
}

/// Which nodes a conductor serves.
#[derive(Debug, Clone, Default)]
pub struct Served {
    /// Those of this conductor group.
    pub conductor_group: String,
    /// Those with one of these drivers; none: with any.
    pub drivers: Option<Vec<String>>,
}

/// A node that is held. The claim ends by [`Store::release`] or with its session, and every write made under it checks the epoch:
/// once another process has claimed the node, this one's writes fail with [`StoreError::ClaimLost`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Node.
    pub node: Uuid,
    /// Who holds it.
    pub holder: Holder,
    /// Fencing epoch.
    pub epoch: i64,
}

/// From the first to the last that was done under one claim, as the event log tells: what was told by itself when it was done, everything
/// else when it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimSpan {
    /// Node.
    pub node: Uuid,
    /// The claim's epoch.
    pub epoch: i64,
    /// Whose it was.
    pub conductor: String,
    /// When the first of it began.
    pub first: Timestamp,
    /// When the last of it ended.
    pub last: Timestamp,
}

/// How it stands with the claim of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimState {
    /// Node.
    pub node: Uuid,
    /// The epoch of its newest claim.
    pub epoch: i64,
    /// The session that holds it; none: it is free.
    pub session: Option<Uuid>,
    /// Somebody is to look at it now.
    pub is_due: bool,
}

/// Ends a claim within another change of the row.
pub(crate) const END: &str = ", lease_holder = NULL, lease_session = NULL";

/// Begins a claim within another change of a row that nobody holds.
pub(crate) fn draft_begin(draft: &mut Draft, holder: &Holder) -> sqlx::Result<()> {
    draft.push(", lease_epoch = lease_epoch + 1, lease_holder = ");
    draft.bind(holder.hostname.clone())?;
    draft.push(", lease_session = ");
    draft.bind(holder.session.to_string())
}

/// Ends the claim of a node within a transaction that has checked it.
pub(crate) async fn end(tx: &mut Write, node: Uuid) -> Result<()> {
    sqlx::query("UPDATE nodes SET lease_holder = NULL, lease_session = NULL WHERE uuid = $1")
        .bind(node.to_string())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Fails unless a claim lasts, within a transaction that then writes what only its holder may.
pub(crate) async fn check(tx: &mut Write, claim: &Claim) -> Result<()> {
    // The write locks the row, so that nobody takes the node before the transaction ends.
    let done = sqlx::query(
        "UPDATE nodes SET lease_epoch = lease_epoch WHERE uuid = $1 AND lease_epoch = $2 AND lease_holder IS NOT NULL",
    )
    .bind(claim.node.to_string())
    .bind(claim.epoch)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 { Err(StoreError::ClaimLost { node: claim.node }) } else { Ok(()) }
}

impl Store {
    /// Claims a node. [`StoreError::Locked`] where somebody (this process included) holds it.
    pub async fn claim(&self, node: Uuid, holder: &Holder) -> Result<Claim> {
        let mut tx = self.write_rows().await?;
        let row = sqlx::query(
            "UPDATE nodes SET lease_holder = $1, lease_session = $2, lease_epoch = lease_epoch + 1 \
             WHERE uuid = $3 AND lease_holder IS NULL RETURNING lease_epoch",
        )
        .bind(&holder.hostname)
        .bind(holder.session.to_string())
        .bind(node.to_string())
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(row) = row {
            let epoch = row.try_get("lease_epoch")?;
            tx.commit().await?;
            table::CLAIMS_TAKEN.count([]);
            return Ok(Claim { node, holder: holder.clone(), epoch });
        }
        let row = sqlx::query("SELECT lease_holder FROM nodes WHERE uuid = $1")
            .bind(node.to_string())
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| StoreError::NotFound { what: "Node", ident: node.to_string() })?;
        let holder: Option<String> = row.try_get("lease_holder")?;
        Err(StoreError::Locked { node: node.to_string(), holder: holder.unwrap_or_default() })
    }

    /// Ends a claim; one that is lost already is no error. Nodes that became due meanwhile are looked at at once.
    pub async fn release(&self, claim: &Claim) -> Result<()> {
        let mut tx = self.write_rows().await?;
        sqlx::query(
            "UPDATE nodes SET lease_holder = NULL, lease_session = NULL WHERE uuid = $1 AND lease_epoch = $2",
        )
        .bind(claim.node.to_string())
        .bind(claim.epoch)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.nudge();
        Ok(())
    }

    /// What a session holds, as the database has it: nodes and epochs.
    pub async fn claims_of(&self, session: Uuid) -> Result<Vec<(Uuid, i64)>> {
        let rows = sqlx::query("SELECT uuid, lease_epoch FROM nodes WHERE lease_session = $1")
            .bind(session.to_string())
            .fetch_all(self.read())
            .await?;
        let mut claims = Vec::with_capacity(rows.len());
        for row in rows {
            if let Ok(node) = Uuid::parse_str(row.try_get("uuid")?) {
                claims.push((node, row.try_get("lease_epoch")?));
            }
        }
        Ok(claims)
    }

    /// How it stands with the claims of all nodes, for those who watch over the conductors.
    pub async fn claim_states(&self, now: Timestamp) -> Result<Vec<ClaimState>> {
        let rows = sqlx::query("SELECT uuid, lease_epoch, lease_session, due_us FROM nodes")
            .fetch_all(self.read())
            .await?;
        let mut states = Vec::with_capacity(rows.len());
        for row in rows {
            let Ok(node) = Uuid::parse_str(row.try_get("uuid")?) else { continue };
            let session: Option<&str> = row.try_get("lease_session")?;
            let due: Option<i64> = row.try_get("due_us")?;
            states.push(ClaimState {
                node,
                epoch: row.try_get("lease_epoch")?,
                session: session.and_then(|session| Uuid::parse_str(session).ok()),
                is_due: due.is_some_and(|due| due <= micros(now)),
            });
        }
        Ok(states)
    }

    /// When the soonest free node of those is due: the past if one is due already.
    pub async fn next_due(&self, served: &Served) -> Result<Option<Timestamp>> {
        let mut draft = Draft::new(
            "SELECT due_us FROM nodes WHERE due_us IS NOT NULL AND lease_holder IS NULL AND conductor_group = ",
        );
        draft_served(&mut draft, served)?;
        draft.push(" ORDER BY due_us LIMIT 1");
        let Some(row) = draft.query().fetch_optional(self.read()).await? else { return Ok(None) };
        Ok(Timestamp::from_microsecond(row.try_get("due_us")?).ok())
    }

    /// Claims those of the nodes that are due and free, soonest first and at most `limit`, in one transaction; out come the claims and
    /// the nodes with their secrets. A node that can't be read costs nobody else: its claim comes with the error.
    pub async fn claim_due(
        &self,
        holder: &Holder,
        served: &Served,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<(Claim, Result<NodeVersion>)>> {
        let rows = self.take_claims(holder, served, now, limit).await?;
        table::CLAIMS_TAKEN.add([], rows.len() as u64);
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            let Ok(uuid) = Uuid::parse_str(row.try_get("uuid")?) else { continue };
            let due: i64 = row.try_get("due_us")?;
            let claim = Claim { node: uuid, holder: holder.clone(), epoch: row.try_get("lease_epoch")? };
            claimed.push((due, claim, self.open_node(&row)));
        }
        // The database returns them in an order of its own.
        claimed.sort_by_key(|(due, ..)| *due);
        Ok(claimed.into_iter().map(|(_, claim, node)| (claim, node)).collect())
    }

    async fn take_claims(
        &self,
        holder: &Holder,
        served: &Served,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<AnyRow>> {
        let draft = || draft_claims(self.postgres().is_some(), holder, served, now, limit);
        if let Some(database) = self.postgres() {
            match database.change_and_return(draft()?.query()).await {
                // If nodes were claimed all the same, those who look after the session find that out.
                Err(StoreError::Away(_)) => {}
                rows => return rows,
            }
        }
        let mut tx = self.write_rows().await?;
        let rows = draft()?.query().fetch_all(&mut *tx).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// For every claim under which an event was recorded, when that was; by node and epoch.
    pub async fn claim_spans(&self) -> Result<Vec<ClaimSpan>> {
        let rows = sqlx::query(
            "SELECT node_uuid, epoch, conductor, MIN(CASE WHEN kind = 'bmc' THEN at_us ELSE recorded_us END) AS first_us, \
             MAX(CASE WHEN kind = 'bmc' THEN at_us + COALESCE(duration_us, 0) ELSE recorded_us END) AS last_us FROM events WHERE epoch IS NOT NULL GROUP BY node_uuid, epoch, conductor ORDER BY node_uuid, epoch",
        )
        .fetch_all(self.read())
        .await?;
        let mut spans = Vec::with_capacity(rows.len());
        let time = |micros| Timestamp::from_microsecond(micros).unwrap_or_default();
        for row in rows {
            let Ok(node) = Uuid::parse_str(row.try_get("node_uuid")?) else { continue };
            spans.push(ClaimSpan {
                node,
                epoch: row.try_get("epoch")?,
                conductor: row.try_get("conductor")?,
                first: time(row.try_get("first_us")?),
                last: time(row.try_get("last_us")?),
            });
        }
        Ok(spans)
    }
}

/// Claims those of the nodes that are due and free.
fn draft_claims(
    is_postgres: bool,
    holder: &Holder,
    served: &Served,
    now: Timestamp,
    limit: i64,
) -> sqlx::Result<Draft> {
    let begin = if is_postgres { postgres::with_lock() } else { String::new() };
    let mut draft = Draft::new(&begin);
    draft.push(" UPDATE nodes SET lease_holder = ");
    draft.bind(holder.hostname.clone())?;
    draft.push(", lease_session = ");
    draft.bind(holder.session.to_string())?;
    draft.push(", lease_epoch = lease_epoch + 1 WHERE id IN (SELECT id FROM nodes");
    draft.push(if is_postgres { ", lock WHERE due_us <= " } else { " WHERE due_us <= " });
    draft.bind(micros(now))?;
    draft.push(" AND lease_holder IS NULL AND conductor_group = ");
    draft_served(&mut draft, served)?;
    draft.push(" ORDER BY due_us LIMIT ");
    draft.bind(limit)?;
    // Rows that another process is about to claim are that one's.
    draft.push(if is_postgres { " FOR NO KEY UPDATE OF nodes SKIP LOCKED)" } else { ")" });
    draft.push(" RETURNING due_us, uuid, lease_epoch, revision, doc, secrets");
    Ok(draft)
}

/// Goes on with what a node must be to be served, behind `conductor_group = `.
fn draft_served(draft: &mut Draft, served: &Served) -> sqlx::Result<()> {
    draft.bind(served.conductor_group.clone())?;
    if let Some(drivers) = &served.drivers {
        draft.push(" AND driver IN (NULL");
        for driver in drivers {
            draft.push(", ");
            draft.bind(driver.clone())?;
        }
        draft.push(")");
    }
    Ok(())
}

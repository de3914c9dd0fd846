//! How a changed node is written: on PostgreSQL in one statement, with all that is said about it.

use super::columns::projected;
use super::{Edit, Guard, Revision, duplicate};
use crate::claim::{self, Claim, Holder};
use crate::draft::Draft;
use crate::event::{self, Told, Written};
use crate::transaction::Write;
use crate::{Result, Store, StoreError, history, postgres};
use model::node::Node;
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

/// A node that was changed.
#[derive(Clone, Copy)]
pub(crate) struct Changed<'a> {
    /// As it is stored.
    pub before: &'a Node,
    /// As it shall be, with its events and entries for its history; the rest of the edit is not written here.
    pub edit: &'a Edit,
    /// Under which it was changed, and which ends if the edit says so.
    pub claim: Option<&'a Claim>,
}

impl Changed<'_> {
    fn uuid(&self) -> Uuid {
        self.before.uuid
    }
}

impl Store {
    /// Writes a node within a transaction that has read it.
    pub(crate) async fn write_node(&self, tx: &mut Write, changed: Changed<'_>) -> Result<()> {
        let refused = |error| duplicate(error, &changed.edit.node);
        if self.postgres().is_some() {
            let mut draft = Draft::new("WITH ");
            self.draft_all(&mut draft, changed, None, None)?;
            draft.query().execute(&mut **tx).await.map_err(refused)?;
            changed.edit.events.iter().for_each(|event| tx.tell(Told::of(event)));
            return Ok(());
        }
        let mut draft = Draft::default();
        self.draft_update(&mut draft, changed, None)?;
        draft_place(&mut draft, changed.uuid())?;
        draft.query().execute(&mut **tx).await.map_err(refused)?;
        write_what_is_said(tx, changed).await
    }

    /// Writes a node as a change of its own, if the guard lets us and it is still at this revision: else nothing is written. Where there
    /// is a taker, the node is its from then on. Out comes the epoch of the node's newest claim.
    pub(super) async fn write_if_unchanged(
        &self,
        changed: Changed<'_>,
        guard: Guard<'_>,
        revision: Revision,
        taker: Option<&Holder>,
    ) -> Result<Option<i64>> {
        let refused = |error| duplicate(error, &changed.edit.node);
        let epoch = |row: &AnyRow| row.try_get("lease_epoch");
        if let Some(database) = self.postgres() {
            let mut draft = Draft::new(&postgres::with_lock());
            draft.push(", ");
            self.draft_all(&mut draft, changed, Some((guard, revision)), taker)?;
            let rows = match database.change_and_return(draft.query()).await {
                Err(StoreError::Database(error)) => return Err(refused(error)),
                rows => rows?,
            };
            let Some(row) = rows.first() else { return Ok(None) };
            changed.edit.events.iter().for_each(|event| Told::of(event).tell());
            return Ok(Some(epoch(row)?));
        }
        let mut tx = self.write_rows().await?;
        let mut draft = Draft::default();
        self.draft_update(&mut draft, changed, taker)?;
        draft_place(&mut draft, changed.uuid())?;
        draft_condition(&mut draft, guard, revision)?;
        draft.push(" RETURNING lease_epoch");
        let Some(row) = draft.query().fetch_optional(&mut *tx).await.map_err(refused)? else {
            return Ok(None);
        };
        write_what_is_said(&mut tx, changed).await?;
        tx.commit().await?;
        Ok(Some(epoch(&row)?))
    }

    /// Goes on, behind `WITH`, with all that is written, and returns a row if it was. A change of its own has a lock already.
    fn draft_all(
        &self,
        draft: &mut Draft,
        changed: Changed<'_>,
        alone: Option<(Guard<'_>, Revision)>,
        taker: Option<&Holder>,
    ) -> Result<()> {
        let Edit { events, history, .. } = changed.edit;
        draft.push("node AS (");
        self.draft_update(draft, changed, taker)?;
        if alone.is_some() {
            draft.push(" FROM lock");
        }
        draft_place(draft, changed.uuid())?;
        if let Some((guard, revision)) = alone {
            draft_condition(draft, guard, revision)?;
        }
        draft.push(" RETURNING lease_epoch)");
        if !events.is_empty() {
            draft.push(", told AS (");
            event::draft_insert(draft, events, changed.claim, Some("node"), Written::WithChange)?;
            draft.push(")");
        }
        if !history.is_empty() {
            history::draft_append(draft, "node", changed.uuid(), history)?;
        }
        draft.push(" SELECT lease_epoch FROM node");
        Ok(())
    }

    /// `UPDATE nodes SET …`, without its condition.
    fn draft_update(&self, draft: &mut Draft, changed: Changed<'_>, taker: Option<&Holder>) -> Result<()> {
        let Changed { before, edit, claim } = changed;
        let (doc, sealed) = self.encode(&edit.node)?;
        draft.push("UPDATE nodes SET ");
        // Columns that stay are not named: each that is costs its indexes a change.
        for ((name, value), old) in projected(&edit.node).into_iter().zip(projected(before)) {
            if old.1 != value {
                draft.push(name);
                draft.push(" = ");
                draft.column(value)?;
                draft.push(", ");
            }
        }
        draft.push("revision = revision + 1, doc = ");
        draft.bind(doc)?;
        draft.push(", secrets = ");
        draft.bind(sealed)?;
        if edit.release && claim.is_some() {
            draft.push(claim::END);
        }
        if let Some(taker) = taker {
            claim::draft_begin(draft, taker)?;
        }
        Ok(())
    }
}

/// Goes on with which row it is.
fn draft_place(draft: &mut Draft, uuid: Uuid) -> sqlx::Result<()> {
    draft.push(" WHERE uuid = ");
    draft.bind(uuid.to_string())
}

/// Goes on with what it must be like: still at this revision, and free or held as the guard has it.
fn draft_condition(draft: &mut Draft, guard: Guard<'_>, revision: Revision) -> sqlx::Result<()> {
    draft.push(" AND revision = ");
    draft.bind(revision.0)?;
    match guard {
        Guard::Free => draft.push(" AND lease_holder IS NULL"),
        Guard::Held(claim) => {
            draft.push(" AND lease_holder IS NOT NULL AND lease_epoch = ");
            draft.bind(claim.epoch)?;
        }
        Guard::Any => {}
    }
    Ok(())
}

async fn write_what_is_said(tx: &mut Write, changed: Changed<'_>) -> Result<()> {
    event::insert(tx, &changed.edit.events, changed.claim, Written::WithChange).await?;
    history::append(tx, changed.uuid(), &changed.edit.history).await
}

//! How a changed node is written: on PostgreSQL in one statement, with all that is said about it.

use super::columns::projected;
use super::{Edit, Revision, duplicate};
use crate::claim::{self, Claim};
use crate::draft::Draft;
use crate::event::{self, Told, Written};
use crate::transaction::Write;
use crate::{Result, Store, StoreError, history, postgres};
use model::node::Node;
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
            self.draft_all(&mut draft, changed, None)?;
            draft.query().execute(&mut **tx).await.map_err(refused)?;
            changed.edit.events.iter().for_each(|event| tx.tell(Told::of(event)));
            return Ok(());
        }
        let mut draft = Draft::default();
        self.draft_update(&mut draft, changed)?;
        draft_condition(&mut draft, changed, None)?;
        draft.query().execute(&mut **tx).await.map_err(refused)?;
        write_what_is_said(tx, changed).await
    }

    /// Writes a node as a change of its own, if it is held and still at this revision: else nothing is written, and `false` returned.
    pub(super) async fn write_if_unchanged(&self, changed: Changed<'_>, revision: Revision) -> Result<bool> {
        let refused = |error| duplicate(error, &changed.edit.node);
        if let Some(database) = self.postgres() {
            let mut draft = Draft::new(&postgres::with_lock());
            draft.push(", ");
            self.draft_all(&mut draft, changed, Some(revision))?;
            let written = match database.change_and_return(draft.query()).await {
                Err(StoreError::Database(error)) => return Err(refused(error)),
                rows => !rows?.is_empty(),
            };
            if written {
                changed.edit.events.iter().for_each(|event| Told::of(event).tell());
            }
            return Ok(written);
        }
        let mut tx = self.write_rows().await?;
        let mut draft = Draft::default();
        self.draft_update(&mut draft, changed)?;
        draft_condition(&mut draft, changed, Some(revision))?;
        let done = draft.query().execute(&mut *tx).await.map_err(refused)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        write_what_is_said(&mut tx, changed).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Goes on, behind `WITH`, with all that is written, and returns a row if it was. A change of its own has a lock already.
    fn draft_all(&self, draft: &mut Draft, changed: Changed<'_>, alone: Option<Revision>) -> Result<()> {
        let Edit { events, history, .. } = changed.edit;
        draft.push("node AS (");
        self.draft_update(draft, changed)?;
        if alone.is_some() {
            draft.push(" FROM lock");
        }
        draft_condition(draft, changed, alone)?;
        draft.push(" RETURNING 1)");
        if !events.is_empty() {
            draft.push(", told AS (");
            event::draft_insert(draft, events, changed.claim, Some("node"), Written::WithChange)?;
            draft.push(")");
        }
        if !history.is_empty() {
            history::draft_append(draft, "node", changed.uuid(), history)?;
        }
        draft.push(" SELECT 1 FROM node");
        Ok(())
    }

    /// `UPDATE nodes SET …`, without its condition.
    fn draft_update(&self, draft: &mut Draft, changed: Changed<'_>) -> Result<()> {
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
        Ok(())
    }
}

/// Goes on with which row it is, if it is still at `revision` and held under the claim.
fn draft_condition(draft: &mut Draft, changed: Changed<'_>, revision: Option<Revision>) -> sqlx::Result<()> {
    draft.push(" WHERE uuid = ");
    draft.bind(changed.uuid().to_string())?;
    if let Some(revision) = revision {
        draft.push(" AND lease_holder IS NOT NULL AND revision = ");
        draft.bind(revision.0)?;
        draft.push(" AND lease_epoch = ");
        draft.bind(changed.claim.map(|claim| claim.epoch))?;
    }
    Ok(())
}

async fn write_what_is_said(tx: &mut Write, changed: Changed<'_>) -> Result<()> {
    event::insert(tx, &changed.edit.events, changed.claim, Written::WithChange).await?;
    history::append(tx, changed.uuid(), &changed.edit.history).await
}

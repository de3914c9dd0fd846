//! Changes of nodes: a node is read, changed in memory, and written with what is to be said about it.

use super::writing::Changed;
use super::{Edit, Guard, NodeVersion, Revision};
use crate::claim::{self, Claim, Holder};
use crate::event::Written;
use crate::transaction::Write;
use crate::{Result, Store, StoreError, allocation, chassis, event, hardware, history, measure, server};
use jiff::Timestamp;
use model::event::EventKind;
use model::node::{Node, Origin};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use telemetry::{request, table};
use uuid::Uuid;

impl Store {
    /// Changes a node: reads it with its secrets, lets `change` edit it, writes it with its events, in one transaction.
    ///
    /// Out comes what `change` returned and the node as written. If `change` fails, or leaves the node as it was, no row is
    /// written; events are, unless it failed.
    pub async fn edit_node<T, E>(
        &self,
        uuid: Uuid,
        guard: Guard<'_>,
        now: Timestamp,
        change: impl FnOnce(&mut Edit) -> Result<T, E>,
    ) -> Result<(T, Node), E>
    where
        E: From<StoreError>,
    {
        let mut tx = self.write_rows().await?;
        let node = self.read_open(&mut tx, uuid, guard).await?;
        let mut edit = Edit::new(node.clone());
        let out = change(&mut edit)?;
        self.write_and_wake(tx, &node, &mut edit, guard.claim(), now).await?;
        Ok((out, edit.node))
    }

    /// As [`Store::edit_known`] for a node that is held.
    pub async fn edit_held(
        &self,
        claim: &Claim,
        known: (&Node, Revision),
        now: Timestamp,
        mut change: impl FnMut(&mut Edit),
    ) -> Result<NodeVersion> {
        let change = |edit: &mut Edit| {
            change(edit);
            Ok::<_, StoreError>(())
        };
        Ok(self.edit_known(Guard::Held(claim), known, None, now, change).await?.0)
    }

    /// As [`Store::edit_node`] for a node in hand as it was read or written last; out comes the version that is stored now.
    ///
    /// If the node has not changed since then, and the change concerns no other record, it is not read again, and on PostgreSQL the
    /// change is one statement. Else `change` runs a second time, on the node as it is.
    ///
    /// A node that is free, and due with the change, may become `taker`'s by it, without being looked for: then the claim comes out too.
    pub async fn edit_known<E>(
        &self,
        guard: Guard<'_>,
        known: (&Node, Revision),
        taker: Option<&Holder>,
        now: Timestamp,
        mut change: impl FnMut(&mut Edit) -> Result<(), E>,
    ) -> Result<(NodeVersion, Option<Claim>), E>
    where
        E: From<StoreError>,
    {
        let (node, revision) = known;
        let claim = guard.claim();
        let mut edit = Edit::new(node.clone());
        let mut doubt = None;
        // What is refused of the node in hand is refused if it is so of the node as it is.
        if change(&mut edit).is_ok() && concerns_nobody_else(node, &edit) {
            prepare(node, &mut edit, now);
            let is_due = edit.node.due.is_some_and(|due| due <= now);
            let taker = taker.filter(|_| is_due && claim.is_none());
            let changed = Changed { before: node, edit: &edit, claim };
            match self.write_if_unchanged(changed, guard, revision, taker).await {
                Ok(Some(epoch)) => {
                    measure::moved(node, &edit.node, now);
                    let taken = taker.map(|holder| Claim { node: node.uuid, holder: holder.clone(), epoch });
                    match taken {
                        Some(_) => table::CLAIMS_TAKEN.count([]),
                        None => self.wake(&edit, claim),
                    }
                    return Ok((NodeVersion { node: edit.node, revision: revision.next() }, taken));
                }
                // Why not is found out below.
                Ok(None) => {}
                Err(error @ StoreError::Away(_)) => doubt = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        let mut tx = self.write_rows().await?;
        let current = self.read_version(&mut tx, node.uuid, guard).await?;
        if let Some(error) = doubt.filter(|_| current.revision != revision) {
            // It may have been written, and must not be a second time.
            return Err(error.into());
        }
        let mut edit = Edit::new(current.node.clone());
        change(&mut edit)?;
        self.write_and_wake(tx, &current.node, &mut edit, claim, now).await?;
        let is_written = edit.node != current.node;
        let revision = if is_written { current.revision.next() } else { current.revision };
        Ok((NodeVersion { node: edit.node, revision }, None))
    }

    /// Writes a change, and tells whoever has something to do now.
    async fn write_and_wake(
        &self,
        mut tx: Write,
        before: &Node,
        edit: &mut Edit,
        claim: Option<&Claim>,
        now: Timestamp,
    ) -> Result<()> {
        let told = self.write_edit(&mut tx, before, edit, claim, now).await?;
        tx.commit().await?;
        self.wake(edit, claim);
        if told {
            self.nudge_servers();
        }
        Ok(())
    }

    fn wake(&self, edit: &Edit, claim: Option<&Claim>) {
        // A node that stays held is nobody's business until it is released.
        let is_free = edit.release || claim.is_none();
        if is_free && edit.node.due.is_some() {
            self.nudge();
        }
    }

    /// Writes a node that was changed, under a claim if there is one, and what is to be said about it, within a transaction. `true`: its
    /// server was told.
    pub(crate) async fn write_edit(
        &self,
        tx: &mut Write,
        before: &Node,
        edit: &mut Edit,
        claim: Option<&Claim>,
        now: Timestamp,
    ) -> Result<bool> {
        let uuid = before.uuid;
        let mut told = false;
        if edit.node != *before {
            if edit.node.chassis_uuid != before.chassis_uuid {
                chassis::require(tx, edit.node.chassis_uuid).await?;
            }
            allocation::follow(tx, before, &mut edit.node).await?;
            told = server::follow(tx, before, &edit.node, now).await?;
            prepare(before, edit, now);
            measure::moved(before, &edit.node, now);
            self.write_node(tx, Changed { before, edit, claim }).await?;
        } else {
            if edit.release && claim.is_some() {
                claim::end(tx, uuid).await?;
            }
            event::insert(tx, &edit.events, claim, Written::WithChange).await?;
            history::append(tx, uuid, &edit.history).await?;
        }
        if let Some(settings) = &edit.bios {
            hardware::replace(tx, uuid, settings).await?;
        }
        if let Some(components) = &edit.firmware {
            hardware::replace(tx, uuid, components).await?;
        }
        Ok(told)
    }

    /// Reads a node with its secrets within a transaction, if the guard lets us.
    pub(crate) async fn read_open(&self, tx: &mut Write, uuid: Uuid, guard: Guard<'_>) -> Result<Node> {
        Ok(self.read_version(tx, uuid, guard).await?.node)
    }

    async fn read_version(&self, tx: &mut Write, uuid: Uuid, guard: Guard<'_>) -> Result<NodeVersion> {
        self.open_node(&read_guarded(tx, uuid, guard).await?)
    }
}

/// Can the change be written without a look at any record but the node's own?
fn concerns_nobody_else(before: &Node, edit: &Edit) -> bool {
    let after = &edit.node;
    after != before
        && after.chassis_uuid == before.chassis_uuid
        && !allocation::concerns(before, after)
        && !server::concerns(before, after)
        && edit.bios.is_none()
        && edit.firmware.is_none()
}

/// Notes on a node that is about to be written when that was, and for whom, if it is work that was asked for.
fn prepare(before: &Node, edit: &mut Edit, now: Timestamp) {
    edit.node.updated_at = Some(now);
    if asks_for_work(before, edit) {
        edit.node.origin = request::current().map(|origin| Origin {
            request_id: origin.id.to_string(),
            traceparent: origin.traceparent.as_deref().map(str::to_owned),
        });
    }
}

/// Did a user just ask for something that takes work?
fn asks_for_work(before: &Node, edit: &Edit) -> bool {
    let after = &edit.node;
    edit.events.iter().any(|event| event.kind == EventKind::Request)
        && (before.provision_state != after.provision_state
            || before.target_power_state != after.target_power_state
            || before.errand != after.errand)
}

pub(super) async fn read_guarded(tx: &mut Write, uuid: Uuid, guard: Guard<'_>) -> Result<AnyRow> {
    let sql = format!(
        "SELECT doc, secrets, revision, lease_holder, lease_epoch FROM nodes WHERE uuid = $1{}",
        tx.row_lock()
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(uuid.to_string())
        .fetch_optional(&mut **tx)
        .await?
        .ok_or_else(|| StoreError::NotFound { what: "Node", ident: uuid.to_string() })?;
    let holder: Option<String> = row.try_get("lease_holder")?;
    match guard {
        Guard::Free => {
            if let Some(holder) = holder {
                return Err(StoreError::Locked { node: uuid.to_string(), holder });
            }
        }
        Guard::Held(claim) => {
            if holder.is_none() || row.try_get::<i64, _>("lease_epoch")? != claim.epoch {
                return Err(StoreError::ClaimLost { node: uuid });
            }
        }
        Guard::Any => {}
    }
    Ok(row)
}

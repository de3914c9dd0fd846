//! Allocations: the wish and the node are written together, and go together.

use crate::node::{Changed, Edit, Guard};
use crate::record::{self, Record};
use crate::select::Column;
use crate::transaction::Write;
use crate::{Result, Store, StoreError};
use jiff::Timestamp;
use model::allocation::{Allocation, AllocationState};
use model::event::{EventKind, LogEvent};
use model::node::Node;
use uuid::Uuid;

impl Record for Allocation {
    const TABLE: &'static str = "allocations";
    const WHAT: &'static str = "Allocation";
    const IS_NAMED: bool = true;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("id", "id"),
        ("uuid", "uuid"),
        ("name", "name"),
        ("state", "state"),
        ("resource_class", "resource_class"),
        ("owner", "owner"),
        ("last_error", "last_error"),
        ("created_at", "created_us"),
        ("updated_at", "updated_us"),
    ];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("name", Column::text(self.name.as_deref())),
            ("node_uuid", Column::id(self.node_uuid)),
            ("state", Column::text(Some(self.state.as_str()))),
            ("resource_class", Column::text(self.resource_class.as_deref())),
            ("owner", Column::text(self.owner.as_deref())),
            ("last_error", Column::text(self.last_error.as_deref())),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(self.updated_at)),
        ]
    }

    fn parent(&self) -> (&'static str, String) {
        ("Node", self.node_uuid.map(|uuid| uuid.to_string()).unwrap_or_default())
    }
}

impl Store {
    /// Gives a node that nobody holds to an allocation that still looks for one, if `fits` agrees: both are written in one
    /// transaction. Out come both as written; `None` where the allocation needs no node any more.
    pub async fn allocate<E: From<StoreError>>(
        &self,
        allocation: Uuid,
        node: Uuid,
        now: Timestamp,
        fits: impl FnOnce(&Allocation, &Node) -> Result<(), E>,
    ) -> Result<Option<(Allocation, Node)>, E> {
        let mut tx = self.write().await?;
        let mut allocation = match record::read::<Allocation>(&mut tx, allocation).await {
            Ok(allocation) if allocation.state == AllocationState::Allocating => allocation,
            Ok(_) | Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let node = self.take(&mut tx, &mut allocation, node, now, fits).await?;
        record::overwrite(&mut tx, &allocation).await?;
        tx.commit().await?;
        Ok(Some((allocation, node)))
    }

    /// Stores an allocation together with the node that it is for, if `fits` agrees.
    pub async fn backfill<E: From<StoreError>>(
        &self,
        mut allocation: Allocation,
        node: Uuid,
        now: Timestamp,
        fits: impl FnOnce(&Allocation, &Node) -> Result<(), E>,
    ) -> Result<Allocation, E> {
        let mut tx = self.write().await?;
        match record::read::<Allocation>(&mut tx, allocation.uuid).await {
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
            // Said before anything about the node, whose allocation it may be.
            Ok(known) => {
                let value = known.uuid.to_string();
                return Err(StoreError::Duplicate { what: Allocation::WHAT, field: "uuid", value }.into());
            }
        }
        self.take(&mut tx, &mut allocation, node, now, fits).await?;
        record::insert(&mut tx, &allocation).await?;
        tx.commit().await?;
        Ok(allocation)
    }

    async fn take<E: From<StoreError>>(
        &self,
        tx: &mut Write,
        allocation: &mut Allocation,
        node: Uuid,
        now: Timestamp,
        fits: impl FnOnce(&Allocation, &Node) -> Result<(), E>,
    ) -> Result<Node, E> {
        let before = self.read_open(tx, node, Guard::Free).await?;
        fits(allocation, &before)?;
        let mut edit = Edit::new(before.clone());
        allocation.take(&mut edit.node, now);
        edit.node.updated_at = Some(now);
        let detail = format!("by allocation {}", allocation.uuid);
        edit.events.push(LogEvent::new(Some(node), now, EventKind::Request, "allocated", detail));
        self.write_node(tx, Changed { before: &before, edit: &edit, claim: None }).await?;
        Ok(edit.node)
    }

    /// Forgets an allocation, if `allow` agrees with its node's state, and frees the node in the same transaction. A node that is
    /// held is not touched: [`StoreError::Locked`].
    pub async fn delete_allocation<E: From<StoreError>>(
        &self,
        uuid: Uuid,
        now: Timestamp,
        allow: impl FnOnce(&Allocation, &Node) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut tx = self.write().await?;
        let allocation: Allocation = record::read(&mut tx, uuid).await?;
        if let Some(node) = allocation.node_uuid {
            let before = self.read_open(&mut tx, node, Guard::Free).await?;
            allow(&allocation, &before)?;
            let mut edit = Edit::new(before.clone());
            edit.node.instance_uuid = None;
            edit.node.allocation_uuid = None;
            edit.node.updated_at = Some(now);
            let detail = format!("allocation {uuid} is gone");
            edit.events.push(LogEvent::new(Some(node), now, EventKind::Request, "deallocated", detail));
            self.write_node(&mut tx, Changed { before: &before, edit: &edit, claim: None }).await?;
        }
        delete(&mut tx, uuid).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Does an allocation change with the node?
pub(crate) fn concerns(before: &Node, after: &Node) -> bool {
    before.allocation_uuid.is_some()
        && (after.instance_uuid.is_none() || after.allocation_uuid != before.allocation_uuid)
}

/// An allocation lasts as long as its node carries its instance: where a change of the node ends that, its row goes too.
pub(crate) async fn follow(tx: &mut Write, before: &Node, after: &mut Node) -> Result<()> {
    let Some(allocation) = before.allocation_uuid else { return Ok(()) };
    if after.instance_uuid.is_none() {
        after.allocation_uuid = None;
    }
    if after.allocation_uuid == Some(allocation) { Ok(()) } else { delete(tx, allocation).await }
}

async fn delete(tx: &mut Write, uuid: Uuid) -> Result<()> {
    sqlx::query("DELETE FROM allocations WHERE uuid = $1").bind(uuid.to_string()).execute(&mut **tx).await?;
    Ok(())
}

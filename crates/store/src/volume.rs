//! Volume connectors and targets.

use crate::node::{put_secrets, take_secrets};
use crate::record::{Record, decode, insert, overwrite};
use crate::select::Column;
use crate::{Result, Store, StoreError};
use model::volume::{VolumeConnector, VolumeTarget};
use serde_json::Value;
use sqlx::Row;
use uuid::Uuid;

impl Record for VolumeConnector {
    const TABLE: &'static str = "volume_connectors";
    const WHAT: &'static str = "Volume connector";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("id", "id"),
        ("uuid", "uuid"),
        ("type", "type"),
        ("connector_id", "connector_id"),
        ("created_at", "created_us"),
        ("updated_at", "updated_us"),
    ];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("type", Column::text(Some(&self.kind))),
            ("connector_id", Column::text(Some(&self.connector_id))),
            ("node_uuid", Column::id(Some(self.node_uuid))),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(self.updated_at)),
        ]
    }

    fn parent(&self) -> (&'static str, String) {
        ("Node", self.node_uuid.to_string())
    }
}

/// Lists and [`Store::get`] give it with masks in place of the secrets in `properties`. It is written by
/// [`Store::create_volume_target`] and [`Store::update_volume_target`], which seal them.
impl Record for VolumeTarget {
    const TABLE: &'static str = "volume_targets";
    const WHAT: &'static str = "Volume target";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("id", "id"),
        ("uuid", "uuid"),
        ("volume_type", "volume_type"),
        ("volume_id", "volume_id"),
        ("boot_index", "boot_index"),
        ("created_at", "created_us"),
        ("updated_at", "updated_us"),
    ];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            // First, since it names the refusal of a place that is taken on the same node.
            ("boot_index", Column::Number(Some(self.boot_index))),
            ("node_uuid", Column::id(Some(self.node_uuid))),
            ("volume_type", Column::text(Some(&self.volume_type))),
            ("volume_id", Column::text(Some(&self.volume_id))),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(self.updated_at)),
        ]
    }

    fn parent(&self) -> (&'static str, String) {
        ("Node", self.node_uuid.to_string())
    }
}

impl Store {
    /// Stores a new volume target and seals its secrets; fails as [`Store::create`] does.
    pub async fn create_volume_target(&self, target: &VolumeTarget) -> Result<()> {
        self.write_volume_target(target, true).await
    }

    /// Writes a changed volume target, with its secrets, over the stored one.
    pub async fn update_volume_target(&self, target: &VolumeTarget) -> Result<()> {
        self.write_volume_target(target, false).await
    }

    async fn write_volume_target(&self, target: &VolumeTarget, new: bool) -> Result<()> {
        let mut shown = target.clone();
        let mut secrets: Vec<(String, Value)> = Vec::new();
        take_secrets(&mut shown.properties, "", &mut secrets);
        let label = label(target.uuid);
        let sealed = if secrets.is_empty() {
            None
        } else {
            let plain = serde_json::to_vec(&secrets)
                .map_err(|source| StoreError::Corrupt { what: label.clone(), source })?;
            Some(self.sealer().seal(&label, &plain)?)
        };
        let mut tx = self.write().await?;
        if new {
            insert(&mut tx, &shown).await?;
        } else {
            overwrite(&mut tx, &shown).await?;
        }
        sqlx::query("UPDATE volume_targets SET secrets = $1 WHERE uuid = $2")
            .bind(sealed)
            .bind(target.uuid.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Reads a volume target with its secrets opened: only for those who change it or attach the volume.
    pub async fn volume_target_with_secrets(&self, uuid: Uuid) -> Result<VolumeTarget> {
        let row = sqlx::query("SELECT doc, secrets FROM volume_targets WHERE uuid = $1")
            .bind(uuid.to_string())
            .fetch_optional(self.read())
            .await?
            .ok_or_else(|| StoreError::NotFound { what: VolumeTarget::WHAT, ident: uuid.to_string() })?;
        let mut target: VolumeTarget = decode(&row)?;
        if let Some(sealed) = row.try_get::<Option<Vec<u8>>, _>("secrets")? {
            let label = label(uuid);
            let plain = self.sealer().open_sealed(&label, &sealed)?;
            let secrets = serde_json::from_slice(&plain)
                .map_err(|source| StoreError::Corrupt { what: label, source })?;
            put_secrets(&mut target.properties, secrets);
        }
        Ok(target)
    }
}

fn label(uuid: Uuid) -> String {
    format!("volume target {uuid}")
}

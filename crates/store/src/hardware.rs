//! BIOS settings and firmware components: records of which a node's are always written together.

use crate::record::{self, Query, Record};
use crate::select::{Column, SortDirection};
use crate::transaction::Write;
use crate::{Result, Store, StoreError};
use model::bios::BiosSetting;
use model::firmware::FirmwareComponent;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

impl Record for BiosSetting {
    const TABLE: &'static str = "bios_settings";
    const WHAT: &'static str = "BIOS setting";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[("name", "name")];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![("node_uuid", Column::id(Some(self.node_uuid))), ("name", Column::text(Some(&self.name)))]
    }

    fn parent(&self) -> (&'static str, String) {
        ("Node", self.node_uuid.to_string())
    }
}

impl Record for FirmwareComponent {
    const TABLE: &'static str = "firmware_components";
    const WHAT: &'static str = "Firmware component";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[("component", "component")];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("node_uuid", Column::id(Some(self.node_uuid))),
            ("component", Column::text(Some(&self.component))),
        ]
    }

    fn parent(&self) -> (&'static str, String) {
        ("Node", self.node_uuid.to_string())
    }
}

impl Store {
    /// The BIOS settings of a node, by name.
    pub async fn bios_settings(&self, node: Uuid) -> Result<Vec<BiosSetting>> {
        self.list(&of_node(node, "name")).await
    }

    /// One BIOS setting of a node; [`StoreError::NotFound`] if it has none of that name.
    pub async fn bios_setting(&self, node: Uuid, name: &str) -> Result<BiosSetting> {
        let query = of_node(node, "name").and("name", name);
        let missing = || StoreError::NotFound { what: BiosSetting::WHAT, ident: name.to_owned() };
        self.list(&query).await?.pop().ok_or_else(missing)
    }

    /// The firmware components of a node, by name.
    pub async fn firmware_components(&self, node: Uuid) -> Result<Vec<FirmwareComponent>> {
        self.list(&of_node(node, "component")).await
    }
}

fn of_node(node: Uuid, sort: &'static str) -> Query {
    Query {
        sort: Some(sort),
        direction: SortDirection::Ascending,
        ..Query::equal("node_uuid", node.to_string())
    }
}

/// Makes these records the only ones of a node, within a transaction.
pub(crate) async fn replace<R: Record>(tx: &mut Write, node: Uuid, records: &[R]) -> Result<()> {
    let sql = format!("DELETE FROM {} WHERE node_uuid = $1", R::TABLE);
    sqlx::query(AssertSqlSafe(sql)).bind(node.to_string()).execute(&mut **tx).await?;
    for record in records {
        record::insert(tx, record).await?;
    }
    Ok(())
}

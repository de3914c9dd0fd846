//! Port groups.

use crate::record::{Query, Record, overwrite};
use crate::select::Column;
use crate::{Result, Store};
use model::port::Port;
use model::portgroup::Portgroup;
use uuid::Uuid;

impl Record for Portgroup {
    const TABLE: &'static str = "portgroups";
    const WHAT: &'static str = "Portgroup";
    const IS_NAMED: bool = true;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("id", "id"),
        ("uuid", "uuid"),
        ("name", "name"),
        ("address", "address"),
        ("mode", "mode"),
        ("standalone_ports_supported", "standalone_ports_supported"),
        ("physical_network", "physical_network"),
        ("category", "category"),
        ("dynamic_portgroup", "dynamic_portgroup"),
        ("created_at", "created_us"),
        ("updated_at", "updated_us"),
    ];
    const PARTS: Option<(&'static str, &'static str, &'static str)> =
        Some(("ports", "ports", "portgroup_uuid"));

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("node_uuid", Column::id(Some(self.node_uuid))),
            ("name", Column::text(self.name.as_deref())),
            ("address", Column::text(self.address.as_deref())),
            ("mode", Column::text(self.mode.as_deref())),
            ("standalone_ports_supported", Column::flag(self.standalone_ports_supported)),
            ("physical_network", Column::text(self.physical_network.as_deref())),
            ("category", Column::text(self.category.as_deref())),
            ("dynamic_portgroup", Column::flag(self.dynamic_portgroup)),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(self.updated_at)),
        ]
    }

    fn parent(&self) -> (&'static str, String) {
        ("Node", self.node_uuid.to_string())
    }
}

impl Store {
    /// Every port group of a node, in the order of their creation.
    pub async fn portgroups_of_node(&self, node: Uuid) -> Result<Vec<Portgroup>> {
        self.list(&Query::equal("node_uuid", node.to_string())).await
    }

    /// Every port of a port group, in the order of their creation.
    pub async fn ports_of_portgroup(&self, group: Uuid) -> Result<Vec<Port>> {
        self.list(&Query::equal("portgroup_uuid", group.to_string())).await
    }

    /// Writes a port group, if it changed too, and ports of it over the stored ones, all or nothing.
    pub async fn update_members(&self, group: Option<&Portgroup>, ports: &[Port]) -> Result<()> {
        let mut tx = self.write().await?;
        if let Some(group) = group {
            overwrite(&mut tx, group).await?;
        }
        for port in ports {
            overwrite(&mut tx, port).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

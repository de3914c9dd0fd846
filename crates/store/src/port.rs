//! Ports.

use crate::record::{Query, Record, insert, overwrite};
use crate::select::Column;
use crate::{Result, Store};
use model::port::Port;
use model::portgroup::Portgroup;
use uuid::Uuid;

impl Record for Port {
    const TABLE: &'static str = "ports";
    const WHAT: &'static str = "Port";
    const IS_NAMED: bool = true;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("id", "id"),
        ("uuid", "uuid"),
        ("address", "address"),
        ("name", "name"),
        ("description", "description"),
        ("pxe_enabled", "pxe_enabled"),
        ("physical_network", "physical_network"),
        ("is_smartnic", "is_smartnic"),
        ("vendor", "vendor"),
        ("category", "category"),
        ("available_for_dynamic_portgroup", "available_for_dynamic_portgroup"),
        ("created_at", "created_us"),
        ("updated_at", "updated_us"),
    ];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("node_uuid", Column::id(Some(self.node_uuid))),
            ("address", Column::text(Some(&self.address))),
            ("name", Column::text(self.name.as_deref())),
            ("description", Column::text(self.description.as_deref())),
            ("portgroup_uuid", Column::id(self.portgroup_uuid)),
            ("pxe_enabled", Column::flag(self.pxe_enabled)),
            ("physical_network", Column::text(self.physical_network.as_deref())),
            ("is_smartnic", Column::flag(self.is_smartnic)),
            ("vendor", Column::text(self.vendor.as_deref())),
            ("category", Column::text(self.category.as_deref())),
            (
                "available_for_dynamic_portgroup",
                Column::flag(self.available_for_dynamic_portgroup.unwrap_or(true)),
            ),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(self.updated_at)),
        ]
    }

    fn parent(&self) -> (&'static str, String) {
        ("Node", self.node_uuid.to_string())
    }
}

impl Store {
    /// Stores a new port and, where it gave its group a physical network, the group as well: both or neither.
    pub async fn create_port(&self, port: &Port, group: Option<&Portgroup>) -> Result<()> {
        let mut tx = self.write().await?;
        if let Some(group) = group {
            overwrite(&mut tx, group).await?;
        }
        insert(&mut tx, port).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Every port of a node, in the order of their creation.
    pub async fn ports_of_node(&self, node: Uuid) -> Result<Vec<Port>> {
        self.list(&Query::equal("node_uuid", node.to_string())).await
    }

    /// The port with one of these MAC addresses (lower case), the first found in their order.
    pub async fn port_by_addresses(&self, addresses: &[String]) -> Result<Option<Port>> {
        for address in addresses {
            let query = Query::equal("address", address.clone()).limit(1);
            if let Some(port) = self.list(&query).await?.pop() {
                return Ok(Some(port));
            }
        }
        Ok(None)
    }
}

//! Ports.

use crate::claim::{self, Claim};
use crate::record::{Query, Record, insert, overwrite, read};
use crate::select::Column;
use crate::{Result, Store};
use jiff::Timestamp;
use model::port::Port;
use model::portgroup::Portgroup;
use model::vif;
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

    /// Detaches every virtual interface from the ports and port groups of a node that is held.
    pub async fn detach_vifs(&self, claim: &Claim, now: Timestamp) -> Result<()> {
        let node = claim.node;
        let ports = self.ports_of_node(node).await?;
        let groups = self.portgroups_of_node(node).await?;
        let has_any = ports.iter().any(|port| vif::attached(&port.internal_info).is_some())
            || groups.iter().any(|group| vif::attached(&group.internal_info).is_some());
        if !has_any {
            return Ok(());
        }
        let mut tx = self.write().await?;
        claim::check(&mut tx, claim).await?;
        for port in ports {
            let mut port: Port = read(&mut tx, port.uuid).await?;
            if vif::attached(&port.internal_info).is_some() {
                vif::detach(&mut port.internal_info, &mut port.extra);
                port.updated_at = Some(now);
                overwrite(&mut tx, &port).await?;
            }
        }
        for group in groups {
            let mut group: Portgroup = read(&mut tx, group.uuid).await?;
            if vif::attached(&group.internal_info).is_some() {
                vif::detach(&mut group.internal_info, &mut group.extra);
                group.updated_at = Some(now);
                overwrite(&mut tx, &group).await?;
            }
        }
        tx.commit().await
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

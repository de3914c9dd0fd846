//! Ports.

use crate::record::{Query, Record};
use crate::select::Column;
use crate::{Result, Store};
use model::port::Port;
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
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(self.updated_at)),
        ]
    }

    fn parent(&self) -> (&'static str, String) {
        ("Node", self.node_uuid.to_string())
    }
}

impl Store {
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

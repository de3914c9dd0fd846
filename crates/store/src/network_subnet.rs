//! Subnets.

use crate::network::NetworkError;
use crate::record::{Query, Record, decode, insert, overwrite, read};
use crate::select::Column;
use crate::transaction::Write;
use crate::{Result, Store, StoreError};
use model::network::{AllocationPool, Network, Subnet};
use uuid::Uuid;

impl Record for Subnet {
    const TABLE: &'static str = "subnets";
    const WHAT: &'static str = "Subnet";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[("id", "uuid"), ("name", "name")];

    fn uuid(&self) -> Uuid {
        self.id
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("network_uuid", Column::id(Some(self.network_id))),
            ("name", Column::text(Some(&self.name))),
            ("owner", Column::text(Some(&self.project_id))),
            ("public", Column::flag(self.shared)),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(Some(self.updated_at))),
        ]
    }

    fn parent(&self) -> (&'static str, String) {
        ("Network", self.network_id.to_string())
    }
}

impl Store {
    /// Stores a new subnet, within its project's quota; [`NetworkError::Overlap`] with another of its network.
    pub async fn create_subnet(&self, mut subnet: Subnet) -> Result<Subnet, NetworkError> {
        let mut tx = self.write().await?;
        tx.check_quota(&subnet.project_id, "subnet", 1).await?;
        let network: Network = read(&mut tx, subnet.network_id).await?;
        for other in tx.subnets_of(subnet.network_id).await? {
            if other.cidr.overlaps(&subnet.cidr) {
                let (cidr, other_id, other) = (subnet.cidr, other.id, other.cidr);
                return Err(NetworkError::Overlap { cidr, other, other_id });
            }
        }
        subnet.shared = network.is_visible_to("");
        insert(&mut tx, &subnet).await?;
        tx.commit().await?;
        Ok(subnet)
    }

    /// Changes a subnet as it is stored now. `change` may not touch its addresses (`cidr`).
    pub async fn edit_subnet<E: From<NetworkError>>(
        &self,
        id: Uuid,
        change: impl FnOnce(&mut Subnet) -> Result<(), E>,
    ) -> Result<Subnet, E> {
        let mut tx = self.write().await.map_err(NetworkError::from)?;
        let mut subnet: Subnet = read(&mut tx, id).await.map_err(NetworkError::from)?;
        change(&mut subnet)?;
        overwrite(&mut tx, &subnet).await.map_err(NetworkError::from)?;
        tx.commit().await.map_err(NetworkError::from)?;
        Ok(subnet)
    }

    /// Forgets a subnet; [`NetworkError::HasPorts`] while ports have addresses of it.
    pub async fn delete_subnet(&self, id: Uuid) -> Result<(), NetworkError> {
        let ports = "SELECT COUNT(DISTINCT port_uuid) AS count FROM network_addresses WHERE subnet_uuid = $1";
        self.delete_without_ports::<Subnet>("subnet", id, ports).await
    }

    /// The subnets of a network, in the order of their creation.
    pub async fn subnets_of_network(&self, network: Uuid) -> Result<Vec<Subnet>> {
        self.list(&Query::equal("network_uuid", network.to_string())).await
    }

    /// The allocation pools of all flat networks: what a DHCP server on the same wire should leave alone as far as it can.
    pub async fn flat_allocation_pools(&self) -> Result<Vec<AllocationPool>> {
        let sql = "SELECT subnets.doc AS doc FROM subnets JOIN networks ON networks.uuid = subnets.network_uuid \
                   WHERE networks.network_type = 'flat'";
        let rows = sqlx::query(sql).fetch_all(self.read()).await?;
        let subnets: Vec<Subnet> = rows.iter().map(decode).collect::<Result<_>>()?;
        Ok(subnets.into_iter().flat_map(|subnet| subnet.allocation_pools).collect())
    }
}

impl Write {
    /// The subnets of a network, in the order of their creation.
    pub(crate) async fn subnets_of(&mut self, network: Uuid) -> Result<Vec<Subnet>, NetworkError> {
        let sql = "SELECT doc FROM subnets WHERE network_uuid = $1 ORDER BY id";
        let rows = sqlx::query(sql)
            .bind(network.to_string())
            .fetch_all(&mut **self)
            .await
            .map_err(StoreError::from)?;
        Ok(rows.iter().map(decode).collect::<Result<_>>()?)
    }
}

//! Networks, and what the network service's transactions can fail with.

use crate::record::{Record, insert, overwrite, read};
use crate::select::Column;
use crate::transaction::Write;
use crate::{Result, Store, StoreError};
use model::network::{AUTOMATIC_VLANS, Cidr, Network, NetworkType};
use sqlx::{AssertSqlSafe, Row};
use std::net::IpAddr;
use uuid::Uuid;

/// Why a change of networks, subnets or ports can't be made, by what the caller can do about it. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// As everywhere in the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else has the address: choose another.
    #[error("IP address {address} is in use on network {network}: {holder}")]
    AddressInUse {
        /// Network.
        network: Uuid,
        /// The address.
        address: IpAddr,
        /// Who has it, in words.
        holder: String,
    },
    /// Every address is taken: widen a pool, or delete ports.
    #[error(
        "no more IP addresses available on network {network}: all {taken} of {pools} are taken; delete ports, widen an allocation pool \
         or ask for an address outside of the pools"
    )]
    NoAddress {
        /// Network.
        network: Uuid,
        /// How many of them are taken.
        taken: usize,
        /// The subnets and their pools, in words.
        pools: String,
    },
    /// The address can't be any port's of this network: choose another.
    #[error("{0}")]
    BadAddress(String),
    /// Another port of the network has the MAC address.
    #[error("MAC address {mac} is in use on network {network}")]
    MacInUse {
        /// Network.
        network: Uuid,
        /// The MAC address.
        mac: String,
    },
    /// The project has as many as it may.
    #[error("quota exceeded for {resource}: the project has {used} of the {most} that it may have")]
    OverQuota {
        /// What of.
        resource: &'static str,
        /// How many there are.
        used: i64,
        /// How many there may be.
        most: i64,
    },
    /// The physical network has a flat network already.
    #[error("physical network {0} has a flat network already")]
    FlatInUse(String),
    /// Another network has the VLAN.
    #[error("VLAN {vlan} of physical network {physical_network} is another network's")]
    VlanInUse {
        /// Physical network.
        physical_network: String,
        /// The VLAN.
        vlan: u16,
    },
    /// All VLANs are taken.
    #[error(
        "physical network {0} has none of the VLANs 1000 to 1999 left: delete networks, or name the VLAN"
    )]
    NoVlan(String),
    /// Another subnet of the network has some of the addresses.
    #[error("the subnet {cidr} overlaps with {other} (subnet {other_id}) of the same network")]
    Overlap {
        /// The new one.
        cidr: Cidr,
        /// The other's addresses.
        other: Cidr,
        /// The other.
        other_id: Uuid,
    },
    /// Ports are on it: delete those first.
    #[error("{what} {id} has {ports} ports: delete them first")]
    HasPorts {
        /// `network` or `subnet`.
        what: &'static str,
        /// Which.
        id: Uuid,
        /// How many ports.
        ports: i64,
    },
    /// Another machine uses the port.
    #[error("port {port} is in use by {device_id}")]
    PortInUse {
        /// The port.
        port: Uuid,
        /// Who uses it.
        device_id: String,
    },
    /// Ports are in the security group.
    #[error("security group {0} is in use by ports")]
    GroupInUse(Uuid),
}

impl Record for Network {
    const TABLE: &'static str = "networks";
    const WHAT: &'static str = "Network";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[("id", "uuid"), ("name", "name")];

    fn uuid(&self) -> Uuid {
        self.id
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("name", Column::text(Some(&self.name))),
            ("owner", Column::text(Some(&self.project_id))),
            ("public", Column::flag(self.shared || self.is_external)),
            ("network_type", Column::text(Some(self.network_type.as_str()))),
            ("physical_network", Column::text(Some(&self.physical_network))),
            ("segment", Column::Number(Some(self.segmentation_id.unwrap_or(0).into()))),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(Some(self.updated_at))),
        ]
    }
}

impl Store {
    /// Stores a new network, within its project's quota. A VLAN network without a VLAN gets the lowest of [`AUTOMATIC_VLANS`] that is free
    /// on its physical network. Out comes the network as stored.
    pub async fn create_network(&self, mut network: Network) -> Result<Network, NetworkError> {
        let mut tx = self.write().await?;
        tx.check_quota(&network.project_id, "network", 1).await?;
        if network.network_type == NetworkType::Vlan && network.segmentation_id.is_none() {
            network.segmentation_id = Some(tx.free_vlan(&network.physical_network).await?);
        }
        insert(&mut tx, &network).await.map_err(|error| segment_error(error, &network))?;
        tx.commit().await?;
        Ok(network)
    }

    /// Changes a network as it is stored now; its subnets are shared as it is.
    pub async fn edit_network<E: From<NetworkError>>(
        &self,
        id: Uuid,
        change: impl FnOnce(&mut Network) -> Result<(), E>,
    ) -> Result<Network, E> {
        let mut tx = self.write().await.map_err(NetworkError::from)?;
        let mut network: Network = read(&mut tx, id).await.map_err(NetworkError::from)?;
        let before = network.is_visible_to("");
        change(&mut network)?;
        overwrite(&mut tx, &network).await.map_err(|error| segment_error(error, &network))?;
        if before != network.is_visible_to("") {
            for mut subnet in tx.subnets_of(id).await? {
                subnet.shared = !before;
                overwrite(&mut tx, &subnet).await.map_err(NetworkError::from)?;
            }
        }
        tx.commit().await.map_err(NetworkError::from)?;
        Ok(network)
    }

    /// Forgets a network with its subnets; [`NetworkError::HasPorts`] while it has ports.
    pub async fn delete_network(&self, id: Uuid) -> Result<(), NetworkError> {
        let ports = "SELECT COUNT(*) AS count FROM network_ports WHERE network_uuid = $1";
        self.delete_without_ports::<Network>("network", id, ports).await
    }

    /// Forgets what has no ports; `count` is the statement that counts them by its UUID.
    pub(crate) async fn delete_without_ports<R: Record>(
        &self,
        what: &'static str,
        id: Uuid,
        count: &'static str,
    ) -> Result<(), NetworkError> {
        let mut tx = self.write().await?;
        let ident = id.to_string();
        let row = sqlx::query(count).bind(&ident).fetch_one(&mut *tx).await.map_err(StoreError::from)?;
        let ports: i64 = row.try_get("count").map_err(StoreError::from)?;
        if ports > 0 {
            return Err(NetworkError::HasPorts { what, id, ports });
        }
        let sql = AssertSqlSafe(format!("DELETE FROM {} WHERE uuid = $1", R::TABLE));
        let done = sqlx::query(sql).bind(&ident).execute(&mut *tx).await.map_err(StoreError::from)?;
        tx.commit().await?;
        match done.rows_affected() {
            0 => Err(StoreError::NotFound { what: R::WHAT, ident }.into()),
            _ => Ok(()),
        }
    }
}

impl Write {
    /// The lowest VLAN of a physical network that no network has.
    async fn free_vlan(&mut self, physical_network: &str) -> Result<u16, NetworkError> {
        let sql =
            "SELECT segment FROM networks WHERE physical_network = $1 AND segment >= $2 ORDER BY segment";
        let rows = sqlx::query(sql)
            .bind(physical_network)
            .bind(i64::from(*AUTOMATIC_VLANS.start()))
            .fetch_all(&mut **self)
            .await
            .map_err(StoreError::from)?;
        let mut free = AUTOMATIC_VLANS;
        for row in rows {
            let taken: i64 = row.try_get("segment").map_err(StoreError::from)?;
            if i64::from(*free.start()) < taken {
                break;
            }
            free = free.start() + 1..=*free.end();
        }
        free.next().ok_or_else(|| NetworkError::NoVlan(physical_network.to_owned()))
    }
}

/// What it means that the network's place on the wire is taken.
fn segment_error(error: StoreError, network: &Network) -> NetworkError {
    let physical_network = network.physical_network.clone();
    match (error, network.segmentation_id) {
        (StoreError::Duplicate { field: "physical_network" | "segment", .. }, Some(vlan)) => {
            NetworkError::VlanInUse { physical_network, vlan }
        }
        (StoreError::Duplicate { field: "physical_network" | "segment", .. }, None) => {
            NetworkError::FlatInUse(physical_network)
        }
        (other, _) => other.into(),
    }
}

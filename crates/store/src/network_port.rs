//! Ports of networks: created with their addresses, bound to machines, released.

use crate::network::NetworkError;
use crate::network_address::AddressWish;
use crate::record::{Query, Record, decode, insert, overwrite, read};
use crate::select::Column;
use crate::transaction::Write;
use crate::{Result, Store, StoreError};
use jiff::Timestamp;
use model::network::{Binding, Network, NetworkPort, PortStatus, mac_from};
use std::net::IpAddr;
use uuid::Uuid;

/// MAC addresses that are tried before it counts as hopeless; one in 16 million is taken for each port of a network.
const MAC_TRIES: usize = 16;

impl Record for NetworkPort {
    const TABLE: &'static str = "network_ports";
    const WHAT: &'static str = "Port";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[("id", "uuid"), ("name", "name")];

    fn uuid(&self) -> Uuid {
        self.id
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("mac_address", Column::text(Some(&self.mac_address))),
            ("network_uuid", Column::id(Some(self.network_id))),
            ("name", Column::text(Some(&self.name))),
            ("owner", Column::text(Some(&self.project_id))),
            ("network_owner", Column::text(Some(&self.network_owner))),
            ("device_id", Column::text(Some(&self.device_id))),
            ("device_owner", Column::text(Some(&self.device_owner))),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(Some(self.updated_at))),
        ]
    }

    fn parent(&self) -> (&'static str, String) {
        ("Network", self.network_id.to_string())
    }
}

/// The machine that a port is bound to.
#[derive(Debug, Clone, PartialEq)]
pub struct PortBinding {
    /// The server's UUID.
    pub device_id: String,
    /// `compute:` and the availability zone.
    pub device_owner: String,
    /// Node, kind of card, and what the switch must know.
    pub binding: Binding,
    /// The MAC address of the bare-metal port that it is attached to; none: it keeps its own.
    pub mac_address: Option<String>,
}

impl Store {
    /// Stores a new port with its addresses, within its project's quota, all or nothing. Without wishes it gets an address of each
    /// version of IP that the network has; an empty list means none. Without a MAC address it gets one. Out comes the port as stored.
    pub async fn create_network_port(
        &self,
        mut port: NetworkPort,
        wishes: Option<&[AddressWish]>,
        now: Timestamp,
    ) -> Result<NetworkPort, NetworkError> {
        let mut tx = self.write().await?;
        tx.create_port(&mut port, wishes, now).await?;
        tx.commit().await?;
        Ok(port)
    }

    /// The same for several ports at once, all or none, each with its wishes.
    pub async fn create_network_ports(
        &self,
        ports: Vec<(NetworkPort, Option<Vec<AddressWish>>)>,
        now: Timestamp,
    ) -> Result<Vec<NetworkPort>, NetworkError> {
        let mut tx = self.write().await?;
        let mut made = Vec::with_capacity(ports.len());
        for (mut port, wishes) in ports {
            tx.create_port(&mut port, wishes.as_deref(), now).await?;
            made.push(port);
        }
        tx.commit().await?;
        Ok(made)
    }

    /// Changes a port as it is stored now, in one transaction, and gives it new addresses where there are wishes. `change` may not touch
    /// the network and the addresses.
    pub async fn edit_network_port<E: From<NetworkError>>(
        &self,
        id: Uuid,
        wishes: Option<&[AddressWish]>,
        now: Timestamp,
        change: impl FnOnce(&mut NetworkPort) -> Result<(), E>,
    ) -> Result<NetworkPort, E> {
        let mut tx = self.write().await.map_err(NetworkError::from)?;
        let mut port: NetworkPort = read(&mut tx, id).await.map_err(NetworkError::from)?;
        let mac = port.mac_address.clone();
        change(&mut port)?;
        overwrite(&mut tx, &port).await.map_err(|error| mac_error(error, &port))?;
        tx.readdress(&mut port, wishes, &mac, now).await?;
        tx.commit().await.map_err(NetworkError::from)?;
        Ok(port)
    }

    /// Binds a port to a machine: it takes the MAC address of the machine's card, and with it the addresses that are made of that. A
    /// port that is bound to the same device already is bound anew; one of another is refused ([`NetworkError::PortInUse`]).
    pub async fn bind_network_port(
        &self,
        id: Uuid,
        to: &PortBinding,
        now: Timestamp,
    ) -> Result<NetworkPort, NetworkError> {
        self.edit_network_port(id, None, now, |port| {
            if !port.device_id.is_empty() && port.device_id != to.device_id {
                return Err(NetworkError::PortInUse { port: id, device_id: port.device_id.clone() });
            }
            port.device_id.clone_from(&to.device_id);
            port.device_owner.clone_from(&to.device_owner);
            port.binding = to.binding.clone();
            if let Some(mac) = to.mac_address.as_ref().filter(|mac| **mac != port.mac_address) {
                let own = std::mem::replace(&mut port.mac_address, mac.clone());
                port.own_mac_address.get_or_insert(own);
            }
            port.status = PortStatus::Active;
            touch(port, now);
            Ok(())
        })
        .await
    }

    /// Releases a port from a device: it is deleted if it was made for it ([`NetworkPort::outlives_device`]), else it is as it was
    /// before it was bound. A port that is another's, or is gone, is left alone: the call may be repeated.
    pub async fn release_network_port(
        &self,
        id: Uuid,
        device_id: &str,
        now: Timestamp,
    ) -> Result<(), NetworkError> {
        let mut tx = self.write().await?;
        let mut port: NetworkPort = match read(&mut tx, id).await {
            Ok(port) => port,
            Err(StoreError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if port.device_id != device_id {
            return Ok(());
        }
        if port.outlives_device {
            let bound_mac = port.mac_address.clone();
            port.device_id.clear();
            port.device_owner.clear();
            port.binding = Binding { vnic_type: port.binding.vnic_type, ..Binding::default() };
            if let Some(own) = port.own_mac_address.take() {
                // Nobody keeps it for the port meanwhile; a release must not fail for that.
                let is_free = tx.is_mac_free(port.network_id, &own).await?;
                port.mac_address = if is_free { own } else { tx.free_mac(port.network_id).await? };
            }
            port.status = PortStatus::Down;
            touch(&mut port, now);
            overwrite(&mut tx, &port).await.map_err(|error| mac_error(error, &port))?;
            tx.readdress(&mut port, None, &bound_mac, now).await?;
        } else {
            tx.delete_port(id).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Releases every port of a device.
    pub async fn release_network_ports(&self, device_id: &str, now: Timestamp) -> Result<(), NetworkError> {
        for port in self.network_ports_of_device(device_id).await? {
            self.release_network_port(port.id, device_id, now).await?;
        }
        Ok(())
    }

    /// Forgets a port; its addresses are free. `may` has the last look at it.
    pub async fn delete_network_port<E: From<NetworkError>>(
        &self,
        id: Uuid,
        may: impl FnOnce(&NetworkPort) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut tx = self.write().await.map_err(NetworkError::from)?;
        may(&read(&mut tx, id).await.map_err(NetworkError::from)?)?;
        tx.delete_port(id).await?;
        Ok(tx.commit().await.map_err(NetworkError::from)?)
    }

    /// The ports of a device, in the order of their creation.
    pub async fn network_ports_of_device(&self, device_id: &str) -> Result<Vec<NetworkPort>> {
        self.list(&Query::equal("device_id", device_id)).await
    }

    /// The ports with a MAC address (lower case, colons): one in each network at most.
    pub async fn network_ports_by_mac(&self, mac: &str) -> Result<Vec<NetworkPort>> {
        self.list(&Query::equal("mac_address", mac)).await
    }

    /// The ports with an address: one in each network at most.
    pub async fn network_ports_by_address(&self, address: IpAddr) -> Result<Vec<NetworkPort>> {
        let sql = "SELECT doc FROM network_ports WHERE uuid IN \
                   (SELECT port_uuid FROM network_addresses WHERE address = $1) ORDER BY id";
        let rows = sqlx::query(sql).bind(address.to_string()).fetch_all(self.read()).await?;
        rows.iter().map(decode).collect()
    }
}

impl Write {
    async fn create_port(
        &mut self,
        port: &mut NetworkPort,
        wishes: Option<&[AddressWish]>,
        now: Timestamp,
    ) -> Result<(), NetworkError> {
        self.check_quota(&port.project_id, "port", 1).await?;
        let network: Network = read(self, port.network_id).await?;
        port.network_owner = network.project_id;
        if port.mac_address.is_empty() {
            port.mac_address = self.free_mac(port.network_id).await?;
        }
        insert(self, port).await.map_err(|error| mac_error(error, port))?;
        self.assign(port, wishes, now).await?;
        Ok(overwrite(self, port).await?)
    }

    /// Gives a port its addresses anew: those that it wishes for, and those that are made of its MAC address, if that was another.
    async fn readdress(
        &mut self,
        port: &mut NetworkPort,
        wishes: Option<&[AddressWish]>,
        mac_before: &str,
        now: Timestamp,
    ) -> Result<(), NetworkError> {
        let mut kept = Vec::new();
        if wishes.is_none() {
            if port.mac_address == mac_before {
                return Ok(());
            }
            let subnets = self.subnets_of(port.network_id).await?;
            let is_slaac = |id: Uuid| subnets.iter().any(|subnet| subnet.id == id && subnet.is_slaac());
            if !port.fixed_ips.iter().any(|fixed| is_slaac(fixed.subnet_id)) {
                return Ok(());
            }
            for fixed in std::mem::take(&mut port.fixed_ips) {
                if is_slaac(fixed.subnet_id) {
                    kept.push(AddressWish::Subnet(fixed.subnet_id));
                } else {
                    kept.push(AddressWish::Both(fixed.subnet_id, fixed.ip_address));
                    port.fixed_ips.push(fixed);
                }
            }
        }
        self.assign(port, Some(wishes.unwrap_or(&kept)), now).await?;
        Ok(overwrite(self, port).await?)
    }

    /// A MAC address that no port of the network has.
    async fn free_mac(&mut self, network: Uuid) -> Result<String, NetworkError> {
        let mut mac = String::new();
        for _ in 0..MAC_TRIES {
            let [a, b, c, ..] = *Uuid::new_v4().as_bytes();
            mac = mac_from([a, b, c]);
            if self.is_mac_free(network, &mac).await? {
                return Ok(mac);
            }
        }
        Err(NetworkError::MacInUse { network, mac })
    }

    async fn is_mac_free(&mut self, network: Uuid, mac: &str) -> Result<bool, NetworkError> {
        let sql = "SELECT 1 AS taken FROM network_ports WHERE network_uuid = $1 AND mac_address = $2";
        let taken =
            sqlx::query(sql).bind(network.to_string()).bind(mac.to_owned()).fetch_optional(&mut **self);
        Ok(taken.await.map_err(StoreError::from)?.is_none())
    }

    async fn delete_port(&mut self, id: Uuid) -> Result<(), NetworkError> {
        let sql = "DELETE FROM network_ports WHERE uuid = $1";
        sqlx::query(sql).bind(id.to_string()).execute(&mut **self).await.map_err(StoreError::from)?;
        Ok(())
    }
}

fn touch(port: &mut NetworkPort, now: Timestamp) {
    port.revision_number += 1;
    port.updated_at = now;
}

/// What it means that the network has the port's MAC address already.
fn mac_error(error: StoreError, port: &NetworkPort) -> NetworkError {
    match error {
        StoreError::Duplicate { field: "mac_address" | "network_uuid", .. } => {
            NetworkError::MacInUse { network: port.network_id, mac: port.mac_address.clone() }
        }
        other => other.into(),
    }
}

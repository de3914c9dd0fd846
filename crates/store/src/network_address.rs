//! Who has which address: the addresses of ports, and how they keep out of the way of what the DHCP server leases from its own pool.
//!
//! All of it happens within the transaction that writes the port. A lease that was renewed within [`LEASE_HELD`] is somebody's; an older
//! one gives way to a port. The DHCP server, in turn, writes its leases by [`Store::put_dhcp_lease`], which refuses what a port has.

use crate::network::NetworkError;
use crate::transaction::Write;
use crate::{Result, Store, StoreError, micros};
use jiff::{SignedDuration, Timestamp};
use model::network::{FixedIp, NetworkPort, Subnet, eui64, lowest_free};
use sqlx::Row;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use uuid::Uuid;

/// So long after it was last written down, a lease of the DHCP server's own pool may be in use: twice the hour that it is given for.
pub const LEASE_HELD: SignedDuration = SignedDuration::from_hours(2);

/// What is wished of one address of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressWish {
    /// This one, in whichever subnet has it.
    Address(IpAddr),
    /// Any of this subnet.
    Subnet(Uuid),
    /// This one of this subnet.
    Both(Uuid, IpAddr),
}

impl AddressWish {
    fn is_met_by(self, fixed: &FixedIp) -> bool {
        match self {
            Self::Address(address) => fixed.ip_address == address,
            Self::Subnet(subnet) => fixed.subnet_id == subnet,
            Self::Both(subnet, address) => (fixed.subnet_id, fixed.ip_address) == (subnet, address),
        }
    }
}

impl Store {
    /// Replaces the list of a process's own addresses on the networks that it serves by DHCP, which no port gets.
    pub async fn put_own_addresses(&self, hostname: &str, own: &[(String, Ipv4Addr)]) -> Result<()> {
        // A process that starts need not keep the others from their work for the sake of nothing.
        if own.is_empty() {
            let sql = "SELECT 1 FROM network_own_addresses WHERE hostname = $1 LIMIT 1";
            if sqlx::query(sql).bind(hostname).fetch_optional(self.read()).await?.is_none() {
                return Ok(());
            }
        }
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM network_own_addresses WHERE hostname = $1")
            .bind(hostname)
            .execute(&mut *tx)
            .await?;
        for (interface, address) in own {
            sqlx::query(
                "INSERT INTO network_own_addresses (hostname, interface, address) VALUES ($1, $2, $3)",
            )
            .bind(hostname)
            .bind(interface)
            .bind(address.to_string())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await
    }

    /// Every address that a port has.
    pub async fn assigned_addresses(&self) -> Result<Vec<IpAddr>> {
        let rows = sqlx::query("SELECT address FROM network_addresses").fetch_all(self.read()).await?;
        let mut addresses = Vec::with_capacity(rows.len());
        for row in rows {
            addresses.extend(row.try_get::<String, _>("address")?.parse::<IpAddr>());
        }
        Ok(addresses)
    }

    /// The processes that serve interfaces by DHCP, with each interface and their address on it.
    pub async fn own_addresses(&self) -> Result<Vec<(String, String, IpAddr)>> {
        let sql =
            "SELECT hostname, interface, address FROM network_own_addresses ORDER BY hostname, interface";
        let rows = sqlx::query(sql).fetch_all(self.read()).await?;
        let mut own = Vec::with_capacity(rows.len());
        for row in rows {
            if let Ok(address) = row.try_get::<String, _>("address")?.parse() {
                own.push((row.try_get("hostname")?, row.try_get("interface")?, address));
            }
        }
        Ok(own)
    }
}

impl Write {
    /// Gives a port its addresses: what it wishes for, or without a wish one of IPv4 and one of IPv6, as far as the network has any,
    /// and one of each subnet in which hosts make their own. What it has already and wishes for still stays as it is.
    ///
    /// The port itself must be stored already.
    pub(crate) async fn assign(
        &mut self,
        port: &mut NetworkPort,
        wishes: Option<&[AddressWish]>,
        now: Timestamp,
    ) -> Result<(), NetworkError> {
        let subnets = self.subnets_of(port.network_id).await?;
        let before = std::mem::take(&mut port.fixed_ips);
        let sql = "DELETE FROM network_addresses WHERE port_uuid = $1";
        sqlx::query(sql).bind(port.id.to_string()).execute(&mut **self).await.map_err(StoreError::from)?;
        match wishes {
            Some(wishes) => {
                let mut kept = before;
                for wish in wishes {
                    let fixed = match kept.iter().position(|fixed| wish.is_met_by(fixed)) {
                        Some(place) => kept.swap_remove(place),
                        None => self.fulfil(port, &subnets, *wish, now).await?,
                    };
                    self.take(port, fixed, now).await?;
                }
            }
            None => self.assign_freely(port, &subnets, now).await?,
        }
        Ok(())
    }

    /// Gives a port what it gets that has no wishes.
    async fn assign_freely(
        &mut self,
        port: &mut NetworkPort,
        subnets: &[Subnet],
        now: Timestamp,
    ) -> Result<(), NetworkError> {
        let serves = |subnet: &&Subnet| {
            subnet.service_types.is_empty() || subnet.service_types.contains(&port.device_owner)
        };
        let serving: Vec<&Subnet> = subnets.iter().filter(serves).collect();
        for version in [4, 6] {
            let of_version = |subnet: &&&Subnet| subnet.ip_version() == version && !subnet.is_slaac();
            let choice: Vec<&Subnet> = serving.iter().filter(of_version).copied().collect();
            if !choice.is_empty() {
                let fixed = self.any_of(port.network_id, &choice, now).await?;
                self.take(port, fixed, now).await?;
            }
        }
        for subnet in serving.into_iter().filter(|subnet| subnet.is_slaac()) {
            if let Some(ip_address) = eui64(&subnet.cidr, &port.mac_address) {
                self.take(port, FixedIp { subnet_id: subnet.id, ip_address }, now).await?;
            }
        }
        Ok(())
    }

    /// The address that a wish is for.
    async fn fulfil(
        &mut self,
        port: &NetworkPort,
        subnets: &[Subnet],
        wish: AddressWish,
        now: Timestamp,
    ) -> Result<FixedIp, NetworkError> {
        let network = port.network_id;
        let of_network = |id: Uuid| {
            subnets.iter().find(|subnet| subnet.id == id).ok_or_else(|| {
                NetworkError::BadAddress(format!("subnet {id} is not one of network {network}"))
            })
        };
        let (subnet, address) = match wish {
            AddressWish::Subnet(id) => (of_network(id)?, None),
            AddressWish::Both(id, address) => (of_network(id)?, Some(address)),
            AddressWish::Address(address) => {
                let has = |subnet: &&Subnet| subnet.cidr.contains(address);
                let subnet = subnets.iter().find(has).ok_or_else(|| {
                    NetworkError::BadAddress(format!(
                        "IP address {address} is not in any subnet of network {network}"
                    ))
                })?;
                (subnet, Some(address))
            }
        };
        let own = subnet.is_slaac().then(|| eui64(&subnet.cidr, &port.mac_address)).flatten();
        let ip_address = match (address, own) {
            (None, Some(own)) => own,
            (None, None) => return self.any_of(network, &[subnet], now).await,
            (Some(address), Some(own)) if address != own => {
                return Err(NetworkError::BadAddress(format!(
                    "hosts make their own address in subnet {}: the port's is {own}, not {address}",
                    subnet.id
                )));
            }
            (Some(address), _) => address,
        };
        let (first, last) = subnet.cidr.hosts();
        if !(first..=last).contains(&ip_address) {
            return Err(NetworkError::BadAddress(format!(
                "IP address {ip_address} is no host address of subnet {} ({})",
                subnet.id, subnet.cidr
            )));
        }
        Ok(FixedIp { subnet_id: subnet.id, ip_address })
    }

    /// The lowest free address of the first of these subnets that has one.
    async fn any_of(
        &mut self,
        network: Uuid,
        subnets: &[&Subnet],
        now: Timestamp,
    ) -> Result<FixedIp, NetworkError> {
        let mut all_taken = 0;
        for subnet in subnets {
            let taken = self.taken_in(subnet, now).await?;
            if let Some(ip_address) = lowest_free(&subnet.allocation_pools, &taken) {
                return Ok(FixedIp { subnet_id: subnet.id, ip_address });
            }
            let in_pools = |address: &&IpAddr| subnet.allocation_pools.iter().any(|p| p.contains(**address));
            all_taken += taken.iter().filter(in_pools).count();
        }
        let described = subnets.iter().map(|subnet| {
            let pools: Vec<_> = subnet.allocation_pools.iter().map(ToString::to_string).collect();
            let pools = if pools.is_empty() { "none".to_owned() } else { pools.join(", ") };
            format!("subnet {} ({}; allocation pools: {pools})", subnet.id, subnet.cidr)
        });
        let pools = described.collect::<Vec<_>>().join(" and ");
        Err(NetworkError::NoAddress { network, taken: all_taken, pools })
    }

    /// The addresses of a subnet that a port can't get now.
    async fn taken_in(&mut self, subnet: &Subnet, now: Timestamp) -> Result<BTreeSet<IpAddr>, NetworkError> {
        let failed = StoreError::from;
        let sql = "SELECT address FROM network_addresses WHERE subnet_uuid = $1";
        let mut rows =
            sqlx::query(sql).bind(subnet.id.to_string()).fetch_all(&mut **self).await.map_err(failed)?;
        if subnet.ip_version() == 4 {
            let sql = "SELECT address FROM dhcp_leases WHERE updated_us > $1 \
                       UNION SELECT address FROM network_own_addresses";
            let held = sqlx::query(sql).bind(held_since(now)).fetch_all(&mut **self).await;
            rows.extend(held.map_err(failed)?);
        }
        let mut taken = BTreeSet::new();
        for row in rows {
            if let Ok(address) = row.try_get::<String, _>("address").map_err(failed)?.parse() {
                taken.insert(address);
            }
        }
        // Never a port's, even where a subnet of its own kind has it in a pool: the gateway may have been set later.
        taken.extend(subnet.gateway_ip);
        Ok(taken)
    }

    /// Writes down that a port has an address, which must be nobody else's.
    async fn take(
        &mut self,
        port: &mut NetworkPort,
        fixed: FixedIp,
        now: Timestamp,
    ) -> Result<(), NetworkError> {
        let (network, address) = (port.network_id, fixed.ip_address);
        let text = address.to_string();
        let in_use = |holder: String| NetworkError::AddressInUse { network, address, holder };
        let failed = StoreError::from;
        if address.is_ipv4() {
            let sql = "SELECT mac FROM dhcp_leases WHERE address = $1 AND updated_us > $2";
            let held = sqlx::query(sql).bind(&text).bind(held_since(now)).fetch_optional(&mut **self).await;
            if let Some(row) = held.map_err(failed)? {
                let mac: String = row.try_get("mac").map_err(failed)?;
                return Err(in_use(format!("the DHCP server has leased it to a ramdisk of {mac}")));
            }
            let sql = "SELECT interface FROM network_own_addresses WHERE address = $1";
            let own = sqlx::query(sql).bind(&text).fetch_optional(&mut **self).await.map_err(failed)?;
            if let Some(row) = own {
                let interface: String = row.try_get("interface").map_err(failed)?;
                return Err(in_use(format!("it is the DHCP server's own, on {interface}")));
            }
            // What is left of a lease is long over, and its machine will ask before it uses the address again.
            let sql = "DELETE FROM dhcp_leases WHERE address = $1";
            sqlx::query(sql).bind(&text).execute(&mut **self).await.map_err(failed)?;
        }
        let sql = "INSERT INTO network_addresses (network_uuid, address, subnet_uuid, port_uuid) \
                   VALUES ($1, $2, $3, $4)";
        let done = sqlx::query(sql)
            .bind(network.to_string())
            .bind(&text)
            .bind(fixed.subnet_id.to_string())
            .bind(port.id.to_string())
            .execute(&mut **self)
            .await;
        match done {
            Ok(_) => {
                port.fixed_ips.push(fixed);
                Ok(())
            }
            Err(error) if error.as_database_error().is_some_and(|e| e.is_unique_violation()) => {
                Err(in_use("another port has it".to_owned()))
            }
            Err(error) => Err(failed(error).into()),
        }
    }
}

/// Leases written since then may be in use.
fn held_since(now: Timestamp) -> i64 {
    micros(now.saturating_sub(LEASE_HELD).unwrap_or(Timestamp::MIN))
}

//! Addresses that the built-in DHCP server gave out.

use crate::{Result, Store, micros};
use jiff::Timestamp;
use sqlx::Row;
use std::net::Ipv4Addr;

impl Store {
    /// The address of a MAC (lower case, colons), if it has one.
    pub async fn dhcp_lease(&self, mac: &str) -> Result<Option<Ipv4Addr>> {
        let row = sqlx::query("SELECT address FROM dhcp_leases WHERE mac = $1")
            .bind(mac)
            .fetch_optional(self.read())
            .await?;
        Ok(match row {
            Some(row) => row.try_get::<String, _>("address")?.parse().ok(),
            None => None,
        })
    }

    /// Every lease, for filling an allocator at start.
    pub async fn dhcp_leases(&self) -> Result<Vec<(String, Ipv4Addr)>> {
        let rows =
            sqlx::query("SELECT mac, address FROM dhcp_leases ORDER BY mac").fetch_all(self.read()).await?;
        let mut leases = Vec::with_capacity(rows.len());
        for row in rows {
            if let Ok(address) = row.try_get::<String, _>("address")?.parse() {
                leases.push((row.try_get("mac")?, address));
            }
        }
        Ok(leases)
    }

    /// Records that a MAC has an address; the address leaves whoever had it before. False, and nothing is written, where a port of the
    /// network service has the address.
    pub async fn put_dhcp_lease(&self, mac: &str, address: Ipv4Addr, now: Timestamp) -> Result<bool> {
        let mut tx = self.write().await?;
        let taken = sqlx::query("SELECT 1 AS taken FROM network_addresses WHERE address = $1 LIMIT 1")
            .bind(address.to_string())
            .fetch_optional(&mut *tx)
            .await?;
        if taken.is_some() {
            return Ok(false);
        }
        sqlx::query("DELETE FROM dhcp_leases WHERE address = $1 AND mac <> $2")
            .bind(address.to_string())
            .bind(mac)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO dhcp_leases (mac, address, updated_us) VALUES ($1, $2, $3) \
             ON CONFLICT (mac) DO UPDATE SET address = excluded.address, updated_us = excluded.updated_us",
        )
        .bind(mac)
        .bind(address.to_string())
        .bind(micros(now))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }
}

//! Who has which address: the pools of all networks, and what keeps them over a restart.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use wire::Mac;

use crate::{Grant, LeaseHint, Network, Pending, Pool, PoolError};

/// Keeps leases over a restart.
pub trait LeaseStore: Send + Sync + 'static {
    /// All leases that are kept. Asked once, at the start.
    ///
    /// # Errors
    /// [`LeaseError`] when they can't be read; netboot then does not start.
    fn leases(&self) -> Pending<'_, Result<Vec<(Mac, Ipv4Addr)>, LeaseError>>;

    /// The machine has this address now, in the network that the address is in, and no other machine has it any more.
    /// Called before a new address is offered, not when a lease is renewed.
    ///
    /// # Errors
    /// [`LeaseError`] when it can't be written; the address is handed out nevertheless.
    fn save(&self, mac: Mac, address: Ipv4Addr) -> Pending<'_, Result<(), LeaseError>>;
}

/// Leases can't be read or written, for this reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LeaseError(pub String);

/// Keeps leases for as long as the process lives.
#[derive(Debug, Default)]
pub struct MemoryLeases {
    by_address: Mutex<HashMap<Ipv4Addr, Mac>>,
}

impl LeaseStore for MemoryLeases {
    fn leases(&self) -> Pending<'_, Result<Vec<(Mac, Ipv4Addr)>, LeaseError>> {
        let all = unpoisoned(&self.by_address).iter().map(|(address, mac)| (*mac, *address)).collect();
        Box::pin(async { Ok(all) })
    }

    fn save(&self, mac: Mac, address: Ipv4Addr) -> Pending<'_, Result<(), LeaseError>> {
        unpoisoned(&self.by_address).insert(address, mac);
        Box::pin(async { Ok(()) })
    }
}

/// The pools, shared by the servers.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    networks: Arc<[Network]>,
    pools: Arc<Mutex<Vec<Pool>>>,
}

impl Directory {
    /// `pools[i]` is the pool of `networks[i]`.
    pub(crate) fn new(networks: Vec<Network>, pools: Vec<Pool>) -> Self {
        Self { networks: networks.into(), pools: Arc::new(Mutex::new(pools)) }
    }

    pub(crate) fn restore(&self, leases: Vec<(Mac, Ipv4Addr)>, now: Instant) {
        let mut pools = unpoisoned(&self.pools);
        for (mac, address) in leases {
            if let Some(pool) = pools.iter_mut().find(|p| p.net().contains(&address)) {
                pool.restore(mac, address, now);
            }
        }
    }

    /// The network that an address is in: our own on a segment, or a relay's.
    pub(crate) fn network(&self, address: Ipv4Addr) -> Option<&Network> {
        self.networks.iter().find(|n| n.net.contains(&address))
    }

    /// The machine's address in a network, as the hint or the pool has it.
    pub(crate) fn grant(
        &self,
        network: &Network,
        mac: Mac,
        hint: Option<&LeaseHint>,
        now: Instant,
    ) -> Result<Grant, PoolError> {
        let mut pools = unpoisoned(&self.pools);
        let Some(pool) = pools.iter_mut().find(|p| p.net() == network.net) else {
            // Networks and pools are made together; a network without a pool has no room.
            let (first, last) = network.range;
            return Err(PoolError::Exhausted { size: 0, first, last });
        };
        match hint.filter(|h| network.net.contains(&h.address)) {
            Some(hint) => pool.pin(mac, hint.address, now),
            None => pool.lease(mac, now),
        }
    }

    pub(crate) fn decline(&self, mac: Mac, address: Ipv4Addr, now: Instant) -> bool {
        unpoisoned(&self.pools).iter_mut().any(|p| p.decline(mac, address, now))
    }

    /// Whose address it is, in whichever network.
    pub(crate) fn holder(&self, address: Ipv4Addr) -> Option<Mac> {
        unpoisoned(&self.pools).iter().find_map(|p| p.holder(address))
    }

    /// Whether the machine has an address anywhere: it is known, and was seen before.
    pub(crate) fn is_familiar(&self, mac: Mac) -> bool {
        unpoisoned(&self.pools).iter().any(|p| p.contains(mac))
    }
}

/// The maps behind these locks are whole after every statement, so a panic elsewhere leaves them usable.
pub(crate) fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

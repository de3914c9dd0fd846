//! Who has which address: the pools of all networks, and what keeps them over a restart.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use wire::Mac;

use ipnet::Ipv4Net;

use crate::{Grant, Network, Pending, Pool, PoolError};

/// Keeps leases over a restart.
pub trait LeaseStore: Send + Sync + 'static {
    /// All leases that are kept. Asked once, at the start.
    ///
    /// # Errors
    /// [`LeaseError`] when they can't be read; netboot then does not start.
    fn leases(&self) -> Pending<'_, Result<Vec<(Mac, Ipv4Addr)>, LeaseError>>;

    /// The machine has this address now, in the network that the address is in, and no other machine has it any more: `true`.
    /// `false`: the address is not the pool's to give; nothing was written, and the machine gets another.
    ///
    /// Called before a new address is offered, and again for each quarter of a lease in which the machine is heard of.
    ///
    /// # Errors
    /// [`LeaseError`] when it can't be written; then the machine gets silence, and asks again.
    fn save(&self, mac: Mac, address: Ipv4Addr) -> Pending<'_, Result<bool, LeaseError>>;

    /// What others have in a network. Asked when a machine needs an address that it did not have before.
    ///
    /// # Errors
    /// [`LeaseError`] when it can't be read; then the machine gets silence, and asks again.
    fn foreign(&self, _net: Ipv4Net) -> Pending<'_, Result<Foreign, LeaseError>> {
        Box::pin(async { Ok(Foreign::default()) })
    }
}

/// What others have in a network from whose pool addresses are leased.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Foreign {
    /// Addresses that are somebody's.
    pub taken: BTreeSet<Ipv4Addr>,
    /// First and last address of ranges that others give out from: nothing is leased from there while there is anything else.
    pub avoided: Vec<(Ipv4Addr, Ipv4Addr)>,
}

impl Foreign {
    /// Is the address in a range that others give out from?
    pub(crate) fn is_avoided(&self, address: Ipv4Addr) -> bool {
        self.avoided.iter().any(|(first, last)| (*first..=*last).contains(&address))
    }
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

    fn save(&self, mac: Mac, address: Ipv4Addr) -> Pending<'_, Result<bool, LeaseError>> {
        unpoisoned(&self.by_address).insert(address, mac);
        Box::pin(async { Ok(true) })
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

    /// The address that the machine was given in a network, if it has one there.
    pub(crate) fn held(&self, network: &Network, mac: Mac, now: Instant) -> Option<Grant> {
        unpoisoned(&self.pools).iter_mut().find(|p| p.net() == network.net)?.held(mac, now)
    }

    /// A new address for the machine in a network.
    pub(crate) fn lease(
        &self,
        network: &Network,
        mac: Mac,
        foreign: &Foreign,
        now: Instant,
    ) -> Result<Ipv4Addr, PoolError> {
        match unpoisoned(&self.pools).iter_mut().find(|p| p.net() == network.net) {
            Some(pool) => pool.lease(mac, foreign, now),
            None => {
                // Networks and pools are made together; a network without a pool has no room.
                let (first, last) = network.range;
                Err(PoolError::Exhausted { size: 0, first, last })
            }
        }
    }

    /// The machine has an address that somebody else has decided. Where no pool is, nobody else can have it from here.
    pub(crate) fn pin(&self, mac: Mac, address: Ipv4Addr, now: Instant) -> Result<(), PoolError> {
        match unpoisoned(&self.pools).iter_mut().find(|p| p.net().contains(&address)) {
            Some(pool) => pool.pin(mac, address, now),
            None => Ok(()),
        }
    }

    /// The machine has taken this address of another server, which owns its wire: so much is known of it until it is heard of again.
    pub(crate) fn learn(&self, mac: Mac, address: Ipv4Addr, now: Instant) {
        if let Err(error) = self.pin(mac, address, now) {
            tracing::debug!(%mac, %address, %error, "an address of another server's is not followed");
        }
    }

    /// The machine's lease was written down (`is_kept`), or could not be: it has none then.
    pub(crate) fn settle(&self, mac: Mac, address: Ipv4Addr, is_kept: bool, now: Instant) {
        for pool in unpoisoned(&self.pools).iter_mut().filter(|p| p.net().contains(&address)) {
            if is_kept {
                pool.kept(mac, address, now);
            } else {
                pool.forget(mac, address);
            }
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

//! Which address a machine gets.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;
use wire::Mac;

use crate::{Foreign, NetbootError, Network};

/// How long an address that a machine found in use is left alone.
const DECLINED_FOR: Duration = Duration::from_secs(600);

/// Addresses that are looked at for a free one: a pool of 65,536 in full.
const MOST_TRIED: u64 = 1 << 16;

/// The addresses of one network. Pure: the time is passed in.
///
/// A machine keeps its address for good: where it starts to look is a hash of its Ethernet address, so that it mostly
/// gets the same one even where nothing was kept. Only when the range is full does the machine that has been silent for
/// longest, and longer than its lease, lose its own.
#[derive(Debug)]
pub struct Pool {
    net: Ipv4Net,
    first: u32,
    last: u32,
    reserved: BTreeSet<u32>,
    lease: Duration,
    by_mac: HashMap<Mac, Holding>,
    by_address: HashMap<u32, Mac>,
    declined: VecDeque<(u32, Instant)>,
}

#[derive(Debug, Clone, Copy)]
struct Holding {
    address: u32,
    seen: Instant,
    title: Title,
}

/// By what right a machine has its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Title {
    /// It was given it here; when that was last written down. Not in this run: it may be somebody else's by now.
    Lease(Option<Instant>),
    /// Somebody else decides over the address.
    Pinned,
}

/// An address given to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The address.
    pub address: Ipv4Addr,
    /// It was not written down for a while: that has to be done before it is used.
    pub must_keep: bool,
}

/// Why a machine gets no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Every address of the range is in use by a machine that was seen within its lease.
    #[error(
        "all {size} addresses of the pool {first} to {last} are in use, by machines or by ports of the network service; configure a larger range"
    )]
    Exhausted {
        /// How many there are.
        size: u64,
        /// The first.
        first: Ipv4Addr,
        /// The last.
        last: Ipv4Addr,
    },
    /// The address that was asked for is another machine's.
    #[error(
        "{address} is leased to {holder}, which was seen within its lease; give one of the two another address"
    )]
    Taken {
        /// The address.
        address: Ipv4Addr,
        /// Whose it is.
        holder: Mac,
    },
    /// The address that was asked for can't be any machine's.
    #[error(
        "{address} is reserved in {net}: the server's own, a router's, the network's or its broadcast address"
    )]
    Reserved {
        /// The address.
        address: Ipv4Addr,
        /// The network.
        net: Ipv4Net,
    },
}

impl Pool {
    /// The empty pool of a network. `taken` are addresses in it that belong to no machine: the servers' own. A machine that
    /// was silent for longer than `lease` may lose its address to another.
    ///
    /// # Errors
    /// [`NetbootError::Network`] when the range lies outside of the network or is empty.
    pub fn new(
        network: &Network,
        taken: impl IntoIterator<Item = Ipv4Addr>,
        lease: Duration,
    ) -> Result<Self, NetbootError> {
        let net = network.net.trunc();
        let (first, last) = network.range;
        let wrong = |reason: String| NetbootError::Network { network: net.to_string(), reason };
        if !net.contains(&first) || !net.contains(&last) || first > last {
            return Err(wrong(format!("the range {first} to {last} is not within it")));
        }
        let mut reserved: BTreeSet<u32> = taken.into_iter().map(u32::from).collect();
        reserved.extend(network.routers.iter().chain(&network.dns).map(|a| u32::from(*a)));
        reserved.extend([u32::from(net.network()), u32::from(net.broadcast())]);
        let pool = Self {
            net,
            first: first.into(),
            last: last.into(),
            reserved,
            lease,
            by_mac: HashMap::new(),
            by_address: HashMap::new(),
            declined: VecDeque::new(),
        };
        if pool.size() == 0 {
            return Err(wrong(format!("every address from {first} to {last} is reserved")));
        }
        Ok(pool)
    }

    /// The network.
    #[must_use]
    pub fn net(&self) -> Ipv4Net {
        self.net
    }

    /// How many machines it has room for.
    #[must_use]
    pub fn size(&self) -> u64 {
        let all = u64::from(self.last) - u64::from(self.first) + 1;
        all - self.reserved.range(self.first..=self.last).count() as u64
    }

    /// The machine had this address when it was last written down. Without effect if it can't have it (any more).
    pub fn restore(&mut self, mac: Mac, address: Ipv4Addr, now: Instant) {
        let number = u32::from(address);
        if self.net.contains(&address)
            && !self.reserved.contains(&number)
            && !self.by_address.contains_key(&number)
        {
            self.put(mac, number, now, Title::Lease(None));
        }
    }

    /// The address that the machine was given here, if it has one.
    pub fn held(&mut self, mac: Mac, now: Instant) -> Option<Grant> {
        let holding = self.by_mac.get_mut(&mac)?;
        let Title::Lease(kept) = holding.title else { return None };
        holding.seen = now;
        // Four times in a lease: whoever reads what is written knows then who is gone.
        let is_kept = kept.is_some_and(|at| now.saturating_duration_since(at) < self.lease / 4);
        Some(Grant { address: holding.address.into(), must_keep: !is_kept })
    }

    /// The machine's lease was written down.
    pub fn kept(&mut self, mac: Mac, address: Ipv4Addr, now: Instant) {
        if let Some(holding) = self.by_mac.get_mut(&mac).filter(|h| h.address == u32::from(address)) {
            holding.title = Title::Lease(Some(now));
        }
    }

    /// The machine's lease is another's by now.
    pub fn forget(&mut self, mac: Mac, address: Ipv4Addr) {
        let number = u32::from(address);
        if self.by_address.get(&number) == Some(&mac) {
            self.by_address.remove(&number);
            self.by_mac.remove(&mac);
        }
    }

    /// A free address for a machine that has none. It has to be written down before it is used.
    ///
    /// # Errors
    /// [`PoolError::Exhausted`].
    pub fn lease(&mut self, mac: Mac, foreign: &Foreign, now: Instant) -> Result<Ipv4Addr, PoolError> {
        while self.declined.front().is_some_and(|(_, until)| *until <= now) {
            self.declined.pop_front();
        }
        // Addresses that ports may get are left to them for as long as there are others.
        let polite = |number: u32| !foreign.is_avoided(number.into());
        let number = self
            .find_free(mac, foreign, polite)
            .or_else(|| self.find_free(mac, foreign, |_| true))
            .or_else(|| self.evict(foreign, now))
            .ok_or(PoolError::Exhausted {
                size: self.size(),
                first: self.first.into(),
                last: self.last.into(),
            })?;
        self.put(mac, number, now, Title::Lease(None));
        Ok(number.into())
    }

    /// Gives the machine this very address, inside or outside of the range, which somebody else has decided.
    ///
    /// # Errors
    /// [`PoolError::Taken`] and [`PoolError::Reserved`].
    pub fn pin(&mut self, mac: Mac, address: Ipv4Addr, now: Instant) -> Result<(), PoolError> {
        let number = u32::from(address);
        if !self.net.contains(&address) || self.reserved.contains(&number) {
            return Err(PoolError::Reserved { address, net: self.net });
        }
        let holder = self.by_address.get(&number).copied().filter(|holder| *holder != mac);
        if let Some(holder) = holder.filter(|holder| self.is_owed(*holder, now)) {
            return Err(PoolError::Taken { address, holder });
        }
        self.put(mac, number, now, Title::Pinned);
        Ok(())
    }

    /// The machine found its address in use: it gets another next time, and nobody gets this one for ten minutes. Returns
    /// whether it was the machine's.
    pub fn decline(&mut self, mac: Mac, address: Ipv4Addr, now: Instant) -> bool {
        let number = u32::from(address);
        if self.by_address.get(&number) != Some(&mac) {
            return false;
        }
        self.by_address.remove(&number);
        let was = self.by_mac.remove(&mac);
        // The machine gets what was pinned again: it is not here that another could be chosen.
        if was.is_some_and(|holding| holding.title == Title::Pinned) {
            return true;
        }
        // A machine that declines everything must not use up the pool: a quarter of it at most is left alone.
        let most = usize::try_from(self.size() / 4).unwrap_or(usize::MAX).clamp(1, 1024);
        while self.declined.len() >= most {
            self.declined.pop_front();
        }
        self.declined.push_back((number, now + DECLINED_FOR));
        true
    }

    /// Whose address it is.
    #[must_use]
    pub fn holder(&self, address: Ipv4Addr) -> Option<Mac> {
        self.by_address.get(&u32::from(address)).copied()
    }

    /// Whether the machine has an address here.
    #[must_use]
    pub fn contains(&self, mac: Mac) -> bool {
        self.by_mac.contains_key(&mac)
    }

    fn is_current(&self, mac: Mac, now: Instant) -> bool {
        self.by_mac.get(&mac).is_some_and(|h| now.saturating_duration_since(h.seen) <= self.lease)
    }

    /// Does the machine rely on an address that was given here? Whoever has pinned it has looked at what is written down, so a lease that was
    /// not written in this run, or not for long, is none.
    fn is_owed(&self, mac: Mac, now: Instant) -> bool {
        let is_written = |holding: &Holding| matches!(holding.title, Title::Lease(Some(_)));
        self.is_current(mac, now) && self.by_mac.get(&mac).is_some_and(is_written)
    }

    fn put(&mut self, mac: Mac, number: u32, now: Instant, title: Title) {
        if let Some(former) = self.by_address.insert(number, mac).filter(|former| *former != mac) {
            self.by_mac.remove(&former);
        }
        if let Some(before) = self.by_mac.insert(mac, Holding { address: number, seen: now, title })
            && before.address != number
        {
            self.by_address.remove(&before.address);
        }
    }

    fn is_free(&self, number: u32) -> bool {
        !self.reserved.contains(&number)
            && !self.by_address.contains_key(&number)
            && !self.declined.iter().any(|(declined, _)| *declined == number)
    }

    fn find_free(&self, mac: Mac, foreign: &Foreign, may: impl Fn(u32) -> bool) -> Option<u32> {
        let span = u64::from(self.last) - u64::from(self.first) + 1;
        let start = hash(mac) % span;
        (0..span.min(MOST_TRIED))
            .map(|step| {
                let offset = (start + step) % span;
                // Below 2^32 since offset < span.
                self.first + offset as u32
            })
            .find(|number| {
                self.is_free(*number) && may(*number) && !foreign.taken.contains(&(*number).into())
            })
    }

    fn evict(&mut self, foreign: &Foreign, now: Instant) -> Option<u32> {
        let (mac, holding) = self
            .by_mac
            .iter()
            .filter(|(_, h)| (self.first..=self.last).contains(&h.address) && h.title != Title::Pinned)
            .filter(|(_, h)| !foreign.taken.contains(&h.address.into()))
            .min_by_key(|(_, h)| h.seen)
            .map(|(mac, holding)| (*mac, *holding))?;
        if self.is_current(mac, now) {
            return None;
        }
        self.by_mac.remove(&mac);
        self.by_address.remove(&holding.address);
        Some(holding.address)
    }
}

/// FNV-1a: spreads neighbouring addresses, the same in every run and build.
fn hash(mac: Mac) -> u64 {
    mac.octets().iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEASE: Duration = Duration::from_secs(3600);

    fn mac(n: u32) -> Mac {
        let [a, b, c, d] = n.to_be_bytes();
        Mac::new([0x52, 0x54, a, b, c, d])
    }

    fn lease(pool: &mut Pool, mac: Mac, now: Instant) -> Result<Ipv4Addr, PoolError> {
        pool.lease(mac, &Foreign::default(), now)
    }

    fn pool(net: &str) -> Pool {
        let net: Ipv4Net = net.parse().unwrap();
        Pool::new(&Network::upper_half(net).unwrap(), [net.addr()], LEASE).unwrap()
    }

    #[test]
    fn the_same_machine_gets_the_same_address() {
        let now = Instant::now();
        let mut one = pool("10.77.0.1/24");
        assert_eq!(one.held(mac(1), now), None);
        let first = lease(&mut one, mac(1), now).unwrap();
        assert_eq!(one.held(mac(1), now), Some(Grant { address: first, must_keep: true }));
        one.kept(mac(1), first, now);
        assert_eq!(one.held(mac(1), now), Some(Grant { address: first, must_keep: false }));
        assert_eq!(one.held(mac(1), now + LEASE / 4), Some(Grant { address: first, must_keep: true }));
        assert_eq!(one.holder(first), Some(mac(1)));
        assert_eq!(lease(&mut pool("10.77.0.1/24"), mac(1), now), Ok(first), "also in a new pool");
    }

    #[test]
    fn a_full_pool_takes_from_the_longest_silent() {
        let now = Instant::now();
        let mut pool = pool("10.0.0.1/29");
        assert_eq!(pool.size(), 3);
        for n in 0..3u32 {
            lease(&mut pool, mac(n), now + Duration::from_secs(n.into())).unwrap();
        }
        assert!(matches!(lease(&mut pool, mac(9), now + LEASE), Err(PoolError::Exhausted { size: 3, .. })));
        let later = now + LEASE + Duration::from_secs(2);
        let granted = lease(&mut pool, mac(9), later).unwrap();
        assert_eq!(pool.holder(granted), Some(mac(9)));
        assert!(!pool.contains(mac(0)) && pool.contains(mac(1)) && pool.contains(mac(2)));
    }

    #[test]
    fn a_declined_address_is_left_alone_for_a_while() {
        let now = Instant::now();
        let mut pool = pool("10.0.0.1/30");
        let only = lease(&mut pool, mac(1), now).unwrap();
        assert!(!pool.decline(mac(2), only, now), "not his");
        assert!(pool.decline(mac(1), only, now));
        assert!(lease(&mut pool, mac(1), now).is_err());
        assert_eq!(lease(&mut pool, mac(1), now + DECLINED_FOR), Ok(only));
    }

    #[test]
    fn an_address_decided_elsewhere() {
        let now = Instant::now();
        let mut pool = pool("10.77.0.1/24");
        let low = Ipv4Addr::new(10, 77, 0, 20);
        assert_eq!(pool.pin(mac(1), low, now), Ok(()));
        assert_eq!(pool.pin(mac(1), low, now), Ok(()));
        assert_eq!(pool.held(mac(1), now), None, "it was not given here");
        assert_eq!(pool.pin(mac(2), low, now), Ok(()), "whoever decides has given it to another");
        assert!(!pool.contains(mac(1)));
        pool.pin(mac(1), low, now).unwrap();
        let other = Ipv4Addr::new(10, 77, 0, 21);
        pool.pin(mac(1), other, now).unwrap();
        assert_eq!(pool.holder(low), None, "the former address is free again");
        for reserved in [[10, 77, 0, 0], [10, 77, 0, 255], [10, 77, 0, 1], [10, 78, 0, 9]] {
            assert!(matches!(pool.pin(mac(1), reserved.into(), now), Err(PoolError::Reserved { .. })));
        }
    }

    #[test]
    fn what_is_owed_is_not_pinned_to_another_and_what_is_old_is() {
        let now = Instant::now();
        let mut pool = pool("10.77.0.1/24");
        let address = lease(&mut pool, mac(1), now).unwrap();
        pool.kept(mac(1), address, now);
        assert_eq!(pool.pin(mac(2), address, now + LEASE), Err(PoolError::Taken { address, holder: mac(1) }));
        assert_eq!(pool.pin(mac(2), address, now + LEASE + Duration::from_secs(1)), Ok(()));
        // Read from what an earlier run has written: whoever pins it has looked at that too.
        let old = Ipv4Addr::new(10, 77, 0, 200);
        pool.restore(mac(3), old, now);
        assert_eq!(pool.pin(mac(2), old, now), Ok(()));
        assert_eq!(pool.held(mac(3), now), None);
        // Back from its own system to a ramdisk, it gets an address from here.
        let again = lease(&mut pool, mac(2), now).unwrap();
        assert_ne!(again, old);
        assert_eq!(pool.holder(old), None);
        pool.forget(mac(2), again);
        assert_eq!(pool.held(mac(2), now), None);
    }

    #[test]
    fn others_addresses_are_never_given_and_their_pools_only_in_need() {
        let now = Instant::now();
        let mut pool = pool("10.0.0.1/28");
        let address = |last: u8| Ipv4Addr::new(10, 0, 0, last);
        let foreign =
            Foreign { taken: [8, 12].map(address).into(), avoided: vec![(address(9), address(12))] };
        let mut given: Vec<_> =
            (0..5).map(|n| pool.lease(mac(n), &foreign, now).unwrap().octets()[3]).collect();
        given[..2].sort_unstable();
        assert_eq!(given[..2], [13, 14]);
        given[2..].sort_unstable();
        assert_eq!(given[2..], [9, 10, 11]);
        let later = now + LEASE + Duration::from_secs(1);
        assert!(pool.lease(mac(9), &foreign, now).is_err());
        let all = Foreign { taken: (8..15).map(address).collect(), ..Foreign::default() };
        assert!(pool.lease(mac(9), &all, later).is_err(), "nor are they taken from whoever is gone");
        assert!(pool.lease(mac(9), &foreign, later).is_ok());
    }

    #[test]
    fn refuses_a_range_that_is_none() {
        let mut network = Network::upper_half("10.77.0.0/24".parse().unwrap()).unwrap();
        network.range = ([10, 77, 0, 50].into(), [10, 77, 0, 40].into());
        assert!(Pool::new(&network, [], LEASE).is_err());
        network.range = ([10, 77, 0, 50].into(), [10, 77, 1, 40].into());
        assert!(Pool::new(&network, [], LEASE).is_err());
        network.range = ([10, 77, 0, 50].into(), [10, 77, 0, 50].into());
        assert!(Pool::new(&network, [[10, 77, 0, 50].into()], LEASE).is_err());
    }

    proptest! {
        /// Whatever happens, no address has two holders, none is reserved, and both maps agree.
        #[test]
        fn never_gives_one_address_twice(ops in proptest::collection::vec((0u8..5, 0u32..40, 0u32..40), 1..300)) {
            let start = Instant::now();
            let mut pool = pool("10.0.0.1/27");
            for (second, (op, who, what)) in ops.into_iter().enumerate() {
                let now = start + Duration::from_secs(second as u64 * 200);
                let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + what);
                match op {
                    0 | 1 if pool.held(mac(who), now).is_none() => drop(lease(&mut pool, mac(who), now)),
                    0 | 1 => pool.kept(mac(who), address, now),
                    2 => drop(pool.pin(mac(who), address, now)),
                    3 => drop(pool.decline(mac(who), address, now)),
                    _ => pool.restore(mac(who), address, now),
                }
                prop_assert_eq!(pool.by_mac.len(), pool.by_address.len());
                for (mac, holding) in &pool.by_mac {
                    prop_assert_eq!(pool.by_address.get(&holding.address), Some(mac));
                    prop_assert!(!pool.reserved.contains(&holding.address));
                    prop_assert!(pool.net.contains(&Ipv4Addr::from(holding.address)));
                }
            }
        }
    }
}

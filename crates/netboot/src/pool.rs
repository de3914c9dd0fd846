//! Which address a machine gets.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;
use wire::Mac;

use crate::{NetbootError, Network};

/// How long an address that a machine found in use is left alone.
const DECLINED_FOR: Duration = Duration::from_secs(600);

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
}

/// An address given to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The address.
    pub address: Ipv4Addr,
    /// The machine did not have it before: it has to be kept.
    pub is_new: bool,
}

/// Why a machine gets no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Every address of the range is in use by a machine that was seen within its lease.
    #[error("all {size} addresses of the pool {first} to {last} are in use; configure a larger range")]
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
            self.put(mac, number, now);
        }
    }

    /// The machine's address: the one it has, else a free one.
    ///
    /// # Errors
    /// [`PoolError::Exhausted`].
    pub fn lease(&mut self, mac: Mac, now: Instant) -> Result<Grant, PoolError> {
        if let Some(holding) = self.by_mac.get_mut(&mac) {
            holding.seen = now;
            return Ok(Grant { address: holding.address.into(), is_new: false });
        }
        while self.declined.front().is_some_and(|(_, until)| *until <= now) {
            self.declined.pop_front();
        }
        let number = self.find_free(mac).or_else(|| self.evict(now)).ok_or(PoolError::Exhausted {
            size: self.size(),
            first: self.first.into(),
            last: self.last.into(),
        })?;
        self.put(mac, number, now);
        Ok(Grant { address: number.into(), is_new: true })
    }

    /// Gives the machine this very address, inside or outside of the range.
    ///
    /// # Errors
    /// [`PoolError::Taken`] and [`PoolError::Reserved`].
    pub fn pin(&mut self, mac: Mac, address: Ipv4Addr, now: Instant) -> Result<Grant, PoolError> {
        let number = u32::from(address);
        if !self.net.contains(&address) || self.reserved.contains(&number) {
            return Err(PoolError::Reserved { address, net: self.net });
        }
        match self.by_address.get(&number).copied() {
            Some(holder) if holder == mac => {
                self.put(mac, number, now);
                Ok(Grant { address, is_new: false })
            }
            Some(holder) if self.is_current(holder, now) => Err(PoolError::Taken { address, holder }),
            _ => {
                self.put(mac, number, now);
                Ok(Grant { address, is_new: true })
            }
        }
    }

    /// The machine found its address in use: it gets another next time, and nobody gets this one for ten minutes. Returns
    /// whether it was the machine's.
    pub fn decline(&mut self, mac: Mac, address: Ipv4Addr, now: Instant) -> bool {
        let number = u32::from(address);
        if self.by_address.get(&number) != Some(&mac) {
            return false;
        }
        self.by_address.remove(&number);
        self.by_mac.remove(&mac);
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

    fn put(&mut self, mac: Mac, number: u32, now: Instant) {
        if let Some(former) = self.by_address.insert(number, mac).filter(|former| *former != mac) {
            self.by_mac.remove(&former);
        }
        if let Some(before) = self.by_mac.insert(mac, Holding { address: number, seen: now })
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

    fn find_free(&self, mac: Mac) -> Option<u32> {
        let span = u64::from(self.last) - u64::from(self.first) + 1;
        let start = hash(mac) % span;
        // One more than what is occupied is enough to meet a free address.
        let occupied = self.by_address.len() + self.declined.len() + self.reserved.len() + 1;
        (0..span.min(occupied as u64))
            .map(|step| {
                let offset = (start + step) % span;
                // Below 2^32 since offset < span.
                self.first + offset as u32
            })
            .find(|number| self.is_free(*number))
    }

    fn evict(&mut self, now: Instant) -> Option<u32> {
        let (mac, holding) = self
            .by_mac
            .iter()
            .filter(|(_, h)| (self.first..=self.last).contains(&h.address))
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

    fn pool(net: &str) -> Pool {
        let net: Ipv4Net = net.parse().unwrap();
        Pool::new(&Network::upper_half(net).unwrap(), [net.addr()], LEASE).unwrap()
    }

    #[test]
    fn the_same_machine_gets_the_same_address() {
        let now = Instant::now();
        let mut one = pool("10.77.0.1/24");
        let first = one.lease(mac(1), now).unwrap();
        assert!(first.is_new);
        assert_eq!(one.lease(mac(1), now).unwrap(), Grant { is_new: false, ..first });
        assert_eq!(one.holder(first.address), Some(mac(1)));
        assert_eq!(pool("10.77.0.1/24").lease(mac(1), now).unwrap(), first, "also in a new pool");
    }

    #[test]
    fn a_full_pool_takes_from_the_longest_silent() {
        let now = Instant::now();
        let mut pool = pool("10.0.0.1/29");
        assert_eq!(pool.size(), 3);
        for n in 0..3u32 {
            pool.lease(mac(n), now + Duration::from_secs(n.into())).unwrap();
        }
        assert!(matches!(pool.lease(mac(9), now + LEASE), Err(PoolError::Exhausted { size: 3, .. })));
        let later = now + LEASE + Duration::from_secs(2);
        let granted = pool.lease(mac(9), later).unwrap();
        assert_eq!(pool.holder(granted.address), Some(mac(9)));
        assert!(!pool.contains(mac(0)) && pool.contains(mac(1)) && pool.contains(mac(2)));
    }

    #[test]
    fn a_declined_address_is_left_alone_for_a_while() {
        let now = Instant::now();
        let mut pool = pool("10.0.0.1/30");
        let only = pool.lease(mac(1), now).unwrap().address;
        assert!(!pool.decline(mac(2), only, now), "not his");
        assert!(pool.decline(mac(1), only, now));
        assert!(pool.lease(mac(1), now).is_err());
        assert_eq!(pool.lease(mac(1), now + DECLINED_FOR).unwrap().address, only);
    }

    #[test]
    fn an_address_decided_elsewhere() {
        let now = Instant::now();
        let mut pool = pool("10.77.0.1/24");
        let low = Ipv4Addr::new(10, 77, 0, 20);
        assert_eq!(pool.pin(mac(1), low, now), Ok(Grant { address: low, is_new: true }));
        assert_eq!(pool.pin(mac(1), low, now), Ok(Grant { address: low, is_new: false }));
        assert_eq!(pool.pin(mac(2), low, now), Err(PoolError::Taken { address: low, holder: mac(1) }));
        let other = Ipv4Addr::new(10, 77, 0, 21);
        pool.pin(mac(1), other, now).unwrap();
        assert_eq!(pool.holder(low), None, "the former address is free again");
        for reserved in [[10, 77, 0, 0], [10, 77, 0, 255], [10, 77, 0, 1], [10, 78, 0, 9]] {
            assert!(matches!(pool.pin(mac(1), reserved.into(), now), Err(PoolError::Reserved { .. })));
        }
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
                    0 | 1 => drop(pool.lease(mac(who), now)),
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

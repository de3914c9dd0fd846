//! How much is too much. Pure: the time is passed in, memory is bounded whatever arrives.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use wire::Mac;

/// How many DHCP messages are looked at.
///
/// A boot takes some ten messages: firmware, iPXE and ramdisk ask twice each, and repeat after a second or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloodLimits {
    /// Messages of one Ethernet address at once.
    pub burst_per_machine: u32,
    /// Messages of one Ethernet address, a second, in the long run.
    pub rate_per_machine: u32,
    /// Messages, a second, of all Ethernet addresses together that have no lease yet. Those that have one are not
    /// counted here, so that a storm of made-up addresses does not keep them from booting.
    pub rate_of_strangers: u32,
    /// Ethernet addresses that are remembered, at some 40 bytes each.
    pub tracked: usize,
}

impl Default for FloodLimits {
    fn default() -> Self {
        Self { burst_per_machine: 12, rate_per_machine: 2, rate_of_strangers: 1000, tracked: 8192 }
    }
}

/// A token bucket: at most `burst` at once and `rate` a second in the long run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    /// Tokens, in millionths.
    level: u64,
    at: Instant,
}

const TOKEN: u64 = 1_000_000;

impl Bucket {
    pub(crate) fn full(burst: u32, now: Instant) -> Self {
        Self { level: u64::from(burst) * TOKEN, at: now }
    }

    pub(crate) fn take(&mut self, burst: u32, rate: u32, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).min(Duration::from_secs(3600));
        // An hour has 3.6e9 microseconds; times a rate of 32 bits still fits.
        let gained = passed.as_micros() as u64 * u64::from(rate);
        self.level = self.level.saturating_add(gained).min(u64::from(burst) * TOKEN);
        self.at = now;
        let has_token = self.level >= TOKEN;
        if has_token {
            self.level -= TOKEN;
        }
        has_token
    }
}

/// A map that forgets: when it holds as many as it may, those not touched since it was last full are dropped. Constant
/// time and at most twice `most` entries.
#[derive(Debug)]
struct Recent<K, V> {
    most: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Hash + Eq + Copy, V> Recent<K, V> {
    fn new(most: usize) -> Self {
        Self { most: most.max(1), young: HashMap::new(), old: HashMap::new() }
    }

    fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        if !self.young.contains_key(&key) && self.young.len() >= self.most {
            self.old = std::mem::take(&mut self.young);
        }
        let old = &mut self.old;
        self.young.entry(key).or_insert_with(|| old.remove(&key).unwrap_or_else(make))
    }
}

/// Decides for each DHCP message whether it is looked at, and for each unknown machine whether it is told.
#[derive(Debug)]
pub(crate) struct Gate {
    limits: FloodLimits,
    machines: Recent<Mac, Bucket>,
    strangers: Bucket,
    reported: Recent<Mac, Instant>,
    reports: Bucket,
    untold: u64,
}

/// An unknown machine is told at most this often.
const REPORT_AGAIN: Duration = Duration::from_secs(60);
/// Of all unknown machines together this many a second are told, after this many at once.
const REPORTS_PER_SECOND: u32 = 1;
const REPORTS_AT_ONCE: u32 = 20;

impl Gate {
    pub(crate) fn new(limits: FloodLimits, now: Instant) -> Self {
        Self {
            limits,
            machines: Recent::new(limits.tracked),
            strangers: Bucket::full(limits.rate_of_strangers, now),
            reported: Recent::new(limits.tracked),
            reports: Bucket::full(REPORTS_AT_ONCE, now),
            untold: 0,
        }
    }

    /// Whether to look at a message of this machine. `is_familiar`: it has a lease.
    pub(crate) fn admit(&mut self, mac: Mac, is_familiar: bool, now: Instant) -> bool {
        let limits = self.limits;
        // Strangers first: a made-up address that is turned away here needs no entry in the table.
        if !is_familiar && !self.strangers.take(limits.rate_of_strangers, limits.rate_of_strangers, now) {
            return false;
        }
        self.machines.entry(mac, || Bucket::full(limits.burst_per_machine, now)).take(
            limits.burst_per_machine,
            limits.rate_per_machine,
            now,
        )
    }

    /// Whether to tell that this unknown machine asked: if so, how many were not told before it.
    pub(crate) fn report(&mut self, mac: Mac, now: Instant) -> Option<u64> {
        let mut is_new = false;
        let last = self.reported.entry(mac, || {
            is_new = true;
            now
        });
        let is_due = is_new || now.saturating_duration_since(*last) >= REPORT_AGAIN;
        if is_due && self.reports.take(REPORTS_AT_ONCE, REPORTS_PER_SECOND, now) {
            *last = now;
            Some(std::mem::take(&mut self.untold))
        } else {
            // A first sight that was not told must not count as told.
            if is_new {
                self.reported.young.remove(&mac);
            }
            self.untold += 1;
            None
        }
    }

    #[cfg(test)]
    fn remembered(&self) -> usize {
        [&self.machines.young, &self.machines.old].iter().map(|m| m.len()).sum::<usize>()
            + [&self.reported.young, &self.reported.old].iter().map(|m| m.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(n: u32) -> Mac {
        let [a, b, c, d] = n.to_be_bytes();
        Mac::new([0x52, 0x54, a, b, c, d])
    }

    #[test]
    fn a_storm_costs_bounded_memory_and_familiar_machines_pass() {
        let start = Instant::now();
        let limits = FloodLimits { tracked: 1000, ..FloodLimits::default() };
        let mut gate = Gate::new(limits, start);
        let (mut strangers, mut told) = (0u32, 0u32);
        for n in 0..200_000u32 {
            let now = start + Duration::from_micros(u64::from(n) * 10);
            if gate.admit(mac(1 + n), false, now) {
                strangers += 1;
                told += u32::from(gate.report(mac(1 + n), now).is_some());
            }
            if n % 50_000 == 0 {
                assert!(gate.admit(mac(0), true, now), "a machine with a lease is not kept waiting");
            }
        }
        // Two seconds: the burst and two seconds' worth.
        assert!((2900..=3100).contains(&strangers), "{strangers}");
        assert!((20..=23).contains(&told), "{told}");
        assert!(gate.remembered() <= 4 * limits.tracked, "{}", gate.remembered());
    }

    #[test]
    fn one_machine_alone_is_held_back_too() {
        let start = Instant::now();
        let mut gate = Gate::new(FloodLimits::default(), start);
        let passed =
            (0..1000u64).filter(|n| gate.admit(mac(1), true, start + Duration::from_millis(*n))).count();
        assert!((13..=15).contains(&passed), "{passed}");
    }

    #[test]
    fn what_was_not_told_is_counted() {
        let start = Instant::now();
        let mut gate = Gate::new(FloodLimits::default(), start);
        assert_eq!(gate.report(mac(1), start), Some(0));
        assert_eq!(gate.report(mac(1), start + Duration::from_secs(1)), None);
        assert_eq!(gate.report(mac(2), start + Duration::from_secs(2)), Some(1));
        assert_eq!(gate.report(mac(1), start + REPORT_AGAIN), Some(0));
    }
}

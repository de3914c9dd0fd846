//! Choosing an address.

use super::cidr::{address, number};
use super::{AllocationPool, Cidr};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

/// The lowest address of the pools, in their order, that is not taken; none where all are.
///
/// It looks at one address more than are taken at most, however large the pools are.
pub fn lowest_free(pools: &[AllocationPool], taken: &BTreeSet<IpAddr>) -> Option<IpAddr> {
    pools.iter().find_map(|pool| {
        let version = if pool.start.is_ipv4() { 4 } else { 6 };
        let mut free = number(pool.start);
        for busy in taken.range(pool.start..=pool.end).map(|address| number(*address)) {
            if busy > free {
                break;
            }
            free = busy.checked_add(1)?;
        }
        (free <= number(pool.end)).then(|| address(version, free))
    })
}

/// The address that a host with this MAC address gives itself in an IPv6 network with a prefix of 64 bits (RFC 4291, appendix A).
pub fn eui64(cidr: &Cidr, mac: &str) -> Option<IpAddr> {
    let IpAddr::V6(network) = cidr.network() else { return None };
    if cidr.prefix() != 64 {
        return None;
    }
    let octets: Vec<u8> =
        mac.split(':').map(|octet| u8::from_str_radix(octet, 16)).collect::<Result<_, _>>().ok()?;
    let [a, b, c, d, e, f] = octets.try_into().ok()?;
    let host = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Some(IpAddr::V6(Ipv6Addr::from(u128::from(network) | u128::from(host))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn pool(start: &str, end: &str) -> AllocationPool {
        AllocationPool { start: ip(start), end: ip(end) }
    }

    #[test]
    fn gaps_are_filled_and_full_pools_passed_over() {
        let pools = [pool("10.0.0.10", "10.0.0.11"), pool("10.0.0.20", "10.0.0.21")];
        let mut taken = BTreeSet::from([ip("10.0.0.9"), ip("10.0.0.21")]);
        for expected in ["10.0.0.10", "10.0.0.11", "10.0.0.20"] {
            assert_eq!(lowest_free(&pools, &taken), Some(ip(expected)));
            taken.insert(ip(expected));
        }
        assert_eq!(lowest_free(&pools, &taken), None);
        taken.remove(&ip("10.0.0.11"));
        assert_eq!(lowest_free(&pools, &taken), Some(ip("10.0.0.11")));
        assert_eq!(lowest_free(&[], &taken), None);
        let edge = [pool("255.255.255.255", "255.255.255.255")];
        assert_eq!(lowest_free(&edge, &BTreeSet::from([ip("255.255.255.255")])), None);
        let wide = [pool("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff")];
        assert_eq!(lowest_free(&wide, &BTreeSet::from([ip("2001:db8::1")])), Some(ip("2001:db8::2")));
    }

    #[test]
    fn hosts_name_themselves_by_their_mac_address() {
        let cidr: Cidr = "2001:db8::/64".parse().unwrap();
        assert_eq!(eui64(&cidr, "52:54:00:12:34:56"), Some(ip("2001:db8::5054:ff:fe12:3456")));
        assert_eq!(eui64(&cidr, "52:54:00"), None);
        assert_eq!(eui64(&"2001:db8::/80".parse().unwrap(), "52:54:00:12:34:56"), None);
        assert_eq!(eui64(&"10.0.0.0/8".parse().unwrap(), "52:54:00:12:34:56"), None);
    }
}

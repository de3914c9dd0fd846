//! A range of addresses as `10.77.0.0/24` writes it.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A network's addresses: the address without host bits, and the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr(IpNet);

/// A text is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a valid IP subnet")]
pub struct CidrError(String);

impl Cidr {
    /// The range with this address and prefix length; host bits are dropped. None where the prefix is longer than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        IpNet::new(address, prefix).ok().map(|net| Self(net.trunc()))
    }

    /// 4 or 6.
    pub fn version(&self) -> u8 {
        if self.0.addr().is_ipv4() { 4 } else { 6 }
    }

    /// The lowest address, which names the range.
    pub fn network(&self) -> IpAddr {
        self.0.network()
    }

    /// The highest address: in IPv4 the broadcast address.
    pub fn last(&self) -> IpAddr {
        self.0.broadcast()
    }

    /// Bits of the prefix.
    pub fn prefix(&self) -> u8 {
        self.0.prefix_len()
    }

    /// The prefix as a mask: `255.255.255.0`.
    pub fn netmask(&self) -> IpAddr {
        self.0.netmask()
    }

    /// Is the address one of these?
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Do the two share an address?
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }

    /// The first and the last address that a host may have: without the network's own and IPv4's broadcast address, where the range is
    /// wider than a link between two (RFC 3021, RFC 6164).
    pub fn hosts(&self) -> (IpAddr, IpAddr) {
        let (first, last) = (number(self.network()), number(self.last()));
        match (self.version(), last - first) {
            (_, 0 | 1) => (self.network(), self.last()),
            (4, _) => (address(4, first + 1), address(4, last - 1)),
            (version, _) => (address(version, first + 1), address(version, last)),
        }
    }
}

impl std::str::FromStr for Cidr {
    type Err = CidrError;

    /// Takes host bits and drops them, as Neutron does; an address alone is a range of one.
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let net = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(|net: IpNet| Self(net.trunc())).map_err(|_| CidrError(text.chars().take(100).collect()))
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, CidrError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An address as a number.
pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => address.into(),
    }
}

/// The address of a version with a number that came of one of the same version.
pub(super) fn address(version: u8, number: u128) -> IpAddr {
    match (version, u32::try_from(number)) {
        (4, Ok(number)) => IpAddr::V4(number.into()),
        _ => IpAddr::V6(number.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn hosts_leave_out_what_no_host_may_have() {
        let hosts = |text| {
            let (first, last) = cidr(text).hosts();
            format!("{first} {last}")
        };
        assert_eq!(hosts("10.77.0.9/24"), "10.77.0.1 10.77.0.254");
        assert_eq!(hosts("10.77.0.0/31"), "10.77.0.0 10.77.0.1");
        assert_eq!(hosts("10.77.0.7"), "10.77.0.7 10.77.0.7");
        assert_eq!(hosts("255.255.255.0/24"), "255.255.255.1 255.255.255.254");
        assert_eq!(hosts("2001:db8::/64"), "2001:db8::1 2001:db8::ffff:ffff:ffff:ffff");
        assert_eq!(hosts("::/0"), "::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    }

    #[test]
    fn ranges_are_read_and_compared() {
        assert_eq!(cidr("10.77.0.9/24").to_string(), "10.77.0.0/24");
        assert!(cidr("10.0.0.0/8").overlaps(&cidr("10.9.0.0/16")));
        assert!(!cidr("10.0.0.0/9").overlaps(&cidr("10.128.0.0/9")));
        assert!(!cidr("10.0.0.0/8").overlaps(&cidr("::/0")));
        for wrong in ["", "10.0.0.0/33", "x/8", "10.0.0.0/-1", "1.2.3/8"] {
            assert!(wrong.parse::<Cidr>().is_err(), "{wrong}");
        }
        let json = serde_json::to_string(&cidr("10.77.0.0/24")).unwrap();
        assert_eq!(serde_json::from_str::<Cidr>(&json).unwrap(), cidr("10.77.0.0/24"));
    }
}

//! The interfaces that are served, and the networks behind them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::Ipv4Net;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};

use crate::NetbootError;

/// An interface that is served: one L2 segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The interface's name.
    pub interface: Arc<str>,
    /// The interface's index.
    pub index: u32,
    /// Our address there.
    pub address: Ipv4Addr,
    /// The network that the address is in.
    pub network: Ipv4Net,
}

impl Segment {
    /// Every interface that is up, carries broadcast, is not the loopback and has an IPv4 address; the first address of
    /// each counts. May be empty.
    ///
    /// # Errors
    /// [`NetbootError::Interface`] when the kernel does not tell its interfaces.
    pub fn detect() -> Result<Vec<Self>, NetbootError> {
        let addresses = getifaddrs().map_err(|error| NetbootError::Interface {
            interface: "(all)".into(),
            reason: format!("the kernel does not list its interfaces: {error}"),
        })?;
        let mut found = BTreeMap::new();
        for entry in addresses {
            let usable = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_BROADCAST;
            if !entry.flags.contains(usable) || entry.flags.contains(InterfaceFlags::IFF_LOOPBACK) {
                continue;
            }
            let (Some(address), Some(mask)) = (entry.address, entry.netmask) else { continue };
            let (Some(address), Some(mask)) = (address.as_sockaddr_in(), mask.as_sockaddr_in()) else {
                continue;
            };
            let (address, Ok(network)) = (address.ip(), Ipv4Net::with_netmask(address.ip(), mask.ip()))
            else {
                continue;
            };
            // Secondary addresses are listed as `eth0:label` by old tools only; the kernel gives the plain name.
            let Ok(index) = if_nametoindex(entry.interface_name.as_str()) else { continue };
            found.entry(entry.interface_name.clone()).or_insert(Self {
                interface: entry.interface_name.into(),
                index,
                address,
                network: network.trunc(),
            });
        }
        Ok(found.into_values().collect())
    }

    /// The interfaces with these names.
    ///
    /// # Errors
    /// [`NetbootError::Interface`] for the first name that [`Segment::detect`] does not find.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, NetbootError> {
        let all = Self::detect()?;
        names
            .into_iter()
            .map(|name| {
                all.iter().find(|s| &*s.interface == name).cloned().ok_or_else(|| NetbootError::Interface {
                    interface: name.to_owned(),
                    reason: match if_nametoindex(name) {
                        Ok(_) => {
                            "it is down or has no IPv4 address; see `ip address`, bring it up and give it one"
                                .into()
                        }
                        Err(_) => "there is none of that name; `ip link` lists them".into(),
                    },
                })
            })
            .collect()
    }

    /// Whether the interface has an IPv6 link-local address now, without which nothing can be advertised on it.
    pub(crate) fn has_link_local(&self) -> bool {
        getifaddrs().is_ok_and(|mut all| {
            all.any(|entry| {
                entry.interface_name == *self.interface
                    && entry
                        .address
                        .and_then(|a| a.as_sockaddr_in6().map(nix::sys::socket::SockaddrIn6::ip))
                        .is_some_and(|ip: Ipv6Addr| ip.is_unicast_link_local())
            })
        })
    }
}

/// What is handed out in a network: on a segment, or behind a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The network.
    pub net: Ipv4Net,
    /// First and last address of the pool.
    pub range: (Ipv4Addr, Ipv4Addr),
    /// Routers (option 3).
    pub routers: Vec<Ipv4Addr>,
    /// Name servers (option 6).
    pub dns: Vec<Ipv4Addr>,
    /// Domain name (option 15).
    pub domain: Option<String>,
}

impl Network {
    /// The network with the upper half of its addresses as the pool, no router and no name server.
    ///
    /// # Errors
    /// [`NetbootError::Network`] when it has fewer than four addresses (longer prefix than 30).
    pub fn upper_half(net: Ipv4Net) -> Result<Self, NetbootError> {
        if net.prefix_len() > 30 {
            return Err(NetbootError::Network {
                network: net.to_string(),
                reason:
                    "it has no room for machines; give the interface an address with a prefix of at most 30"
                        .into(),
            });
        }
        let first = u32::from(net.network());
        let last = u32::from(net.broadcast());
        // 2^31 addresses at most in half of them, so neither sum overflows.
        let middle = first + (last - first) / 2 + 1;
        Ok(Self {
            net: net.trunc(),
            range: (Ipv4Addr::from(middle), Ipv4Addr::from(last - 1)),
            routers: Vec::new(),
            dns: Vec::new(),
            domain: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_half_leaves_out_network_and_broadcast() {
        let half = |net: &str| {
            let network = Network::upper_half(net.parse().unwrap()).unwrap();
            format!("{} {}-{}", network.net, network.range.0, network.range.1)
        };
        assert_eq!(half("10.77.0.1/24"), "10.77.0.0/24 10.77.0.128-10.77.0.254");
        assert_eq!(half("10.0.0.1/30"), "10.0.0.0/30 10.0.0.2-10.0.0.2");
        assert_eq!(half("10.0.0.1/8"), "10.0.0.0/8 10.128.0.0-10.255.255.254");
        assert_eq!(half("0.0.0.0/0"), "0.0.0.0/0 128.0.0.0-255.255.255.254");
        assert!(Network::upper_half("10.0.0.1/31".parse().unwrap()).is_err());
    }

    #[test]
    fn the_loopback_is_never_served() {
        let all = Segment::detect().unwrap();
        assert!(all.iter().all(|s| &*s.interface != "lo" && !s.address.is_loopback()));
        let error = Segment::named(["no-such-if0"]).unwrap_err().to_string();
        assert!(error.contains("no-such-if0") && error.contains("ip link"), "{error}");
        let error = Segment::named(["lo"]).unwrap_err().to_string();
        assert!(error.contains("lo") && error.contains("ip address"), "{error}");
    }
}

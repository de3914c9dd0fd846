//! A subnet: addresses of a network, and what its hosts are told.

use super::Cidr;
use crate::state::words;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use uuid::Uuid;

words! {
    /// How hosts come to their IPv6 address.
    Ipv6Mode, "IPv6 mode" {
        /// They make it of the router's advertisement and their MAC address.
        Slaac => "slaac",
        /// A DHCPv6 server gives it to them.
        DhcpV6Stateful => "dhcpv6-stateful",
        /// They make it, and ask a DHCPv6 server for the rest.
        DhcpV6Stateless => "dhcpv6-stateless",
    }
}

/// Addresses that ports may get without asking for one, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AllocationPool {
    /// The first.
    pub start: IpAddr,
    /// The last.
    pub end: IpAddr,
}

impl AllocationPool {
    /// How many addresses it has, as exactly as a float tells.
    pub fn size(&self) -> f64 {
        let (start, end) = (super::cidr::number(self.start), super::cidr::number(self.end));
        end.saturating_sub(start) as f64 + 1.0
    }

    /// Is the address one of these?
    pub fn contains(&self, address: IpAddr) -> bool {
        (self.start..=self.end).contains(&address)
    }
}

impl std::fmt::Display for AllocationPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

/// A route that hosts are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostRoute {
    /// Where it leads.
    pub destination: Cidr,
    /// By which router.
    pub nexthop: IpAddr,
}

/// A subnet as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subnet {
    /// Identity.
    pub id: Uuid,
    /// Network that it belongs to.
    pub network_id: Uuid,
    /// Project that it belongs to.
    pub project_id: String,
    /// Is its network shared? Kept by the store.
    pub shared: bool,
    /// For people; not unique.
    pub name: String,
    /// For people.
    pub description: String,
    /// All its addresses.
    pub cidr: Cidr,
    /// Its router.
    pub gateway_ip: Option<IpAddr>,
    /// What ports get that ask for no address.
    pub allocation_pools: Vec<AllocationPool>,
    /// Name servers.
    pub dns_nameservers: Vec<IpAddr>,
    /// Routes beside the default one.
    pub host_routes: Vec<HostRoute>,
    /// Do hosts get their address by DHCP? Else the config drive tells them.
    pub enable_dhcp: bool,
    /// Who advertises the prefix.
    pub ipv6_ra_mode: Option<Ipv6Mode>,
    /// How hosts come to their address.
    pub ipv6_address_mode: Option<Ipv6Mode>,
    /// Kinds of ports (`compute:nova`) that it is for; all where empty.
    pub service_types: Vec<String>,
    /// Are fixed addresses published in the DNS? Kept for clients.
    pub dns_publish_fixed_ip: bool,
    /// Free words.
    pub tags: Vec<String>,
    /// Counts changes.
    pub revision_number: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Why the parts of a subnet don't go together. The texts are sentences for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubnetFault {
    /// Something is of the other version of IP.
    #[error("{what} {value} is not an IPv{version} address, as the subnet {cidr} has them")]
    OtherVersion {
        /// What it is.
        what: &'static str,
        /// Its value.
        value: String,
        /// The subnet's version.
        version: u8,
        /// The subnet.
        cidr: Cidr,
    },
    /// A pool's end lies before its start.
    #[error("the allocation pool {0} ends before it starts")]
    BackwardPool(AllocationPool),
    /// A pool is not within the subnet, or holds an address that no host may have.
    #[error(
        "the allocation pool {pool} is not within the host addresses {first} to {last} of the subnet {cidr}"
    )]
    PoolOutside {
        /// The pool.
        pool: AllocationPool,
        /// The first host address.
        first: IpAddr,
        /// The last host address.
        last: IpAddr,
        /// The subnet.
        cidr: Cidr,
    },
    /// Two pools share addresses.
    #[error("the allocation pools {0} and {1} overlap")]
    PoolsOverlap(AllocationPool, AllocationPool),
    /// The router's address could be given to a port.
    #[error(
        "the gateway {gateway} lies in the allocation pool {pool}; take one of the two out of the other's way"
    )]
    GatewayInPool {
        /// The router.
        gateway: IpAddr,
        /// The pool.
        pool: AllocationPool,
    },
    /// The router's address is the subnet's own or its broadcast address.
    #[error("the gateway {gateway} is no host address of the subnet {cidr}")]
    NoHost {
        /// The router.
        gateway: IpAddr,
        /// The subnet.
        cidr: Cidr,
    },
    /// IPv6 modes where there is no IPv6, or two that contradict each other.
    #[error("{0}")]
    Mode(&'static str),
}

impl Subnet {
    /// A subnet with the first address as its router and all others in one pool, DHCP on, as Neutron's defaults are.
    pub fn new(
        id: Uuid,
        network_id: Uuid,
        project_id: impl Into<String>,
        cidr: Cidr,
        now: Timestamp,
    ) -> Self {
        let gateway_ip = Some(cidr.hosts().0);
        Self {
            id,
            network_id,
            project_id: project_id.into(),
            shared: false,
            name: String::new(),
            description: String::new(),
            cidr,
            gateway_ip,
            allocation_pools: Self::default_pools(&cidr, gateway_ip),
            dns_nameservers: Vec::new(),
            host_routes: Vec::new(),
            enable_dhcp: true,
            ipv6_ra_mode: None,
            ipv6_address_mode: None,
            service_types: Vec::new(),
            dns_publish_fixed_ip: false,
            tags: Vec::new(),
            revision_number: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// Every host address but the router's.
    pub fn default_pools(cidr: &Cidr, gateway: Option<IpAddr>) -> Vec<AllocationPool> {
        use super::cidr::{address, number};
        let (start, end) = cidr.hosts();
        let Some(gateway) = gateway.filter(|gateway| (start..=end).contains(gateway)) else {
            return vec![AllocationPool { start, end }];
        };
        let version = cidr.version();
        let mut pools = Vec::new();
        if gateway > start {
            pools.push(AllocationPool { start, end: address(version, number(gateway) - 1) });
        }
        if gateway < end {
            pools.push(AllocationPool { start: address(version, number(gateway) + 1), end });
        }
        pools
    }

    /// 4 or 6.
    pub fn ip_version(&self) -> u8 {
        self.cidr.version()
    }

    /// Do hosts make their address of their MAC address?
    pub fn is_slaac(&self) -> bool {
        matches!(self.ipv6_address_mode, Some(Ipv6Mode::Slaac | Ipv6Mode::DhcpV6Stateless))
    }

    /// Do its parts go together? The first that doesn't is named.
    pub fn check(&self) -> Result<(), SubnetFault> {
        let (cidr, version) = (self.cidr, self.ip_version());
        let fits = |what, address: IpAddr| {
            if address.is_ipv4() == (version == 4) {
                return Ok(());
            }
            Err(SubnetFault::OtherVersion { what, value: address.to_string(), version, cidr })
        };
        let (first, last) = cidr.hosts();
        for pool in &self.allocation_pools {
            fits("the start of an allocation pool", pool.start)?;
            fits("the end of an allocation pool", pool.end)?;
            if pool.start > pool.end {
                return Err(SubnetFault::BackwardPool(*pool));
            }
            if pool.start < first || pool.end > last {
                return Err(SubnetFault::PoolOutside { pool: *pool, first, last, cidr });
            }
        }
        let mut pools = self.allocation_pools.clone();
        pools.sort();
        if let Some(pair) = pools.windows(2).find(|pair| pair[0].end >= pair[1].start) {
            return Err(SubnetFault::PoolsOverlap(pair[0], pair[1]));
        }
        if let Some(gateway) = self.gateway_ip {
            fits("the gateway", gateway)?;
            // One outside of the subnet is allowed, as in Neutron: a router may be reached by a route of its own.
            if version == 4 && cidr.contains(gateway) && !(first..=last).contains(&gateway) {
                return Err(SubnetFault::NoHost { gateway, cidr });
            }
            if let Some(pool) = pools.iter().find(|pool| pool.contains(gateway)) {
                return Err(SubnetFault::GatewayInPool { gateway, pool: *pool });
            }
        }
        for route in &self.host_routes {
            fits("the destination of a host route", route.destination.network())?;
            fits("the next hop of a host route", route.nexthop)?;
        }
        self.check_modes()
    }

    fn check_modes(&self) -> Result<(), SubnetFault> {
        let modes = (self.ipv6_ra_mode, self.ipv6_address_mode);
        if modes == (None, None) {
            return Ok(());
        }
        let fault = if self.ip_version() == 4 {
            "ipv6_ra_mode and ipv6_address_mode are for subnets of IPv6 only"
        } else if !self.enable_dhcp {
            "ipv6_ra_mode and ipv6_address_mode can't be set while enable_dhcp is false"
        } else if matches!(modes, (Some(ra), Some(address)) if ra != address) {
            "ipv6_ra_mode and ipv6_address_mode must be the same where both are set"
        } else if self.is_slaac() && self.cidr.prefix() != 64 {
            "hosts make their own address in subnets with a prefix of 64 bits only"
        } else {
            return Ok(());
        };
        Err(SubnetFault::Mode(fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(cidr: &str) -> Subnet {
        Subnet::new(Uuid::nil(), Uuid::nil(), "p", cidr.parse().unwrap(), Timestamp::UNIX_EPOCH)
    }

    fn pool(start: &str, end: &str) -> AllocationPool {
        AllocationPool { start: start.parse().unwrap(), end: end.parse().unwrap() }
    }

    fn fault(change: impl FnOnce(&mut Subnet)) -> String {
        let mut subnet = subnet("10.0.0.0/24");
        change(&mut subnet);
        subnet.check().map_or_else(|fault| fault.to_string(), |()| "none".to_owned())
    }

    #[test]
    fn default_pools_leave_the_router_out() {
        let pools = |cidr: &str, gateway: &str| {
            Subnet::default_pools(&cidr.parse().unwrap(), Some(gateway.parse().unwrap()))
        };
        assert_eq!(subnet("10.0.0.0/24").allocation_pools, [pool("10.0.0.2", "10.0.0.254")]);
        assert_eq!(
            pools("10.0.0.0/24", "10.0.0.9"),
            [pool("10.0.0.1", "10.0.0.8"), pool("10.0.0.10", "10.0.0.254")]
        );
        assert_eq!(pools("10.0.0.0/24", "10.0.0.254"), [pool("10.0.0.1", "10.0.0.253")]);
        assert_eq!(pools("10.0.0.0/24", "10.9.0.1"), [pool("10.0.0.1", "10.0.0.254")]);
        assert!(pools("10.0.0.7/32", "10.0.0.7").is_empty());
        for cidr in ["10.0.0.0/24", "2001:db8::/64", "10.0.0.0/31", "10.0.0.1/32"] {
            assert_eq!(subnet(cidr).check(), Ok(()), "{cidr}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        assert!(fault(|s| s.allocation_pools = vec![pool("10.0.0.9", "10.0.0.2")]).contains("ends before"));
        assert!(fault(|s| s.allocation_pools = vec![pool("10.0.0.9", "10.0.1.2")]).contains("not within"));
        assert!(fault(|s| s.allocation_pools = vec![pool("10.0.0.0", "10.0.0.2")]).contains("not within"));
        assert!(fault(|s| s.allocation_pools = vec![pool("::1", "::2")]).contains("IPv4"));
        let twice = vec![pool("10.0.0.5", "10.0.0.9"), pool("10.0.0.2", "10.0.0.5")];
        assert!(fault(|s| s.allocation_pools = twice).contains("10.0.0.2-10.0.0.5 and 10.0.0.5-10.0.0.9"));
        assert!(fault(|s| s.gateway_ip = "10.0.0.7".parse().ok()).contains("allocation pool"));
        assert!(fault(|s| s.gateway_ip = "10.0.0.255".parse().ok()).contains("no host address"));
        assert!(fault(|s| s.gateway_ip = "::1".parse().ok()).contains("IPv4"));
        assert_eq!(fault(|s| s.gateway_ip = "10.9.0.1".parse().ok()), "none");
        assert_eq!(fault(|s| s.gateway_ip = None), "none");
        assert!(fault(|s| s.ipv6_ra_mode = Some(Ipv6Mode::Slaac)).contains("IPv6 only"));
        let mut six = subnet("2001:db8::/80");
        six.ipv6_address_mode = Some(Ipv6Mode::Slaac);
        assert!(six.check().unwrap_err().to_string().contains("64 bits"));
        six.cidr = "2001:db8::/64".parse().unwrap();
        six.allocation_pools.clear();
        six.ipv6_ra_mode = Some(Ipv6Mode::DhcpV6Stateful);
        assert!(six.check().unwrap_err().to_string().contains("same"));
    }
}

//! The network service's words: networks, subnets, ports, security groups, quotas. Field names are Neutron's.
//!
//! A network is a wire: flat (the physical network as it is) or a VLAN of it. Nothing here configures a switch; what the service owns is
//! who has which address, and what its DHCP server answers.

mod addresses;
mod cidr;
mod dhcp_option;
pub mod metadata;
mod port;
mod quota;
mod security_group;
mod subnet;

pub use addresses::{eui64, lowest_free};
pub use cidr::{Cidr, CidrError};
pub use dhcp_option::dhcp_option;
pub use port::{
    AddressPair, Binding, ExtraDhcpOption, FixedIp, NetworkPort, PortStatus, is_mac_address, mac_from,
};
pub use quota::{QUOTA_RESOURCES, QuotaResource};
pub use security_group::{DEFAULT_GROUP, Direction, SecurityGroup, SecurityGroupRule};
pub use subnet::{AllocationPool, HostRoute, Ipv6Mode, Subnet, SubnetFault};

use crate::state::words;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

words! {
    /// What a network is made of.
    NetworkType, "network type" {
        /// The physical network as it is, without tags; one for each physical network.
        Flat => "flat",
        /// A VLAN of the physical network.
        Vlan => "vlan",
    }
}

/// The physical network that a network is on where nobody names one.
pub const DEFAULT_PHYSICAL_NETWORK: &str = "physnet1";
/// What an Ethernet frame carries where nobody says more, in octets.
pub const DEFAULT_MTU: u32 = 1500;
/// The VLANs that exist (IEEE 802.1Q).
pub const VLANS: std::ops::RangeInclusive<u16> = 1..=4094;

/// The VLANs that networks get which name none: out of the way of those that sites commonly have.
pub const AUTOMATIC_VLANS: std::ops::RangeInclusive<u16> = 1000..=1999;

/// A network as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Identity.
    pub id: Uuid,
    /// For people; not unique.
    pub name: String,
    /// For people.
    pub description: String,
    /// Project that it belongs to.
    pub project_id: String,
    /// May it be used?
    pub admin_state_up: bool,
    /// May every project see it and have ports on it?
    pub shared: bool,
    /// Does it lead out (`router:external`)?
    pub is_external: bool,
    /// Is it what a project gets that names none?
    pub is_default: bool,
    /// What it is made of.
    pub network_type: NetworkType,
    /// The physical network that it is on.
    pub physical_network: String,
    /// Its VLAN; none for flat networks, and for VLANs only until the store has chosen one.
    pub segmentation_id: Option<u16>,
    /// What a frame carries, in octets.
    pub mtu: u32,
    /// Kept for clients; nothing here filters.
    pub port_security_enabled: bool,
    /// Domain of its ports' names; empty: none.
    pub dns_domain: String,
    /// Where clients want it to be served.
    pub availability_zone_hints: Vec<String>,
    /// Free words.
    pub tags: Vec<String>,
    /// Counts changes.
    pub revision_number: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Network {
    /// A VLAN of the default physical network, which the store chooses; everything else as Neutron's defaults.
    pub fn new(id: Uuid, project_id: impl Into<String>, now: Timestamp) -> Self {
        Self {
            id,
            name: String::new(),
            description: String::new(),
            project_id: project_id.into(),
            admin_state_up: true,
            shared: false,
            is_external: false,
            is_default: false,
            network_type: NetworkType::Vlan,
            physical_network: DEFAULT_PHYSICAL_NETWORK.to_owned(),
            segmentation_id: None,
            mtu: DEFAULT_MTU,
            port_security_enabled: true,
            dns_domain: String::new(),
            availability_zone_hints: Vec::new(),
            tags: Vec::new(),
            revision_number: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// May this project see it and have ports on it? External networks are seen by all too.
    pub fn is_visible_to(&self, project: &str) -> bool {
        self.shared || self.is_external || self.project_id == project
    }
}

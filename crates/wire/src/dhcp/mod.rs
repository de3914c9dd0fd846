//! DHCP as the netboot server speaks it (RFC 2131, RFC 2132, RFC 4578).
//!
//! A thin typed layer over `dhcproto`: [`Request`] is what a machine says, [`Reply`] what the server answers, each
//! with both directions (the simulated machines of tests and labs are the clients). Reading goes through
//! `dhcproto`'s borrowed view and interprets only the dozen options that netboot needs: its owned decoder gives up on
//! the whole rest of a packet at the first option that it dislikes (a host name that is not UTF-8 would hide the
//! architecture), which firmware does not deserve.

mod mac;
mod reply;
mod request;

pub use mac::{Mac, NotAMac};
pub use reply::{BootFile, Reply, ReplyKind, Route};
pub use request::{Arch, Ipxe, Kind, Request, VendorClass};

/// The UDP port that DHCP servers and relays listen on.
pub const SERVER_PORT: u16 = 67;
/// The UDP port at which firmware asks a ProxyDHCP server for what to boot, once it has its address (PXE 2.1 §2.2.1).
pub const PROXY_PORT: u16 = 4011;
/// The UDP port that DHCP clients listen on.
pub const CLIENT_PORT: u16 = 68;
/// The largest datagram that [`Request::parse`] looks at, in octets; no Ethernet client sends more in one frame.
pub const MAX_PACKET_BYTES: usize = 1500;

/// Why bytes are not a packet that we can use, or why a packet can't be put into bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DhcpError {
    /// The packet can't be used: too short, no magic cookie, not Ethernet, without a message type. Drop it.
    #[error("malformed DHCP packet: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The packet is of a kind that is not for us, e.g. an OFFER that arrives at the server. Drop it.
    #[error("DHCP message of another kind: {what}")]
    NotForUs {
        /// Which kind it is.
        what: &'static str,
    },
    /// A field of the reply does not fit into the packet. Shorten it.
    #[error("{field} does not fit into a DHCP packet: {size} octets, at most {limit}")]
    TooLong {
        /// Which field.
        field: &'static str,
        /// Its length in octets.
        size: usize,
        /// The most that fits, in octets.
        limit: usize,
    },
}

/// The option codes that this module reads or writes (RFC 2132; 93, 94 and 97: RFC 4578; 150: RFC 5859; 175: iPXE's).
mod code {
    pub const HOST_NAME: u8 = 12;
    pub const INTERFACE_MTU: u8 = 26;
    pub const VENDOR_OPTIONS: u8 = 43;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE_TIME: u8 = 51;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_IDENTIFIER: u8 = 54;
    pub const MAX_MESSAGE_SIZE: u8 = 57;
    pub const CLASS_IDENTIFIER: u8 = 60;
    pub const CLIENT_IDENTIFIER: u8 = 61;
    pub const USER_CLASS: u8 = 77;
    pub const RELAY_AGENT: u8 = 82;
    pub const ARCHITECTURE: u8 = 93;
    pub const MACHINE_IDENTIFIER: u8 = 97;
    /// RFC 3442.
    pub const CLASSLESS_ROUTES: u8 = 121;
    pub const IPXE: u8 = 175;
    /// In the reply's option 175: do not wait for a ProxyDHCP server.
    pub const IPXE_NO_PXEDHCP: u8 = 176;
    /// In the request's option 175: this build can fetch by HTTP.
    pub const IPXE_FEATURE_HTTP: u8 = 19;
}

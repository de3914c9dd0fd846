//! Boots machines over the network: DHCP, TFTP, HTTP, and silence for everyone else.
//!
//! [`Netboot`] binds the servers on the [`Segment`]s that it is given. What a machine gets is not decided here: the
//! servers ask a [`BootSource`] each time, so that nothing is served that the machine's state does not call for, and tell
//! it what they see ([`Observation`]), so that a boot that hangs can be explained by the last thing that was seen of it.
//!
//! ```text
//! firmware ──DHCP──► file name ──TFTP (or UEFI HTTP)──► iPXE ──DHCP──► script URL ──HTTP──► kernel, ramdisk
//! ```
//!
//! A machine that the source does not know gets no answer at all; its address and how often it asked are observed, at a
//! bounded rate. Addresses come from a [`Pool`] per network, stable per Ethernet address and kept by a [`LeaseStore`].
//! Offered addresses are not probed by ARP or ICMP first: the pool is the seed's own, a probe costs every boot a second,
//! and a client that finds its address taken declines it.
//!
//! The pure parts (which answer, which address, how much is too much) are in `answer`, `pool`, `flood` and `script`;
//! `dhcp`, `tftp`, `http` and `advertise` are their sockets.

mod advertise;
mod answer;
mod dhcp;
mod directory;
mod error;
mod flood;
mod http;
mod metadata;
mod observation;
mod pool;
mod programs;
mod script;
mod segment;
mod server;
mod source;
mod tftp;

pub use directory::{Foreign, LeaseError, LeaseStore, MemoryLeases};
pub use error::NetbootError;
pub use flood::FloodLimits;
/// A network and its prefix, as [`Network`] and [`Segment`] have it.
pub use ipnet::Ipv4Net;
pub use metadata::{METADATA_ADDRESS, add_metadata_address, listen_for_metadata};
pub use observation::{Client, Observation, Offer, Seen};
pub use pool::{Grant, Pool, PoolError};
pub use programs::{ProgramNames, Programs};
pub use script::ScriptError;
pub use segment::{Network, Segment};
pub use server::{Config, Netboot};
pub use source::{Artifact, Boot, BootSource, FixedLease, Lease, Machine, Pending, Unavailable};
pub use wire::Mac;
/// A route, as [`FixedLease`] has it.
pub use wire::dhcp::Route;

//! Whoever decides what a machine gets.

use std::future::Future;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::pin::Pin;

use ipnet::Ipv4Net;
use uuid::Uuid;
use wire::Mac;
use wire::dhcp::Route;

use crate::Observation;

/// A boxed future, as the traits of this crate return it.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Decides what a machine gets, and hears what is seen of it.
pub trait BootSource: Send + Sync + 'static {
    /// What the machine with this port gets now. `Ok(None)`: no such machine is known, and it gets silence.
    ///
    /// Asked for every DHCP message, TFTP request and HTTP request, so it should take a millisecond, not a second; after
    /// five it counts as unavailable.
    ///
    /// # Errors
    /// [`Unavailable`] when the answer can't be had now. The machine gets silence by DHCP and TFTP and a 503 by HTTP, and
    /// asks again.
    fn boot(&self, mac: Mac) -> Pending<'_, Result<Option<Machine>, Unavailable>>;

    /// Something was seen. Must not block: it is called from the servers' tasks.
    fn observe(&self, seen: Observation);
}

/// What is to boot can't be found out now, for this reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what to boot is not known now: {0}")]
pub struct Unavailable(pub String);

/// A machine that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The node that the port belongs to.
    pub node: Uuid,
    /// The host name to hand out (option 12); left out when it is not a valid one.
    pub hostname: Option<String>,
    /// Which address it gets.
    pub lease: Lease,
    /// What it is to boot.
    pub boot: Boot,
}

/// Which address a machine gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Lease {
    /// One of the pool of the network that it asks from: what runs on it is ours.
    #[default]
    Pool,
    /// Its own system gets this one. Its firmware gets it too where it lies in the network that it asks from, else one of the pool.
    Fixed(Box<FixedLease>),
    /// Its own system gets no answer; its firmware one of the pool.
    Silence,
}

/// An address decided elsewhere, by the network service for a port, and what its subnet says besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedLease {
    /// The address.
    pub address: Ipv4Addr,
    /// The subnet that it is of. Need not be the network that is served on the wire: a wire may carry several.
    pub net: Ipv4Net,
    /// Routers (option 3).
    pub routers: Vec<Ipv4Addr>,
    /// Routes (option 121), with the default route.
    pub routes: Vec<Route>,
    /// Name servers (option 6).
    pub dns: Vec<Ipv4Addr>,
    /// Domain name (option 15).
    pub domain: Option<String>,
    /// What a frame carries, in octets (option 26).
    pub mtu: Option<u16>,
    /// Options by code and value.
    pub others: Vec<(u8, Vec<u8>)>,
}

/// What a machine is to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// What is on its disk: it gets an address and nothing to load. iPXE, which asks for something to run, gets a script
    /// that goes on to the disk.
    LocalDisk,
    /// A kernel with an initial ramdisk.
    Ramdisk {
        /// The kernel.
        kernel: Artifact,
        /// The initial ramdisk.
        initramfs: Artifact,
        /// The kernel's command line. iPXE's settings in it, e.g. `${serial}`, are expanded by iPXE. `initrd=` and
        /// `BOOTIF=` are added here and need not be in it.
        cmdline: String,
    },
}

/// Where a machine's kernel or ramdisk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Artifact {
    /// A file here, which this crate's HTTP server streams.
    File(PathBuf),
    /// A URL that iPXE fetches by itself; a path (`/images/…`) is one on the server that its script comes from.
    Url(String),
}

//! Why the servers can't be started.

use std::io;
use std::path::PathBuf;

/// Why netboot can't be started. All of these are for the operator to put right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetbootError {
    /// An interface can't be used.
    #[error("network boot can't use interface {interface}: {reason}")]
    Interface {
        /// Its name.
        interface: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// A network's addresses make no sense.
    #[error("network {network} can't hand out addresses: {reason}")]
    Network {
        /// The network.
        network: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// A boot program is missing or can't be read.
    #[error(
        "boot program {path} can't be read: {source}; install it (Debian: apt install ipxe) or configure another directory or name"
    )]
    Program {
        /// Where it should be.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// A server's socket can't be had.
    #[error("{server} can't listen on {place}: {source}; {hint}")]
    Bind {
        /// Which server.
        server: &'static str,
        /// The address or interface.
        place: String,
        /// What came back.
        source: io::Error,
        /// What to do about it.
        hint: &'static str,
    },
    /// The kept leases can't be read.
    #[error("the kept DHCP leases can't be read: {0}")]
    Leases(#[from] crate::LeaseError),
}

impl NetbootError {
    pub(crate) fn bind(server: &'static str, place: String, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => {
                "stop the server that holds the port (ss -lnup shows it), or leave this interface out"
            }
            io::ErrorKind::PermissionDenied => {
                "it needs root, or the capabilities CAP_NET_BIND_SERVICE and CAP_NET_RAW"
            }
            _ => "look at the interface with `ip address`",
        };
        Self::Bind { server, place, source, hint }
    }
}

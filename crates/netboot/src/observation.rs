//! What the servers see of machines.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use wire::Mac;
use wire::dhcp::Arch;

/// Something was seen of a machine. Carries no time of its own: it is told as it happens. Prints as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The port that it was seen of, where known.
    pub mac: Option<Mac>,
    /// The node that the port belongs to; `None` for a machine that nobody knows.
    pub node: Option<Uuid>,
    /// The interface that it was seen on, where that is known.
    pub interface: Option<Arc<str>>,
    /// What was seen.
    pub seen: Seen,
}

/// The program that asked, as its DHCP message tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Client {
    /// Network boot firmware of this architecture, which loads by TFTP.
    Pxe(Arch),
    /// UEFI firmware of this architecture, which loads by HTTP.
    HttpBoot(Arch),
    /// iPXE that can fetch by HTTP.
    Ipxe,
    /// Something else: a ramdisk, an operating system.
    System,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pxe(Arch::Bios) => f.write_str("BIOS PXE firmware"),
            Self::Pxe(Arch::X64 | Arch::Ia32 | Arch::Arm64) => f.write_str("UEFI PXE firmware"),
            Self::Pxe(arch) => write!(f, "PXE firmware of architecture {}", u16::from(*arch)),
            Self::HttpBoot(_) => f.write_str("UEFI HTTP boot firmware"),
            Self::Ipxe => f.write_str("iPXE"),
            Self::System => f.write_str("a running system"),
        }
    }
}

/// What a DHCP answer carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Who asked.
    pub client: Client,
    /// The address it got.
    pub address: Ipv4Addr,
    /// The file name or URL it was told to load, if any.
    pub file: Option<String>,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seen {
    /// DHCP: an address was offered.
    Offered(Offer),
    /// DHCP: the address was confirmed.
    Leased(Offer),
    /// DHCP: the address that the machine wanted was refused; it starts again.
    AddressRefused {
        /// What it wanted.
        wanted: Ipv4Addr,
        /// What it should have.
        address: Ipv4Addr,
    },
    /// DHCP: the machine found its address in use by someone else, and gets another.
    AddressInUse {
        /// The address.
        address: Ipv4Addr,
    },
    /// DHCP: the machine took the offer of another server, so nothing more of it will be seen here.
    OtherServer {
        /// That server.
        server: Ipv4Addr,
    },
    /// A known machine asked and could not be answered, for this reason.
    Unanswered {
        /// Why, and what to do about it.
        reason: String,
    },
    /// DHCP: a machine that nobody knows asked, and got silence. Told at a bounded rate.
    UnknownMachine {
        /// Who asked.
        client: Client,
        /// How many such messages, of any machine, were not told since the last one that was.
        untold: u64,
    },
    /// TFTP: the machine began to load a file.
    TftpStarted {
        /// The file's name.
        file: String,
        /// Its size in octets.
        size: u64,
    },
    /// TFTP: the whole file was loaded.
    TftpFinished {
        /// The file's name.
        file: String,
        /// Its size in octets.
        size: u64,
        /// How long it took.
        took: Duration,
    },
    /// TFTP: the file was not loaded to its end.
    TftpAborted {
        /// The file's name.
        file: String,
        /// Octets that had arrived.
        sent: u64,
        /// How long it had taken.
        took: Duration,
        /// Why it ended.
        reason: String,
    },
    /// TFTP or HTTP: something was asked for that the machine is not to get.
    Refused {
        /// Who asked.
        peer: IpAddr,
        /// What for.
        what: String,
        /// Why not.
        reason: String,
    },
    /// HTTP: the machine's iPXE fetched its script.
    ScriptServed,
    /// HTTP: the machine began to fetch a file.
    FetchStarted {
        /// `kernel`, `initramfs` or a boot program's name.
        what: String,
        /// Octets to be sent.
        size: u64,
    },
    /// HTTP: all that was asked for was handed to the network.
    FetchFinished {
        /// `kernel`, `initramfs` or a boot program's name.
        what: String,
        /// Octets sent.
        size: u64,
        /// How long it took.
        took: Duration,
    },
    /// HTTP: the connection ended too early.
    FetchCut {
        /// `kernel`, `initramfs` or a boot program's name.
        what: String,
        /// Octets handed to the network until then.
        sent: u64,
        /// Octets that should have been sent.
        size: u64,
        /// How long it had taken.
        took: Duration,
    },
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(mac) = self.mac {
            write!(f, "{mac}: ")?;
        }
        self.seen.fmt(f)?;
        match &self.interface {
            Some(interface) => write!(f, " (on {interface})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.address, self.client)?;
        match &self.file {
            Some(file) => write!(f, ", to load {file}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offered(offer) => write!(f, "DHCP offered {offer}"),
            Self::Leased(offer) => write!(f, "DHCP leased {offer}"),
            Self::AddressRefused { wanted, address } => {
                write!(f, "DHCP refused {wanted}: the machine's address here is {address}")
            }
            Self::AddressInUse { address } => {
                write!(f, "DHCP: the machine found {address} in use by another host; it gets another address")
            }
            Self::OtherServer { server } => write!(
                f,
                "DHCP: the machine took the offer of another DHCP server, {server}; keep that server silent on this network"
            ),
            Self::Unanswered { reason } => write!(f, "not answered: {reason}"),
            Self::UnknownMachine { client, untold: 0 } => {
                write!(f, "DHCP: {client} of an unknown machine asked and got no answer")
            }
            Self::UnknownMachine { client, untold } => write!(
                f,
                "DHCP: {client} of an unknown machine asked and got no answer ({untold} more such requests before it)"
            ),
            Self::TftpStarted { file, size } => write!(f, "TFTP started on {file}, {size} bytes"),
            Self::TftpFinished { file, size, took } => {
                write!(f, "TFTP sent {file}, {size} bytes in {} ms", took.as_millis())
            }
            Self::TftpAborted { file, sent, took, reason } => {
                write!(f, "TFTP of {file} ended after {sent} bytes and {} ms: {reason}", took.as_millis())
            }
            Self::Refused { peer, what, reason } => write!(f, "refused {what} to {peer}: {reason}"),
            Self::ScriptServed => f.write_str("HTTP sent the boot script"),
            Self::FetchStarted { what, size } => write!(f, "HTTP started on {what}, {size} bytes"),
            Self::FetchFinished { what, size, took } => {
                write!(f, "HTTP sent {what}, {size} bytes in {} ms", took.as_millis())
            }
            Self::FetchCut { what, sent, size, took } => {
                write!(f, "HTTP of {what} was cut after {sent} of {size} bytes and {} ms", took.as_millis())
            }
        }
    }
}

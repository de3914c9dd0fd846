//! What can go wrong with a BMC, by what the caller can do about it.

use std::time::Duration;
use wire::ipmi::CompletionCode;

/// A command to a BMC that did not succeed. `address` is `host:port` as in the node's settings. No text holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BmcError {
    /// Not one datagram came back. Try again later; if it stays, look at address, cable and firewall.
    #[error(
        "BMC {address} is unreachable: {attempts} packets within {} brought no answer{}. Check the address and port, the BMC's \
         network and its power, and that IPMI over LAN is enabled there",
        seconds(elapsed),
        of(detail)
    )]
    Unreachable {
        /// Host and port.
        address: String,
        /// Packets sent.
        attempts: u32,
        /// Time spent.
        elapsed: Duration,
        /// What the network said, if anything (connection refused, name not found).
        detail: String,
    },
    /// The BMC answered something, but not this in time. Try again later.
    #[error(
        "BMC {address} did not answer {doing} within {} ({attempts} packets sent), though it answered before{}. \
         Try again; if it stays, the BMC may be overloaded or need a reset",
        seconds(elapsed),
        of(detail)
    )]
    Timeout {
        /// Host and port.
        address: String,
        /// The command or handshake message without an answer.
        doing: String,
        /// Packets sent.
        attempts: u32,
        /// Time spent.
        elapsed: Duration,
        /// What else is known.
        detail: String,
    },
    /// User, password or K_g is wrong. Trying again is of no use and may lock the account.
    #[error(
        "BMC {address} refused to log in user '{user}': {detail}. Check ipmi_username, ipmi_password and ipmi_hex_kg_key in the \
         node's driver_info, and that the user is enabled on the BMC's LAN channel"
    )]
    WrongCredentials {
        /// Host and port.
        address: String,
        /// User name.
        user: String,
        /// What came back.
        detail: String,
    },
    /// No cipher suite suits both sides.
    #[error(
        "BMC {address} refused cipher suite {}: {detail}. Set ipmi_cipher_suite in the node's driver_info to one that the BMC \
         allows (17 and 3 are supported, 0 has no protection at all), or enable one of them on the BMC",
        list(tried)
    )]
    CipherRefused {
        /// Host and port.
        address: String,
        /// Suites proposed, in order.
        tried: Vec<u8>,
        /// What came back.
        detail: String,
    },
    /// The user may not do this.
    #[error(
        "BMC {address} refused user '{user}' the privilege for {doing}: {detail}. Give the user that level on the BMC, or set \
         ipmi_priv_level in the node's driver_info to what it has"
    )]
    PrivilegeRefused {
        /// Host and port.
        address: String,
        /// User name.
        user: String,
        /// What needed the privilege.
        doing: String,
        /// What came back.
        detail: String,
    },
    /// What arrived was damaged, forged or replayed, and no good answer came.
    #[error(
        "BMC {address} sent no good answer to {doing} within {}; the last packet was dropped because {problem}. Something on \
         the way alters, repeats or forges packets, or two machines share the address",
        seconds(elapsed)
    )]
    BadPacket {
        /// Host and port.
        address: String,
        /// The command or handshake message without a good answer.
        doing: String,
        /// Why the last bad packet was dropped.
        problem: String,
        /// Time spent.
        elapsed: Duration,
    },
    /// All session slots of the BMC are taken. They come free after a minute at most.
    #[error(
        "BMC {address} has no free session: {detail}. Others are logged in to it; sessions left open end after about a minute, \
         then try again"
    )]
    NoFreeSession {
        /// Host and port.
        address: String,
        /// What came back.
        detail: String,
    },
    /// The BMC understood the command and refused it.
    #[error("BMC {address} refused {doing} with completion code {completion}{}", of(detail))]
    Refused {
        /// Host and port.
        address: String,
        /// The command.
        doing: String,
        /// Code and meaning.
        completion: CompletionCode,
        /// What to do about it, where that is known.
        detail: String,
    },
    /// The BMC cannot do this, or not in a way that is spoken here.
    #[error("BMC {address} cannot do {doing}: {detail}")]
    Unsupported {
        /// Host and port.
        address: String,
        /// What was asked.
        doing: String,
        /// Why not.
        detail: String,
    },
}

impl BmcError {
    /// The kind in a few words, for counting.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::WrongCredentials { .. } => "wrong credentials",
            Self::CipherRefused { .. } => "cipher refused",
            Self::PrivilegeRefused { .. } => "privilege refused",
            Self::BadPacket { .. } => "bad packet",
            Self::NoFreeSession { .. } => "no free session",
            Self::Refused { .. } => "refused",
            Self::Unsupported { .. } => "unsupported",
        }
    }

    /// May the same call succeed a little later without anybody changing anything?
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::BadPacket { .. }
            | Self::NoFreeSession { .. } => true,
            Self::Refused { completion, .. } => completion.is_transient(),
            Self::WrongCredentials { .. }
            | Self::CipherRefused { .. }
            | Self::PrivilegeRefused { .. }
            | Self::Unsupported { .. } => false,
        }
    }
}

fn seconds(elapsed: &Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

fn of(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(" ({detail})") }
}

fn list(suites: &[u8]) -> String {
    let numbers: Vec<String> = suites.iter().map(u8::to_string).collect();
    if numbers.is_empty() { "17 and 3".to_owned() } else { numbers.join(", then ") }
}

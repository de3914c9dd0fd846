//! RMCP+ and IPMI 2.0, both directions: bytes in and bytes out.
//!
//! "The specification" in this folder is *IPMI v2.0 rev. 1.1 with errata 7* (Intel, HP, NEC, Dell, 2013). The layers, outside in:
//!
//! | module | layer | section |
//! |---|---|---|
//! | [`packet`] | RMCP header, presence ping, session header v1.5 and v2.0 | 13.1–13.6 |
//! | [`handshake`] | Open Session, RAKP messages 1–4 as bytes | 13.17–13.24 |
//! | [`crypto`] | cipher suites 0, 3, 17; key derivation | 13.28–13.32 |
//! | [`channel`] | integrity, confidentiality, replay window of an open session | 6.12.13, 13.28 |
//! | [`message`] | requests and responses with their checksums, completion codes | 13.8, 5.2 |
//! | [`command`] | typed commands | 20, 22, 28 |
//! | [`console`] | the remote console's side: handshake and session | 13.15 |
//! | [`managed`] | the managed system's side: what a BMC keeps about its sessions | 13.15 |
//!
//! Nothing here sleeps, reads a clock or draws random numbers: `bmc` (the client) and the lab's simulator pass those in, so that both
//! sides and every test use the same code.

pub mod channel;
pub mod command;
pub mod console;
pub mod crypto;
pub mod handshake;
pub mod managed;
pub mod message;
pub mod packet;

#[cfg(test)]
mod tests;

pub use crypto::{CipherSuite, Credentials};
pub use message::{CompletionCode, Privilege, Request, Response};

/// Why bytes from the network were not understood. Every decoder here returns it and none panics, whatever the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("{what}: {got} bytes, at least {need} are needed")]
    Short {
        /// The structure that was being read.
        what: &'static str,
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        got: usize,
    },
    /// A checksum or a length inside the bytes contradicts the rest.
    #[error("{what}: {problem}")]
    Malformed {
        /// The structure that was being read.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A field holds a value that the specification does not define or that is not supported here.
    #[error("{what}: {field} is {value:#04x}, which is not supported")]
    Unknown {
        /// The structure that was being read.
        what: &'static str,
        /// Its field.
        field: &'static str,
        /// The value found.
        value: u8,
    },
}

/// Checks that `bytes` has at least `need` bytes.
pub(crate) fn at_least(what: &'static str, bytes: &[u8], need: usize) -> Result<(), DecodeError> {
    if bytes.len() < need { Err(DecodeError::Short { what, need, got: bytes.len() }) } else { Ok(()) }
}

/// Reads `N` bytes at `at`.
pub(crate) fn array<const N: usize>(
    what: &'static str,
    bytes: &[u8],
    at: usize,
) -> Result<[u8; N], DecodeError> {
    bytes.get(at..at + N).and_then(|s| s.try_into().ok()).ok_or(DecodeError::Short {
        what,
        need: at + N,
        got: bytes.len(),
    })
}

/// Reads a little-endian 32-bit number at `at`.
pub(crate) fn u32_at(what: &'static str, bytes: &[u8], at: usize) -> Result<u32, DecodeError> {
    Ok(u32::from_le_bytes(array(what, bytes, at)?))
}

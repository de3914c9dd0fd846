//! TFTP (RFC 1350, RFC 2347, RFC 2348, RFC 2349, RFC 7440).
//!
//! [`Packet`] is the codec, [`Sender`] the side that gives a file away: a state machine that is told of packets and of
//! time that has passed, and says what to send next. Only reading in octet mode is spoken; nothing is ever written.

mod packet;
mod sender;

pub use packet::{ErrorCode, OptionAck, Packet, ReadRequest};
pub use sender::{Limits, Sender, Step};

/// The UDP port that TFTP servers listen on.
pub const SERVER_PORT: u16 = 69;
/// The block size without negotiation, in octets (RFC 1350 §2).
pub const DEFAULT_BLOCK_BYTES: u16 = 512;

/// Why bytes are not a TFTP packet that we can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TftpError {
    /// The bytes make no packet.
    #[error("malformed TFTP packet: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A well-formed request for something that this server does not do; answer with an error packet.
    #[error("refused TFTP request: {what}")]
    Unsupported {
        /// The code to answer with.
        code: ErrorCode,
        /// What is not done, fit for the error packet's text.
        what: &'static str,
    },
}

//! Codecs, both directions, bytes in and bytes out. No sockets, clock or randomness: those are passed in.

pub mod dhcp;
pub mod ipmi;
pub mod tftp;

pub use dhcp::Mac;

//! Netboot against real clients: curl, busybox, firmware under QEMU, and raw packets.
//!
//! Most of these make network namespaces of their own and so need root; without it they fail and say so.

// clippy's allowance for tests covers only the test functions themselves, not what they call.
#![allow(clippy::unwrap_used)]

mod dhcp;
mod firmware;
mod http;
mod leases;
mod metadata;
mod place;
mod proxy;
mod solicit;
mod source;
mod storm;
mod tftp;

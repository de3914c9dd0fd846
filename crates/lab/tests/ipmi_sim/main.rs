//! The BMC simulator: judged by our own client, by `ipmitool` and by FreeIPMI.

#![allow(missing_docs, clippy::unwrap_used)]

mod client;
mod faults;
mod rack;
mod tools;

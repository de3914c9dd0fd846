//! The BMC simulator: judged by our own client, by `ipmitool` and by FreeIPMI.

#![allow(missing_docs)]

mod client;
mod faults;
mod rack;
mod tools;

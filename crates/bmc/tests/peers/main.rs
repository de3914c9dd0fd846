//! The IPMI client against BMC simulators of others: OpenIPMI's `ipmi_sim` and pyghmi's fake BMC.

#![allow(missing_docs, clippy::unwrap_used)]

mod openipmi;
mod peer;
mod pyghmi;

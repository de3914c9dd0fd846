//! The API in-process: a store in a temporary directory, a conductor that is not running, requests through the router.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod auth;
mod hostile;
mod nodes;
mod ports;
mod ramdisk;
mod site;
mod states;
mod versions;

//! The agent as a normal process's threads: a fake API and image server over loopback, files for disks, commands over TLS.

#![allow(clippy::unwrap_used)] // All of this is test code, the helpers too.

mod commands;
mod images;
mod life;
mod partitions;
mod rack;

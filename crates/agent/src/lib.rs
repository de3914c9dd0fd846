//! The ramdisk's agent: finds its network and the API, and does to this machine what the conductor asks for.
//!
//! It speaks the ironic-python-agent protocol (`model::agent`), so that a real Ironic may drive it. As PID 1 ([`init`])
//! it must neither panic nor exit; as a normal process it does the same to files that stand for disks, for the tests.
//! Everything is blocking threads: one listens, one heartbeats, at most one runs a command.

pub mod bell;
pub mod bootloader;
pub mod command;
pub mod console;
pub mod efi;
pub mod erase;
pub mod fault;
pub mod http;
pub mod image;
pub mod init;
pub mod machine;
pub mod network;
pub mod options;
pub mod run;
pub mod server;

pub use options::Options;
pub use run::{Agent, Ending, run};

//! Virtual bare metal for trying and testing.
//!
//! A [`rack::Rack`] is a set of QEMU machines with real firmware, each behind a simulated BMC, on one wire, in namespaces of its own
//! ([`isolation`]). Images to put on them are built by [`image`] and served by [`image_server`]; [`demo`] plays the whole story on them.
//! A [`fleet::Fleet`] is thousands of machines that are only pretended, behind BMCs that speak real RMCP+; [`soak`] lets processes die over
//! one.
pub mod bench;
pub mod chassis;
pub mod demo;
pub mod error;
pub mod fleet;
pub mod image;
pub mod image_server;
pub mod ipmi_sim;
pub mod isolation;
pub mod network;
pub mod postgres;
pub mod process;
pub mod qemu;
pub mod rack;
pub mod soak;
pub mod state_dir;

pub use error::{Error, Result};

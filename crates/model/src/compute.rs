//! What the compute service gives: servers, and what they are made of.

pub mod action;
pub mod scheduler;
pub mod server;

pub use action::{ActionEvent, ServerAction};
pub use server::{
    Lock, PowerView, RequestedNetworks, Server, ServerFault, ServerFlavor, ServerImage, ServerKey, ServerPort,
    ServerUsage, ServerWork, TaskState, VmState, WantedPort,
};

//! Words and rules of a bare-metal cloud: pure values and functions.
//!
//! Nothing in here waits, opens a socket, reads a clock or knows SQL. Time and identifiers are passed in.

pub mod agent;
pub mod allocation;
pub mod bios;
pub mod chassis;
pub mod compute;
pub mod deploy_template;
pub mod driver;
pub mod errand;
pub mod event;
pub mod firmware;
pub mod hints;
pub mod history;
pub mod identity;
pub mod image;
pub mod inspection_rule;
pub mod network;
pub mod node;
pub mod object_store;
pub mod port;
pub mod portgroup;
pub mod raid;
pub mod runbook;
pub mod secret;
pub mod state;
pub mod step;
pub mod vendor;
pub mod version;
pub mod vif;
pub mod volume;
pub mod wording;

pub use secret::Secret;

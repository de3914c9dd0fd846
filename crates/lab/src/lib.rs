//! Virtual bare metal for trying and testing.
pub mod chassis;
pub mod ipmi_sim;

//! The lab's integration tests, one binary. They need root (namespaces, taps) and QEMU.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod machine;
mod rack;

//! The lab's integration tests, one binary. They need root (namespaces, taps) and QEMU.

mod machine;
mod rack;

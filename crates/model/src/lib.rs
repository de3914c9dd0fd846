//! Words and rules of a bare-metal cloud: pure values and functions.

mod secret;

pub use secret::Secret;

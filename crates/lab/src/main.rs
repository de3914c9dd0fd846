//! The `billet-lab` command.
fn main() {}

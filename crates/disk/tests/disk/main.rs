//! The crate from outside: against `qemu-img`, `sgdisk`, `sfdisk`, `isoinfo` and `blkid`, and against those who lie.

#![allow(clippy::unwrap_used, reason = "fixtures too are test code")]

mod config_drive;
mod erase;
mod fixtures;
mod flat;
mod golden;
mod hostile;
mod partition_image;
mod partitions;
mod unbootable;

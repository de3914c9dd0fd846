//! The crate from outside: against `qemu-img`, `sgdisk`, `sfdisk`, `isoinfo` and `blkid`, and against those who lie.

mod config_drive;
mod erase;
mod fixtures;
mod flat;
mod golden;
mod hostile;
mod partitions;
mod unbootable;

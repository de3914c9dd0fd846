//! Blocking disk formats: images, partition tables, config drives.
//!
//! What the deploy ramdisk does to a disk, and what the image service does to an image, without network and
//! without async: bytes come from an [`ImageSource`] and go to a [`Target`].
//!
//! * [`write_image`] writes raw and qcow2 images in one sequential pass over the image file: every byte is hashed
//!   in order while clusters are scattered to their guest offsets, and nothing that firmware could boot is on the
//!   disk before the checksum matched (`image/gate.rs` says how).
//! * [`partition`] reads GPT and MBR, moves the backup GPT to the disk's end and adds the config drive's partition.
//! * [`write_partition_image`] partitions a disk for an image that is a bare file system, and fills the partitions.
//! * [`ConfigDrive`] renders the ISO 9660 config drive and Ironic's stored form of it.
//! * [`erase_metadata`] makes a disk look empty to firmware, `blkid`, mdadm and LVM.
//! * [`Checksum`] parses and compares the checksums that Ironic and Glance hand around.
//!
//! Everything that comes from an image or from a disk is hostile: lengths are bounded before anything is
//! allocated, offsets are checked before anything is read, and no input panics. Memory stays under 64 MB whatever the
//! image's size; `qcow2/map.rs` and `image/pipeline.rs` hold the budget.

pub mod checksum;
pub mod config_drive;
mod erase;
mod error;
mod ext4;
mod fat;
mod file_system;
mod format;
mod image;
mod iso9660;
pub mod partition;
mod partition_image;
mod qcow2;
mod source;
mod swap;
mod target;
mod window;

pub use checksum::{Algorithm, Checksum, Hasher, Policy};
pub use config_drive::ConfigDrive;
pub use erase::{ERASED_EDGE, erase_metadata};
pub use error::{Error, Result};
pub use ext4::{EPHEMERAL_FORMATS, make_ext4};
pub use fat::{FatFile, make_fat};
pub use file_system::{FileSystem, FileSystemKind, file_system};
pub use format::{Content, Format, SNIFF_LENGTH, detect};
pub use image::{ImageInfo, Phase, Progress, Report, WriteOptions, inspect_image, write_image};
pub use partition_image::{EFI_LABEL, PartitionOptions, PartitionReport, serial_text, write_partition_image};
pub use source::{FileSource, ImageSource};
pub use swap::make_swap;
pub use target::{Disk, Target, start_writing_back};
pub use window::Window;

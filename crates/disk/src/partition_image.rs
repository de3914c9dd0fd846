//! A partition image on a disk: partitions, the image's file system in one of them, and what goes into the others.
//!
//! The order makes failures harmless. Nothing is touched before everything that can be known is checked; then the old tables go;
//! the image is written where no table points yet, and its first bytes last of all (`image/gate.rs`); the new table is the
//! last thing written. With an ephemeral partition to be preserved its table stays, and only the root partition is written: a failure
//! then leaves a root partition without a file system, and the data.

use crate::erase::erase_metadata;
use crate::error::{Error, Result};
use crate::ext4::{self, make_ext4};
use crate::fat::make_fat;
use crate::file_system::{FileSystem, file_system};
use crate::format::Format;
use crate::image::{Progress, Report, WriteOptions, inspect_image, write_image};
use crate::partition::{Layout, LayoutRequest, Partition, Place, Role, read_table, write_config_drive};
use crate::source::ImageSource;
use crate::swap::make_swap;
use crate::target::Target;
use crate::window::Window;

/// Label of the EFI system partition, as ironic-python-agent's.
pub const EFI_LABEL: &str = "efi-part";
const EPHEMERAL_LABEL: &str = "ephemeral0";

/// What is asked for beside the image itself.
#[derive(Debug, Clone)]
pub struct PartitionOptions<'a> {
    /// The partitions.
    pub layout: LayoutRequest,
    /// Whether the ephemeral partition that is there is kept, with all else of the table.
    pub preserve_ephemeral: bool,
    /// File system of a new ephemeral partition (`ext4`); empty: the default.
    pub ephemeral_format: &'a str,
    /// The config drive's ISO image.
    pub config_drive: Option<&'a [u8]>,
    /// The image.
    pub image: WriteOptions,
}

/// What was done.
#[derive(Debug, Clone)]
pub struct PartitionReport {
    /// The root partition.
    pub root: Place,
    /// The image's file system.
    pub file_system: FileSystem,
    /// Serial number of the EFI system partition's file system, if there is one: see [`serial_text`].
    pub efi_serial: Option<u32>,
    /// Partition of the config drive.
    pub config_drive: Option<Partition>,
    /// About the image.
    pub image: Report,
}

/// A FAT serial number as `blkid` shows it.
pub fn serial_text(serial: u32) -> String {
    format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)
}

/// Partitions a disk and writes an image into its root partition.
///
/// `progress` is told as by [`write_image`]. Errors: [`Error::PartitionTable`] if the disk is too small for what was asked, or not
/// partitioned like that where data is to be preserved; [`Error::Image`] if the image is larger than its partition, or no whole file
/// system; else as [`write_image`]'s. After an error the disk has no partition table, or with `preserve_ephemeral` no
/// root file system.
pub fn write_partition_image(
    source: &mut dyn ImageSource,
    target: &dyn Target,
    options: &PartitionOptions<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<PartitionReport> {
    let layout = Layout::plan(target, &options.layout)?;
    let root = root_of(&layout)?;
    if layout.get(Role::Ephemeral).is_some() && !options.preserve_ephemeral {
        ext4::check_name(options.ephemeral_format)?;
    }
    check_image(source, &options.image, root.length)?;
    if options.preserve_ephemeral {
        layout.check_unchanged(target)?;
    } else {
        erase_metadata(target)?;
    }
    let window = Window::new(target, root.start, root.length);
    let image =
        write_image(source, &window, &options.image, progress).map_err(|e| of_root(e, root.length))?;
    let file_system = match check_file_system(&window, &image) {
        Ok(found) => found,
        Err(error) => {
            // The error that led here matters more than one from this.
            let _ = erase_metadata(&window);
            return Err(error);
        }
    };
    let efi_serial = make_others(target, &layout, options)?;
    if !options.preserve_ephemeral {
        layout.write(target)?;
    }
    let config_drive = match options.config_drive {
        Some(iso) => Some(write_config_drive(target, iso)?),
        None => {
            forget_config_drive(target)?;
            None
        }
    };
    target.sync().map_err(|e| Error::disk("flushing the disk's cache", e))?;
    Ok(PartitionReport { root: *root, file_system, efi_serial, config_drive, image })
}

fn root_of(layout: &Layout) -> Result<&Place> {
    layout.get(Role::Root).ok_or_else(|| Error::PartitionTable {
        problem: "no root partition was asked for".into(),
        remedy: "set root_gb in instance_info",
    })
}

/// Looks at the image before the disk is touched. A server without ranges is believed until the image passes by.
fn check_image(source: &mut dyn ImageSource, options: &WriteOptions, root_bytes: u64) -> Result<()> {
    match inspect_image(source, options.format, &options.permitted) {
        Ok(info) => {
            refuse_whole_disk(info.format)?;
            match info.virtual_bytes {
                Some(size) if size > root_bytes => Err(too_large(size, root_bytes)),
                _ => Ok(()),
            }
        }
        Err(Error::Source { source, .. }) if source.kind() == std::io::ErrorKind::Unsupported => Ok(()),
        Err(error) => Err(error),
    }
}

fn refuse_whole_disk(format: Format) -> Result<()> {
    match format {
        Format::Raw | Format::Qcow2 => Ok(()),
        Format::Gpt => Err(Error::image(
            "it has a partition table, so it is a whole disk's image and not a partition's",
            "deploy it without kernel and ramdisk, with image_type whole-disk",
        )),
        Format::Iso => Err(Error::image("it is a CD's image and not a partition's", MAKE)),
    }
}

const MAKE: &str = "make one with disk-image-builder's element \"baremetal\"";

/// Ironic's words, with what to do.
fn too_large(image_bytes: u64, root_bytes: u64) -> Error {
    Error::image(
        format!(
            "Root partition is too small for requested image. Image virtual size: {} MB, Root size: {} MB",
            image_bytes.div_ceil(1 << 20),
            root_bytes >> 20
        ),
        "raise root_gb, or choose a flavor with a larger disk",
    )
}

fn of_root(error: Error, root_bytes: u64) -> Error {
    match error {
        Error::TooLarge { image_bytes, .. } => too_large(image_bytes, root_bytes),
        other => other,
    }
}

/// What was written must be a whole file system that is known.
fn check_file_system(window: &Window<'_>, image: &Report) -> Result<FileSystem> {
    refuse_whole_disk(image.format)?;
    let Some(found) = file_system(window)? else {
        let is_disk = read_table(window).is_ok_and(|table| table.is_some_and(|t| !t.partitions.is_empty()));
        let problem = match is_disk {
            true => "it has a partition table, so it is a whole disk's image and not a partition's",
            false => "it holds no file system that is known (ext2, ext3, ext4, XFS, Btrfs)",
        };
        return Err(Error::image(
            problem,
            if is_disk { "deploy it without kernel and ramdisk" } else { MAKE },
        ));
    };
    if found.size_bytes > image.virtual_bytes {
        return Err(Error::image(
            format!(
                "its {} file system has {} bytes, the image only {}: it is truncated",
                found.kind.name(),
                found.size_bytes,
                image.virtual_bytes
            ),
            "upload the image again, whole",
        ));
    }
    Ok(found)
}

/// Formats everything but root, and what is to be preserved. Returns the serial number of the EFI system partition.
fn make_others(target: &dyn Target, layout: &Layout, options: &PartitionOptions<'_>) -> Result<Option<u32>> {
    let mut efi_serial = None;
    for place in layout.places() {
        let window = Window::new(target, place.start, place.length);
        match place.role {
            Role::EfiSystem => {
                let serial = uuid::Uuid::new_v4().as_fields().0;
                make_fat(&window, EFI_LABEL, serial, &[])?;
                efi_serial = Some(serial);
            }
            Role::Swap => drop(make_swap(&window)?),
            Role::Ephemeral if !options.preserve_ephemeral => {
                make_ext4(&window, EPHEMERAL_LABEL)?;
            }
            Role::BiosBoot => {
                window
                    .zero(0, place.length)
                    .map_err(|e| Error::disk("emptying the BIOS boot partition", e))?;
            }
            Role::Ephemeral | Role::Root => {}
        }
    }
    Ok(efi_serial)
}

/// The drive of the deployment before must not configure this one.
fn forget_config_drive(target: &dyn Target) -> Result<()> {
    let Some(partition) = crate::partition::config_drive_partition(target)? else { return Ok(()) };
    let length = partition.length.min(crate::config_drive::MAX_ISO_LENGTH as u64);
    target
        .zero(partition.start, length)
        .map_err(|e| Error::disk(format!("emptying the old config drive at byte {}", partition.start), e))
}

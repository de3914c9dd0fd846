//! `image.install_bootloader`: the disk that was written boots by itself.
//!
//! A whole-disk image has all it needs on it: with UEFI the firmware is told of it, with BIOS there is nothing to do. A partition image
//! may bring the files of a boot loader for UEFI in its file system (`/boot/efi/EFI`, as Fedora's packages have it; else the signed
//! shim and GRUB of Debian's and Ubuntu's packages): they are copied to the EFI system partition.
//!
//! No program of an image is ever run. `grub-install` and `grub-mkconfig` in a chroot, as ironic-python-agent does it, are a stranger's
//! programs with the ramdisk's rights (CVE-2026-43003 there); what needs them, BIOS above all, boots over the network. Nor is the file
//! system mounted for it: `ext4-view` reads it here.

mod files;

use crate::efi;
use crate::fault::Fault;
use crate::image;
use crate::machine::BlockDevice;
use crate::run::Agent;
use crate::say;
use disk::partition::{Partition, read_table};
use disk::{Disk, EFI_LABEL, FileSystemKind, Target, Window, file_system, make_fat};
use files::ImageFiles;
use model::agent::InstallBootloaderParams;
use serde_json::Value;
use std::fs::File;

/// Makes the disk boot. A failure that shall only be logged is no failure.
pub fn install(agent: &Agent, params: &InstallBootloaderParams) -> Result<Value, Fault> {
    match try_install(agent, params) {
        Err(fault) if params.ignore_bootloader_failure == Some(true) => {
            say!("ignored: {fault}");
            Ok(Value::Null)
        }
        other => other.map(|()| Value::Null),
    }
}

fn try_install(agent: &Agent, params: &InstallBootloaderParams) -> Result<(), Fault> {
    // A whole disk has an identifier in its place (`0x…`).
    let root = uuid::Uuid::try_parse(&params.root_uuid).ok();
    match (root, agent.machine.is_uefi()) {
        (None, false) => {
            say!("booted by BIOS: the image's own boot code is used");
            return Ok(());
        }
        (Some(_), false) => {
            return Err(Fault::invalid_image(
                "a boot loader for BIOS is installed by programs of the image, and this ramdisk runs none; boot the node over the \
                 network (kernel and ramdisk in instance_info, capability boot_option:netboot) or in UEFI mode, or use a \
                 whole-disk image",
            ));
        }
        _ => {}
    }
    let device = image::root_device(agent)?;
    let target = image::open(&device)?;
    if let Some(root) = root {
        copy_loader(&target, &device, root)?;
    }
    efi::set_boot_entry(&target, &agent.machine.efi_variables()).map(|_| ())
}

/// Copies the image's boot loader from its file system to the EFI system partition.
fn copy_loader(target: &Disk, device: &BlockDevice, root: uuid::Uuid) -> Result<(), Fault> {
    let table = read_table(target)?.ok_or_else(|| Fault::no_device("the disk has no partition table"))?;
    let partition = find_root(target, &table.partitions, root)?;
    let esp = table
        .efi_system_partition()
        .ok_or_else(|| Fault::no_device("the disk has no EFI system partition to put a boot loader into"))?;
    // The disk itself is open for us alone; its bytes may be read a second way.
    let file = File::open(&device.path)
        .map_err(|error| Fault::no_device(format!("opening {} failed: {error}", device.disk.name)))?;
    let found = ImageFiles::open(file, partition.start, partition.length)?.boot_files(root)?;
    let window = Window::new(target, esp.start, esp.length);
    let mut serial = [0; 4];
    window
        .read_at(67, &mut serial)
        .map_err(|error| Fault::write(format!("reading the EFI system partition failed: {error}")))?;
    let files: Vec<_> = found.iter().map(|(path, content)| (path.clone(), content.as_slice())).collect();
    make_fat(&window, EFI_LABEL, u32::from_le_bytes(serial), &files)?;
    target.sync().map_err(|error| Fault::write(format!("flushing the disk's cache failed: {error}")))?;
    say!("{}: {} boot files in partition {}", device.disk.name, files.len(), esp.number);
    Ok(())
}

fn find_root<'t>(
    target: &Disk,
    partitions: &'t [Partition],
    root: uuid::Uuid,
) -> Result<&'t Partition, Fault> {
    for partition in partitions {
        let window = Window::new(target, partition.start, partition.length);
        match file_system(&window)? {
            Some(found) if found.uuid == root && found.kind == FileSystemKind::Ext => return Ok(partition),
            Some(found) if found.uuid == root => {
                return Err(Fault::invalid_image(format!(
                    "this ramdisk reads boot loaders from ext4 only, and the image is {}; boot the node over the network \
                     (kernel and ramdisk in instance_info), or use a whole-disk image",
                    found.kind.name()
                )));
            }
            _ => {}
        }
    }
    Err(Fault::no_device(format!("no partition has a file system with the UUID {root}")))
}

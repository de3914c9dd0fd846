//! Partition images, as disk-image-builder's element `baremetal` makes them: a bare ext4 file system, kernel and ramdisk beside it.
//!
//! `tiny-partition` is the tiny system on a root file system of its own, with a boot loader for UEFI in `/boot/efi` and none for BIOS.
//! `debian-partition` is cut out of the Debian image, and brings no boot loader at all.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::layout::grub_program;
use super::{tiny, write, write_program};
use crate::error::{Error, Result};
use crate::process;

/// Raise it when the recipe changes in a way that its text does not show.
const RECIPE_VERSION: u32 = 1;
const TINY_SIZE_MIB: u64 = 64;

const INITRD: &str = include_str!("../../assets/tiny/initrd");
const ROOT_INIT: &str = include_str!("../../assets/tiny/root-init");

/// Modules that the ramdisk needs to get at the root file system; the others are loaded from there.
const INITRD_MODULES: usize = 6;

/// GRUB's commands, in the program that the firmware starts; `{root}` is the root file system's UUID.
const GRUB: &str = "serial --unit=0 --speed=115200
terminal_output serial
echo tiny: GRUB
search --no-floppy --fs-uuid --set=root {root}
linux /boot/vmlinuz root=UUID={root} ro console=ttyS0,115200 quiet no_timer_check mitigations=off panic=10
initrd /boot/initrd
boot
";

/// The files that belong to a partition image, by the path of its file system.
#[derive(Debug, Clone)]
pub struct BootFiles {
    /// Kernel.
    pub kernel: PathBuf,
    /// Initial ramdisk.
    pub ramdisk: PathBuf,
}

impl BootFiles {
    /// Those beside an image.
    #[must_use]
    pub fn beside(image: &Path) -> Self {
        Self { kernel: image.with_extension("vmlinuz"), ramdisk: image.with_extension("initrd") }
    }
}

pub(super) fn tiny_recipe() -> Result<String> {
    Ok([&tiny::recipe()?, &format!("partition {RECIPE_VERSION} {TINY_SIZE_MIB}"), INITRD, ROOT_INIT, GRUB]
        .join("\n--\n"))
}

pub(super) fn debian_recipe(of_whole_disk: &str) -> String {
    format!("{of_whole_disk}\npartition {RECIPE_VERSION}\n")
}

/// Builds the tiny system on a file system of its own.
pub(super) fn build_tiny(work: &Path, image: &Path, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let system = tiny::System::unpack(work, progress)?;
    let beside = BootFiles::beside(image);

    progress("packing the ramdisk");
    let (early, late) = tiny::MODULES.split_at(INITRD_MODULES);
    let ramdisk = work.join("ramdisk");
    system.fill_ramdisk(&ramdisk, early, INITRD)?;
    tiny::pack(&ramdisk, &beside.ramdisk)?;
    copy(&system.kernel(), &beside.kernel)?;

    progress("writing the file system");
    let root = work.join("root");
    system.fill_root(&root, late)?;
    write_program(&root.join("sbin/init"), ROOT_INIT)?;
    let uuid = uuid::Uuid::new_v4().to_string();
    let (boot, loader) = (root.join("boot"), root.join("boot/efi/EFI/BOOT"));
    std::fs::create_dir_all(&loader).map_err(Error::io("creating", &loader))?;
    copy(&beside.kernel, &boot.join("vmlinuz"))?;
    copy(&beside.ramdisk, &boot.join("initrd"))?;
    let script = work.join("grub.cfg");
    write(&script, GRUB.replace("{root}", &uuid))?;
    let modules = ["ext2", "search", "search_fs_uuid"];
    grub_program("x86_64-efi", &loader.join("BOOTX64.EFI"), &script, "(,gpt1)/EFI/BOOT", &modules)?;
    process::output(
        Command::new("mkfs.ext4")
            .args(["-q", "-F", "-L", "root", "-U", &uuid, "-m", "0", "-d"])
            .arg(&root)
            .arg(image)
            .arg(format!("{TINY_SIZE_MIB}M")),
    )?;
    Ok(())
}

/// Cuts root file system, kernel and ramdisk out of the whole-disk image.
pub(super) fn cut(disk: &Path, image: &Path, progress: &mut dyn FnMut(&str)) -> Result<()> {
    progress("cutting the root file system out of the disk image");
    let (start, length) = third_partition(disk)?;
    let from = std::fs::File::open(disk).map_err(Error::io("opening", disk))?;
    let to = std::fs::File::create(image).map_err(Error::io("creating", image))?;
    to.set_len(length).map_err(Error::io("sizing", image))?;
    let mut chunk = vec![0; 1 << 20];
    let mut at = 0;
    while at < length {
        let part = &mut chunk[..(length - at).min(1 << 20) as usize];
        from.read_exact_at(part, start + at).map_err(Error::io("reading", disk))?;
        if part.iter().any(|byte| *byte != 0) {
            to.write_all_at(part, at).map_err(Error::io("writing", image))?;
        }
        at += part.len() as u64;
    }
    let beside = BootFiles::beside(image);
    let listed = process::output(Command::new("debugfs").args(["-R", "ls -p /boot"]).arg(image))?;
    let listed = String::from_utf8_lossy(&listed);
    for (prefix, file) in [("vmlinuz-", &beside.kernel), ("initrd.img-", &beside.ramdisk)] {
        let name = listed.split('/').find(|name| name.starts_with(prefix));
        let name =
            name.ok_or_else(|| Error::Invalid(format!("{} has no /boot/{prefix}*", disk.display())))?;
        let request = format!("dump /boot/{name} {}", file.display());
        process::output(Command::new("debugfs").args(["-R", &request]).arg(image))?;
    }
    Ok(())
}

/// Start and length of the root partition of [`super::layout::Layout`], in bytes.
fn third_partition(disk: &Path) -> Result<(u64, u64)> {
    let text = process::output(Command::new("sfdisk").arg("--json").arg(disk))?;
    let table: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|error| Error::Invalid(format!("sfdisk's answer can't be read: {error}")))?;
    let partition = &table["partitiontable"]["partitions"][2];
    let sectors = |key: &str| partition[key].as_u64().map(|sectors| sectors * 512);
    sectors("start")
        .zip(sectors("size"))
        .ok_or_else(|| Error::Invalid(format!("{} has no third partition", disk.display())))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).map(|_| ()).map_err(Error::io("copying", from))
}

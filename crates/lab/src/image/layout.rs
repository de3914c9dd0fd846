//! A whole-disk image that boots by BIOS and by UEFI: GPT, a BIOS boot partition with GRUB's core image, an EFI system partition, and
//! optionally a root file system. All of it is written into the file with offsets: nothing is mounted, no loop device is needed.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};
use crate::process;

const SECTOR: u64 = 512;
const MIB: u64 = 1 << 20;
/// Where Debian's GRUB packages keep their modules and boot sectors.
const GRUB_DIR: &str = "/usr/lib/grub";
/// The BIOS boot partition: the first MiB after the alignment gap.
const BIOS_BOOT: Extent = Extent { start: MIB, length: MIB };
/// Boot code in a master boot record ends here; the partition table follows.
const BOOT_CODE: usize = 440;
/// In GRUB's `boot.img`: where the first sector of the core image is looked for (GRUB_BOOT_MACHINE_KERNEL_SECTOR, 64 bit).
const KERNEL_SECTOR: usize = 0x5c;
/// In GRUB's core image: where the rest of it is, in the last entry of the first sector's block list (64 bit sector number).
const CORE_REST: usize = 0x200 - 12;

/// A part of the image, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub start: u64,
    pub length: u64,
}

/// What goes into an image.
pub(super) struct Layout<'a> {
    /// Size of the whole image, bytes; a multiple of 1 MiB.
    pub size: u64,
    /// Size of the EFI system partition, bytes.
    pub esp: u64,
    /// Files for the EFI system partition: path in it, path here.
    pub esp_files: Vec<(&'a str, &'a Path)>,
    /// Directory that becomes the root file system (ext4, to the image's end), and that file system's UUID.
    pub root: Option<(&'a Path, &'a str)>,
    /// GRUB's commands, read by its simplest parser. They start on the root file system, or on the EFI system partition if there is none.
    pub grub_script: &'a str,
    /// GRUB modules that the script needs beside those for disk and partitions.
    pub grub_modules: &'a [&'a str],
}

impl Layout<'_> {
    /// Writes the image to `image`. `work` is for intermediate files.
    pub(super) fn write(&self, image: &Path, work: &Path) -> Result<()> {
        let file = File::create(image).map_err(Error::io("creating", image))?;
        file.set_len(self.size).map_err(Error::io("sizing", image))?;
        let esp = Extent { start: BIOS_BOOT.start + BIOS_BOOT.length, length: self.esp };
        // The last MiB is left for the backup table.
        let root_start = esp.start + esp.length;
        let root = Extent { start: root_start, length: self.size.saturating_sub(MIB + root_start) };
        self.partition(image, esp, root)?;
        let script = work.join("grub.cfg");
        std::fs::write(&script, self.grub_script).map_err(Error::io("writing", &script))?;
        self.install_bios(&file, image, work, &script)?;
        self.make_esp(image, work, esp, &script)?;
        if let Some((dir, uuid)) = self.root {
            let options = format!("offset={},lazy_itable_init=0,lazy_journal_init=0", root.start);
            process::output(
                Command::new("mkfs.ext4")
                    .args(["-q", "-F", "-L", "root", "-U", uuid, "-m", "0", "-E", &options, "-d"])
                    .arg(dir)
                    .arg(image)
                    .arg(format!("{}k", root.length / 1024)),
            )?;
        }
        Ok(())
    }

    fn partition(&self, image: &Path, esp: Extent, root: Extent) -> Result<()> {
        let line = |extent: Extent, kind: &str, name: &str| {
            format!(
                "start={}, size={}, type={kind}, name=\"{name}\"\n",
                extent.start / SECTOR,
                extent.length / SECTOR
            )
        };
        let mut script = String::from("label: gpt\nunit: sectors\n");
        script += &line(BIOS_BOOT, "21686148-6449-6E6F-744E-656564454649", "bios");
        script += &line(esp, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "esp");
        if self.root.is_some() {
            script += &line(root, "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "root");
        }
        process::feed(
            Command::new("sfdisk").args(["--quiet", "--no-reread", "--no-tell-kernel"]).arg(image),
            script.as_bytes(),
        )?;
        Ok(())
    }

    fn grub_image(&self, format: &str, output: &Path, script: &Path, modules: &[&str]) -> Result<()> {
        // The disk that was booted from, whichever it is; the third partition is the root file system, the second the ESP.
        let prefix = if self.root.is_some() { "(,gpt3)/boot/grub" } else { "(,gpt2)/grub" };
        grub_program(format, output, script, prefix, &[modules, self.grub_modules].concat())
    }

    /// What `grub-bios-setup` does, without a device: boot sector, core image, and each told where to find the next.
    fn install_bios(&self, file: &File, image: &Path, work: &Path, script: &Path) -> Result<()> {
        let core_path = work.join("core.img");
        self.grub_image("i386-pc", &core_path, script, &["biosdisk"])?;
        let boot_path = Path::new(GRUB_DIR).join("i386-pc/boot.img");
        let mut boot = std::fs::read(&boot_path).map_err(Error::io("reading", &boot_path))?;
        let mut core = std::fs::read(&core_path).map_err(Error::io("reading", &core_path))?;
        if boot.len() < BOOT_CODE || core.len() < 512 || core.len() as u64 > BIOS_BOOT.length {
            return Err(Error::Invalid(format!(
                "GRUB's boot.img ({}) or core.img ({}) has no sensible size",
                boot.len(),
                core.len()
            )));
        }
        let first = BIOS_BOOT.start / SECTOR;
        boot[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&first.to_le_bytes());
        core[CORE_REST..CORE_REST + 8].copy_from_slice(&(first + 1).to_le_bytes());
        file.write_all_at(&boot[..BOOT_CODE], 0).map_err(Error::io("writing", image))?;
        file.write_all_at(&core, BIOS_BOOT.start).map_err(Error::io("writing", image))
    }

    fn make_esp(&self, image: &Path, work: &Path, esp: Extent, script: &Path) -> Result<()> {
        let program = work.join("bootx64.efi");
        self.grub_image("x86_64-efi", &program, script, &[])?;
        // Large clusters where there are kernels to read: GRUB asks the firmware for a cluster at a time.
        let sectors_per_cluster = if self.root.is_some() { "1" } else { "32" };
        process::output(
            Command::new("mkfs.vfat")
                .args(["-n", "ESP", "-s", sectors_per_cluster, "--offset", &(esp.start / SECTOR).to_string()])
                .arg(image)
                .arg((esp.length / 1024).to_string()),
        )?;
        let mut target = image.as_os_str().to_os_string();
        target.push(format!("@@{}", esp.start));
        process::output(Command::new("mmd").arg("-i").arg(&target).args(["::/EFI", "::/EFI/BOOT"]))?;
        let files = self.esp_files.iter().copied().chain([("EFI/BOOT/BOOTX64.EFI", program.as_path())]);
        for (there, here) in files {
            process::output(
                Command::new("mcopy").arg("-i").arg(&target).arg(here).arg(format!("::/{there}")),
            )?;
        }
        Ok(())
    }
}

/// Makes GRUB's core image or EFI program that runs `script` at once.
pub(super) fn grub_program(
    format: &str,
    output: &Path,
    script: &Path,
    prefix: &str,
    modules: &[&str],
) -> Result<()> {
    let directory = Path::new(GRUB_DIR).join(format);
    if !directory.exists() {
        let package = if format == "i386-pc" { "grub-pc-bin" } else { "grub-efi-amd64-bin" };
        return Err(Error::Missing { what: format!("GRUB for {format}"), package: package.into() });
    }
    process::output(
        Command::new("grub-mkimage")
            .args(["-O", format, "-p", prefix, "-o"])
            .arg(output)
            .arg("-c")
            .arg(script)
            .args(["part_gpt", "fat", "linux", "serial", "terminal", "echo"])
            .args(modules),
    )?;
    Ok(())
}

//! The tiny image: everything lives in the initial ramdisk, so that the boot is as short as a boot can be.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::layout::Layout;
use super::{packages, write, write_program};
use crate::error::{Error, Result};
use crate::process;

/// Raise it when the recipe changes in a way that its text does not show.
const RECIPE_VERSION: u32 = 1;
const SIZE: u64 = 64 << 20;
const PACKAGES: &[&str] = &[
    "busybox-static",
    "dropbear-bin",
    "libc6",
    "libcrypt1",
    "libgmp10",
    "libtomcrypt1",
    "libtommath1",
    "zlib1g",
];

const INIT: &str = include_str!("../../assets/tiny/init");
const INITTAB: &str = include_str!("../../assets/tiny/inittab");
const JSON_AWK: &str = include_str!("../../assets/tiny/json.awk");
const UDHCPC: &str = include_str!("../../assets/tiny/udhcpc");

/// Modules in loading order, by their path under the kernel's directory. ext4, NVMe and the serial port are built in.
pub(super) const MODULES: &[&str] = &[
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "drivers/block/virtio_blk",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
    "drivers/cdrom/cdrom",
    "fs/isofs/isofs",
];
/// Files taken from the unpacked packages, beside busybox.
const FILES: &[&str] = &["usr/sbin/dropbear", "usr/bin/dropbearkey"];
const LIBRARIES: &[&str] = &[
    "libc.so.6",
    "libcrypt.so.1",
    "libgmp.so.10",
    "libtomcrypt.so.1",
    "libtommath.so.1",
    "libz.so.1",
    "ld-linux-x86-64.so.2",
];

/// GRUB's commands. No menu: the simplest parser runs them, so that GRUB needs to load nothing more.
const GRUB: &str = "serial --unit=0 --speed=115200
terminal_output serial
echo tiny: GRUB
linux /vmlinuz console=ttyS0,115200 quiet no_timer_check mitigations=off panic=10
initrd /initrd
boot
";

pub(super) fn recipe() -> Result<String> {
    let kernel = packages::kernel()?;
    let names: Vec<&str> = PACKAGES.iter().copied().chain([kernel.as_str()]).collect();
    let versions = packages::versions(&names)?;
    Ok([&format!("tiny {RECIPE_VERSION}"), &versions.join("\n"), INIT, INITTAB, JSON_AWK, UDHCPC, GRUB]
        .join("\n--\n"))
}

pub(super) fn build(work: &Path, image: &Path, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let system = System::unpack(work, progress)?;

    progress("packing the ramdisk");
    let root = work.join("root");
    system.fill_root(&root, MODULES)?;
    let initrd = work.join("initrd");
    pack(&root, &initrd)?;

    progress("writing the disk image");
    let vmlinuz = system.kernel();
    let layout = Layout {
        size: SIZE,
        esp: SIZE - (3 << 20),
        esp_files: vec![("vmlinuz", &vmlinuz), ("initrd", &initrd)],
        root: None,
        grub_script: GRUB,
        grub_modules: &[],
    };
    layout.write(image, work)
}

/// The packages that the system is made of, unpacked.
pub(super) struct System {
    unpacked: PathBuf,
    release: String,
}

impl System {
    pub(super) fn unpack(work: &Path, progress: &mut dyn FnMut(&str)) -> Result<Self> {
        progress("downloading kernel, busybox and dropbear");
        let kernel = packages::kernel()?;
        let names: Vec<&str> = PACKAGES.iter().copied().chain([kernel.as_str()]).collect();
        let unpacked = work.join("unpacked");
        packages::unpack(&packages::versions(&names)?, &work.join("debs"), &unpacked)?;
        Ok(Self { unpacked, release: kernel.trim_start_matches("linux-image-").to_owned() })
    }

    pub(super) fn kernel(&self) -> PathBuf {
        self.unpacked.join(format!("boot/vmlinuz-{}", self.release))
    }

    /// The whole system, with these modules.
    pub(super) fn fill_root(&self, root: &Path, modules: &[&str]) -> Result<()> {
        for dir in [
            "dev", "etc", "home", "lib64", "proc", "root", "run", "sbin", "sys", "tmp", "usr/bin",
            "usr/sbin", "var/log",
        ] {
            let dir = root.join(dir);
            std::fs::create_dir_all(&dir).map_err(Error::io("creating", &dir))?;
        }
        self.add_busybox(root)?;
        self.add_modules(root, modules)?;
        for file in FILES {
            copy(&self.unpacked.join(file), &root.join(file))?;
        }
        for library in LIBRARIES {
            // Packages put libraries into /lib or /usr/lib; the loader looks into /lib/x86_64-linux-gnu, its own path is in /lib64.
            let places = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64"];
            let from =
                places.iter().map(|place| self.unpacked.join(place).join(library)).find(|path| path.exists());
            let from = from.ok_or_else(|| Error::Invalid(format!("{library} is in none of the packages")))?;
            let to = root.join(if library.starts_with("ld-") { "lib64" } else { "lib" }).join(library);
            copy(&from, &to)?;
        }
        write_program(&root.join("init"), INIT)?;
        write(&root.join("etc/inittab"), INITTAB)?;
        write(&root.join("etc/json.awk"), JSON_AWK)?;
        write_program(&root.join("etc/udhcpc"), UDHCPC)?;
        // No passwords: a star matches none. Keys are the config drive's.
        write(
            &root.join("etc/passwd"),
            "root:*:0:0:root:/root:/bin/sh\ndebian:*:1000:1000:debian:/home/debian:/bin/sh\n",
        )?;
        write(&root.join("etc/group"), "root:*:0:\ndebian:*:1000:\n")?;
        write(&root.join("etc/shells"), "/bin/sh\n")
    }

    /// A ramdisk that only leads to a root file system: busybox, these modules, and `init`.
    pub(super) fn fill_ramdisk(&self, root: &Path, modules: &[&str], init: &str) -> Result<()> {
        for dir in ["dev", "proc", "root"] {
            let dir = root.join(dir);
            std::fs::create_dir_all(&dir).map_err(Error::io("creating", &dir))?;
        }
        self.add_busybox(root)?;
        self.add_modules(root, modules)?;
        write_program(&root.join("init"), init)
    }

    fn add_busybox(&self, root: &Path) -> Result<()> {
        let bin = root.join("bin");
        std::fs::create_dir_all(&bin).map_err(Error::io("creating", &bin))?;
        let busybox = self.unpacked.join("bin/busybox");
        copy(&busybox, &bin.join("busybox"))?;
        let applets = process::output(Command::new(&busybox).arg("--list"))?;
        let applets = String::from_utf8_lossy(&applets);
        for applet in applets.split_whitespace().filter(|name| *name != "busybox") {
            let link = bin.join(applet);
            symlink("busybox", &link).map_err(Error::io("linking", &link))?;
        }
        Ok(())
    }

    fn add_modules(&self, root: &Path, modules: &[&str]) -> Result<()> {
        let directory = root.join("lib/modules");
        std::fs::create_dir_all(&directory).map_err(Error::io("creating", &directory))?;
        let mut order = String::new();
        for module in modules {
            let name = module.rsplit('/').next().unwrap_or(module);
            let from = format!("lib/modules/{}/kernel/{module}.ko", self.release);
            copy(&self.unpacked.join(from), &directory.join(format!("{name}.ko")))?;
            order += &format!("{name}\n");
        }
        write(&directory.join("order"), order)
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).map(|_| ()).map_err(Error::io("copying", from))
}

/// Packs a directory as an initial ramdisk. Standard error of `cpio` says how many blocks it wrote; its output is the archive.
pub(super) fn pack(root: &Path, initrd: &Path) -> Result<()> {
    let mut names = Vec::new();
    list(root, Path::new(""), &mut names)?;
    names.sort();
    let archive = process::feed(
        Command::new("cpio")
            .args(["--quiet", "--create", "--format=newc", "--reproducible", "--owner=0:0", "--directory"])
            .arg(root),
        names.join("\n").as_bytes(),
    )?;
    let plain = root.with_extension("cpio");
    write(&plain, archive)?;
    process::output(Command::new("zstd").args(["-q", "-19", "-f"]).arg(&plain).arg("-o").arg(initrd))?;
    Ok(())
}

fn list(root: &Path, dir: &Path, names: &mut Vec<String>) -> Result<()> {
    let path = root.join(dir);
    for entry in std::fs::read_dir(&path).map_err(Error::io("listing", &path))?.flatten() {
        let name = dir.join(entry.file_name());
        names.push(name.to_string_lossy().into_owned());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(root, &name, names)?;
        }
    }
    Ok(())
}

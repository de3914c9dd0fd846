//! The Debian image: Debian 12 with cloud-init and OpenSSH, made with debootstrap and apt.

use std::path::Path;
use std::process::Command;

use super::layout::Layout;
use super::{packages, write, write_program};
use crate::error::{Error, Result};
use crate::process;

/// Raise it when the recipe changes in a way that its text does not show.
const RECIPE_VERSION: u32 = 2;
const SUITE: &str = "bookworm";
const ESP: u64 = 4 << 20;
/// Free space left in the root file system, bytes.
const ROOT_SPARE: u64 = 64 << 20;

/// Installed by debootstrap, which knows no virtual packages.
const BASE: &[&str] = &[
    "ca-certificates",
    "dbus",
    "initramfs-tools",
    "iproute2",
    "kmod",
    "openssh-server",
    "sudo",
    "systemd-sysv",
    "udev",
    "zstd",
];
/// Installed by apt inside.
const MORE: &[&str] = &["cloud-init", "linux-image-cloud-amd64"];

const CLOUD_CFG: &str = include_str!("../../assets/debian/cloud.cfg");

/// Units that only cost time on a machine that lives for minutes or hours.
const MASKED: &[&str] = &[
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "cloud-init-hotplugd.socket",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "modprobe@configfs.service",
    "modprobe@dm_mod.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "modprobe@loop.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-machine-id-commit.service",
    "systemd-networkd-wait-online.service",
    "systemd-pstore.service",
    "systemd-timesyncd.service",
];

/// Drivers that find something on an emulated board and are of no use there.
const BLACKLIST: &str = "blacklist kvm
blacklist kvm_amd
blacklist kvm_intel
blacklist powernow_k8
blacklist efi_pstore
blacklist psmouse
blacklist pcspkr
";

/// At boot udev looks at every device that there is, 64 virtual consoles included; these are the ones that matter here.
const UDEV_TRIGGER: &str = "[Service]
ExecStart=
ExecStart=udevadm trigger --action=add --type=subsystems
ExecStart=udevadm trigger --action=add --type=devices --subsystem-match=pci --subsystem-match=virtio --subsystem-match=block --subsystem-match=net --subsystem-match=nvme --subsystem-match=scsi --subsystem-match=mem
ExecStart=udevadm trigger --action=add --name-match=/dev/ttyS0
";

/// Left out of the image: nobody reads them there, and each byte is downloaded and written at every deployment.
const EXCLUDED: &str = "path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/i18n/*
path-include=/usr/share/doc/*/copyright
";

const INITRAMFS: &str = "MODULES=list\nCOMPRESS=zstd\n";
const INITRAMFS_MODULES: &str = "virtio_pci\nvirtio_blk\nvirtio_net\nisofs\n";

/// GRUB's commands; `{root}` is the root file system's UUID.
const GRUB: &str = "serial --unit=0 --speed=115200
terminal_output serial
echo debian: GRUB
linux /vmlinuz root=UUID={root} ro console=ttyS0,115200 quiet no_timer_check mitigations=off net.ifnames=0 panic=10
initrd /initrd.img
boot
";

pub(super) fn recipe() -> Result<String> {
    let kernel = packages::kernel()?;
    let names: Vec<&str> = BASE.iter().chain(MORE).copied().chain([kernel.as_str()]).collect();
    let versions = packages::versions(&names)?.join("\n");
    let settings =
        [CLOUD_CFG, EXCLUDED, INITRAMFS, INITRAMFS_MODULES, BLACKLIST, UDEV_TRIGGER, GRUB].join("\n--\n");
    Ok(format!("debian {RECIPE_VERSION} {SUITE}\n{versions}\n{}\n{settings}", MASKED.join("\n")))
}

pub(super) fn build(work: &Path, image: &Path, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let root = work.join("root");
    progress("debootstrap: the base system (a minute or two)");
    let mirror = packages::mirror(SUITE)?;
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--include={}", BASE.join(","))]);
    if let Some(keyring) = &mirror.keyring {
        debootstrap.arg(format!("--keyring={}", keyring.display()));
    }
    process::output(debootstrap.arg(SUITE).arg(&root).arg(&mirror.url))?;

    progress("apt: cloud-init and the kernel");
    // No service starts in the chroot.
    let policy = root.join("usr/sbin/policy-rc.d");
    write_program(&policy, "#!/bin/sh\nexit 101\n")?;
    write(&root.join("etc/dpkg/dpkg.cfg.d/lab"), EXCLUDED)?;
    write(&root.join("etc/initramfs-tools/conf.d/lab"), INITRAMFS)?;
    write(&root.join("etc/initramfs-tools/modules"), INITRAMFS_MODULES)?;
    let inside = |words: &[&str]| {
        process::output(
            Command::new("chroot")
                .arg(&root)
                .args(words)
                .env("DEBIAN_FRONTEND", "noninteractive")
                .env("LC_ALL", "C.UTF-8"),
        )
    };
    let install = [
        "apt-get",
        "install",
        "-y",
        "-qq",
        "--no-install-recommends",
        "-o",
        "Dpkg::Options::=--force-unsafe-io",
    ];
    inside(&[&install[..], MORE].concat())?;

    progress("settings");
    write(&root.join("etc/cloud/cloud.cfg"), CLOUD_CFG)?;
    write(&root.join("etc/hostname"), "debian\n")?;
    write(&root.join("etc/modprobe.d/lab.conf"), BLACKLIST)?;
    write(&root.join("etc/systemd/system/systemd-udev-trigger.service.d/lab.conf"), UDEV_TRIGGER)?;
    let uuid = uuid::Uuid::new_v4().to_string();
    write(&root.join("etc/fstab"), format!("UUID={uuid} / ext4 errors=remount-ro 0 1\n"))?;
    inside(&["systemctl", "enable", "systemd-networkd.service"])?;
    inside(&[&["systemctl", "mask"], MASKED].concat())?;
    inside(&["apt-get", "clean"])?;
    std::fs::remove_file(&policy).map_err(Error::io("removing", &policy))?;
    clean(&root)?;

    progress("writing the disk image");
    let size = layout_size(&root)?;
    let script = GRUB.replace("{root}", &uuid);
    let layout = Layout {
        size,
        esp: ESP,
        esp_files: Vec::new(),
        root: Some((&root, &uuid)),
        grub_script: &script,
        grub_modules: &["ext2"],
    };
    layout.write(image, work)
}

/// Removes what must differ on each machine, and what the excluded paths left from the base system.
fn clean(root: &Path) -> Result<()> {
    for dir in [
        "usr/share/doc",
        "usr/share/man",
        "usr/share/locale",
        "usr/share/i18n",
        "var/lib/apt/lists",
        "var/cache/apt",
        "var/log/apt",
        "run",
        "tmp",
    ] {
        let dir = root.join(dir);
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let removed = if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            removed.map_err(Error::io("removing", &path))?;
        }
    }
    let ssh = root.join("etc/ssh");
    for entry in std::fs::read_dir(&ssh).map_err(Error::io("listing", &ssh))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("ssh_host_") {
            std::fs::remove_file(entry.path()).map_err(Error::io("removing", entry.path()))?;
        }
    }
    // Empty, not absent: systemd then makes one at first boot without treating the system as unconfigured.
    write(&root.join("etc/machine-id"), "")
}

/// The image's size: what the root file system holds, room for ext4's own tables, and some spare; whole MiB.
fn layout_size(root: &Path) -> Result<u64> {
    let text =
        process::output(Command::new("du").args(["-s", "--block-size=1M", "--apparent-size"]).arg(root))?;
    let text = String::from_utf8_lossy(&text);
    let mib: u64 = text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
    if mib == 0 {
        return Err(Error::Invalid(format!("du gave no size for {}: {text}", root.display())));
    }
    // Small files round up to 4 KiB blocks, inodes and the journal take their share: an eighth and 32 MiB cover them.
    Ok(((mib + mib / 8 + 32) << 20) + ROOT_SPARE + ESP + (3 << 20))
}

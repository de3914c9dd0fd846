//! A machine's description and the QEMU command line made from it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::chassis::{BootDevice, BootFlags};

/// OVMF as Debian's `ovmf` package has it.
pub(super) const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
/// The empty variable store that each UEFI machine starts from.
pub(super) const OVMF_VARS: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
/// TCG's translation buffer, MiB: by default it may grow to 1 GiB a machine.
const TRANSLATION_BUFFER_MIB: u32 = 256;

/// What a machine's board boots with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// SeaBIOS on a `pc` board; network boot by the iPXE in the card's ROM.
    Bios,
    /// OVMF on a `q35` board; network boot by OVMF's own PXE.
    Uefi,
}

/// How a disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum DiskBus {
    /// virtio-blk: `/dev/vda`.
    #[default]
    Virtio,
    /// NVMe: `/dev/nvme0n1`.
    Nvme,
    /// SATA behind AHCI: `/dev/sda`.
    Ahci,
}

/// One disk of a machine: a sparse raw file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Size in bytes; a multiple of 512.
    pub size_bytes: u64,
    /// How it is attached.
    #[serde(default)]
    pub bus: DiskBus,
    /// Serial number that the guest sees.
    pub serial: String,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineConfig {
    /// Its name in the rack, also its directory's name: letters, digits, dashes.
    pub name: String,
    /// System UUID that firmware and guest see.
    pub uuid: uuid::Uuid,
    /// Firmware.
    pub firmware: Firmware,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// MAC of its network card.
    pub mac: String,
    /// Tap device that the card is plugged into; `None` leaves the card without a cable.
    pub tap: Option<String>,
    /// Its disks, in boot order.
    pub disks: Vec<Disk>,
}

/// Which device the firmware tries first; the other follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootOrder {
    /// Disks, then network. Also a board's order when nobody asked for anything.
    DiskFirst,
    /// Network, then disks.
    NetworkFirst,
}

impl From<BootFlags> for BootOrder {
    fn from(flags: BootFlags) -> Self {
        match flags.device {
            BootDevice::Pxe => Self::NetworkFirst,
            // There is no optical drive and no setup to enter: like a board without them, go on with the usual order.
            BootDevice::None | BootDevice::Disk | BootDevice::Cdrom | BootDevice::Bios => Self::DiskFirst,
        }
    }
}

/// Where a machine's files are.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub dir: PathBuf,
}

impl Paths {
    pub fn disk(&self, index: usize) -> PathBuf {
        self.dir.join(format!("disk{index}.raw"))
    }
    pub fn variables(&self) -> PathBuf {
        self.dir.join("uefi-vars.fd")
    }
    pub fn console_log(&self) -> PathBuf {
        self.dir.join("console.log")
    }
}

/// QEMU's arguments for one boot. `qmp` is the inherited descriptor of the QMP socket: a path could be longer than a socket's may be.
pub(super) fn arguments(config: &MachineConfig, paths: &Paths, order: BootOrder, qmp: i32) -> Vec<String> {
    let mut line = Line(Vec::new());
    line.add("-name", &config.name);
    line.0.extend(["-no-user-config", "-nodefaults"].map(str::to_string));
    // graphics=off makes SeaBIOS and iPXE write to the serial port. No KVM: where it only half works, /dev/kvm opens all the same.
    let board = match config.firmware {
        Firmware::Bios => "pc,graphics=off",
        Firmware::Uefi => "q35,graphics=off",
    };
    line.add("-machine", board);
    line.add("-accel", format!("tcg,tb-size={TRANSLATION_BUFFER_MIB}"));
    // RDRAND feeds the guest's random pool: host keys are made at first boot.
    line.add("-cpu", "qemu64,+rdrand,+rdseed");
    line.add("-smp", "1");
    line.add("-m", config.memory_mib.to_string());
    line.add("-uuid", config.uuid.to_string());
    line.add(
        "-smbios",
        format!("type=1,manufacturer=Billet,product=Lab machine,serial={},uuid={}", config.name, config.uuid),
    );
    line.add("-display", "none");
    line.add("-chardev", "stdio,id=console,signal=off");
    line.add("-serial", "chardev:console");
    line.add("-chardev", format!("socket,id=qmp,fd={qmp}"));
    line.add("-mon", "chardev=qmp,mode=control");
    line.add("-action", "reboot=shutdown,shutdown=poweroff,panic=none");
    if config.firmware == Firmware::Uefi {
        line.add("-drive", format!("if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}"));
        line.add("-drive", format!("if=pflash,format=raw,unit=1,file={}", escape(&paths.variables())));
    }
    let (first_disk, network) = match order {
        BootOrder::DiskFirst => (1, 1 + config.disks.len()),
        BootOrder::NetworkFirst => (2, 1),
    };
    match &config.tap {
        Some(tap) => {
            line.add("-netdev", format!("tap,id=net0,ifname={tap},script=no,downscript=no,vhost=off"))
        }
        None => line.add("-netdev", "hubport,id=net0,hubid=0"),
    }
    // An empty romfile leaves network boot to OVMF itself instead of the card's EFI iPXE.
    let rom = if config.firmware == Firmware::Uefi { ",romfile=" } else { "" };
    line.add(
        "-device",
        format!("virtio-net-pci,id=nic0,netdev=net0,mac={},bootindex={network}{rom}", config.mac),
    );
    if config.disks.iter().any(|disk| disk.bus == DiskBus::Ahci) {
        line.add("-device", "ich9-ahci,id=sata");
    }
    let mut sata_port = 0;
    for (index, disk) in config.disks.iter().enumerate() {
        let path = escape(&paths.disk(index));
        line.add(
            "-drive",
            format!("if=none,id=disk{index},format=raw,cache=unsafe,discard=unmap,file={path}"),
        );
        let device = match disk.bus {
            DiskBus::Virtio => "virtio-blk-pci".to_string(),
            DiskBus::Nvme => "nvme".to_string(),
            DiskBus::Ahci => {
                sata_port += 1;
                format!("ide-hd,bus=sata.{}", sata_port - 1)
            }
        };
        let bootindex = first_disk + index;
        line.add(
            "-device",
            format!("{device},drive=disk{index},serial={},bootindex={bootindex}", disk.serial),
        );
    }
    line.0
}

struct Line(Vec<String>);

impl Line {
    fn add(&mut self, option: &str, value: impl Into<String>) {
        self.0.push(option.to_string());
        self.0.push(value.into());
    }
}

/// QEMU separates suboptions by commas; a doubled one stands for itself.
fn escape(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(firmware: Firmware, buses: &[DiskBus]) -> MachineConfig {
        let disks = buses
            .iter()
            .enumerate()
            .map(|(i, &bus)| Disk { size_bytes: 1 << 30, bus, serial: format!("S{i}") })
            .collect();
        MachineConfig {
            name: "node-1".into(),
            uuid: uuid::Uuid::nil(),
            firmware,
            memory_mib: 512,
            mac: "52:54:00:77:00:01".into(),
            tap: Some("tap0".into()),
            disks,
        }
    }

    fn line(config: &MachineConfig, order: BootOrder) -> String {
        arguments(config, &Paths { dir: "/racks/a,b".into() }, order, 7).join(" ")
    }

    #[test]
    fn boot_order_puts_the_asked_device_first() {
        let config = config(Firmware::Bios, &[DiskBus::Virtio, DiskBus::Virtio]);
        let disk = line(&config, BootOrder::DiskFirst);
        assert!(
            disk.contains("drive=disk0,serial=S0,bootindex=1")
                && disk.contains("mac=52:54:00:77:00:01,bootindex=3"),
            "{disk}"
        );
        let network = line(&config, BootOrder::NetworkFirst);
        assert!(
            network.contains("mac=52:54:00:77:00:01,bootindex=1")
                && network.contains("drive=disk1,serial=S1,bootindex=3")
        );
    }

    #[test]
    fn only_uefi_gets_variables_and_no_card_rom() {
        let bios = line(&config(Firmware::Bios, &[DiskBus::Virtio]), BootOrder::DiskFirst);
        assert!(!bios.contains("pflash") && !bios.contains("romfile"));
        let uefi = line(&config(Firmware::Uefi, &[DiskBus::Virtio]), BootOrder::DiskFirst);
        assert!(uefi.contains("uefi-vars.fd") && uefi.contains("romfile="));
    }

    #[test]
    fn commas_in_paths_and_several_buses_survive() {
        let text = line(
            &config(Firmware::Uefi, &[DiskBus::Ahci, DiskBus::Nvme, DiskBus::Ahci]),
            BootOrder::DiskFirst,
        );
        assert!(text.contains("file=/racks/a,,b/disk0.raw"), "{text}");
        assert!(
            text.contains("ide-hd,bus=sata.1,drive=disk2") && text.contains("nvme,drive=disk1"),
            "{text}"
        );
    }

    #[test]
    fn every_boot_device_has_an_order() {
        let flags = |device| BootFlags { device, persistent: false, uefi: false };
        assert_eq!(BootOrder::from(flags(BootDevice::Pxe)), BootOrder::NetworkFirst);
        for device in [BootDevice::None, BootDevice::Disk, BootDevice::Cdrom, BootDevice::Bios] {
            assert_eq!(BootOrder::from(flags(device)), BootOrder::DiskFirst);
        }
    }
}

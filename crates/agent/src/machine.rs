//! What this machine is made of, read from the kernel.

mod disks;
mod dmi;
mod interfaces;
mod ipmi;

use model::agent::{BootInfo, Cpu, Disk, Interface, Inventory, Memory};
use std::path::{Path, PathBuf};

/// The machine, by the directory where its `/sys`, `/proc` and `/dev` are; tests give another one than `/`.
#[derive(Debug, Clone)]
pub struct Machine {
    root: PathBuf,
    files: Option<Vec<PathBuf>>,
}

/// A disk that may be written.
#[derive(Debug, Clone)]
pub struct BlockDevice {
    /// What the inventory says of it.
    pub disk: Disk,
    /// Where it is opened.
    pub path: PathBuf,
    /// Whether the kernel refuses to write it.
    pub is_read_only: bool,
    /// Whether it takes discards.
    pub can_discard: bool,
}

impl Machine {
    /// A machine under `root`; `files` stand for its disks where given.
    pub fn new(root: PathBuf, files: Option<Vec<PathBuf>>) -> Self {
        Self { root, files }
    }

    /// Disks: no partitions, CD drives, loop, RAM, network or device-mapper devices, and none without medium. By name.
    pub fn disks(&self) -> Vec<BlockDevice> {
        match &self.files {
            Some(files) => disks::from_files(files),
            None => disks::from_sysfs(&self.root),
        }
    }

    /// Network interfaces that have hardware behind them; where none has (a container), all Ethernet-like ones.
    pub fn interfaces(&self) -> Vec<Interface> {
        interfaces::list(&self.root)
    }

    /// Whether the firmware is UEFI.
    pub fn is_uefi(&self) -> bool {
        self.root.join("sys/firmware/efi").is_dir()
    }

    /// Where UEFI variables are files.
    pub fn efi_variables(&self) -> PathBuf {
        self.root.join("sys/firmware/efi/efivars")
    }

    /// The whole inventory. `boot_mac` is the interface that booted; the BMC is asked for its address only `with_bmc`.
    pub fn inventory(&self, boot_mac: Option<&str>, with_bmc: bool) -> Inventory {
        let bmc = if with_bmc {
            ipmi::lan_addresses(&self.root.join("dev"))
        } else {
            ipmi::LanAddresses::default()
        };
        let (system_vendor, physical_mb) = dmi::read(&self.root);
        Inventory {
            interfaces: self.interfaces(),
            cpu: self.cpu(),
            disks: self.disks().into_iter().map(|device| device.disk).collect(),
            memory: Memory { total: self.memory_total(), physical_mb },
            bmc_address: bmc.ipv4,
            bmc_v6address: bmc.ipv6,
            bmc_mac: bmc.mac,
            system_vendor,
            boot: BootInfo {
                current_boot_mode: Some(if self.is_uefi() { "uefi" } else { "bios" }.to_owned()),
                pxe_interface: boot_mac.map(str::to_owned),
            },
            hostname: text(&self.root.join("proc/sys/kernel/hostname")),
            ..Inventory::default()
        }
    }

    fn cpu(&self) -> Cpu {
        let mut cpu = Cpu { architecture: std::env::consts::ARCH.to_owned(), ..Cpu::default() };
        let mut sockets = std::collections::BTreeSet::new();
        let info = std::fs::read_to_string(self.root.join("proc/cpuinfo")).unwrap_or_default();
        for line in info.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key.trim() {
                "processor" => cpu.count += 1,
                "model name" if cpu.model_name.is_none() => cpu.model_name = Some(value.to_owned()),
                "cpu MHz" if cpu.frequency.is_none() => cpu.frequency = Some(value.to_owned()),
                "flags" | "Features" if cpu.flags.is_empty() => {
                    cpu.flags = value.split_whitespace().map(str::to_owned).collect();
                }
                "physical id" => {
                    sockets.insert(value.to_owned());
                }
                _ => {}
            }
        }
        cpu.socket_count = (!sockets.is_empty()).then_some(sockets.len() as u64);
        cpu
    }

    fn memory_total(&self) -> Option<u64> {
        let info = std::fs::read_to_string(self.root.join("proc/meminfo")).ok()?;
        let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    }
}

/// A small file's text without surrounding white space; `None` where it is missing, unreadable or empty.
fn text(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

fn number(path: &Path) -> Option<u64> {
    text(path)?.parse().ok()
}

/// Name of the file that a link leads to.
fn target_name(path: &Path) -> Option<String> {
    Some(std::fs::canonicalize(path).ok()?.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests;

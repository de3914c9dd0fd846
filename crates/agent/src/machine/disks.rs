//! Disks from `/sys/block`, with the identifiers that udev would give them.

use super::{BlockDevice, number, text};
use model::agent::{Disk, Identifiers};
use std::path::{Path, PathBuf};

/// Devices that are no disks of this machine.
const NO_DISKS: [&str; 11] =
    ["loop", "ram", "zram", "sr", "fd", "dm-", "md", "nbd", "drbd", "rbd", "mtdblock"];

/// Files that stand for disks.
pub(super) fn from_files(files: &[PathBuf]) -> Vec<BlockDevice> {
    files
        .iter()
        .filter_map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            let disk = Disk {
                name: path.to_string_lossy().into_owned(),
                size: metadata.len(),
                rotational: Some(false),
                logical_sectors: Some(512),
                physical_sectors: Some(512),
                ..Disk::default()
            };
            let is_read_only = metadata.permissions().readonly();
            Some(BlockDevice { disk, path: path.clone(), is_read_only, can_discard: false })
        })
        .collect()
}

/// Disks of the machine whose `/sys` is under `root`.
pub(super) fn from_sysfs(root: &Path) -> Vec<BlockDevice> {
    let Ok(entries) = std::fs::read_dir(root.join("sys/block")) else { return Vec::new() };
    let mut devices: Vec<BlockDevice> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            device(root, &entry.path(), &name)
        })
        .collect();
    devices.sort_by(|a, b| (a.disk.name.len(), &a.disk.name).cmp(&(b.disk.name.len(), &b.disk.name)));
    devices
}

fn device(root: &Path, sys: &Path, name: &str) -> Option<BlockDevice> {
    let is_foreign = NO_DISKS.iter().any(|prefix| name.starts_with(prefix));
    // An eMMC's boot areas are disks of their own to the kernel, but belong to the firmware.
    let is_boot_area = name.starts_with("mmcblk") && (name.contains("boot") || name.contains("rpmb"));
    // A path of a multipath NVMe namespace is hidden behind its head.
    let is_hidden = number(&sys.join("hidden")) == Some(1);
    // The kernel counts in units of 512 bytes whatever the sector's size is.
    let size = number(&sys.join("size"))?.checked_mul(512)?;
    if is_foreign || is_boot_area || is_hidden || size == 0 {
        return None;
    }
    let path = root.join("dev").join(name.replace('!', "/"));
    let place = std::fs::canonicalize(sys).unwrap_or_else(|_| sys.to_owned());
    let names = world_wide_names(sys);
    let disk = Disk {
        name: path.to_string_lossy().into_owned(),
        model: text(&sys.join("device/model")),
        size,
        rotational: number(&sys.join("queue/rotational")).map(|flag| flag == 1),
        wwn: Identifiers::one(names.wwn),
        serial: Identifiers::one(serial(sys)),
        vendor: text(&sys.join("device/vendor")).filter(|vendor| !vendor.starts_with("0x")),
        wwn_with_extension: Identifiers::one(names.with_extension),
        wwn_vendor_extension: Identifiers::one(names.extension),
        hctl: super::target_name(&sys.join("device")).filter(|name| is_hctl(name)),
        by_path: by_path(&place, name),
        logical_sectors: number(&sys.join("queue/logical_block_size")),
        physical_sectors: number(&sys.join("queue/physical_block_size")),
        tran: transport(&place, name),
    };
    Some(BlockDevice {
        disk,
        path,
        is_read_only: number(&sys.join("ro")) == Some(1),
        can_discard: number(&sys.join("queue/discard_max_bytes")).is_some_and(|most| most > 0),
    })
}

fn is_hctl(name: &str) -> bool {
    let parts: Vec<&str> = name.split(':').collect();
    parts.len() == 4 && parts.iter().all(|part| part.parse::<u64>().is_ok())
}

/// virtio: `serial`; NVMe: `device/serial`; SCSI and ATA: VPD page 0x80, four bytes of header first (SPC-4, 7.8.18).
fn serial(sys: &Path) -> Option<String> {
    text(&sys.join("serial")).or_else(|| text(&sys.join("device/serial"))).or_else(|| {
        let page = std::fs::read(sys.join("device/vpd_pg80")).ok()?;
        let serial = String::from_utf8_lossy(page.get(4..)?).trim_matches(['\0', ' ']).to_owned();
        (!serial.is_empty()).then_some(serial)
    })
}

#[derive(Default)]
struct Names {
    wwn: Option<String>,
    with_extension: Option<String>,
    extension: Option<String>,
}

/// From the kernel's `wwid`: NAA names as udev's `scsi_id` writes them (16 digits, and 16 more of the vendor's for type 6),
/// EUI-64 and NVMe names as they are.
fn world_wide_names(sys: &Path) -> Names {
    let Some(wwid) = text(&sys.join("wwid")).or_else(|| text(&sys.join("device/wwid"))) else {
        return Names::default();
    };
    if let Some(naa) = wwid.strip_prefix("naa.").filter(|naa| naa.is_ascii()) {
        let (head, tail) = naa.split_at(naa.len().min(16));
        return Names {
            wwn: Some(format!("0x{head}")),
            with_extension: Some(format!("0x{naa}")),
            extension: (!tail.is_empty()).then(|| format!("0x{tail}")),
        };
    }
    if wwid.starts_with("eui.") || wwid.starts_with("nvme.") || wwid.starts_with("uuid.") {
        return Names { wwn: Some(wwid.clone()), with_extension: Some(wwid), extension: None };
    }
    Names::default()
}

fn components(place: &Path) -> Vec<String> {
    place.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
}

/// The name udev's `path_id` would link under `/dev/disk/by-path`, for the buses that servers have.
fn by_path(place: &Path, name: &str) -> Option<String> {
    let parts = components(place);
    let pci = parts.iter().rev().find(|part| is_pci_address(part))?;
    let tail = if name.starts_with("nvme") {
        let namespace = name.rsplit_once('n')?.1;
        format!("-nvme-{namespace}")
    } else if let Some(port) = parts.iter().find_map(|part| part.strip_prefix("ata")) {
        // libata numbers ports over all controllers; path_id counts within one, which sysfs shows as port_no.
        let port_no = number(&ata_port(place)?).unwrap_or_else(|| port.parse().unwrap_or(0));
        format!("-ata-{port_no}")
    } else if let Some(hctl) = parts.iter().rev().find(|part| is_hctl(part)) {
        let rest = hctl.split_once(':').map_or("", |(_, rest)| rest);
        format!("-scsi-0:{rest}")
    } else {
        String::new()
    };
    Some(format!("/dev/disk/by-path/pci-{pci}{tail}"))
}

fn ata_port(place: &Path) -> Option<PathBuf> {
    let ancestor = place.ancestors().find(|path| {
        path.file_name().is_some_and(|name| {
            name.to_string_lossy().strip_prefix("ata").is_some_and(|n| n.parse::<u32>().is_ok())
        })
    })?;
    Some(ancestor.join("ata_port").join(ancestor.file_name()?).join("port_no"))
}

fn is_pci_address(part: &str) -> bool {
    part.len() == 12
        && part.as_bytes()[4] == b':'
        && part.as_bytes()[7] == b':'
        && part.as_bytes()[10] == b'.'
}

fn transport(place: &Path, name: &str) -> Option<String> {
    let parts = components(place);
    let has = |prefix: &str| {
        parts.iter().any(|part| {
            part.strip_prefix(prefix).is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()))
        })
    };
    let word = match name {
        _ if name.starts_with("nvme") => "nvme",
        _ if name.starts_with("vd") => "virtio",
        _ if name.starts_with("mmcblk") => "mmc",
        _ if has("usb") => "usb",
        _ if has("ata") => "sata",
        _ if has("end_device-") => "sas",
        _ if has("rport-") => "fc",
        _ if has("session") => "iscsi",
        _ => return None,
    };
    Some(word.to_owned())
}

//! Vendors' oddities, as data: add a row, not a branch.

use crate::{BootDevice, FirmwareMode};
use wire::ipmi::command::BootDevice as Selector;

/// A vendor that uses another boot device selector than table 28-14 says.
struct BootSelector {
    /// IANA enterprise numbers of the vendor.
    manufacturers: &'static [u32],
    mode: FirmwareMode,
    device: BootDevice,
    selector: u8,
}

/// Supermicro under UEFI boots the disk by selector 9 ("primary remote media" in the specification): byte 24h. Its FAQ 25559, and Ironic's
/// `_vendor_aware_boot_device_map`.
const BOOT_SELECTORS: &[BootSelector] = &[BootSelector {
    manufacturers: &[10876, 47488],
    mode: FirmwareMode::Uefi,
    device: BootDevice::Disk,
    selector: 9,
}];

/// Names by enterprise number, as `ipmitool mc info` shows them, in small letters: Ironic's `vendor` property holds those.
const VENDORS: &[(u32, &str)] = &[
    (2, "ibm"),
    (11, "hewlett-packard"),
    (42, "sun microsystems"),
    (343, "intel corporation"),
    (674, "dell inc"),
    (2011, "huawei technologies co., ltd."),
    (5771, "cisco systems, inc."),
    (7154, "openipmi"),
    (7244, "quanta"),
    (10368, "fujitsu siemens computers"),
    (10876, "supermicro"),
    (15370, "giga-byte technology co., ltd."),
    (19046, "lenovo"),
    (20974, "american megatrends inc."),
    (37945, "inspur group co., ltd."),
    (47196, "hewlett packard enterprise"),
    (47488, "supermicro"),
];

/// The vendor's name, if the number is a known one.
pub(super) fn vendor(manufacturer: u32) -> Option<&'static str> {
    VENDORS.iter().find(|(number, _)| *number == manufacturer).map(|(_, name)| *name)
}

/// Does any row speak of this device and mode? Only then is it worth asking the BMC who made it.
pub(super) fn depends_on_vendor(device: BootDevice, mode: Option<FirmwareMode>) -> bool {
    BOOT_SELECTORS.iter().any(|q| q.device == device && Some(q.mode) == mode)
}

/// The selector for a device.
pub(super) fn selector(manufacturer: u32, device: BootDevice, mode: Option<FirmwareMode>) -> Selector {
    let quirk = BOOT_SELECTORS
        .iter()
        .find(|q| q.manufacturers.contains(&manufacturer) && q.device == device && Some(q.mode) == mode);
    match (quirk, device) {
        (Some(quirk), _) => Selector::from_number(quirk.selector),
        (None, BootDevice::None) => Selector::None,
        (None, BootDevice::Pxe) => Selector::Pxe,
        (None, BootDevice::Disk) => Selector::Disk,
        (None, BootDevice::Cdrom) => Selector::Cdrom,
        (None, BootDevice::Bios) => Selector::Setup,
        (None, BootDevice::Safe) => Selector::SafeMode,
    }
}

/// The device of a selector; `None` for those that the bare-metal API has no word for.
pub(super) fn device(
    manufacturer: Option<u32>,
    selector: Selector,
    mode: FirmwareMode,
) -> Option<BootDevice> {
    Some(match selector {
        Selector::None => BootDevice::None,
        Selector::Pxe => BootDevice::Pxe,
        Selector::Disk => BootDevice::Disk,
        Selector::SafeMode => BootDevice::Safe,
        Selector::Cdrom => BootDevice::Cdrom,
        Selector::Setup => BootDevice::Bios,
        Selector::Diagnostic => return None,
        Selector::Other(number) => {
            BOOT_SELECTORS
                .iter()
                .find(|q| {
                    q.selector == number
                        && q.mode == mode
                        && manufacturer.is_some_and(|m| q.manufacturers.contains(&m))
                })?
                .device
        }
    })
}

/// Is this selector one that only some vendor gives a meaning to?
pub(super) fn is_vendor_selector(selector: Selector) -> bool {
    BOOT_SELECTORS.iter().any(|q| Selector::from_number(q.selector) == selector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supermicro_boots_uefi_disks_by_its_own_selector() {
        let uefi = Some(FirmwareMode::Uefi);
        assert_eq!(selector(10876, BootDevice::Disk, uefi).number() << 2, 0x24);
        assert_eq!(selector(10876, BootDevice::Pxe, uefi).number() << 2, 0x04);
        assert_eq!(selector(10876, BootDevice::Disk, Some(FirmwareMode::Bios)), Selector::Disk);
        assert_eq!(selector(674, BootDevice::Disk, uefi), Selector::Disk);
        assert_eq!(device(Some(10876), Selector::from_number(9), FirmwareMode::Uefi), Some(BootDevice::Disk));
        assert_eq!(device(Some(674), Selector::from_number(9), FirmwareMode::Uefi), None);
    }
}

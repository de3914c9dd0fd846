//! Names and memory sizes from the firmware's tables (SMBIOS 3.x, DSP0134).

use super::text;
use model::agent::{Firmware, SystemVendor};
use std::path::Path;

/// Reads the vendor's names, and the sizes of all memory devices in MiB.
pub(super) fn read(root: &Path) -> (SystemVendor, Option<u64>) {
    let id = root.join("sys/class/dmi/id");
    let field = |name: &str| text(&id.join(name)).unwrap_or_default();
    let vendor = SystemVendor {
        product_name: field("product_name"),
        serial_number: field("product_serial"),
        manufacturer: field("sys_vendor"),
        firmware: Firmware {
            vendor: field("bios_vendor"),
            version: field("bios_version"),
            build_date: field("bios_date"),
        },
    };
    let table = std::fs::read(root.join("sys/firmware/dmi/tables/DMI")).unwrap_or_default();
    (vendor, memory_mib(&table))
}

/// Sum of the memory devices (type 17) of a structure table; `None` where there is none.
fn memory_mib(mut table: &[u8]) -> Option<u64> {
    let mut sum = 0u64;
    while let [kind, length, ..] = *table {
        let length = usize::from(length);
        let structure = table.get(..length).filter(|_| length >= 4)?;
        if kind == 17 {
            sum += device_mib(structure);
        }
        if kind == 127 {
            break;
        }
        // The strings of a structure end with two zero bytes.
        let strings = table.get(length..)?;
        let end = strings.windows(2).position(|pair| pair == [0, 0])?;
        table = &strings[end + 2..];
    }
    (sum > 0).then_some(sum)
}

fn device_mib(structure: &[u8]) -> u64 {
    let word = |at: usize| structure.get(at..at + 2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    match word(0x0c) {
        None | Some(0) | Some(0xffff) => 0,
        Some(0x7fff) => structure
            .get(0x1c..0x20)
            .map_or(0, |b| u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]]) & 0x7fff_ffff)),
        // Bit 15: the unit is KiB.
        Some(size) if size & 0x8000 != 0 => u64::from(size & 0x7fff) / 1024,
        Some(size) => u64::from(size),
    }
}

#[cfg(test)]
mod tests {
    use super::memory_mib;

    fn device(size: u16, extended: u32) -> Vec<u8> {
        let mut bytes = vec![17, 0x22, 1, 0];
        bytes.resize(0x22, 0);
        bytes[0x0c..0x0e].copy_from_slice(&size.to_le_bytes());
        bytes[0x1c..0x20].copy_from_slice(&extended.to_le_bytes());
        bytes.extend(b"DIMM 0\0\0");
        bytes
    }

    #[test]
    fn sizes_of_all_devices_are_added() {
        let table =
            [device(16384, 0), device(0x7fff, 65536), device(0, 0), vec![127, 4, 0, 0, 0, 0]].concat();
        assert_eq!(memory_mib(&table), Some(16384 + 65536));
    }

    #[test]
    fn broken_tables_are_no_memory() {
        for bad in [&[][..], &[17], &[17, 0, 0, 0], &[17, 255, 0, 0], &[0, 4, 0, 0, 1, 1, 1]] {
            assert_eq!(memory_mib(bad), None);
        }
    }
}

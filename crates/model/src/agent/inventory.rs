//! The inventory of a machine, as `poll.get_hardware_info` and inspection report it.

use super::or_default;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// What the ramdisk found in the machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inventory {
    /// Network interfaces.
    #[serde(deserialize_with = "or_default")]
    pub interfaces: Vec<Interface>,
    /// Processors.
    #[serde(deserialize_with = "or_default")]
    pub cpu: Cpu,
    /// Disks, without partitions, loop, RAM and CD devices.
    #[serde(deserialize_with = "or_default")]
    pub disks: Vec<Disk>,
    /// Memory.
    #[serde(deserialize_with = "or_default")]
    pub memory: Memory,
    /// The BMC's IPv4 address.
    pub bmc_address: Option<String>,
    /// The BMC's IPv6 address.
    pub bmc_v6address: Option<String>,
    /// The BMC's MAC address.
    pub bmc_mac: Option<String>,
    /// Names that the firmware gives.
    #[serde(deserialize_with = "or_default")]
    pub system_vendor: SystemVendor,
    /// How the ramdisk was booted.
    #[serde(deserialize_with = "or_default")]
    pub boot: BootInfo,
    /// The ramdisk's host name.
    pub hostname: Option<String>,
    /// USB devices, only carried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usb_devices: Option<Value>,
    /// Whatever else a hardware manager added.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// The kernel's name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Permanent MAC address, lower case, colons.
    pub mac_address: Option<String>,
    /// First IPv4 address.
    pub ipv4_address: Option<String>,
    /// First IPv6 address.
    pub ipv6_address: Option<String>,
    /// Whether a link is up.
    pub has_carrier: Option<bool>,
    /// Raw LLDP TLVs, `[type, hex]` each.
    pub lldp: Option<Value>,
    /// PCI vendor id, `0x1af4`.
    pub vendor: Option<String>,
    /// PCI device id.
    pub product: Option<String>,
    /// DHCP client id (InfiniBand).
    pub client_id: Option<String>,
    /// Name by the firmware's numbering.
    pub biosdevname: Option<String>,
    /// Link speed in Mbit/s.
    pub speed_mbps: Option<i64>,
    /// PCI address, `0000:00:03.0`.
    pub pci_address: Option<String>,
    /// The kernel's driver.
    pub driver: Option<String>,
}

/// Processors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpu {
    /// The first processor's name.
    pub model_name: Option<String>,
    /// MHz, as text (the real agent writes text).
    #[serde(deserialize_with = "number_text")]
    pub frequency: Option<String>,
    /// Logical processors.
    #[serde(deserialize_with = "or_default")]
    pub count: u64,
    /// `x86_64`, `aarch64`.
    #[serde(deserialize_with = "or_default")]
    pub architecture: String,
    /// Feature flags of the first processor.
    #[serde(deserialize_with = "or_default")]
    pub flags: Vec<String>,
    /// Physical packages.
    pub socket_count: Option<u64>,
}

/// A disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Disk {
    /// Device path, `/dev/sda`.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Model.
    pub model: Option<String>,
    /// Size in bytes.
    #[serde(deserialize_with = "or_default")]
    pub size: u64,
    /// Whether it turns.
    pub rotational: Option<bool>,
    /// World wide names.
    #[serde(deserialize_with = "or_default")]
    pub wwn: Identifiers,
    /// Serial numbers.
    #[serde(deserialize_with = "or_default")]
    pub serial: Identifiers,
    /// Vendor.
    pub vendor: Option<String>,
    /// World wide names with the vendor's extension appended.
    #[serde(deserialize_with = "or_default")]
    pub wwn_with_extension: Identifiers,
    /// Vendor's extensions of the world wide names.
    #[serde(deserialize_with = "or_default")]
    pub wwn_vendor_extension: Identifiers,
    /// SCSI address `host:channel:target:lun`.
    pub hctl: Option<String>,
    /// Path by bus, `/dev/disk/by-path/…`.
    pub by_path: Option<String>,
    /// Logical sector size in bytes.
    pub logical_sectors: Option<u64>,
    /// Physical sector size in bytes.
    pub physical_sectors: Option<u64>,
    /// Transport: `sata`, `nvme`, `sas` …
    pub tran: Option<String>,
}

/// An identifier that may have several values: `null`, a text, or a list of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identifiers(pub Vec<String>);

impl Identifiers {
    /// One value, or none.
    pub fn one(value: Option<String>) -> Self {
        Self(value.into_iter().collect())
    }

    /// The first value.
    pub fn first(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }
}

impl Serialize for Identifiers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [] => serializer.serialize_none(),
            [one] => serializer.serialize_str(one),
            many => many.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Identifiers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            List(Vec<Option<String>>),
        }
        Ok(match Option::<Form>::deserialize(deserializer)? {
            None => Self::default(),
            Some(Form::Text(text)) => Self(vec![text]),
            Some(Form::List(list)) => Self(list.into_iter().flatten().collect()),
        })
    }
}

/// Memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// What the kernel has, in bytes.
    pub total: Option<u64>,
    /// What is plugged in, in MiB.
    pub physical_mb: Option<u64>,
}

/// Names that the firmware gives (DMI).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SystemVendor {
    /// Product name.
    #[serde(deserialize_with = "or_default")]
    pub product_name: String,
    /// Serial number.
    #[serde(deserialize_with = "or_default")]
    pub serial_number: String,
    /// Manufacturer.
    #[serde(deserialize_with = "or_default")]
    pub manufacturer: String,
    /// The firmware itself.
    #[serde(deserialize_with = "or_default")]
    pub firmware: Firmware,
}

/// The firmware's origin and version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Firmware {
    /// Vendor.
    #[serde(deserialize_with = "or_default")]
    pub vendor: String,
    /// Version.
    #[serde(deserialize_with = "or_default")]
    pub version: String,
    /// Build date, as the firmware writes it.
    #[serde(deserialize_with = "or_default")]
    pub build_date: String,
}

/// How the ramdisk was booted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BootInfo {
    /// `uefi` or `bios`.
    pub current_boot_mode: Option<String>,
    /// MAC address of the interface that booted (`BOOTIF`).
    pub pxe_interface: Option<String>,
}

/// Body of `POST /v1/continue_inspection`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Inspection {
    /// The inventory.
    #[serde(deserialize_with = "or_default")]
    pub inventory: Inventory,
    /// The disk that root device hints chose.
    pub root_disk: Option<Disk>,
    /// MAC address of the interface that booted.
    pub boot_interface: Option<String>,
    /// What failed in the ramdisk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Data of further collectors (`pci_devices`, `lldp_raw`, `logs` …).
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Reads a text or a number as text.
fn number_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<Value>::deserialize(deserializer)? {
        Some(Value::String(text)) => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    })
}

//! Parameters and results of the commands that put an image on a disk and make it boot.

use super::{flag, number, or_default};
use crate::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What to write, whence, and how to know it arrived whole.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ImageInfo {
    /// Name of the image in messages.
    pub id: String,
    /// Where it can be had; tried in order.
    pub urls: Vec<String>,
    /// `raw`, `qcow2` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_format: Option<String>,
    /// `bare` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_format: Option<String>,
    /// Whether a raw image goes straight to the disk; ours always does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_raw_images: Option<bool>,
    /// Hex digest (algorithm by its length), or URL of a checksum file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// Algorithm of `os_hash_value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_hash_algo: Option<String>,
    /// Hex digest, or URL of a checksum file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_hash_value: Option<String>,
    /// `noauth` or `http_basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_server_auth_strategy: Option<String>,
    /// User for `http_basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_server_user: Option<String>,
    /// Password for `http_basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_server_password: Option<Secret>,
    /// Base64 of a whole `Authorization` header's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_request_authorization: Option<Secret>,
    /// Proxies by scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxies: Option<Map<String, Value>>,
    /// Hosts that are reached without proxy, by comma.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    /// The node, for messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_uuid: Option<String>,
    /// Config drive: base64 of gzip of an ISO image, or a URL of such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configdrive: Option<Secret>,
    /// `partition` or `whole-disk-image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_type: Option<String>,
    /// `uefi` or `bios`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy_boot_mode: Option<String>,
    /// `local`; `ramdisk`; or `netboot`, which Ironic had until 2022: no boot loader is wanted on the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_option: Option<String>,
    /// `gpt` or `msdos`, for partition images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_label: Option<String>,
    /// Size of the root partition, in MiB; what follows is for partition images too.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub root_mb: Option<u64>,
    /// Size of the swap partition, in MiB; none where 0.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub swap_mb: Option<u64>,
    /// Size of the ephemeral partition, in MiB; none where 0.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub ephemeral_mb: Option<u64>,
    /// File system of a new ephemeral partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral_format: Option<String>,
    /// Whether the ephemeral partition that is there is kept.
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub preserve_ephemeral: Option<bool>,
    /// Keys of which nothing is made here (`kernel`, `ramdisk` …), and those of later releases.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Parameters of `standby.prepare_image`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PrepareImageParams {
    /// The image.
    pub image_info: ImageInfo,
    /// Config drive: base64 of gzip of an ISO image, or a URL of such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configdrive: Option<Secret>,
}

/// Result of `standby.get_partition_uuids`; all `None` after a whole-disk image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PartitionUuids {
    /// File system UUID of the root partition, or the disk's identifier after a whole-disk image.
    #[serde(rename = "root uuid", skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// File system UUID of the EFI system partition.
    #[serde(rename = "efi system partition uuid", skip_serializing_if = "Option::is_none")]
    pub efi_system_partition: Option<String>,
    /// Partition UUID of a PReP boot partition (never ours).
    #[serde(rename = "PReP Boot partition uuid", skip_serializing_if = "Option::is_none")]
    pub prep_boot: Option<String>,
}

/// Parameters of `image.install_bootloader`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InstallBootloaderParams {
    /// Root file system, or the disk's identifier.
    #[serde(deserialize_with = "or_default")]
    pub root_uuid: String,
    /// EFI system partition of a partition image.
    pub efi_system_part_uuid: Option<String>,
    /// PReP partition.
    pub prep_boot_part_uuid: Option<String>,
    /// `uefi` or `bios`; absent means what the ramdisk was booted with, by the real agent `bios`.
    pub target_boot_mode: Option<String>,
    /// Whether a failure shall only be logged.
    pub ignore_bootloader_failure: Option<bool>,
}

/// Parameters of `rescue.finalize_rescue`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RescueParams {
    /// The password, or its crypt(3) hash.
    #[serde(deserialize_with = "or_default")]
    pub rescue_password: Secret,
    /// Whether it is a hash.
    #[serde(deserialize_with = "or_default")]
    pub hashed: bool,
}

//! Partition images: what the conductor's words mean in partitions.

use super::{from_urls, grow};
use crate::bell::lock;
use crate::fault::Fault;
use crate::machine::BlockDevice;
use crate::run::Agent;
use crate::say;
use disk::partition::{LayoutRequest, TableKind};
use disk::{Disk, PartitionOptions, WriteOptions, serial_text, write_partition_image};
use model::agent::{ImageInfo, LookupNode, PartitionUuids};
use serde_json::Value;

/// Is the image a bare file system?
pub(super) fn is_asked_for(info: &ImageInfo) -> bool {
    info.image_type.as_deref() == Some("partition")
}

/// Refuses what cannot be meant, before the command is taken on.
pub(super) fn validate(info: &ImageInfo) -> Result<(), Fault> {
    if info.root_mb.is_none_or(|size| size == 0) {
        return Err(Fault::invalid_params(
            "a partition image needs root_mb, the size of its root partition; set root_gb in instance_info",
        ));
    }
    match info.disk_label.as_deref() {
        None | Some("" | "gpt" | "msdos") => Ok(()),
        Some(other) => Err(Fault::invalid_params(format!(
            "disk_label {:?} is neither gpt nor msdos",
            other.chars().take(40).collect::<String>()
        ))),
    }
}

/// Partitions the disk, writes the image and the config drive, and grows the image's file system. Returns what the conductor logs.
pub(super) fn prepare(
    agent: &Agent,
    info: &ImageInfo,
    device: &BlockDevice,
    target: Disk,
    image: WriteOptions,
    config_drive: Option<&[u8]>,
) -> Result<String, Fault> {
    let name = &device.disk.name;
    let node = agent.session().node;
    let drive_bytes = config_drive.map_or(0, |iso| iso.len() as u64);
    let options = PartitionOptions {
        layout: layout(info, &node, agent.machine.is_uefi(), drive_bytes)?,
        preserve_ephemeral: info.preserve_ephemeral == Some(true),
        ephemeral_format: info.ephemeral_format.as_deref().unwrap_or_default(),
        config_drive,
        image,
    };
    let report = from_urls(agent, info, name, |source, progress| {
        write_partition_image(source, &target, &options, progress)
            .map(|report| (report.clone(), report.image))
    })?;
    drop(target);
    crate::erase::reread_partitions(&device.path);
    say!(
        "{name}: {} file system {} in partition {}",
        report.file_system.kind.name(),
        report.file_system.uuid,
        report.root.number
    );
    match grow::grow(&device.path, &report.root, &report.file_system) {
        Ok(Some(bytes)) => say!("{name}: grown to {} MiB", bytes >> 20),
        Ok(None) => {}
        // It is whole as it is; systems that grow it by themselves on their first boot are the rule.
        Err(error) => say!("{name}: not grown: {error}"),
    }
    let uuids = PartitionUuids {
        root: Some(report.file_system.uuid.to_string()),
        efi_system_partition: report.efi_serial.map(serial_text),
        prep_boot: None,
    };
    let efi = uuids.efi_system_partition.as_ref();
    let efi = efi.map_or(String::new(), |uuid| format!(" efi_system_partition_uuid={uuid}"));
    let told =
        format!("image ({}) written to device {name} root_uuid={}{efi}", info.id, report.file_system.uuid);
    *lock(&agent.partitions) = Some(uuids);
    Ok(told)
}

/// Boot mode and table are what the conductor says, else what the node says, else what this machine is.
fn layout(
    info: &ImageInfo,
    node: &LookupNode,
    is_uefi: bool,
    config_drive_bytes: u64,
) -> Result<LayoutRequest, Fault> {
    let of_node = node.driver_internal_info.get("deploy_boot_mode").and_then(Value::as_str);
    let is_uefi = match info.deploy_boot_mode.as_deref().or(of_node) {
        Some("uefi") => true,
        Some("bios") => false,
        _ => is_uefi,
    };
    let capability = capability(node, "disk_label");
    let kind = match info.disk_label.as_deref().filter(|label| !label.is_empty()).or(capability.as_deref()) {
        Some("gpt") => TableKind::Gpt,
        Some("msdos") => TableKind::Mbr,
        None if is_uefi => TableKind::Gpt,
        None => TableKind::Mbr,
        Some(_) => {
            return Err(Fault::invalid_params("the capability disk_label is neither gpt nor msdos"));
        }
    };
    Ok(LayoutRequest {
        kind,
        is_uefi,
        boots_from_disk: info.boot_option.as_deref() != Some("netboot"),
        root_mib: info.root_mb.unwrap_or(0),
        swap_mib: info.swap_mb.unwrap_or(0),
        ephemeral_mib: info.ephemeral_mb.unwrap_or(0),
        config_drive_bytes,
    })
}

/// A capability of the instance: an object, or text of `key:value` by commas.
fn capability(node: &LookupNode, key: &str) -> Option<String> {
    match node.instance_info.get("capabilities")? {
        Value::Object(map) => map.get(key).and_then(Value::as_str).map(str::to_owned),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Object(map)) => map.get(key).and_then(Value::as_str).map(str::to_owned),
            _ => text
                .split(',')
                .filter_map(|pair| pair.split_once(':'))
                .find(|(name, _)| name.trim() == key)
                .map(|(_, value)| value.trim().to_owned()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(instance_info: Value) -> LookupNode {
        serde_json::from_value(json!({
            "uuid": "u", "instance_info": instance_info, "driver_internal_info": {"deploy_boot_mode": "uefi"},
        }))
        .unwrap()
    }

    #[test]
    fn the_conductors_words_go_before_the_nodes_and_these_before_the_machines() {
        let info = |value: Value| -> ImageInfo {
            let mut info =
                json!({"id": "i", "urls": [], "root_mb": "1024", "swap_mb": null, "ephemeral_mb": 0});
            info.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
            serde_json::from_value(info).unwrap()
        };
        let kind =
            |info: &ImageInfo, node: &LookupNode| layout(info, node, false, 0).map(|l| (l.kind, l.is_uefi));
        let plain = node(json!({}));
        assert_eq!(kind(&info(json!({})), &plain).unwrap(), (TableKind::Gpt, true));
        let bios = info(json!({"deploy_boot_mode": "bios"}));
        assert_eq!(kind(&bios, &plain).unwrap(), (TableKind::Mbr, false));
        for capabilities in
            [json!({"disk_label": "gpt"}), json!("a:b,disk_label:gpt"), json!("{\"disk_label\": \"gpt\"}")]
        {
            let node = node(json!({"capabilities": capabilities}));
            assert_eq!(kind(&bios, &node).unwrap(), (TableKind::Gpt, false));
        }
        assert!(kind(&bios, &node(json!({"capabilities": "disk_label:sun"}))).is_err());
        let netboot = layout(&info(json!({"boot_option": "netboot"})), &plain, true, 0).unwrap();
        assert!(!netboot.boots_from_disk && netboot.root_mib == 1024 && netboot.swap_mib == 0);
        assert!(validate(&info(json!({"root_mb": null}))).is_err());
        assert!(validate(&info(json!({"disk_label": "sun"}))).is_err());
    }
}

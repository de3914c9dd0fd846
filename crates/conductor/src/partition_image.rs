//! Instances whose image is a partition's: a bare file system, with kernel and ramdisk beside it.
//!
//! What is checked before a deployment, in Ironic's words (its `deploy_utils.parse_instance_info`, of today and of 2017), and how such an
//! instance boots: by a boot loader on its disk, or over the network on every start, which today's Ironic no longer can.

use crate::image;
use model::agent::ImageInfo;
use model::node::{Node, Object};
use model::wording::{display, repr, truth};
use serde_json::{Value, json};

/// Key of `driver_internal_info`: UUID of the root file system, or the disk's identifier.
pub const ROOT_UUID: &str = "root_uuid_or_disk_id";
/// Key of `driver_internal_info`: how the instance boots, once that is decided.
const BOOT_OPTION: &str = "boot_option";
/// Key of `driver_internal_info`: the layout that was deployed.
const DEPLOYED: &str = "instance";
const LAYOUT: [&str; 3] = ["root_gb", "swap_mb", "ephemeral_gb"];
/// No disk has more, and no sum overflows.
const MOST_MIB: u64 = 1 << 40;

/// How an instance is to boot: the capability `boot_option`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootOption {
    /// From its disk; a failure where the image brings no boot loader.
    Local,
    /// Over the network, with its own kernel and ramdisk.
    Netboot,
    /// From its disk if the image brings a boot loader, else over the network. Nobody asked for anything.
    Either,
}

/// Is the node's image a partition's? By `image_type` if that is said, else by kernel or ramdisk beside it.
pub fn is_one(node: &Node) -> bool {
    match text(&node.instance_info, "image_type") {
        Some("partition") => true,
        Some(_) => false,
        None => text(&node.instance_info, "kernel").or(text(&node.instance_info, "ramdisk")).is_some(),
    }
}

/// How the node's instance is to boot. Without a kernel and a ramdisk there is nothing to boot over the network. The error is for users.
pub fn boot_option(node: &Node) -> Result<BootOption, String> {
    let has_files = ["kernel", "ramdisk"].iter().any(|key| text(&node.instance_info, key).is_some());
    match capability(node, "boot_option", &["local", "netboot"])?.as_deref() {
        Some("local") => Ok(BootOption::Local),
        Some(_) => Ok(BootOption::Netboot),
        None if has_files => Ok(BootOption::Either),
        None => Ok(BootOption::Local),
    }
}

/// Adds to the agent's `image_info` what makes a partition image. The error is the reason that `validate` shows.
pub fn complete(node: &Node, uefi: bool, info: &mut ImageInfo) -> Result<(), String> {
    let instance = &node.instance_info;
    if instance.get("root_gb").is_none_or(|value| value.is_null() || value == "") {
        return Err(
            "Some parameters were missing in node's instance_info. Missing are: ['root_gb']".to_owned()
        );
    }
    let [root_gb, swap_mb, ephemeral_gb] = layout(node)?;
    if root_gb == 0 {
        return Err(format!("root_gb of node {} is 0; a partition image needs a root partition", node.uuid));
    }
    let preserve = preserve_ephemeral(node)?;
    if preserve {
        check_unchanged(node, [root_gb, swap_mb, ephemeral_gb])?;
    }
    let option = boot_option(node)?;
    if option != BootOption::Local {
        image::kernel_and_ramdisk(node)?;
    }
    let label = capability(node, "disk_label", &["gpt", "msdos"])?;
    // Amazon's word for a bare file system, which the walk-throughs of old give to such images.
    if info.disk_format.as_deref() == Some("ami") {
        info.disk_format = Some("raw".into());
    }
    info.image_type = Some("partition".into());
    info.boot_option = Some(if option == BootOption::Netboot { "netboot" } else { "local" }.into());
    info.disk_label = label.or_else(|| uefi.then(|| "gpt".to_owned()));
    info.root_mb = Some(root_gb * 1024);
    info.swap_mb = Some(swap_mb);
    info.ephemeral_mb = Some(ephemeral_gb * 1024);
    // Without an ephemeral partition too: ironic-python-agent insists on the key.
    info.ephemeral_format = Some(text(instance, "ephemeral_format").unwrap_or("ext4").to_owned());
    info.preserve_ephemeral = Some(preserve);
    for key in ["kernel", "ramdisk", "root_gb"] {
        info.extra.insert(key.into(), instance.get(key).cloned().unwrap_or(Value::Null));
    }
    Ok(())
}

/// Sizes of root (GiB), swap (MiB) and ephemeral partition (GiB).
fn layout(node: &Node) -> Result<[u64; 3], String> {
    let mut sizes = [0; 3];
    for (size, key) in sizes.iter_mut().zip(LAYOUT) {
        let value = node.instance_info.get(key).unwrap_or(&Value::Null);
        let number = match value {
            Value::Null => Some(0),
            Value::String(text) if text.is_empty() => Some(0),
            Value::String(text) => text.trim().parse().ok(),
            Value::Number(number) => number.as_u64().or_else(|| number.as_f64().map(|n| n as u64)),
            _ => None,
        };
        let shown = display(value);
        *size = number
            .filter(|number| *number <= MOST_MIB / 1024)
            .ok_or_else(|| format!("Invalid parameter {key}: {shown} is not an integer value."))?;
    }
    Ok(sizes)
}

fn preserve_ephemeral(node: &Node) -> Result<bool, String> {
    match node.instance_info.get("preserve_ephemeral") {
        None | Some(Value::Null) => Ok(false),
        Some(value) => truth(value).ok_or_else(|| {
            format!(
                "Invalid parameter preserve_ephemeral: Unrecognized value {}, acceptable values are: '0', '1', 'f', 'false', 'n', \
                 'no', 'off', 'on', 't', 'true', 'y', 'yes'",
                repr(value)
            )
        }),
    }
}

/// What is to be preserved must lie where it lay.
fn check_unchanged(node: &Node, wanted: [u64; 3]) -> Result<(), String> {
    let Some(deployed) = node.driver_internal_info.get(DEPLOYED) else { return Ok(()) };
    let mut changes = String::new();
    for (key, wanted) in LAYOUT.iter().zip(wanted) {
        if let Some(was) = deployed.get(*key).and_then(Value::as_u64).filter(|was| *was != wanted) {
            changes += &format!(" Deployed value of {key} was {was} but requested value is {wanted}.");
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    Err(format!("The following parameters have different values from previous deployment:{changes}"))
}

fn capability(node: &Node, key: &str, known: &[&str]) -> Result<Option<String>, String> {
    match node.capability(key).map(|value| value.to_ascii_lowercase()) {
        Some(value) if !known.contains(&value.as_str()) => Err(format!(
            "The parameter '{key}' from instance_info['capabilities'] has an invalid value: '{}'. Acceptable values are: {}.",
            value.chars().take(40).collect::<String>(),
            known.join(", ")
        )),
        value => Ok(value),
    }
}

/// Notes what was deployed, so that a rebuild can be told from a re-layout.
pub fn note_layout(node: &mut Node) {
    if let Ok([root, swap, ephemeral]) = layout(node) {
        let sizes = json!({"root_gb": root, "swap_mb": swap, "ephemeral_gb": ephemeral});
        node.driver_internal_info.insert(DEPLOYED.into(), sizes);
    }
}

/// Notes how the instance boots from now on.
pub fn note_boot(node: &mut Node, over_network: bool) {
    let option = if over_network { "netboot" } else { "local" };
    node.driver_internal_info.insert(BOOT_OPTION.into(), option.into());
}

/// Forgets how the instance before booted.
pub fn forget_boot(node: &mut Node) {
    for key in [ROOT_UUID, BOOT_OPTION] {
        node.driver_internal_info.remove(key);
    }
}

/// The root file system of an instance that boots over the network on every start. `None`: it does not.
pub fn netboot_root(node: &Node) -> Option<&str> {
    let is_netboot = text(&node.driver_internal_info, BOOT_OPTION) == Some("netboot");
    // It becomes a word of the kernel's command line: an agent's answer is no place for more than a UUID.
    text(&node.driver_internal_info, ROOT_UUID).filter(|root| is_netboot && is_identifier(root))
}

/// Is it a UUID, or what file systems without one have in its place (`1A2B-3C4D`)?
pub fn is_identifier(text: &str) -> bool {
    (4..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

fn text<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn node(instance: Value) -> Node {
        let mut node = Node::new(uuid::Uuid::nil(), "ipmi", Timestamp::UNIX_EPOCH);
        node.instance_info = instance.as_object().unwrap().clone();
        node
    }

    fn partition(more: Value) -> Node {
        let mut instance = json!({
            "image_source": "http://i/root.raw", "image_checksum": "0".repeat(64),
            "kernel": "http://i/vmlinuz", "ramdisk": "http://i/initrd", "root_gb": "10",
        });
        instance.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        node(instance)
    }

    fn info(node: &Node) -> Result<ImageInfo, String> {
        image::info(node, false)
    }

    #[test]
    fn the_agent_is_told_sizes_in_mebibytes() {
        let told =
            info(&partition(json!({"swap_mb": 512, "ephemeral_gb": 2, "capabilities": "disk_label:gpt"})))
                .unwrap();
        assert_eq!((told.root_mb, told.swap_mb, told.ephemeral_mb), (Some(10240), Some(512), Some(2048)));
        assert_eq!(
            (told.ephemeral_format.as_deref(), told.disk_label.as_deref()),
            (Some("ext4"), Some("gpt"))
        );
        assert_eq!(
            (told.image_type.as_deref(), told.boot_option.as_deref()),
            (Some("partition"), Some("local"))
        );
        assert_eq!(told.extra["kernel"], "http://i/vmlinuz");
        let netboot = info(&partition(json!({"capabilities": {"boot_option": "netboot"}}))).unwrap();
        assert_eq!((netboot.boot_option.as_deref(), netboot.disk_label), (Some("netboot"), None));
    }

    #[test]
    fn kind_and_boot_option_are_told_by_what_is_named() {
        assert!(is_one(&partition(json!({}))) && !is_one(&node(json!({"image_source": "http://i"}))));
        assert!(is_one(&node(json!({"image_type": "partition"}))));
        assert!(!is_one(&partition(json!({"image_type": "whole-disk"}))));
        let option = |more: Value| boot_option(&partition(more)).unwrap();
        assert_eq!(option(json!({})), BootOption::Either);
        assert_eq!(option(json!({"capabilities": {"boot_option": "local"}})), BootOption::Local);
        assert_eq!(boot_option(&node(json!({"image_type": "partition"}))).unwrap(), BootOption::Local);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let error = |node: &Node| info(node).unwrap_err();
        let missing = "Some parameters were missing in node's instance_info. Missing are: ['root_gb']";
        assert_eq!(error(&partition(json!({"root_gb": null}))), missing);
        assert!(error(&partition(json!({"ramdisk": null}))).ends_with("Missing are: ['ramdisk']"));
        assert_eq!(
            error(&partition(json!({"swap_mb": "much"}))),
            "Invalid parameter swap_mb: much is not an integer value."
        );
        assert!(error(&partition(json!({"root_gb": 1e30}))).contains("Invalid parameter root_gb"));
        assert!(error(&partition(json!({"capabilities": {"boot_option": "tape"}}))).contains("'tape'"));
        assert!(error(&partition(json!({"preserve_ephemeral": "perhaps"}))).contains("'perhaps'"));
        assert!(
            error(&partition(json!({"kernel": "/etc/shadow"}))).contains("nor an http:// or https:// URL")
        );
        let mut again = partition(json!({"preserve_ephemeral": true, "ephemeral_gb": 1}));
        note_layout(&mut again);
        assert!(info(&again).is_ok());
        again.instance_info.insert("root_gb".into(), 11.into());
        assert_eq!(
            error(&again),
            "The following parameters have different values from previous deployment: Deployed value of root_gb was 10 but requested \
             value is 11."
        );
    }

    #[test]
    fn only_an_identifier_gets_onto_a_command_line() {
        let mut node = partition(json!({}));
        note_boot(&mut node, true);
        for (root, expected) in
            [("3f0b5a7c-2a51-4f0f", true), ("1A2B-3C4D", true), ("x init=/bin/sh", false), ("", false)]
        {
            node.driver_internal_info.insert(ROOT_UUID.into(), root.into());
            assert_eq!(netboot_root(&node).is_some(), expected, "{root:?}");
        }
        note_boot(&mut node, false);
        node.driver_internal_info.insert(ROOT_UUID.into(), "aaaa-bbbb".into());
        assert_eq!(netboot_root(&node), None);
    }
}

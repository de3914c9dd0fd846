//! What the agent is told of the image (`conductor.md` §5), and what must be known of it before a deployment starts.

use crate::glance;
use crate::hardware;
use crate::partition_image;
use model::Secret;
use model::agent::ImageInfo;
use model::node::Node;
use serde_json::{Map, Value};

/// Checks `instance_info` and makes the agent's `image_info` of it. The error is the reason that `validate` shows.
pub fn info(node: &Node, uefi_by_default: bool) -> Result<ImageInfo, String> {
    let text = |key: &str| node.instance_info.get(key).and_then(Value::as_str).map(str::to_owned);
    let uuid = node.uuid;
    let source = text("image_source").filter(|source| !source.is_empty()).ok_or_else(|| {
        format!(
            "Node {uuid} failed to validate deploy image info. Some parameters were missing. \
             Missing are: ['instance_info.image_source']"
        )
    })?;
    if !(source.starts_with("http://") || source.starts_with("https://")) {
        return Err(format!(
            "image_source \"{source}\" of node {uuid} is neither an image of the image service nor an http:// or https:// URL"
        ));
    }
    let (checksum, algorithm, value) =
        (text("image_checksum"), text("image_os_hash_algo"), text("image_os_hash_value"));
    if checksum.is_none() && (algorithm.is_none() || value.is_none()) {
        return Err(format!(
            "image_source's \"image_checksum\", or \"image_os_hash_algo\" and \"image_os_hash_value\" must be provided in \
             instance_info for node {uuid}"
        ));
    }
    let uefi = hardware::wants_uefi(node, uefi_by_default);
    let mut extra = Map::new();
    if let Some(verify) = node.instance_info.get("image_verify") {
        extra.insert("verify".into(), verify.clone());
    }
    if let Some(hints) = node.instance_info.get("root_device").or_else(|| node.properties.get("root_device"))
    {
        extra.insert("root_device".into(), hints.clone());
    }
    let mut info = ImageInfo {
        id: image_id(&source),
        urls: vec![source],
        disk_format: text("image_disk_format"),
        container_format: text("image_container_format"),
        stream_raw_images: Some(true),
        checksum,
        os_hash_algo: algorithm,
        os_hash_value: value,
        image_request_authorization: text("image_request_authorization_secret").map(Secret::new),
        proxies: node.instance_info.get("image_proxies").and_then(Value::as_object).cloned(),
        node_uuid: Some(uuid.to_string()),
        image_type: Some("whole-disk".into()),
        deploy_boot_mode: Some(if uefi { "uefi" } else { "bios" }.to_owned()),
        extra,
        ..ImageInfo::default()
    };
    if partition_image::is_one(node) {
        partition_image::complete(node, uefi, &mut info)?;
    }
    Ok(info)
}

/// What an image is called where only its URL is known: the path's last part.
fn image_id(source: &str) -> String {
    let path = source.split(['?', '#']).next().unwrap_or(source);
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// Kernel and ramdisk of an instance that is booted over the network. The error is the reason that `validate` shows.
///
/// They are tenants' to name, hence images and URLs only: a path would be a file of the conductor's host.
pub fn kernel_and_ramdisk(node: &Node) -> Result<(&str, &str), String> {
    let named =
        |key: &str| node.instance_info.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    for key in ["kernel", "ramdisk"] {
        if let Some(place) = named(key)
            && !(place.starts_with("http://")
                || place.starts_with("https://")
                || glance::reference(place).is_some())
        {
            return Err(format!(
                "instance_info.{key} \"{place}\" of node {} is neither an image nor an http:// or https:// URL",
                node.uuid
            ));
        }
    }
    for key in ["ramdisk_kernel_arguments", "kernel_append_params"] {
        if named(key).is_some_and(|text| text.chars().any(char::is_control)) {
            return Err(format!("instance_info.{key} of node {} must be one line", node.uuid));
        }
    }
    match (named("kernel"), named("ramdisk")) {
        (Some(kernel), Some(ramdisk)) => Ok((kernel, ramdisk)),
        _ => Err(missing(node, &["ramdisk", "kernel"], "")),
    }
}

/// Kernel and ramdisk of an instance that consists of them.
pub fn ramdisk_instance(node: &Node) -> Result<(&str, &str), String> {
    let named =
        |key: &str| node.instance_info.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if named("boot_iso") && !(named("kernel") && named("ramdisk")) {
        return Err(format!(
            "node {} has instance_info.boot_iso, which can't be booted over the network; set kernel and ramdisk in its place",
            node.uuid
        ));
    }
    if !(named("kernel") && named("ramdisk")) {
        let volume = " and insufficient information is present to boot from a remote volume";
        return Err(missing(node, &["ramdisk", "kernel"], volume));
    }
    kernel_and_ramdisk(node)
}

/// What a classic driver of 2017 misses before an instance is assigned: its walk-through shows this text.
pub fn classic_reason(node: &Node) -> Option<String> {
    let is_named =
        node.instance_info.get("image_source").and_then(Value::as_str).is_some_and(|s| !s.is_empty());
    (!is_named).then(|| missing(node, &["ramdisk", "kernel", "image_source"], ""))
}

/// Ironic's sentence on what `instance_info` lacks of these keys; `also` is what its later releases added.
fn missing(node: &Node, keys: &[&str], also: &str) -> String {
    let lacking: Vec<_> = keys
        .iter()
        .filter(|key| {
            node.instance_info.get(**key).and_then(Value::as_str).is_none_or(|text| text.is_empty())
        })
        .map(|key| format!("'{key}'"))
        .collect();
    format!(
        "Cannot validate image information for node {} because one or more parameters are missing from its instance_info{also}. \
         Missing are: [{}]",
        node.uuid,
        lacking.join(", ")
    )
}

//! Writing images: whole, broken, lying, and with a config drive.

use crate::rack::{Rack, image, image_info, sha256};
use disk::partition::read_table;
use disk::{ConfigDrive, Disk};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::FileExt;
use std::process::Command;

fn rack_with(name: &str, bytes: &[u8]) -> Rack {
    Rack::with(|script| drop(script.files.insert(name.into(), bytes.to_vec())), &[])
}

fn on_disk(rack: &Rack, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fs::File::open(rack.disk()).unwrap().read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// All of the image but its tables, which are moved and corrected.
fn assert_written(rack: &Rack, image: &[u8]) {
    let (from, to) = (1 << 20, 6 << 20);
    assert!(on_disk(rack, to)[from..] == image[from..to]);
}

fn prepare(rack: &Rack, params: Value) -> Value {
    rack.conductor().command("standby.prepare_image", params)
}

fn assert_unbootable(rack: &Rack) {
    assert!(on_disk(rack, 1 << 20).iter().all(|byte| *byte == 0));
}

#[test]
fn an_image_is_written_with_its_config_drive_and_a_sound_table() {
    let bytes = image();
    let rack = rack_with("i", &bytes);
    let drive = ConfigDrive::from_json(&json!({"meta_data": {"uuid": "u", "hostname": "node-1"}})).unwrap();
    let iso = drive.to_iso().unwrap();
    let encoded = disk::config_drive::encode(&iso);
    let done = prepare(&rack, json!({"image_info": image_info(&rack.server, "i"), "configdrive": encoded}));
    assert_eq!(done["command_status"], "SUCCEEDED", "{done}");
    let text = done["command_result"]["result"].as_str().unwrap();
    assert!(text.starts_with("prepare_image: image (an-image) written to device "), "{text}");
    assert_written(&rack, &bytes);
    let output = Command::new("/usr/sbin/sgdisk").arg("-v").arg(rack.disk()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("No problems found"), "{output:?}");
    let table = read_table(&Disk::open(rack.disk()).unwrap()).unwrap().unwrap();
    let partition = table.partitions.iter().find(|partition| partition.name == "config-2").unwrap();
    let mut found = vec![0; iso.len()];
    fs::File::open(rack.disk()).unwrap().read_exact_at(&mut found, partition.start).unwrap();
    assert!(found == iso);
    let uuids = rack.conductor().command("standby.get_partition_uuids", json!({}));
    assert_eq!(uuids["command_result"]["root uuid"], format!("0x{:08x}", table.disk_signature));
    // Nothing of this is UEFI's business where the machine was booted by BIOS.
    if !std::path::Path::new("/sys/firmware/efi").exists() {
        let boot = rack.conductor().command("image.install_bootloader", json!({"root_uuid": "0x00000000"}));
        assert_eq!(boot["command_status"], "SUCCEEDED", "{boot}");
    }
}

#[test]
fn a_config_drive_may_come_by_url_and_a_checksum_too() {
    let bytes = image();
    let rack = rack_with("disk.img", &bytes);
    let iso = ConfigDrive::from_json(&json!({"meta_data": {"uuid": "u"}})).unwrap().to_iso().unwrap();
    rack.server.with(|script| {
        script.files.insert("drive".into(), disk::config_drive::encode(&iso).into_bytes());
        let sums = format!("{}  other.img\n{}  disk.img\n", "0".repeat(64), sha256(&bytes));
        script.files.insert("SHA256SUMS".into(), sums.into_bytes());
    });
    let url = rack.server.url("drive");
    let info =
        json!({"id": "i", "urls": [rack.server.url("disk.img")], "checksum": rack.server.url("SHA256SUMS")});
    let done = prepare(&rack, json!({"image_info": info, "configdrive": url}));
    assert_eq!(done["command_status"], "SUCCEEDED", "{done}");
    assert_written(&rack, &bytes);
}

#[test]
fn a_broken_connection_goes_on_where_it_broke() {
    let bytes = image();
    let rack = rack_with("i", &bytes);
    rack.server.with(|script| script.cuts = vec![1 << 20, 300_000, 0]);
    let done = prepare(&rack, json!({"image_info": image_info(&rack.server, "i")}));
    assert_eq!(done["command_status"], "SUCCEEDED", "{done}");
    assert_written(&rack, &bytes);
    let ranges = rack.server.with(|script| {
        script.seen.iter().filter_map(|seen| seen.fields.get("range").cloned()).collect::<Vec<_>>()
    });
    let resumed: Vec<_> =
        ranges.iter().filter(|range| range.ends_with('-') && *range != "bytes=0-").collect();
    assert_eq!(resumed.len(), 3, "{ranges:?}");
    assert_eq!(resumed[0].as_str(), format!("bytes={}-", (1 << 20) + (1 << 16)));
}

#[test]
fn a_server_without_ranges_sends_it_again() {
    let bytes = image();
    let rack = rack_with("i", &bytes);
    rack.server.with(|script| {
        script.has_ranges = false;
        // The first look takes only the head of its answer.
        script.cuts = vec![usize::MAX, usize::MAX, 2 << 20];
    });
    let done = prepare(&rack, json!({"image_info": image_info(&rack.server, "i")}));
    assert_eq!(done["command_status"], "SUCCEEDED", "{done}");
    assert_written(&rack, &bytes);
}

#[test]
fn a_server_that_never_gets_further_is_given_up() {
    let bytes = image();
    let rack = rack_with("i", &bytes);
    // Each answer to a resumed range ends at once after its first 64 KiB; then the file is gone.
    rack.server.with(|script| script.cuts = vec![0; 2]);
    let info = image_info(&rack.server, "i");
    let server = &rack.server;
    let conductor = rack.conductor();
    server.with(|script| script.is_held = true);
    let (_, started) = conductor.start("standby.prepare_image", json!({"image_info": info}));
    server.wait_for("the download", |script| {
        script
            .seen
            .iter()
            .any(|seen| seen.line.contains("/images/i") && !seen.fields.contains_key("range"))
            .then_some(())
    });
    server.with(|script| {
        script.files.clear();
        script.is_held = false;
    });
    let failed = conductor.look(started["id"].as_str().unwrap(), true);
    assert_eq!(failed["command_status"], "FAILED");
    assert_eq!(failed["command_error"]["type"], "ImageDownloadError");
    assert!(failed["command_error"]["details"].as_str().unwrap().contains("404"), "{failed}");
    assert_unbootable(&rack);
}

#[test]
fn a_wrong_checksum_leaves_nothing_that_boots_and_a_retry_works() {
    let bytes = image();
    let rack = rack_with("i", &bytes);
    let mut info = image_info(&rack.server, "i");
    info["os_hash_value"] = json!("0".repeat(64));
    let failed = prepare(&rack, json!({"image_info": info}));
    assert_eq!(failed["command_status"], "FAILED");
    assert_eq!(failed["command_error"]["type"], "ImageChecksumError");
    let details = failed["command_error"]["details"].as_str().unwrap();
    assert!(details.contains(&sha256(&bytes)) && details.contains(&"0".repeat(64)), "{details}");
    assert_unbootable(&rack);
    let done = prepare(&rack, json!({"image_info": image_info(&rack.server, "i")}));
    assert_eq!(done["command_status"], "SUCCEEDED", "{done}");
}

#[test]
fn md5_is_taken_where_the_api_allows_it_only() {
    let bytes = image();
    let sum = {
        let mut hasher = disk::Hasher::new(disk::Algorithm::Md5);
        hasher.update(&bytes);
        hasher.finish().to_string()
    };
    for (allowed, status) in [(json!(true), "SUCCEEDED"), (json!(false), "FAILED"), (Value::Null, "FAILED")] {
        let rack = Rack::with(
            |script| {
                script.files.insert("i".into(), bytes.clone());
                script.config["agent_md5_checksum_enable"] = allowed;
            },
            &[],
        );
        let info = json!({"id": "i", "urls": [rack.server.url("i")], "checksum": sum});
        assert_eq!(prepare(&rack, json!({"image_info": info}))["command_status"], status);
    }
}

#[test]
fn the_second_url_is_tried_and_basic_credentials_are_sent() {
    let bytes = image();
    let rack = rack_with("i", &bytes);
    let mut info = image_info(&rack.server, "i");
    info["urls"] = json!([rack.server.url("missing"), rack.server.url("i")]);
    info["image_server_auth_strategy"] = json!("http_basic");
    info["image_server_user"] = json!("user");
    info["image_server_password"] = json!("pass");
    let done = prepare(&rack, json!({"image_info": info}));
    assert_eq!(done["command_status"], "SUCCEEDED", "{done}");
    let authorization = rack.server.with(|script| {
        script
            .seen
            .iter()
            .filter(|seen| seen.line.contains("/images/i"))
            .map(|seen| seen.fields["authorization"].clone())
            .next()
    });
    assert_eq!(authorization.unwrap(), "Basic dXNlcjpwYXNz");
}

#[test]
fn images_that_cannot_be_meant_are_refused() {
    // No partition table, an image larger than the disk, a format that is not permitted, qcow2 named raw.
    let rack = rack_with("noise", &vec![0x11; 2 << 20]);
    let failed = prepare(&rack, json!({"image_info": image_info(&rack.server, "noise")}));
    assert!(failed["command_error"]["details"].as_str().unwrap().contains("no partitions found"), "{failed}");
    let mut fake = vec![0; 2 << 20];
    fake[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    rack.server.with(|script| script.files.insert("fake".into(), fake));
    let failed = prepare(&rack, json!({"image_info": image_info(&rack.server, "fake")}));
    assert_eq!(failed["command_error"]["type"], "InvalidImage", "{failed}");
    let mut info = image_info(&rack.server, "noise");
    info["disk_format"] = json!("vmdk");
    assert_eq!(prepare(&rack, json!({"image_info": info}))["command_error"]["type"], "InvalidImage");
}

#[test]
fn no_disk_by_the_hints_is_told_with_the_disks_seen() {
    let rack = Rack::with(
        |script| {
            script.files.insert("i".into(), image());
            script.node["properties"]["root_device"] = json!({"size": ">= 100"});
        },
        &[],
    );
    let failed = prepare(&rack, json!({"image_info": image_info(&rack.server, "i")}));
    assert_eq!(failed["command_error"]["type"], "DeviceNotFound");
    let details = failed["command_error"]["details"].as_str().unwrap();
    assert!(details.contains("disk.raw (5.0 GiB): size 5.0 GiB is not >= 100"), "{details}");
}

//! Partition images: by BIOS and by UEFI, with the image's boot loader and without one.

use crate::rack::{Rack, image_info};
use agent::efi::BootVariables;
use disk::partition::{TableKind, read_table};
use disk::{ConfigDrive, Disk};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

const ROOT: &str = "3f0b5a7c-2a51-4f0f-9d5e-7d1a4a4e8b11";

/// An ext4 file system of 32 MiB with these files, made by mke2fs (apt: e2fsprogs).
fn image(files: &[(&str, &[u8])]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (tree, path) = (dir.path().join("tree"), dir.path().join("image"));
    fs::create_dir(&tree).unwrap();
    for (name, content) in files {
        let file = tree.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    let output = Command::new("/usr/sbin/mkfs.ext4")
        .args(["-q", "-F", "-U", ROOT, "-d"])
        .args([&tree, &path])
        .arg("32M")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(path).unwrap()
}

/// A machine whose image server has the image; by UEFI where it has a directory for variables.
fn rack(bytes: &[u8], root: Option<&Path>) -> Rack {
    let words: Vec<String> = root
        .map(|root| {
            let efivars = root.join("sys/firmware/efi/efivars");
            fs::create_dir_all(&efivars).unwrap();
            format!("billet-root={}", root.display())
        })
        .into_iter()
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Rack::with(|script| drop(script.files.insert("i".into(), bytes.to_vec())), &words)
}

fn prepare(rack: &Rack, more: Value, drive: Option<&str>) -> Value {
    let mut info = image_info(&rack.server, "i");
    let object = info.as_object_mut().unwrap();
    object.insert("image_type".into(), "partition".into());
    object.extend(more.as_object().unwrap().clone());
    rack.conductor().command("standby.prepare_image", json!({"image_info": info, "configdrive": drive}))
}

fn install(rack: &Rack) -> Value {
    let params = json!({"root_uuid": ROOT, "efi_system_part_uuid": null, "target_boot_mode": "uefi"});
    rack.conductor().command("image.install_bootloader", params)
}

fn on_esp(rack: &Rack, command: &str, arguments: &[&str]) -> String {
    let image = format!("{}@@1M", rack.disk().display());
    let output = Command::new(command).arg("-i").arg(image).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn bios_boots_over_the_network_since_no_program_of_an_image_is_run() {
    let rack = rack(&image(&[("etc/hostname", b"x")]), None);
    let drive = ConfigDrive::from_json(&json!({"meta_data": {"uuid": "u"}})).unwrap().to_iso().unwrap();
    let more = json!({
        "root_mb": 1024, "swap_mb": "64", "ephemeral_mb": 128, "ephemeral_format": "ext4", "preserve_ephemeral": false,
        "deploy_boot_mode": "bios", "boot_option": "local", "kernel": null, "ramdisk": null,
    });
    let done = prepare(&rack, more, Some(&disk::config_drive::encode(&drive)));
    assert_eq!(done["command_status"], "SUCCEEDED", "{done}");
    let told = done["command_result"]["result"].as_str().unwrap();
    assert!(told.ends_with(&format!("root_uuid={ROOT}")), "{told}");
    let table = read_table(&Disk::open(rack.disk()).unwrap()).unwrap().unwrap();
    assert_eq!(table.kind, TableKind::Mbr);
    let sizes: Vec<_> = table.partitions.iter().map(|p| p.length >> 20).collect();
    assert_eq!(sizes, [128, 64, 1024, 1]);
    let uuids = rack.conductor().command("standby.get_partition_uuids", json!({}));
    assert_eq!(uuids["command_result"], json!({"root uuid": ROOT}));
    let boot = install(&rack);
    assert_eq!(boot["command_status"], "FAILED");
    let error = boot["command_error"]["details"].as_str().unwrap();
    assert!(error.contains("this ramdisk runs none") && error.contains("boot_option:netboot"), "{error}");
}

#[test]
fn uefi_gets_the_loader_that_the_image_brings() {
    let root = tempfile::tempdir().unwrap();
    let csv: Vec<u8> = "\u{feff}shimx64.efi,Fedora,,\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let config = format!("linux /vmlinuz root=UUID={ROOT} ro\n");
    let bytes = image(&[
        ("boot/efi/EFI/BOOT/BOOTX64.EFI", b"MZ removable"),
        ("boot/efi/EFI/fedora/shimx64.efi", b"MZ shim"),
        ("boot/efi/EFI/fedora/grubx64.efi", b"MZ grub"),
        ("boot/efi/EFI/fedora/BOOTX64.CSV", &csv),
        ("boot/grub2/grub.cfg", config.as_bytes()),
    ]);
    let rack = rack(&bytes, Some(root.path()));
    let done = prepare(&rack, json!({"root_mb": 512, "deploy_boot_mode": "uefi"}), None);
    assert_eq!(done["command_status"], "SUCCEEDED", "{done}");
    let uuids = rack.conductor().command("standby.get_partition_uuids", json!({}));
    let efi = uuids["command_result"]["efi system partition uuid"].as_str().unwrap();
    let boot = install(&rack);
    assert_eq!(boot["command_status"], "SUCCEEDED", "{boot}");
    let listed = on_esp(&rack, "/usr/bin/mdir", &["-b", "-/", "::"]);
    for file in
        ["EFI/BOOT/BOOTX64.EFI", "EFI/fedora/shimx64.efi", "EFI/fedora/grubx64.efi", "EFI/fedora/grub.cfg"]
    {
        assert!(listed.contains(file), "{listed}");
    }
    let grub = on_esp(&rack, "/usr/bin/mtype", &["::EFI/fedora/grub.cfg"]);
    assert_eq!(
        grub,
        format!(
            "search --no-floppy --fs-uuid --set=root {ROOT}\nset prefix=($root)/boot/grub2\nconfigfile ($root)/boot/grub2/grub.cfg\n"
        )
    );
    // The serial number that the conductor knows stays.
    let info = on_esp(&rack, "/usr/bin/mdir", &["::"]);
    assert!(info.contains(efi), "{efi} is not in {info}");
    let variables = BootVariables::new(&root.path().join("sys/firmware/efi/efivars"));
    assert_eq!(variables.entries().unwrap(), [(0, Some("Billet Fedora".to_owned()))]);
}

#[test]
fn debians_signed_programs_are_found_and_what_would_not_boot_is_not_installed() {
    let root = tempfile::tempdir().unwrap();
    let of_other = b"linux /vmlinuz root=UUID=00000000-0000-0000-0000-000000000001 ro\n".to_vec();
    let of_root = format!("linux /vmlinuz root=UUID={ROOT} ro\n").into_bytes();
    for (config, expected) in [(of_root, "SUCCEEDED"), (of_other, "FAILED")] {
        let bytes = image(&[
            ("usr/lib/shim/shimx64.efi.signed", b"MZ shim"),
            ("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", b"MZ grub"),
            ("boot/grub/grub.cfg", &config),
        ]);
        let rack = rack(&bytes, Some(root.path()));
        let done = prepare(&rack, json!({"root_mb": 512}), None);
        assert_eq!(done["command_status"], "SUCCEEDED", "{done}");
        let boot = install(&rack);
        assert_eq!(boot["command_status"], expected, "{boot}");
        if expected == "SUCCEEDED" {
            assert_eq!(on_esp(&rack, "/usr/bin/mtype", &["::EFI/BOOT/BOOTX64.EFI"]), "MZ shim");
            assert!(on_esp(&rack, "/usr/bin/mtype", &["::EFI/debian/grub.cfg"]).contains("configfile"));
        } else {
            let error = boot["command_error"]["details"].as_str().unwrap();
            assert!(error.contains(&format!("boots root=UUID={ROOT}")), "{error}");
        }
    }
    let rack = rack(&image(&[("etc/hostname", b"x")]), Some(root.path()));
    prepare(&rack, json!({"root_mb": 512}), None);
    let error = install(&rack)["command_error"]["details"].as_str().unwrap().to_owned();
    assert!(error.contains("brings no boot loader for UEFI"), "{error}");
}

#[test]
fn a_rebuild_keeps_the_ephemeral_partition_and_errors_name_what_is_wrong() {
    let bytes = image(&[("etc/hostname", b"x")]);
    let rack = rack(&bytes, None);
    let wish = |preserve: bool, root: u64| json!({"root_mb": root, "ephemeral_mb": 256, "preserve_ephemeral": preserve, "deploy_boot_mode": "bios"});
    let error = |done: Value| done["command_error"]["details"].as_str().unwrap().to_owned();
    let done = prepare(&rack, wish(true, 512), None);
    assert!(
        error(done).contains("the ephemeral partition can't be preserved: the disk has no partition table")
    );
    assert_eq!(prepare(&rack, wish(false, 512), None)["command_status"], "SUCCEEDED");
    use std::os::unix::fs::FileExt;
    let file = fs::File::options().read(true).write(true).open(rack.disk()).unwrap();
    file.write_all_at(b"precious", 100 << 20).unwrap();
    assert_eq!(prepare(&rack, wish(true, 512), None)["command_status"], "SUCCEEDED");
    let mut found = [0; 8];
    file.read_exact_at(&mut found, 100 << 20).unwrap();
    assert_eq!(&found, b"precious");
    let text = error(prepare(&rack, wish(false, 16), None));
    assert!(
        text.contains("Root partition is too small for requested image. Image virtual size: 32 MB"),
        "{text}"
    );
    let text = error(prepare(&rack, wish(false, 8192), None));
    assert!(text.contains("the disk has 5120 MiB"), "{text}");
}

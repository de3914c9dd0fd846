//! The config drive as Linux, cloud-init and the classic tools see it.

use disk::ConfigDrive;
use serde_json::json;

use crate::fixtures::{noise, path_of, run};

#[test]
fn isoinfo_and_blkid_agree() {
    let user_data = noise(5000, 3);
    let drive = ConfigDrive {
        meta_data: json!({"uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c123", "hostname": "node-1"}),
        user_data: Some(user_data.clone()),
        network_data: Some(json!({"links": [], "networks": []})),
        vendor_data: Some(json!({"v": 1})),
        contents: Vec::new(),
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.iso");
    std::fs::write(&path, drive.to_iso().unwrap()).unwrap();
    let path = path_of(&path);

    let blkid = run("blkid", &["-p", "-o", "export", path]);
    assert!(blkid.contains("LABEL=config-2\n") && blkid.contains("TYPE=iso9660\n"), "{blkid}");
    assert!(blkid.contains("VERSION=Joliet\\ Extension\n"), "{blkid}");

    let names = ["meta_data.json", "network_data.json", "user_data", "vendor_data2.json"];
    for names_by in ["-R", "-J"] {
        let list = run("isoinfo", &[names_by, "-f", "-i", path]);
        for name in names {
            assert!(list.lines().any(|l| l == format!("/openstack/latest/{name}")), "{names_by}: {list}");
        }
        let text = run("isoinfo", &[names_by, "-x", "/openstack/latest/meta_data.json", "-i", path]);
        let meta_data: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(meta_data, drive.meta_data);
    }
    let list = run("isoinfo", &["-R", "-l", "-i", path]);
    assert!(list.contains("-r--r--r--   1    0    0            5000 Jan  1 2000"), "{list}");
    assert!(list.contains("dr-xr-xr-x"), "{list}");
    let descriptor = run("isoinfo", &["-d", "-i", path]);
    assert!(descriptor.contains("Rock Ridge signatures version 1 found"), "{descriptor}");
    assert!(descriptor.contains("Joliet with UCS level 3 found"), "{descriptor}");
    assert!(descriptor.contains("Volume id: config-2\n"), "{descriptor}");

    let output = std::process::Command::new("isoinfo")
        .args(["-R", "-x", "/openstack/latest/user_data", "-i", path])
        .output()
        .unwrap();
    assert!(output.stdout == user_data);
}

#[test]
fn only_what_is_given_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.iso");
    let drive = ConfigDrive::from_json(&json!({"meta_data": {}})).unwrap();
    std::fs::write(&path, drive.to_iso().unwrap()).unwrap();
    let list = run("isoinfo", &["-R", "-f", "-i", path_of(&path)]);
    assert_eq!(
        list.lines().collect::<Vec<_>>(),
        ["/openstack", "/openstack/latest", "/openstack/latest/meta_data.json"]
    );
}

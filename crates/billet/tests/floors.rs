//! Imports point down only (docs/ARCHITECTURE.md): the map of floors, checked against what cargo says of the workspace.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// Crate, floor, and the rooms on its own floor that it may enter all the same, each with its reason in docs/ARCHITECTURE.md.
const FLOORS: &[(&str, u8, &[&str])] = &[
    ("model", 0, &[]),
    ("wire", 0, &[]),
    ("disk", 0, &[]),
    ("telemetry", 0, &[]),
    ("store", 1, &[]),
    ("bmc", 1, &[]),
    ("netboot", 1, &[]),
    ("ramdisk", 1, &[]),
    ("images", 1, &[]),
    ("conductor", 2, &[]),
    ("api", 3, &[]),
    ("billet", 4, &[]),
    ("agent", 4, &[]),
    ("lab", 4, &[]),
];

#[test]
fn imports_point_down() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let floors: BTreeMap<_, _> = FLOORS.iter().map(|(name, floor, may)| (*name, (*floor, *may))).collect();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let (floor, may) =
            floors.get(name).unwrap_or_else(|| panic!("{name} has no floor: put it on the map"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let below = dependency["name"].as_str().unwrap();
            // What tests import to play the other side may stand anywhere.
            if dependency["kind"] == "dev" || dependency["path"].is_null() {
                continue;
            }
            let (its, _) = floors[below];
            assert!(
                its < *floor || may.contains(&below),
                "{name} (floor {floor}) imports {below} (floor {its})"
            );
        }
    }
}

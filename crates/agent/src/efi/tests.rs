use super::*;
use disk::Disk;
use std::fs;
use std::process::Command;

/// A GPT disk whose first partition is an ESP with the given files, made by the usual tools (apt: gdisk,
/// dosfstools, mtools).
fn disk_with(directory: &Path, files: &[(&str, &[u8])], fat: &str) -> Disk {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let path = directory.join("disk.raw");
    fs::File::create(&path).unwrap().set_len(100 << 20).unwrap();
    let path = path.to_str().unwrap();
    run("/usr/sbin/sgdisk", &["-n1:2048:+80M", "-t1:ef00", "-u1:11223344-5566-7788-99aa-bbccddeeff00", path]);
    run("/usr/sbin/mkfs.fat", &["-F", fat, "--offset", "2048", path, "81920"]);
    let image = format!("{path}@@1M");
    let mut made = Vec::new();
    for (name, content) in files {
        let source = directory.join("source");
        fs::write(&source, content).unwrap();
        let parts: Vec<&str> = name.split('/').collect();
        for depth in 1..parts.len() {
            let folder = format!("::{}", parts[..depth].join("/"));
            if !made.contains(&folder) {
                run("/usr/bin/mmd", &["-i", &image, &folder]);
                made.push(folder);
            }
        }
        run("/usr/bin/mcopy", &["-i", &image, source.to_str().unwrap(), &format!("::{name}")]);
    }
    Disk::open(path).unwrap()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn the_loader_is_found_and_the_entry_made_first_while_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk_with(dir.path(), &[("EFI/BOOT/BOOTX64.EFI", b"MZ")], "16");
    let variables = dir.path().join("efivars");
    fs::create_dir(&variables).unwrap();
    let guid = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
    let netboot = [&[7, 0, 0, 0, 1, 0, 0, 0, 4, 0][..], &utf16("UEFI PXEv4\0"), &[0x7f, 0xff, 4, 0]].concat();
    fs::write(variables.join(format!("Boot0000-{guid}")), &netboot).unwrap();
    fs::write(variables.join(format!("BootOrder-{guid}")), [7, 0, 0, 0, 0, 0]).unwrap();
    for _ in 0..2 {
        assert_eq!(set_boot_entry(&disk, &variables).unwrap(), "\\EFI\\BOOT\\BOOTX64.EFI");
        let made = BootVariables::new(&variables);
        assert_eq!(made.order(), [1, 0], "a second run replaces the first one's entry");
        let descriptions: Vec<_> =
            made.entries().unwrap().into_iter().map(|(_, text)| text.unwrap()).collect();
        assert_eq!(descriptions, ["UEFI PXEv4", "Billet disk"]);
    }
    let value = fs::read(variables.join(format!("Boot0001-{guid}"))).unwrap();
    assert_eq!(value[..8], [7, 0, 0, 0, 1, 0, 0, 0]);
    let path = &value[10 + 24..];
    assert_eq!(path[..8], [4, 1, 42, 0, 1, 0, 0, 0]);
    assert_eq!(path[8..24], [&2048u64.to_le_bytes()[..], &163_840u64.to_le_bytes()].concat());
    assert_eq!(
        path[24..42],
        [0x44, 0x33, 0x22, 0x11, 0x66, 0x55, 0x88, 0x77, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0, 2, 2]
    );
    assert!(path.ends_with(&[0x7f, 0xff, 4, 0]));
    assert_eq!(usize::from(u16::from_le_bytes([value[8], value[9]])), path.len());
}

#[test]
fn a_distributions_own_loader_wins_by_its_csv() {
    let dir = tempfile::tempdir().unwrap();
    let csv = [vec![0xff, 0xfe], utf16("shimx64.efi,almalinux,,This is the boot entry\n")].concat();
    let files: [(&str, &[u8]); 4] = [
        ("EFI/BOOT/BOOTX64.EFI", b"MZ"),
        ("EFI/almalinux-nine/shimx64.efi", b"MZ"),
        ("EFI/almalinux-nine/grubx64.efi", b"MZ"),
        ("EFI/almalinux-nine/BOOTX64.CSV", &csv),
    ];
    for fat in ["16", "32"] {
        let disk = disk_with(dir.path(), &files, fat);
        let loader = find_loader(&disk, 1 << 20, 80 << 20).unwrap();
        assert_eq!(loader.path.to_lowercase(), "\\efi\\almalinux-nine\\shimx64.efi");
        assert_eq!(loader.label, "almalinux");
        fs::remove_file(dir.path().join("disk.raw")).unwrap();
    }
}

#[test]
fn without_removable_path_a_distributions_shim_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let disk =
        disk_with(dir.path(), &[("EFI/debian/shimx64.efi", b"MZ"), ("EFI/debian/grubx64.efi", b"MZ")], "16");
    let loader = find_loader(&disk, 1 << 20, 80 << 20).unwrap();
    assert_eq!(loader.path.to_lowercase(), "\\efi\\debian\\shimx64.efi");
}

#[test]
fn what_cannot_boot_by_uefi_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let empty = Disk::create(dir.path().join("empty.raw"), 8 << 20).unwrap();
    assert!(set_boot_entry(&empty, dir.path()).unwrap_err().to_string().contains("no partition table"));
    let disk = disk_with(dir.path(), &[("README", b"x")], "16");
    assert!(set_boot_entry(&disk, dir.path()).unwrap_err().to_string().contains("no boot loader"));
    disk.write_at(1 << 20, &[0xff; 512]).unwrap();
    assert!(set_boot_entry(&disk, dir.path()).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn a_file_system_in_a_circle_ends() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk_with(dir.path(), &[("EFI/BOOT/BOOTX64.EFI", b"MZ")], "16");
    let mut boot = [0u8; 512];
    disk.read_at(1 << 20, &mut boot).unwrap();
    let fat = (1u64 << 20) + u64::from(u16::from_le_bytes([boot[14], boot[15]])) * 512;
    // Every cluster leads to cluster 2.
    disk.write_at(fat, &[2, 0].repeat(20_000)).unwrap();
    assert!(find_loader(&disk, 1 << 20, 80 << 20).is_ok_and(|loader| loader.path.contains("BOOTX64")));
}

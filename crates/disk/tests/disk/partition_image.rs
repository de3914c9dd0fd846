//! Partition images: judged by `sgdisk`, `sfdisk`, `blkid`, `e2fsck`, `fsck.vfat` and `mtools`.

use std::path::{Path, PathBuf};

use disk::partition::{
    EFI_SYSTEM, EFI_SYSTEM_BYTES, LayoutRequest, PartitionTable, PartitionType, TableKind, read_table,
};
use disk::{
    ConfigDrive, Disk, FileSource, FileSystemKind, PartitionOptions, PartitionReport, Target, Window,
    WriteOptions, file_system, make_ext4, make_fat, write_partition_image,
};
use serde_json::json;

use crate::fixtures::{MIB, MemorySource, noise, path_of, run, sha256};

const UUID: &str = "3f0b5a7c-2a51-4f0f-9d5e-7d1a4a4e8b11";

struct Lab {
    directory: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let lab = Self { directory: tempfile::tempdir().unwrap() };
        Disk::create(lab.path("disk"), 4 << 30).unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn disk(&self) -> Disk {
        Disk::open(self.path("disk")).unwrap()
    }

    /// An ext4 image of 24 MiB with a file in it.
    fn image(&self) -> Vec<u8> {
        let (path, root) = (self.path("image"), self.path("root"));
        std::fs::create_dir_all(&root).unwrap();
        std::fs::write(root.join("vmlinuz"), noise(100_000, 3)).unwrap();
        run("mkfs.ext4", &["-q", "-F", "-U", UUID, "-d", path_of(&root), path_of(&path), "24M"]);
        std::fs::read(path).unwrap()
    }

    fn deploy(&self, image: &[u8], options: &PartitionOptions<'_>) -> Result<PartitionReport, String> {
        let mut options = options.clone();
        options.image.checksum = Some(sha256(image));
        self.deploy_source(&mut MemorySource::of(image), &options)
    }

    fn deploy_source(
        &self,
        source: &mut MemorySource,
        options: &PartitionOptions<'_>,
    ) -> Result<PartitionReport, String> {
        write_partition_image(source, &self.disk(), options, &mut |_| {}).map_err(|error| error.to_string())
    }

    fn table(&self) -> Option<PartitionTable> {
        read_table(&self.disk()).unwrap()
    }

    /// Bytes of a partition, as a file of their own.
    fn extract(&self, number: u32) -> PathBuf {
        let table = self.table().unwrap();
        let partition = table.partitions.iter().find(|p| p.number == number).unwrap();
        let path = self.path(&format!("part{number}"));
        let (disk, copy) = (self.disk(), Disk::create(&path, partition.length).unwrap());
        let mut bytes = vec![0; MIB];
        for at in (0..partition.length).step_by(MIB) {
            disk.read_at(partition.start + at, &mut bytes).unwrap();
            if bytes.iter().any(|byte| *byte != 0) {
                copy.write_at(at, &bytes).unwrap();
            }
        }
        path
    }
}

fn blkid(path: &Path, tag: &str) -> String {
    run("blkid", &["-p", "-s", tag, "-o", "value", path_of(path)]).trim().to_owned()
}

fn layout(kind: TableKind, is_uefi: bool) -> LayoutRequest {
    LayoutRequest {
        kind,
        is_uefi,
        boots_from_disk: true,
        root_mib: 64,
        swap_mib: 16,
        ephemeral_mib: 160,
        config_drive_bytes: 0,
    }
}

fn options(layout: LayoutRequest) -> PartitionOptions<'static> {
    PartitionOptions {
        layout,
        preserve_ephemeral: false,
        ephemeral_format: "",
        config_drive: None,
        image: WriteOptions::default(),
    }
}

fn iso() -> Vec<u8> {
    ConfigDrive::from_json(&json!({"meta_data": {"uuid": "u"}})).unwrap().to_iso().unwrap()
}

#[test]
fn uefi_gets_all_its_partitions_and_each_its_content() {
    let lab = Lab::new();
    let (image, iso) = (lab.image(), iso());
    let request = PartitionOptions { config_drive: Some(&iso), ..options(layout(TableKind::Gpt, true)) };
    let report = lab.deploy(&image, &request).unwrap();
    assert_eq!(report.file_system.uuid.to_string(), UUID);
    assert_eq!(report.file_system.kind, FileSystemKind::Ext);
    let verdict = run("sgdisk", &["-v", path_of(&lab.path("disk"))]);
    assert!(verdict.contains("No problems found"), "{verdict}");
    let verdict = run("sfdisk", &["--verify", path_of(&lab.path("disk"))]);
    assert!(verdict.contains("No errors detected"), "{verdict}");
    let table = lab.table().unwrap();
    let told: Vec<_> =
        table.partitions.iter().map(|p| (p.name.as_str(), p.start >> 20, p.length >> 20)).collect();
    let esp = EFI_SYSTEM_BYTES >> 20;
    assert_eq!(
        told,
        [
            ("efi-part", 1, esp),
            ("ephemeral0", 1 + esp, 160),
            ("swap1", 161 + esp, 16),
            ("root", 177 + esp, 64),
            ("config-2", 4094, 1),
        ]
    );
    assert_eq!(table.partitions[0].partition_type, PartitionType::Gpt(EFI_SYSTEM));

    let efi = lab.extract(1);
    run("fsck.vfat", &["-n", path_of(&efi)]);
    assert_eq!(blkid(&efi, "UUID"), disk::serial_text(report.efi_serial.unwrap()));
    let ephemeral = lab.extract(2);
    run("e2fsck", &["-f", "-n", path_of(&ephemeral)]);
    assert_eq!((blkid(&ephemeral, "TYPE"), blkid(&ephemeral, "LABEL")), ("ext4".into(), "ephemeral0".into()));
    assert_eq!(blkid(&lab.extract(3), "TYPE"), "swap");
    let root = lab.extract(4);
    assert!(std::fs::read(&root).unwrap()[..image.len()] == image);
    assert_eq!(blkid(&root, "UUID"), UUID);
    run("e2fsck", &["-f", "-n", path_of(&root)]);
    assert!(std::fs::read(lab.extract(5)).unwrap()[..iso.len()] == iso);
}

#[test]
fn bios_gets_an_mbr_and_with_gpt_room_for_grub() {
    let lab = Lab::new();
    let (image, iso) = (lab.image(), iso());
    let request = PartitionOptions { config_drive: Some(&iso), ..options(layout(TableKind::Mbr, false)) };
    lab.deploy(&image, &request).unwrap();
    let list = run("sfdisk", &["-d", path_of(&lab.path("disk"))]);
    let kinds: Vec<_> = list.lines().filter_map(|line| line.split_once("type=")).map(|(_, k)| k).collect();
    assert_eq!(kinds, ["83", "82", "83", "83"], "{list}");
    assert!(run("sfdisk", &["--verify", path_of(&lab.path("disk"))]).contains("No errors"));
    assert_eq!(blkid(&lab.extract(3), "UUID"), UUID);

    let gpt = LayoutRequest { swap_mib: 0, ephemeral_mib: 0, ..layout(TableKind::Gpt, false) };
    lab.deploy(&image, &options(gpt)).unwrap();
    let table = lab.table().unwrap();
    let names: Vec<_> = table.partitions.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["bios", "root"]);
    let netboot = LayoutRequest { boots_from_disk: false, ..gpt };
    lab.deploy(&image, &options(netboot)).unwrap();
    assert_eq!(lab.table().unwrap().partitions.len(), 1);
}

#[test]
fn a_qcow2_is_expanded_into_its_partition() {
    let lab = Lab::new();
    let image = lab.image();
    let (raw, qcow2) = (lab.path("image"), lab.path("image.qcow2"));
    run("qemu-img", &["convert", "-c", "-O", "qcow2", path_of(&raw), path_of(&qcow2)]);
    let request = options(layout(TableKind::Gpt, false));
    let mut source = FileSource::open(&qcow2).unwrap();
    let report = write_partition_image(&mut source, &lab.disk(), &request, &mut |_| {}).unwrap();
    assert_eq!(report.image.virtual_bytes, image.len() as u64);
    assert!(std::fs::read(lab.extract(report.root.number)).unwrap()[..image.len()] == image);
}

#[test]
fn a_rebuild_preserves_the_ephemeral_partition() {
    let lab = Lab::new();
    let (image, iso) = (lab.image(), iso());
    for kind in [TableKind::Gpt, TableKind::Mbr] {
        let first = PartitionOptions { config_drive: Some(&iso), ..options(layout(kind, false)) };
        lab.deploy(&image, &first).unwrap();
        let before = lab.table().unwrap();
        let ephemeral = &before.partitions[usize::from(kind == TableKind::Gpt)];
        let data = noise(MIB, 17);
        lab.disk().write_at(ephemeral.start + (32 << 20), &data).unwrap();
        let again = PartitionOptions { preserve_ephemeral: true, ..first.clone() };
        lab.deploy(&image, &again).unwrap();
        let mut found = vec![0; MIB];
        lab.disk().read_at(ephemeral.start + (32 << 20), &mut found).unwrap();
        assert!(found == data, "{kind:?}: the data is gone");
        assert_eq!(lab.table().unwrap(), before, "{kind:?}");

        // Another layout would lose it; nothing is touched then.
        let mut other = again.clone();
        other.layout.swap_mib = 32;
        let error = lab.deploy(&image, &other).unwrap_err();
        assert!(error.contains("partition 2 (swap1)") || error.contains("partition 3 (swap1)"), "{error}");
        assert_eq!(lab.table().unwrap(), before);

        // An image that fails leaves the data.
        let mut lie = again.clone();
        lie.image.checksum = Some(sha256(b"other"));
        lab.deploy_source(&mut MemorySource::of(&image), &lie).unwrap_err();
        lab.disk().read_at(ephemeral.start + (32 << 20), &mut found).unwrap();
        assert!(found == data && lab.table().unwrap() == before);

        // Without a config drive, the old one is not found either.
        let without = PartitionOptions { config_drive: None, ..again };
        lab.deploy(&image, &without).unwrap();
        let drive = lab.extract(before.partitions.last().unwrap().number);
        assert!(std::fs::read(drive).unwrap().iter().all(|byte| *byte == 0));
    }
}

#[test]
fn what_can_not_be_deployed_is_refused_by_name_and_leaves_no_table() {
    let lab = Lab::new();
    let image = lab.image();
    let request = options(layout(TableKind::Gpt, true));
    let refused = |image: &[u8], request: &PartitionOptions<'_>| {
        let error = lab.deploy(image, request).unwrap_err();
        let table = lab.table();
        assert!(table.is_none_or(|table| table.partitions.is_empty()), "{error}");
        error
    };
    let small = LayoutRequest { root_mib: 16, ..request.layout };
    let error = refused(&image, &options(small));
    assert!(error.contains("Image virtual size: 24 MB, Root size: 16 MB"), "{error}");
    let large = LayoutRequest { ephemeral_mib: 4000, ..request.layout };
    let error = refused(&image, &options(large));
    assert!(error.contains("the disk has 4096 MiB") && error.contains("need 4632 MiB"), "{error}");
    let error = refused(&image, &PartitionOptions { ephemeral_format: "ntfs", ..request.clone() });
    assert!(error.contains("\"ntfs\""), "{error}");
    let error = refused(&noise(MIB, 5), &request);
    assert!(error.contains("no file system that is known"), "{error}");
    let error = refused(&image[..8 * MIB], &request);
    assert!(error.contains("it is truncated"), "{error}");
    let error = refused(&[], &request);
    assert!(error.contains("it is empty"), "{error}");

    let mut cut = MemorySource::of(&image);
    cut.streamed.truncate(9 * MIB);
    let error = lab.deploy_source(&mut cut, &request).unwrap_err();
    assert!(error.contains("image is truncated") && lab.table().is_none(), "{error}");

    let whole = lab.path("whole");
    Disk::create(&whole, 8 << 20).unwrap();
    run("sgdisk", &["-n", "1:2048:0", path_of(&whole)]);
    let error = refused(&std::fs::read(&whole).unwrap(), &request);
    assert!(error.contains("it has a partition table"), "{error}");
    let script = lab.path("script");
    std::fs::write(&script, "label: dos\nstart=2048,type=83\n").unwrap();
    run("sh", &["-c", &format!("sfdisk -q {} < {}", path_of(&whole), path_of(&script))]);
    let error = refused(&std::fs::read(&whole).unwrap(), &request);
    assert!(error.contains("it has a partition table"), "{error}");
}

#[test]
fn boot_files_go_into_the_efi_system_partition() {
    let lab = Lab::new();
    for sector in [512_u32, 4096] {
        let path = lab.path("esp");
        let esp = Disk::create(&path, EFI_SYSTEM_BYTES).unwrap().with_sector_size(sector);
        let (large, empty) = (noise(3 * MIB + 17, 8), Vec::new());
        let files = [
            ("EFI/BOOT/BOOTX64.EFI".to_owned(), large.as_slice()),
            ("EFI/debian/shimx64.efi".to_owned(), b"shim"),
            ("EFI/debian/a rather long name.config".to_owned(), b"x"),
            ("EFI/debian/a rather long name.configuration".to_owned(), empty.as_slice()),
        ];
        make_fat(&esp, "efi-part", 0x1234_abcd, &files).unwrap();
        run("fsck.vfat", &["-n", path_of(&path)]);
        assert_eq!(blkid(&path, "UUID"), "1234-ABCD");
        for (name, content) in &files {
            let copy = lab.path("copy");
            run("mcopy", &["-n", "-o", "-i", path_of(&path), &format!("::{name}"), path_of(&copy)]);
            assert!(std::fs::read(copy).unwrap() == *content, "{name}");
        }
    }
}

#[test]
fn ephemeral_file_systems_of_all_sizes_are_sound() {
    let lab = Lab::new();
    // Uneven ends, one group, and enough groups for copies at powers of 3, 5 and 7.
    for mib in [64, 129, 130, 1000, 7000] {
        let path = lab.path("ephemeral");
        let disk = Disk::create(&path, mib << 20).unwrap();
        // What an older file system left must not shine through.
        disk.write_at(0, &vec![0xa5; 40 * MIB]).unwrap();
        let uuid = make_ext4(&disk, "ephemeral0").unwrap();
        let verdict = run("e2fsck", &["-f", "-n", path_of(&path)]);
        assert!(!verdict.contains("Fix"), "{mib} MiB: {verdict}");
        assert_eq!(file_system(&disk).unwrap().unwrap().uuid, uuid);
    }
}

#[test]
fn a_window_has_an_end() {
    let lab = Lab::new();
    let disk = lab.disk();
    let window = Window::new(&disk, 4096, 8192);
    assert_eq!(window.size(), 8192);
    assert!(window.write_at(8191, b"ab").is_err() && window.zero(1, 8192).is_err());
    window.write_at(8190, b"ab").unwrap();
    let mut found = [0; 2];
    disk.read_at(4096 + 8190, &mut found).unwrap();
    assert_eq!(&found, b"ab");
}

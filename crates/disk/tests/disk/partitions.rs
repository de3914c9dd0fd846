//! Partition tables, judged by `sgdisk -v` and `sfdisk --verify`.

use std::path::PathBuf;

use disk::partition::{
    EFI_SYSTEM, LINUX_DATA, PartitionType, TableKind, move_backup_to_end, read_table, write_config_drive,
};
use disk::{ConfigDrive, Disk, Error, Target};
use proptest::prelude::*;
use serde_json::json;

use crate::fixtures::{MIB, MemoryDisk, noise, path_of, run};

struct Lab {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Lab {
    /// A file of `size` MiB.
    fn new(size: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk.raw");
        Disk::create(&path, (size * MIB) as u64).unwrap();
        Self { _directory: directory, path }
    }

    fn sgdisk(&self, arguments: &[&str]) -> String {
        run("sgdisk", &[arguments, &[path_of(&self.path)]].concat())
    }

    fn sfdisk(&self, script: &str) {
        let script_path = self.path.with_extension("script");
        std::fs::write(&script_path, script).unwrap();
        let command = format!("sfdisk -q --no-reread {} < {}", path_of(&self.path), path_of(&script_path));
        run("sh", &["-c", &command]);
    }

    /// As after writing a smaller image: the disk goes on behind it.
    fn grow(&self, size: usize) -> Disk {
        std::fs::OpenOptions::new()
            .write(true)
            .open(&self.path)
            .unwrap()
            .set_len((size * MIB) as u64)
            .unwrap();
        self.disk()
    }

    fn disk(&self) -> Disk {
        Disk::open(&self.path).unwrap()
    }

    fn assert_good(&self) {
        let verdict = self.sgdisk(&["-v"]);
        assert!(verdict.contains("No problems found"), "{verdict}");
        let verdict = run("sfdisk", &["--verify", path_of(&self.path)]);
        assert!(verdict.contains("No errors detected"), "{verdict}");
        assert!(!verdict.contains("corrupt"), "{verdict}");
    }
}

fn iso() -> Vec<u8> {
    ConfigDrive::from_json(&json!({"meta_data": {"uuid": "u"}})).unwrap().to_iso().unwrap()
}

fn gpt_lab() -> Lab {
    let lab = Lab::new(32);
    lab.sgdisk(&["-n", "1:2048:+8M", "-t", "1:ef00", "-c", "1:esp", "-n", "2:0:0", "-c", "2:räot"]);
    lab
}

#[test]
fn gpt_is_listed() {
    let table = read_table(&gpt_lab().disk()).unwrap().unwrap();
    assert_eq!(table.kind, TableKind::Gpt);
    let [esp, root] = &table.partitions[..] else { panic!("{table:?}") };
    assert_eq!((esp.number, esp.start, esp.length), (1, 1 << 20, 8 << 20));
    assert_eq!(esp.partition_type, PartitionType::Gpt(EFI_SYSTEM));
    assert_eq!(table.efi_system_partition(), Some(esp));
    assert_eq!((root.name.as_str(), root.partition_type), ("räot", PartitionType::Gpt(LINUX_DATA)));
    assert!(table.prep_boot_partition().is_none());
}

#[test]
fn backup_goes_to_the_end() {
    let lab = gpt_lab();
    let disk = lab.grow(77);
    let before = read_table(&disk).unwrap();
    assert!(move_backup_to_end(&disk).unwrap());
    lab.assert_good();
    assert_eq!(read_table(&disk).unwrap(), before);
    let bytes = std::fs::read(&lab.path).unwrap();
    let headers: Vec<_> =
        (0..bytes.len()).step_by(512).filter(|o| bytes[*o..].starts_with(b"EFI PART")).collect();
    assert_eq!(headers, [512, bytes.len() - 512], "a stale header is left");
    // Once more changes nothing.
    assert!(move_backup_to_end(&disk).unwrap());
    assert!(std::fs::read(&lab.path).unwrap() == bytes);
}

#[test]
fn config_drive_gets_a_partition_at_the_end() {
    let lab = gpt_lab();
    let disk = lab.grow(64);
    let partition = write_config_drive(&disk, &iso()).unwrap();
    lab.assert_good();
    assert_eq!((partition.number, partition.name.as_str()), (3, "config-2"));
    assert_eq!((partition.start % (1 << 20), partition.length), (0, 1 << 20));
    assert!(partition.start > 60 << 20, "{partition:?}");
    let offset = partition.start.to_string();
    let blkid = run("blkid", &["-p", "-O", &offset, "-o", "export", path_of(&lab.path)]);
    assert!(blkid.contains("LABEL=config-2\n"), "{blkid}");
    assert!(lab.sgdisk(&["-p"]).contains("config-2"));
    // A second one goes to the same place.
    assert_eq!(write_config_drive(&disk, &iso()).unwrap(), partition);
}

#[test]
fn a_partition_named_for_it_is_used() {
    let lab = Lab::new(32);
    lab.sgdisk(&["-n", "1:2048:+4M", "-c", "1:config-2", "-n", "2:0:0"]);
    let partition = write_config_drive(&lab.grow(64), &iso()).unwrap();
    lab.assert_good();
    assert_eq!((partition.number, partition.start), (1, 1 << 20));
    let large = vec![1; 5 * MIB];
    let error = write_config_drive(&lab.disk(), &large).unwrap_err().to_string();
    assert!(
        error.contains("partition 1 named config-2 has 4194304 bytes, the config drive 5242880"),
        "{error}"
    );
}

#[test]
fn a_file_system_labelled_for_it_is_used() {
    let lab = Lab::new(32);
    lab.sfdisk("label: dos\nstart=2048,size=8M,type=c\nstart=20M,type=83\n");
    let offset = "--offset=2048";
    run("mkfs.vfat", &["-n", "CONFIG-2", offset, path_of(&lab.path), "8192"]);
    let partition = write_config_drive(&lab.disk(), &iso()).unwrap();
    assert_eq!(partition.number, 1);
}

#[test]
fn mbr_gets_a_primary_entry() {
    let lab = Lab::new(32);
    lab.sfdisk("label: dos\nlabel-id: 0x1234abcd\nstart=2048,size=8M,type=ef\n,8M,L,*\n");
    let disk = lab.grow(64);
    assert!(!move_backup_to_end(&disk).unwrap());
    let partition = write_config_drive(&disk, &iso()).unwrap();
    assert_eq!((partition.number, partition.start, partition.length), (3, 63 << 20, 1 << 20));
    assert_eq!(partition.uuid, "1234abcd-03");
    let verdict = run("sfdisk", &["--verify", path_of(&lab.path)]);
    assert!(verdict.contains("No errors detected"), "{verdict}");
    let list = run("sfdisk", &["-d", path_of(&lab.path)]);
    assert!(list.contains("start=      129024, size=        2048, type=83"), "{list}");
    assert!(list.contains("type=83, bootable"), "{list}");
    let table = read_table(&disk).unwrap().unwrap();
    assert_eq!((table.kind, table.disk_signature), (TableKind::Mbr, 0x1234_abcd));
    assert_eq!(table.efi_system_partition().unwrap().number, 1);
}

#[test]
fn hybrid_mbr_is_kept() {
    let lab = gpt_lab();
    lab.sgdisk(&["-h", "1:EE"]);
    let before = std::fs::read(&lab.path).unwrap();
    let disk = lab.grow(64);
    write_config_drive(&disk, &iso()).unwrap();
    let after = std::fs::read(&lab.path).unwrap();
    assert!(before[..512] == after[..512]);
    let table = read_table(&disk).unwrap().unwrap();
    assert_eq!((table.kind, table.partitions.len()), (TableKind::Gpt, 3));
}

/// Judged by `fdisk`, which can be told the sector size.
#[test]
fn sectors_of_4096_bytes() {
    let lab = Lab::new(32);
    let path = path_of(&lab.path);
    let commands = "g\nn\n1\n256\n2303\nn\n2\n2304\n4351\nw\n";
    run("sh", &["-c", &format!("printf '{commands}' | fdisk -b 4096 {path}")]);
    let disk = lab.grow(64).with_sector_size(4096);
    let partition = write_config_drive(&disk, &iso()).unwrap();
    assert_eq!((partition.number, partition.start), (3, 62 << 20));
    let list = run("fdisk", &["-b", "4096", "-x", path]);
    assert!(list.contains("config-2"), "{list}");
    assert!(list.contains("Last usable LBA: 16378\n") && list.contains("Alternative LBA: 16383\n"), "{list}");
    assert!(!list.contains("corrupt") && !list.contains("mismatch"), "{list}");
    // The same table read with the wrong sector size is told apart from a damaged one.
    let error = read_table(&lab.disk()).unwrap_err().to_string();
    assert!(error.contains("made for sectors of 4096 bytes, the disk's have 512"), "{error}");
}

#[test]
fn no_room_no_entry_no_table() {
    let full = gpt_lab();
    let error = write_config_drive(&full.disk(), &iso()).unwrap_err().to_string();
    assert!(error.contains("leaves no 1048576 bytes free"), "{error}");

    let four = Lab::new(32);
    four.sfdisk("label: dos\n,4M\n,4M\n,4M\n,4M\n");
    let error = write_config_drive(&four.disk(), &iso()).unwrap_err().to_string();
    assert!(error.contains("all four primary entries"), "{error}");

    let error = write_config_drive(&Lab::new(32).disk(), &iso()).unwrap_err().to_string();
    assert!(error.contains("the disk has none"), "{error}");
    assert!(!move_backup_to_end(&Lab::new(32).disk()).unwrap());

    let fat = Lab::new(32);
    run("mkfs.vfat", &[path_of(&fat.path)]);
    assert_eq!(read_table(&fat.disk()).unwrap(), None);
}

#[test]
fn a_gap_in_the_middle_will_do() {
    let lab = Lab::new(32);
    lab.sgdisk(&["-n", "1:2048:+8M", "-n", "2:+4M:0"]);
    let partition = write_config_drive(&lab.disk(), &iso()).unwrap();
    assert_eq!(partition.start, 12 << 20);
    lab.assert_good();
}

#[test]
fn damaged_primary_is_repaired_from_the_backup() {
    let lab = gpt_lab();
    let disk = lab.disk();
    let before = read_table(&disk).unwrap();
    disk.write_at(512, &[0; 512]).unwrap();
    assert_eq!(read_table(&disk).unwrap(), before);
    assert!(move_backup_to_end(&disk).unwrap());
    lab.assert_good();
    disk.write_at(512, &[0; 512]).unwrap();
    disk.write_at(disk.size() - 512, &[0; 512]).unwrap();
    let error = read_table(&disk).unwrap_err();
    assert!(
        matches!(error, Error::PartitionTable { .. }) && error.to_string().contains("no GPT header"),
        "{error}"
    );
}

/// Bends a field of the primary header and makes its CRC right again, so that only the check of the field itself can save us.
fn bend(lab: &Lab, at: usize, value: &[u8]) -> Error {
    let mut bytes = std::fs::read(&lab.path).unwrap();
    let end = bytes.len();
    bytes[end - 512..].fill(0);
    bytes[512 + at..512 + at + value.len()].copy_from_slice(value);
    bytes[512 + 16..512 + 20].fill(0);
    let crc = crc32(&bytes[512..512 + 92]);
    bytes[512 + 16..512 + 20].copy_from_slice(&crc.to_le_bytes());
    read_table(&MemoryDisk::of(bytes)).unwrap_err()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, b| {
        (0..8).fold(crc ^ u32::from(*b), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
    })
}

#[test]
fn hostile_headers() {
    let lab = gpt_lab();
    let cases: &[(usize, &[u8], &str)] = &[
        (80, &[0xff; 4], "4294967295 entries of 128 bytes"),
        (84, &[0xff; 4], "128 entries of 4294967295 bytes"),
        (84, &[1, 0, 0, 0], "128 entries of 1 bytes"),
        (72, &[0xff; 8], "entries at sector 18446744073709551615 are out of the disk"),
        (72, &[1, 0, 0, 0, 0, 0, 0, 0], "entries at sector 1 are out of the disk"),
        (24, &[9], "says it is at 9"),
        (88, &[1, 2, 3, 4], "entries at sector 2 have a wrong CRC"),
    ];
    for (at, value, text) in cases {
        let error = bend(&lab, *at, value).to_string();
        assert!(error.contains(text), "wanted {text:?}, got: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_end_in_an_answer(seed in any::<u64>(), header in prop::collection::vec(any::<u8>(), 96), kind in any::<u8>()) {
        let mut bytes = noise(64 << 10, seed);
        bytes[446..510].fill(0);
        bytes[450] = if kind < 128 { 0xee } else { kind };
        bytes[510..512].copy_from_slice(b"\x55\xaa");
        bytes[512..608].copy_from_slice(&header);
        bytes[512..520].copy_from_slice(b"EFI PART");
        bytes[524..528].copy_from_slice(&92_u32.to_le_bytes());
        bytes[536..544].copy_from_slice(&1_u64.to_le_bytes());
        bytes[528..532].fill(0);
        let crc = crc32(&bytes[512..604]);
        bytes[528..532].copy_from_slice(&crc.to_le_bytes());
        let disk = MemoryDisk::of(bytes);
        let _ = read_table(&disk);
        let _ = write_config_drive(&disk, b"iso");
        let _ = disk::erase_metadata(&disk);
    }
}

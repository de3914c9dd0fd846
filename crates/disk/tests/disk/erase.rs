//! After an erase nothing recognises the disk.

use disk::{Disk, ERASED_EDGE, Error, Target, erase_metadata};

use crate::fixtures::{MIB, MemoryDisk, noise, path_of, run};

#[test]
fn tables_and_file_systems_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk.raw");
    let disk = Disk::create(&path, 64 << 20).unwrap();
    let name = path_of(&path);
    run("sgdisk", &["-n", "1:2048:+16M", "-n", "2:0:0", name]);
    run("mkfs.vfat", &["--offset=2048", name, "16384"]);
    run("mkfs.ext4", &["-q", "-E", &format!("offset={}", 17 << 20), name, "40M"]);
    let signatures = |offset: u64| {
        let offset = offset.to_string();
        run("sh", &["-c", &format!("blkid -p -O {offset} {name} || true")])
    };
    assert!(signatures(1 << 20).contains("vfat") && signatures(17 << 20).contains("ext4"));
    assert!(signatures(0).contains("gpt"));
    // md 1.0 and DDF RAID keep theirs at the end of the disk.
    disk.write_at((64 << 20) - 8192, &noise(8192, 1)).unwrap();
    erase_metadata(&disk).unwrap();
    for offset in [0, 1 << 20, 17 << 20] {
        assert_eq!(signatures(offset), "", "at {offset}");
    }
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes[bytes.len() - ERASED_EDGE as usize..].iter().all(|b| *b == 0));
}

#[test]
fn any_disk_can_be_erased() {
    for size in [0, 512, MIB - 1, MIB + 1, 70 * MIB] {
        let disk = MemoryDisk::new(size);
        erase_metadata(&disk).unwrap();
        assert!(disk.are_edges_zero(), "{size} bytes");
    }
}

#[test]
fn a_damaged_table_does_not_stop_it() {
    let disk = MemoryDisk::new(8 * MIB);
    let mut mbr = vec![0; 512];
    mbr[450] = 0xee;
    mbr[510..].copy_from_slice(b"\x55\xaa");
    disk.write_at(0, &mbr).unwrap();
    assert!(matches!(disk::partition::read_table(&disk), Err(Error::PartitionTable { .. })));
    erase_metadata(&disk).unwrap();
    assert!(disk.are_edges_zero());
}

#[test]
fn a_disk_that_fails_says_where() {
    let disk = MemoryDisk { bad_at: Some((8 * MIB - 1) as u64), ..MemoryDisk::new(8 * MIB) };
    let error = erase_metadata(&disk).unwrap_err().to_string();
    assert!(error.contains("erasing 1048576 bytes of metadata at byte 7340032"), "{error}");
}

//! Images that `qemu-img` made, written by us, compared with what `qemu-img` makes of them, byte for byte.

use std::fs;
use std::path::{Path, PathBuf};

use disk::{Disk, FileSource, Format, Target, WriteOptions, inspect_image, write_image};

use crate::fixtures::{MIB, MemoryDisk, OLD, guest_bytes, path_of, run, sha256, write};

struct Golden {
    directory: tempfile::TempDir,
    guest: Vec<u8>,
}

impl Golden {
    fn new(guest: Vec<u8>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("guest.raw"), &guest).unwrap();
        Self { directory, guest }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn convert(&self, arguments: &[&str]) -> PathBuf {
        let (from, to) = (self.path("guest.raw"), self.path("image.qcow2"));
        let all =
            [&["convert", "-f", "raw", "-O", "qcow2"], arguments, &[path_of(&from), path_of(&to)]].concat();
        run("qemu-img", &all);
        to
    }

    /// Writes an image over old bytes and compares; what lies behind the image must be as it was, but for the last MiB.
    fn check(&self, image: &Path) {
        let file = fs::read(image).unwrap();
        let options = WriteOptions {
            format: Some(Format::Qcow2),
            checksum: Some(sha256(&file)),
            verify: true,
            ..WriteOptions::default()
        };
        let target = MemoryDisk::new(self.guest.len() + 3 * MIB);
        let report = write(&mut FileSource::open(image).unwrap(), &target, &options).unwrap();
        let contents = target.contents();
        let (written, behind) = contents.split_at(self.guest.len());
        assert!(written == self.guest, "the disk differs from the image");
        let (untouched, tail) = behind.split_at(2 * MIB);
        assert!(untouched.iter().all(|b| *b == OLD), "bytes behind the image were touched");
        assert!(tail.iter().all(|b| *b == 0), "an old backup table survived");
        assert_eq!(report.virtual_bytes, self.guest.len() as u64);
        assert_eq!(report.image_bytes, file.len() as u64);
        assert_eq!(report.written_bytes + report.zeroed_bytes, self.guest.len() as u64);
        assert!(report.is_verified);
    }
}

#[test]
fn all_kinds_of_qcow2() {
    let golden = Golden::new(guest_bytes(13 * MIB + 512));
    let kinds: &[&[&str]] = &[
        &[],
        &["-o", "compat=0.10"],
        &["-o", "cluster_size=512"],
        &["-o", "cluster_size=4k"],
        &["-o", "cluster_size=2M"],
        &["-o", "preallocation=metadata"],
        &["-o", "preallocation=full"],
        &["-o", "lazy_refcounts=on"],
        &["-o", "extended_l2=on"],
        &["-o", "extended_l2=on,cluster_size=16k"],
        &["-o", "extended_l2=on,cluster_size=128k,preallocation=metadata"],
        &["-c"],
        &["-c", "-o", "compat=0.10"],
        &["-c", "-o", "cluster_size=512"],
        &["-c", "-o", "cluster_size=2M"],
        &["-c", "-o", "extended_l2=on"],
        &["-c", "-o", "compression_type=zstd"],
        &["-c", "-o", "compression_type=zstd,cluster_size=4k"],
        &["-c", "-o", "compression_type=zstd,cluster_size=2M"],
        &["-c", "-W", "-m", "4"],
        &["-S", "0"],
    ];
    for kind in kinds {
        println!("{kind:?}");
        golden.check(&golden.convert(kind));
    }
}

/// Written to in place, in no order, with a snapshot: clusters lie anywhere, some unused, some zero by flag only.
#[test]
fn a_qcow2_that_has_lived() {
    let mut golden = Golden::new(guest_bytes(9 * MIB));
    let image = golden.convert(&["-o", "cluster_size=64k"]);
    let path = path_of(&image);
    let commands = [
        "write -P 7 5M 300k",
        "write -P 9 1M 64k",
        "write -z 3M 1M",
        "discard 2M 512k",
        "write -P 1 8900k 100k",
    ];
    for (i, command) in commands.iter().enumerate() {
        run("qemu-io", &["-f", "qcow2", "-c", command, path]);
        if i == 2 {
            run("qemu-img", &["snapshot", "-c", "before", path]);
        }
    }
    let raw = golden.path("now.raw");
    run("qemu-img", &["convert", "-O", "raw", path, path_of(&raw)]);
    golden.guest = fs::read(raw).unwrap();
    golden.check(&image);
}

#[test]
fn an_empty_qcow2_is_a_disk_of_zeros() {
    let golden = Golden::new(vec![0; 5 * MIB]);
    golden.check(&golden.convert(&[]));
}

/// To a real file, whose holes are punched, and by `qemu-img compare`'s judgement.
#[test]
fn to_a_file_with_holes() {
    use std::os::unix::fs::MetadataExt;
    let golden = Golden::new([guest_bytes(4 * MIB), vec![0; 24 * MIB], guest_bytes(4 * MIB)].concat());
    let image = golden.convert(&["-c"]);
    let target = golden.path("target.raw");
    fs::write(&target, vec![OLD; golden.guest.len()]).unwrap();
    let disk = Disk::open(&target).unwrap();
    let mut source = FileSource::open(&image).unwrap();
    let mut seen = Vec::new();
    let options = WriteOptions { verify: true, ..WriteOptions::default() };
    write_image(&mut source, &disk, &options, &mut |p| seen.push(p)).unwrap();
    run("qemu-img", &["compare", "-f", "raw", "-F", "qcow2", path_of(&target), path_of(&image)]);
    let allocated = fs::metadata(&target).unwrap().blocks() * 512;
    assert!(allocated < 16 << 20, "holes are not punched: {allocated} bytes are allocated");
    assert!(seen.windows(2).all(|w| w[0].phase != w[1].phase || w[0].done <= w[1].done));
    assert_eq!(seen.last().unwrap().done, disk.size());
}

/// Converting, as the image service does it: to a fresh file of the right size.
#[test]
fn convert_to_a_fresh_file() {
    let golden = Golden::new(guest_bytes(6 * MIB));
    let image = golden.convert(&["-c", "-o", "compression_type=zstd"]);
    let mut source = FileSource::open(&image).unwrap();
    let info = inspect_image(&mut source, Some(Format::Qcow2), &[Format::Qcow2]).unwrap();
    assert_eq!(info.virtual_bytes, Some(golden.guest.len() as u64));
    let raw = golden.path("converted.raw");
    let target = Disk::create(&raw, info.virtual_bytes.unwrap()).unwrap();
    let options = WriteOptions { is_target_zeroed: true, ..WriteOptions::default() };
    let report = write(&mut source, &target, &options).unwrap();
    assert!(fs::read(raw).unwrap() == golden.guest);
    assert_eq!(report.written_bytes + report.zeroed_bytes, golden.guest.len() as u64);
}

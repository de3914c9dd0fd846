//! Raw images: holes, lengths, declarations, servers.

use disk::{Error, Format, Phase, WriteOptions, inspect_image, write_image};

use crate::fixtures::{MIB, MemoryDisk, MemorySource, OLD, guest_bytes, sha256, write};

fn options_for(image: &[u8]) -> WriteOptions {
    WriteOptions { checksum: Some(sha256(image)), verify: true, ..WriteOptions::default() }
}

#[test]
fn sizes_around_every_boundary() {
    let disk_size = 6 * MIB;
    for length in [
        1024,
        4096,
        MIB - 1,
        MIB,
        MIB + 1,
        2 * MIB - 512,
        2 * MIB,
        2 * MIB + 512,
        5 * MIB,
        5 * MIB + 1,
        disk_size - 1,
        disk_size,
    ] {
        let image = guest_bytes(length);
        let target = MemoryDisk::new(disk_size);
        let report = write(&mut MemorySource::of(&image), &target, &options_for(&image)).unwrap();
        let contents = target.contents();
        assert!(contents[..length] == image, "{length} bytes");
        let tail = disk_size - MIB;
        assert!(contents[length.max(MIB).min(tail)..tail].iter().all(|b| *b == OLD), "{length} bytes");
        assert!(contents[length.max(tail)..].iter().all(|b| *b == 0), "{length} bytes");
        assert_eq!((report.format, report.image_bytes), (Format::Raw, length as u64));
    }
}

#[test]
fn disks_smaller_than_the_two_edges() {
    for size in [1024, MIB - 512, MIB + 512, 2 * MIB - 512] {
        let image = guest_bytes(size);
        let target = MemoryDisk::new(size);
        write(&mut MemorySource::of(&image), &target, &options_for(&image)).unwrap();
        assert!(target.contents() == image, "{size} bytes");
    }
}

#[test]
fn old_bytes_do_not_shine_through_holes() {
    let mut image = vec![0; 8 * MIB];
    image[3 * MIB..4 * MIB].copy_from_slice(&guest_bytes(MIB));
    image[7 * MIB + 5] = 1;
    let target = MemoryDisk::new(8 * MIB);
    let report = write(&mut MemorySource::of(&image), &target, &options_for(&image)).unwrap();
    assert!(target.contents() == image);
    assert!(report.zeroed_bytes > 6 << 20, "{report:?}");
}

#[test]
fn a_server_without_ranges_or_length_will_do() {
    let image = guest_bytes(3 * MIB + 700);
    let source = MemorySource { has_ranges: false, announced: None, ..MemorySource::of(&image) };
    let target = MemoryDisk::new(8 * MIB);
    let options = WriteOptions { format: Some(Format::Raw), ..options_for(&image) };
    write(&mut source.clone(), &target, &options).unwrap();
    assert!(target.contents()[..image.len()] == image);
    // Without a declaration it might be a qcow2, which can't be written so.
    let undeclared = WriteOptions { format: None, ..options };
    let error = write(&mut source.clone(), &target, &undeclared).unwrap_err();
    assert!(matches!(error, Error::Source { offset: 0, .. }), "{error}");
}

#[test]
fn a_qcow2_is_never_written_as_raw() {
    let mut image = guest_bytes(2 * MIB);
    image[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    for has_ranges in [true, false] {
        let mut source = MemorySource { has_ranges, ..MemorySource::of(&image) };
        let options = WriteOptions { format: Some(Format::Raw), ..WriteOptions::default() };
        let error = write(&mut source, &MemoryDisk::new(4 * MIB), &options).unwrap_err().to_string();
        assert!(error.contains("declared as raw but qcow2 by its content"), "{error}");
    }
    let mut source = MemorySource::of(&image);
    assert!(inspect_image(&mut source, Some(Format::Raw), &Format::ALL).is_err());
    // Shown as raw, streamed as qcow2: the bytes that are hashed and written are the ones that count.
    source.shown[..8].fill(0);
    let error = write(&mut source, &MemoryDisk::new(4 * MIB), &WriteOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error}");
}

#[test]
fn progress_tells_phases_in_order() {
    let image = guest_bytes(5 * MIB);
    let mut seen = Vec::new();
    let target = MemoryDisk::new(6 * MIB);
    write_image(&mut MemorySource::of(&image), &target, &options_for(&image), &mut |p| seen.push(p)).unwrap();
    let mut phases: Vec<_> = seen.iter().map(|p| p.phase).collect();
    phases.dedup();
    assert_eq!(phases, [Phase::Writing, Phase::Syncing, Phase::Verifying]);
    let written = seen.iter().rfind(|p| p.phase == Phase::Writing).unwrap();
    assert_eq!((written.done, written.total), (5 << 20, Some(5 << 20)));
}

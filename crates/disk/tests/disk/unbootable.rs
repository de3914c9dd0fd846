//! Bad days: after each the disk's edges, from which firmware boots, are zeros; and so they are until all is well.

use disk::{Algorithm, Checksum, Error, Hasher, Policy, WriteOptions};

use crate::fixtures::{MIB, MemoryDisk, MemorySource, guest_bytes, sha256, write};

const DISK: usize = 8 * MIB;

fn image() -> Vec<u8> {
    guest_bytes(DISK)
}

fn fails(source: MemorySource, target: &MemoryDisk, options: &WriteOptions) -> Error {
    let error = write(&mut source.clone(), target, options).unwrap_err();
    assert!(target.are_edges_zero(), "bootable after: {error}");
    error
}

#[test]
fn edges_stay_zero_until_the_checksum_matched() {
    let image = image();
    let target = MemoryDisk::new(DISK);
    let options = WriteOptions { checksum: Some(sha256(&image)), ..WriteOptions::default() };
    write(&mut MemorySource::of(&image), &target, &options).unwrap();
    // Wiped; written but for the edges; opened.
    assert_eq!(*target.edges_at_sync.lock().unwrap(), [true, true, false]);
}

#[test]
fn wrong_checksum() {
    let image = image();
    let expected = Checksum::parse(None, &"ab".repeat(32), Policy::default()).unwrap();
    let options = WriteOptions { checksum: Some(expected), ..WriteOptions::default() };
    let text = fails(MemorySource::of(&image), &MemoryDisk::new(DISK), &options).to_string();
    assert!(text.contains(&"ab".repeat(32)) && text.contains(&sha256(&image).to_string()), "{text}");
}

#[test]
fn every_algorithm_vouches() {
    let image = image();
    for algorithm in [Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha384, Algorithm::Sha512] {
        let digest = |bytes: &[u8]| {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(bytes);
            Some(hasher.finish())
        };
        let good = WriteOptions { checksum: digest(&image), ..WriteOptions::default() };
        write(&mut MemorySource::of(&image), &MemoryDisk::new(DISK), &good).unwrap();
        let bad = WriteOptions { checksum: digest(b"else"), ..WriteOptions::default() };
        fails(MemorySource::of(&image), &MemoryDisk::new(DISK), &bad);
    }
}

#[test]
fn truncated_image_says_where_it_ended() {
    let mut source = MemorySource::of(&image());
    source.streamed.truncate(3 * MIB + 17);
    let error = fails(source, &MemoryDisk::new(DISK), &WriteOptions::default());
    assert!(matches!(error, Error::Truncated { ended_at: 3_145_745, expected: 8_388_608 }), "{error}");
    assert!(error.is_worth_a_retry());
}

#[test]
fn image_longer_than_announced() {
    let mut source = MemorySource::of(&image()[..4 * MIB]);
    source.streamed.push(1);
    let error = fails(source, &MemoryDisk::new(DISK), &WriteOptions::default());
    assert!(matches!(error, Error::Changed { offset: 4_194_304 }), "{error}");
}

#[test]
fn empty_image() {
    let error = fails(MemorySource::of(&[]), &MemoryDisk::new(DISK), &WriteOptions::default());
    assert!(error.to_string().contains("it is empty"), "{error}");
}

#[test]
fn server_gone() {
    let source = MemorySource { breaks_at: Some(5 * MIB), ..MemorySource::of(&image()) };
    let error = fails(source, &MemoryDisk::new(DISK), &WriteOptions::default());
    assert!(matches!(error, Error::Source { offset: 5_242_880, .. }), "{error}");
    assert!(error.is_worth_a_retry());
}

#[test]
fn larger_than_the_disk() {
    // Announced: refused before the disk is touched.
    let target = MemoryDisk::new(4 * MIB);
    let error = write(&mut MemorySource::of(&image()), &target, &WriteOptions::default()).unwrap_err();
    assert!(matches!(error, Error::TooLarge { image_bytes: 8_388_608, disk_bytes: 4_194_304 }), "{error}");
    assert!(target.contents() == MemoryDisk::new(4 * MIB).contents());
    // Not announced: found out on the way.
    let source = MemorySource { announced: None, ..MemorySource::of(&image()) };
    let error = fails(source, &MemoryDisk::new(5 * MIB), &WriteOptions::default());
    assert!(matches!(error, Error::TooLarge { disk_bytes: 5_242_880, .. }), "{error}");
}

#[test]
fn disk_that_fails() {
    let target = MemoryDisk { bad_at: Some(5 << 20), ..MemoryDisk::new(DISK) };
    let error = fails(MemorySource::of(&image()), &target, &WriteOptions::default());
    assert!(error.to_string().contains("medium error"), "{error}");
    assert!(!error.is_worth_a_retry());
}

#[test]
fn disk_that_forgets() {
    // In the middle, in a hole, at both edges. Old bytes are 0xa5, the image's differ there.
    let mut image = image();
    image[6 * MIB..7 * MIB].fill(0);
    for at in [5 * MIB + 1, 6 * MIB + 70_000, 100, DISK - 100] {
        image[at] = if at / MIB == 6 { 0 } else { 0x11 };
        let target = MemoryDisk { forgets_at: Some(at as u64), ..MemoryDisk::new(DISK) };
        let options =
            WriteOptions { checksum: Some(sha256(&image)), verify: true, ..WriteOptions::default() };
        let error = write(&mut MemorySource::of(&image), &target, &options).unwrap_err();
        let Error::ReadBack { from, to } = error else { panic!("{at}: {error}") };
        assert!((from..to).contains(&(at as u64)), "{at} is not in {from}..{to}");
    }
}

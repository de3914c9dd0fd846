//! qcow2 images that lie. Each is refused with a text of its own, before the disk is touched where the map tells, and none
//! costs more memory than an honest one.

use disk::{Error, Format, WriteOptions, inspect_image};
use proptest::prelude::*;

use crate::fixtures::{MIB, MemoryDisk, MemorySource, OLD, noise, run, write};

const CLUSTER: usize = 64 << 10;
const L1: usize = CLUSTER;
const REFCOUNTS: usize = 2 * CLUSTER;
const L2: usize = 3 * CLUSTER;
const DATA: usize = 4 * CLUSTER;
const GUEST: u64 = 4 << 20;

/// An honest image: 4 MiB, one L2 table, clusters 0 and 1 allocated.
fn honest() -> Vec<u8> {
    let mut file = vec![0; 8 * CLUSTER];
    file[..4].copy_from_slice(b"QFI\xfb");
    put32(&mut file, 4, 3);
    put32(&mut file, 20, 16);
    put64(&mut file, 24, GUEST);
    put32(&mut file, 36, 1);
    put64(&mut file, 40, L1 as u64);
    put64(&mut file, 48, REFCOUNTS as u64);
    put32(&mut file, 56, 1);
    put32(&mut file, 96, 4);
    put32(&mut file, 100, 112);
    put64(&mut file, L1, L2 as u64 | 1 << 63);
    put64(&mut file, L2, DATA as u64 | 1 << 63);
    put64(&mut file, L2 + 8, (DATA + CLUSTER) as u64 | 1 << 63);
    file[DATA..DATA + 2 * CLUSTER].copy_from_slice(&noise(2 * CLUSTER, 5));
    file
}

fn put32(file: &mut [u8], at: usize, value: u32) {
    file[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

fn put64(file: &mut [u8], at: usize, value: u64) {
    file[at..at + 8].copy_from_slice(&value.to_be_bytes());
}

/// A compressed cluster's entry, 64 KiB clusters: 8 bits of sectors over 54 of offset.
fn compressed(host: usize, sectors: u64) -> u64 {
    1 << 62 | (sectors - 1) << 54 | host as u64
}

fn error_of(file: &[u8]) -> Error {
    let target = MemoryDisk::new(8 * MIB);
    let error = write(&mut MemorySource::of(file), &target, &WriteOptions::default()).unwrap_err();
    let contents = target.contents();
    assert!(target.are_edges_zero() || contents.iter().all(|b| *b == OLD), "half written after: {error}");
    error
}

#[test]
fn the_honest_one_is_written() {
    let file = honest();
    let target = MemoryDisk::new(GUEST as usize);
    write(&mut MemorySource::of(&file), &target, &WriteOptions { verify: true, ..WriteOptions::default() })
        .unwrap();
    let contents = target.contents();
    assert!(contents[..2 * CLUSTER] == file[DATA..DATA + 2 * CLUSTER]);
    assert!(contents[2 * CLUSTER..].iter().all(|b| *b == 0));
}

#[test]
fn every_lie_has_its_own_text() {
    type Lie = (&'static str, fn(&mut Vec<u8>));
    let lies: &[Lie] = &[
        ("backing file (\"/etc/shadow\")", |f| {
            put64(f, 8, 512);
            put32(f, 16, 11);
            f[512..523].copy_from_slice(b"/etc/shadow");
        }),
        ("backing file (\"unreadable\")", |f| put64(f, 8, u64::MAX)),
        ("qcow2 version 4", |f| put32(f, 4, 4)),
        ("cluster size 2^8 ", |f| put32(f, 20, 8)),
        ("cluster size 2^63", |f| put32(f, 20, 63)),
        ("encrypted", |f| put32(f, 32, 2)),
        ("marked corrupt", |f| put64(f, 72, 2)),
        ("external data file", |f| put64(f, 72, 4)),
        ("names an external data file", |f| {
            put32(f, 112, 0x4441_5441);
            put32(f, 116, 8);
        }),
        ("encryption header", |f| {
            put32(f, 112, 0x0537_be77);
            put32(f, 116, 16);
        }),
        ("unknown qcow2 features (0x8000000000000000)", |f| put64(f, 72, 1 << 63)),
        ("compression type 2", |f| {
            put64(f, 72, 8);
            f[104] = 2;
        }),
        ("compression type 1", |f| f[104] = 1),
        ("header length of 4294967288", |f| put32(f, 100, u32::MAX - 7)),
        ("refcount width 2^7", |f| put32(f, 96, 7)),
        ("virtual size of 0 bytes", |f| put64(f, 24, 0)),
        ("virtual size of 18446744073709551615 bytes", |f| put64(f, 24, u64::MAX)),
        ("image needs 1152921504606846976 bytes but the disk has 8388608", |f| {
            // A short L1 table would be the lesser complaint.
            put64(f, 24, 1 << 60);
            put32(f, 20, 21);
            put32(f, 36, u32::MAX);
            f.resize(64 * MIB, 0);
            put64(f, 40, 2 << 20);
            put64(f, 48, 48 << 20);
            put32(f, 56, 1);
        }),
        ("L1 table has 0 entries", |f| put32(f, 36, 0)),
        ("L1 table at 65537 is not aligned", |f| put64(f, 40, L1 as u64 + 1)),
        ("L1 table lies over its own header", |f| put64(f, 40, 0)),
        ("L1 table (8 bytes at 9223372036854710272) is out of the file", |f| {
            put64(f, 40, (1 << 63) - (1 << 16))
        }),
        ("refcount table of 281474976645120 bytes", |f| put32(f, 56, u32::MAX)),
        ("refcount table (65536 bytes at 524288) is out of the file", |f| put64(f, 48, 8 << 16)),
        ("L1 entry 0 has reserved bits", |f| put64(f, L1, L2 as u64 | 1)),
        ("L2 table 0 (65536 bytes at 72057594037862400) is out of the file", |f| {
            put64(f, L1, 0x00ff_ffff_ffff_0000)
        }),
        ("L2 table 0 at 197120 is not aligned", |f| put64(f, L1, L2 as u64 + 512)),
        ("lie over each other at byte 65536", |f| put64(f, L1, L1 as u64)),
        ("lie over each other at byte 131072", |f| put64(f, L1, REFCOUNTS as u64)),
        ("reserved bits set (0x2)", |f| put64(f, L2, 2)),
        ("cluster for guest offset 65536 at 524288 is out of the file", |f| put64(f, L2 + 8, 8 << 16)),
        ("cluster for guest offset 65536 at 262656 is not aligned", |f| put64(f, L2 + 8, DATA as u64 + 512)),
        ("lie over each other at byte 262144", |f| put64(f, L2 + 8, DATA as u64)),
        ("lie over each other at byte 196608", |f| put64(f, L2 + 8, L2 as u64)),
        ("compressed cluster for guest offset 65536 at 0 is out of the file", |f| {
            put64(f, L2 + 8, compressed(0, 1))
        }),
        ("compressed cluster for guest offset 65536 at 524287 is out of the file", |f| {
            put64(f, L2 + 8, compressed(8 * CLUSTER - 1, 2));
        }),
        ("lie over each other at byte 393316", |f| {
            put64(f, L2 + 8, compressed(DATA + 2 * CLUSTER + 100, 1));
            put64(f, L2 + 16, compressed(DATA + 2 * CLUSTER + 100, 1));
        }),
        ("lie over each other at byte 393416", |f| {
            put64(f, L2 + 8, compressed(DATA + 2 * CLUSTER + 100, 4));
            put64(f, L2 + 16, compressed(DATA + 2 * CLUSTER + 200, 4));
        }),
        ("compressed cluster at byte 393216 does not yield 65536 bytes", |f| {
            put64(f, L2 + 8, compressed(DATA + 2 * CLUSTER, 100));
            f[DATA + 2 * CLUSTER..DATA + 3 * CLUSTER].copy_from_slice(&noise(CLUSTER, 6));
        }),
        ("subclusters of less than 512 bytes", |f| {
            put64(f, 72, 16);
            put32(f, 20, 12);
        }),
        ("contradicts itself", |f| {
            put64(f, 72, 16);
            put64(f, L2 + 8, 1 << 32 | 1);
        }),
        ("header is incomplete", |f| f.truncate(60)),
        ("out of the file's 262144 bytes: truncated", |f| f.truncate(DATA)),
        ("out of the file's 200000 bytes: truncated", |f| f.truncate(200_000)),
    ];
    for (text, lie) in lies {
        let mut file = honest();
        lie(&mut file);
        let error = error_of(&file).to_string();
        assert!(error.contains(text), "wanted {text:?}, got: {error}");
    }
}

/// 1 EiB, as `qemu-img` would make it: the disk's size is the first complaint.
#[test]
fn an_exbibyte_from_qemu() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("huge.qcow2");
    let path = path.to_str().unwrap();
    run("qemu-img", &["create", "-f", "qcow2", "-o", "cluster_size=2M", path, "1E"]);
    let file = std::fs::read(path).unwrap();
    let error = error_of(&file);
    assert!(matches!(error, Error::TooLarge { image_bytes: 0x1000_0000_0000_0000, .. }), "{error}");
}

#[test]
fn a_bomb_of_fragments_is_refused_with_a_hint() {
    // 512-byte clusters, every second one allocated: 2 Mi runs of a cluster each.
    let clusters: usize = 4 << 20;
    let l2_tables = clusters / 64;
    let l1_bytes = l2_tables * 8;
    let l2_at = 1024 + l1_bytes;
    let data_at = l2_at + l2_tables * 512;
    let mut file = vec![0; data_at + clusters / 2 * 512];
    file[..112].copy_from_slice(&honest()[..112]);
    put32(&mut file, 20, 9);
    put64(&mut file, 24, (clusters * 512) as u64);
    put32(&mut file, 36, l2_tables as u32);
    put64(&mut file, 40, 1024);
    put64(&mut file, 48, 512);
    for table in 0..l2_tables {
        put64(&mut file, 1024 + 8 * table, (l2_at + 512 * table) as u64);
    }
    for cluster in (0..clusters).step_by(2) {
        put64(&mut file, l2_at + 8 * cluster, (data_at + cluster / 2 * 512) as u64);
    }
    let error = inspect_image(&mut MemorySource::of(&file), None, &Format::ALL).unwrap_err().to_string();
    assert!(error.contains("too fragmented") && error.contains("qemu-img convert"), "{error}");
}

/// One map is shown and another one sent: the checksum would be right, of a file that was never looked at.
#[test]
fn another_map_in_the_stream() {
    for at in [30, 600, L1 + 7, L2 + 3, L2 + CLUSTER - 1] {
        let mut source = MemorySource::of(&honest());
        source.streamed[at] ^= 0x40;
        let target = MemoryDisk::new(8 * MIB);
        let error = write(&mut source, &target, &WriteOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{at}: {error}");
        assert!(target.are_edges_zero());
    }
    // Data may differ from what was shown: it was not looked at, and the checksum covers what was sent.
    let mut source = MemorySource::of(&honest());
    source.streamed[DATA] ^= 0x40;
    write(&mut source, &MemoryDisk::new(8 * MIB), &WriteOptions::default()).unwrap();
}

#[test]
fn truncated_on_the_way() {
    let mut source = MemorySource::of(&honest());
    source.streamed.truncate(DATA + 5);
    let error = write(&mut source, &MemoryDisk::new(8 * MIB), &WriteOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Truncated { ended_at: 262_149, expected: 524_288 }), "{error}");
}

#[test]
fn length_must_be_known() {
    let mut source = MemorySource { announced: None, ..MemorySource::of(&honest()) };
    let error = write(&mut source, &MemoryDisk::new(8 * MIB), &WriteOptions::default()).unwrap_err();
    assert!(error.to_string().contains("unknown length"), "{error}");
}

/// What an entry says is bent, not random: random bits are nearly always out of the file.
fn bent_entry() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0_u64..16, 0_u64..4).prop_map(|(cluster, flags)| cluster << 16 | (flags & 1) | (flags >> 1) << 63),
        (0_usize..8 * CLUSTER, 1_u64..200).prop_map(|(host, sectors)| compressed(host, sectors)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_header_ends_in_an_answer(
        patches in prop::collection::vec((0_usize..160, any::<u8>()), 0..12),
        entries in prop::collection::vec((0_usize..64, bent_entry()), 0..12),
        l1 in prop::option::of(bent_entry()),
    ) {
        let mut file = honest();
        for (at, value) in patches {
            if at >= 8 {
                file[at] = value;
            }
        }
        for (slot, entry) in entries {
            put64(&mut file, L2 + 8 * slot, entry);
        }
        if let Some(entry) = l1 {
            put64(&mut file, L1, entry);
        }
        let target = MemoryDisk::new(5 * MIB);
        let result = write(&mut MemorySource::of(&file), &target, &WriteOptions { verify: true, ..WriteOptions::default() });
        if result.is_err() {
            let contents = target.contents();
            prop_assert!(target.are_edges_zero() || contents.iter().all(|b| *b == OLD));
        }
    }

    #[test]
    fn random_bytes_after_the_magic_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
        let mut file = b"QFI\xfb\0\0\0\x03".to_vec();
        file.extend(bytes);
        prop_assert!(inspect_image(&mut MemorySource::of(&file), None, &Format::ALL).is_err());
    }
}

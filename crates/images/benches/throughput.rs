//! How fast bytes come in and go out of a directory, beside `cp` to the same disk (both until the bytes are on it).
//!
//! `cargo bench -p images -- [GIB] [DIRECTORY]`

use bytes::Bytes;
use futures_util::StreamExt;
use images::{Algorithm, Backend, Name};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use uuid::Uuid;

/// As hyper hands them over.
const PIECE: usize = 64 << 10;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let gib: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let place = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(place).expect("a directory to work in");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(dir.path(), gib << 30));
}

async fn measure(dir: &Path, size: u64) {
    let backend = Backend::directory(&dir.join("store")).expect("a backend");
    let piece = Bytes::from((0..PIECE).map(|n| (n * 7 % 251) as u8).collect::<Vec<_>>());
    let name = Name::image(Uuid::new_v4());
    for (label, algorithms) in [
        ("upload, no digest", &[][..]),
        ("upload, sha256", &[Algorithm::Sha256]),
        ("upload, sha512", &[Algorithm::Sha512]),
        ("upload, sha256 and md5", &[Algorithm::Sha256, Algorithm::Md5]),
    ] {
        let started = Instant::now();
        let mut upload = backend.upload(&name, Some(size), u64::MAX, algorithms).await.expect("room");
        for _ in 0..size / PIECE as u64 {
            upload.write(piece.clone()).await.expect("written");
        }
        upload.finish().await.expect("finished");
        told(label, size, started);
    }
    let started = Instant::now();
    let mut reading = backend.read(&name, None).await.expect("it is there");
    let mut read = 0;
    while let Some(piece) = reading.next().await {
        read += piece.expect("bytes").len() as u64;
    }
    assert_eq!(read, size);
    told("download", size, started);
    let (from, to) = (backend.path(&name).expect("a file"), dir.join("copy"));
    let script = r#"cp --reflink=never --sparse=never "$0" "$1" && sync "$1""#;
    for label in ["cp and sync", "cp and sync again"] {
        let started = Instant::now();
        let copied = Command::new("sh").arg("-c").arg(script).args([&from, &to]).status();
        assert!(copied.is_ok_and(|status| status.success()), "cp");
        told(label, size, started);
        std::fs::remove_file(&to).expect("removed");
    }
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", peak.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("no peak"));
}

fn told(label: &str, size: u64, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    println!("{label:<24} {:>7.0} MB/s", size as f64 / 1e6 / seconds);
}

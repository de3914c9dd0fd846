//! A directory: what is there, what is not, and who may read it.

use bytes::Bytes;
use futures_util::StreamExt;
use images::{Algorithm, Backend, Name, StorageError};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn name(key: &str) -> Name {
    Name::new("images", key).unwrap()
}

async fn put(backend: &Backend, key: &str, bytes: &[u8]) {
    let mut upload = backend.upload(&name(key), None, u64::MAX, &[]).await.unwrap();
    upload.write(Bytes::copy_from_slice(bytes)).await.unwrap();
    upload.finish().await.unwrap();
}

async fn get(backend: &Backend, key: &str, range: Option<std::ops::Range<u64>>) -> Vec<u8> {
    let mut reading = backend.read(&name(key), range).await.unwrap();
    let mut all = Vec::new();
    while let Some(piece) = reading.next().await {
        all.extend_from_slice(&piece.unwrap());
    }
    all
}

fn files(dir: &Path) -> usize {
    std::fs::read_dir(dir).map_or(0, |entries| entries.count())
}

#[tokio::test]
async fn what_was_put_in_comes_out_with_its_digests() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Backend::directory(dir.path()).unwrap();
    // Larger than several batches, in pieces that fit none of them.
    let bytes: Vec<u8> = (0..7_000_003_u32).map(|n| (n % 251) as u8).collect();
    let algorithms = [Algorithm::Sha256, Algorithm::Md5];
    let size = bytes.len() as u64;
    let mut upload = backend.upload(&name("a"), Some(size), size, &algorithms).await.unwrap();
    for piece in bytes.chunks(100_003) {
        upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    let stored = upload.finish().await.unwrap();
    assert_eq!(stored.size, size);
    for algorithm in algorithms {
        let mut hasher = disk::Hasher::new(algorithm);
        hasher.update(&bytes);
        assert_eq!(stored.digest(algorithm), Some(hasher.finish().to_string().as_str()));
    }
    assert_eq!(get(&backend, "a", None).await, bytes);
    assert_eq!(get(&backend, "a", Some(1_000_000..1_000_010)).await, &bytes[1_000_000..1_000_010]);
    assert_eq!(get(&backend, "a", Some(size - 3..size + 9)).await, &bytes[bytes.len() - 3..]);
    assert_eq!(get(&backend, "a", Some(size + 1..size + 9)).await, b"");
    assert_eq!(backend.size(&name("a")).await.unwrap(), size);
    assert_eq!(backend.list("images").await.unwrap(), [name("a")]);
    backend.delete(&name("a")).await.unwrap();
    backend.delete(&name("a")).await.unwrap();
    assert!(matches!(backend.read(&name("a"), None).await, Err(StorageError::NotFound { .. })));
    assert!(backend.list("images").await.unwrap().is_empty());
}

#[tokio::test]
async fn only_the_owner_can_read_what_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("deep/store");
    let backend = Backend::directory(&root).unwrap();
    put(&backend, "a", b"x").await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&root), 0o700);
    assert_eq!(mode(&root.join("images")), 0o700);
    assert_eq!(mode(&backend.path(&name("a")).unwrap()), 0o600);
}

#[tokio::test]
async fn an_unfinished_upload_is_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Backend::directory(dir.path()).unwrap();
    put(&backend, "a", b"before").await;
    let mut upload = backend.upload(&name("a"), None, u64::MAX, &[Algorithm::Sha256]).await.unwrap();
    upload.write(Bytes::from(vec![1; 3 << 20])).await.unwrap();
    assert_eq!(files(&dir.path().join("unfinished")), 1);
    assert_eq!(get(&backend, "a", None).await, b"before");
    drop(upload);
    // The file goes on another thread.
    let gone = async {
        while files(&dir.path().join("unfinished")) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.unwrap();
    assert_eq!(get(&backend, "a", None).await, b"before");
}

#[tokio::test]
async fn what_a_dead_process_left_is_removed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Backend::directory(dir.path()).unwrap();
    put(&backend, "a", b"kept").await;
    std::fs::write(dir.path().join("unfinished/leftover"), b"half").unwrap();
    let backend = Backend::directory(dir.path()).unwrap();
    assert_eq!(files(&dir.path().join("unfinished")), 0);
    assert_eq!(get(&backend, "a", None).await, b"kept");
}

#[tokio::test]
async fn limits_are_kept_before_and_while_bytes_come() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Backend::directory(dir.path()).unwrap();
    let announced = backend.upload(&name("a"), Some(11), 10, &[]).await;
    assert!(matches!(announced, Err(StorageError::TooLarge { limit: 10 })));
    let mut upload = backend.upload(&name("a"), None, 10, &[]).await.unwrap();
    upload.write(Bytes::from_static(b"0123456789")).await.unwrap();
    let error = upload.write(Bytes::from_static(b"!")).await.unwrap_err();
    assert!(matches!(error, StorageError::TooLarge { limit: 10 }));
    let full = backend.upload(&name("a"), Some(u64::MAX / 2), u64::MAX, &[]).await.err().unwrap();
    assert!(matches!(full, StorageError::Full { .. }), "{full}");
    assert!(full.to_string().contains(&dir.path().display().to_string()), "{full}");
}

#[tokio::test]
async fn a_file_that_shrinks_ends_a_reading_with_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Backend::directory(dir.path()).unwrap();
    put(&backend, "a", &vec![7; 1 << 20]).await;
    let mut reading = backend.read(&name("a"), None).await.unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(backend.path(&name("a")).unwrap()).unwrap();
    file.set_len(1).unwrap();
    let mut ended_well = true;
    while let Some(piece) = reading.next().await {
        ended_well &= piece.is_ok();
    }
    assert!(!ended_well);
}

#[tokio::test]
async fn images_are_looked_at_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Backend::directory(dir.path()).unwrap();
    put(&backend, "raw", &[0; 4096]).await;
    let about = backend.inspect(&name("raw"), Some(disk::Format::Raw)).await.unwrap().unwrap();
    assert_eq!(about.virtual_bytes, Some(4096));
    put(&backend, "lie", b"QFI\xfb\0\0\0\x03 and nothing more").await;
    let refused = backend.inspect(&name("lie"), Some(disk::Format::Raw)).await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("qcow2"), "{refused}");
    assert!(backend.inspect(&name("lie"), Some(disk::Format::Qcow2)).await.unwrap().is_err());
    assert_eq!(backend.head(&name("lie"), 3).await.unwrap(), b"QFI");
}

//! Secrets at rest: sealed with ChaCha20-Poly1305 under a key file, bound to the row that they belong to.

use crate::database::OpenError;
use crate::{Result, StoreError};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const KEY_BYTES: usize = 32;

pub(crate) struct Sealer {
    key: LessSafeKey,
    /// For keys that are derived.
    root: hmac::Key,
    random: SystemRandom,
}

/// Makes the key file, whole or not at all, unless it is there.
fn make(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let begun = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&begun)?;
    let made =
        file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&begun, path));
    fs::remove_file(&begun)?;
    match made {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

impl Sealer {
    /// Reads the key file, or makes one that only its owner can read.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::File { path: path.to_owned(), source };
        let random = SystemRandom::new();
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut bytes = vec![0; KEY_BYTES];
                random.fill(&mut bytes).map_err(|_| failed(std::io::Error::other("no randomness")))?;
                make(path, &bytes).map_err(failed)?;
                // Another process that shares the directory may have been first.
                fs::read(path).map_err(failed)?
            }
            Err(error) => return Err(failed(error)),
        };
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes)
            .map_err(|_| failed(std::io::Error::other(format!("a seal key has {KEY_BYTES} bytes"))))?;
        let root = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        Ok(Self { key: LessSafeKey::new(key), root, random })
    }

    /// Seals `plain` for the row `of`; out comes nonce and ciphertext.
    pub fn seal(&self, of: &str, plain: &[u8]) -> Result<Vec<u8>> {
        let failed = || StoreError::Seal { what: of.to_owned() };
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| failed())?;
        let mut sealed = plain.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(of.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| failed())?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// A key for one purpose, always the same under the same key file, from which neither it nor another purpose's key can be told.
    pub fn derive(&self, purpose: &str) -> [u8; KEY_BYTES] {
        let mut key = [0; KEY_BYTES];
        key.copy_from_slice(hmac::sign(&self.root, format!("key for {purpose}").as_bytes()).as_ref());
        key
    }

    /// Opens what [`Sealer::seal`] made for the same row.
    pub fn open_sealed(&self, of: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let failed = || StoreError::Seal { what: of.to_owned() };
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or_else(failed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed())?;
        let mut body = body.to_vec();
        let plain =
            self.key.open_in_place(nonce, Aad::from(of.as_bytes()), &mut body).map_err(|_| failed())?;
        Ok(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_only_for_its_own_row_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let sealer = Sealer::open(&dir.path().join("a")).unwrap();
        let sealed = sealer.seal("node 1", b"calvin").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"calvin"));
        assert_eq!(sealer.open_sealed("node 1", &sealed).unwrap(), b"calvin");
        assert!(sealer.open_sealed("node 2", &sealed).is_err());
        let other = Sealer::open(&dir.path().join("b")).unwrap();
        assert!(other.open_sealed("node 1", &sealed).is_err());
        assert_ne!(sealer.derive("a"), sealer.derive("b"));
        assert_ne!(sealer.derive("a"), other.derive("a"));
        let again = Sealer::open(&dir.path().join("a")).unwrap();
        assert_eq!(again.open_sealed("node 1", &sealed).unwrap(), b"calvin");
        assert_eq!(sealer.derive("a"), again.derive("a"));
    }
}

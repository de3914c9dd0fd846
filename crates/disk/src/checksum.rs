//! Checksums: streaming, and in the forms in which Ironic and Glance hand them around.
//!
//! Sources: Ironic's `instance_info.image_checksum`, `image_os_hash_algo`, `image_os_hash_value`; ironic-python-agent's
//! handling of checksum files (`<hex>  <name>` lines as coreutils write them, and BSD's `SHA256 (<name>) = <hex>`).

use std::fmt;

use md5::Digest;

use crate::error::{Error, Result};

/// Longest checksum file that is looked at, in bytes. The callers bound their download with it too.
pub const MAX_LIST_LENGTH: usize = 1 << 20;

/// A hash algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5: only where [`Policy::is_md5_allowed`].
    Md5,
    /// SHA-1: same policy as MD5, since it is broken in the same way.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 5] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name as Glance's `os_hash_algo` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the digest in bytes.
    pub fn digest_length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        let plain: String = name.chars().filter(|c| *c != '-').flat_map(char::to_lowercase).collect();
        Self::ALL.into_iter().find(|a| a.name() == plain)
    }

    fn by_digest_length(length: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.digest_length() == length)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which algorithms may vouch for an image. The default refuses MD5 and SHA-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Whether broken algorithms (MD5, SHA-1) may be used (`[agent] allow_md5_checksum`).
    pub is_md5_allowed: bool,
}

impl Policy {
    fn check(self, algorithm: Algorithm) -> Result<()> {
        if matches!(algorithm, Algorithm::Md5 | Algorithm::Sha1) && !self.is_md5_allowed {
            return Err(refused(
                format!("{algorithm} does not protect an image and is not allowed here"),
                "give a sha256 or sha512 checksum, or allow md5 in the configuration",
            ));
        }
        Ok(())
    }
}

/// The digest of some bytes. `Display` is lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    algorithm: Algorithm,
    digest: Vec<u8>,
}

impl Checksum {
    /// Reads a checksum as Ironic stores it: hex digits, with the algorithm's name beside it (`image_os_hash_algo`) or
    /// told by their number. Errors: [`Error::ChecksumText`] if it is no hex, has no known length, doesn't fit the algorithm,
    /// or is against the policy.
    pub fn parse(algorithm: Option<&str>, text: &str, policy: Policy) -> Result<Self> {
        let text = text.trim();
        let digest = decode_hex(text).ok_or_else(|| {
            refused(format!("{:?} is not a hex digest", shorten(text)), "give the digest as hex digits")
        })?;
        let by_length = Algorithm::by_digest_length(digest.len());
        let algorithm = match algorithm {
            None => by_length.ok_or_else(|| {
                refused(
                    format!("no algorithm has a digest of {} hex digits", text.len()),
                    "give a sha256 (64 digits) or sha512 (128 digits) checksum",
                )
            })?,
            Some(name) => {
                let named = Algorithm::by_name(name).ok_or_else(|| {
                    refused(format!("unknown algorithm {:?}", shorten(name)), "use sha256, sha384 or sha512")
                })?;
                if by_length != Some(named) {
                    return Err(refused(
                        format!("{} hex digits are not a {named} digest", text.len()),
                        "give the algorithm that made the digest",
                    ));
                }
                named
            }
        };
        policy.check(algorithm)?;
        Ok(Self { algorithm, digest })
    }

    /// Finds the checksum of `file_name` in the text of a checksum file (`SHA256SUMS` and the like). A file that holds nothing
    /// but one digest is taken as that file's. Errors: [`Error::ChecksumText`] if the name isn't in it, twice in it
    /// with different digests, or the digest is refused by [`Checksum::parse`].
    pub fn find_in_list(list: &str, file_name: &str, policy: Policy) -> Result<Self> {
        if list.len() > MAX_LIST_LENGTH {
            return Err(refused(
                format!("the checksum file has {} bytes, at most {MAX_LIST_LENGTH} are read", list.len()),
                "give the address of a checksum file, not of an image",
            ));
        }
        let lines = || list.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        let mut found: Option<Self> = None;
        for (name, hex) in lines().filter_map(split_line) {
            if name.rsplit('/').next() != Some(file_name) {
                continue;
            }
            let checksum = Self::parse(None, hex, policy)?;
            if found.as_ref().is_some_and(|f| *f != checksum) {
                return Err(refused(
                    format!("the checksum file has two different digests for {:?}", shorten(file_name)),
                    "repair the checksum file or give the digest itself",
                ));
            }
            found = Some(checksum);
        }
        if let Some(checksum) = found {
            return Ok(checksum);
        }
        let mut rest = lines();
        if let (Some(only), None) = (rest.next(), rest.next())
            && decode_hex(only).is_some()
        {
            return Self::parse(None, only, policy);
        }
        Err(refused(
            format!("the checksum file has no line for {:?}", shorten(file_name)),
            "check the image's name, or give the digest itself",
        ))
    }

    /// The algorithm that made it.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// `(name, hex)` of a line of a checksum file, in coreutils' or BSD's form.
fn split_line(line: &str) -> Option<(&str, &str)> {
    if let Some((left, hex)) = line.rsplit_once(") = ")
        && let Some((_algorithm, name)) = left.split_once(" (")
    {
        return Some((name, hex.trim()));
    }
    let (hex, name) = line.split_once(char::is_whitespace)?;
    let name = name.trim_start();
    Some((name.strip_prefix('*').unwrap_or(name), hex))
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let longest = 2 * Algorithm::Sha512.digest_length();
    if text.is_empty() || text.len() > longest || !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| {
            let (high, low) = (char::from(pair[0]).to_digit(16)?, char::from(pair[1]).to_digit(16)?);
            u8::try_from(high << 4 | low).ok()
        })
        .collect()
}

fn shorten(text: &str) -> String {
    text.chars().take(140).collect()
}

fn refused(problem: String, remedy: &'static str) -> Error {
    Error::ChecksumText { problem, remedy }
}

/// Hashes bytes as they pass.
pub struct Hasher {
    algorithm: Algorithm,
    state: State,
}

enum State {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    /// By ring, whose SHA-2 is nearly twice as fast as the sha2 crate's: an image passes through it as fast as a disk writes.
    Sha2(ring::digest::Context),
}

impl Hasher {
    /// A hasher that has seen nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        let sha2 = |kind| State::Sha2(ring::digest::Context::new(kind));
        let state = match algorithm {
            Algorithm::Md5 => State::Md5(md5::Md5::new()),
            Algorithm::Sha1 => State::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => sha2(&ring::digest::SHA256),
            Algorithm::Sha384 => sha2(&ring::digest::SHA384),
            Algorithm::Sha512 => sha2(&ring::digest::SHA512),
        };
        Self { algorithm, state }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.state {
            State::Md5(h) => h.update(data),
            State::Sha1(h) => h.update(data),
            State::Sha2(h) => h.update(data),
        }
    }

    /// The digest of everything that was given.
    pub fn finish(self) -> Checksum {
        let digest = match self.state {
            State::Md5(h) => h.finalize().to_vec(),
            State::Sha1(h) => h.finalize().to_vec(),
            State::Sha2(h) => h.finish().as_ref().to_vec(),
        };
        Checksum { algorithm: self.algorithm, digest }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({})", self.algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const EMPTY_MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

    #[test]
    fn known_digests_of_abc() {
        let known = [
            (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ];
        for (algorithm, hex) in known {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"a");
            hasher.update(b"bc");
            assert_eq!(hasher.finish().to_string(), hex);
        }
        for algorithm in Algorithm::ALL {
            let digest = Hasher::new(algorithm).finish();
            assert_eq!(digest.digest.len(), algorithm.digest_length());
        }
    }

    #[test]
    fn algorithm_is_told_by_length() {
        let checksum = Checksum::parse(None, EMPTY_SHA256, Policy::default()).unwrap();
        assert_eq!(checksum.algorithm(), Algorithm::Sha256);
        assert_eq!(checksum, Hasher::new(Algorithm::Sha256).finish());
        assert_eq!(
            Checksum::parse(Some("SHA-256"), &EMPTY_SHA256.to_uppercase(), Policy::default()).unwrap(),
            checksum
        );
    }

    #[test]
    fn bad_checksums_are_refused_with_a_reason() {
        let cases = [
            (None, "zz", "not a hex digest"),
            (None, "abcd", "no algorithm has a digest of 4 hex digits"),
            (None, "", "not a hex digest"),
            (Some("sha512"), EMPTY_SHA256, "64 hex digits are not a sha512 digest"),
            (Some("crc32"), EMPTY_SHA256, "unknown algorithm"),
            (None, EMPTY_MD5, "md5 does not protect"),
            (None, "é3", "not a hex digest"),
        ];
        for (algorithm, text, reason) in cases {
            let error = Checksum::parse(algorithm, text, Policy::default()).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(Checksum::parse(None, EMPTY_MD5, Policy { is_md5_allowed: true }).is_ok());
    }

    #[test]
    fn lists_of_all_kinds() {
        let other = "0".repeat(64);
        let forms = [
            format!("{other}  a.qcow2\n{EMPTY_SHA256}  b.qcow2\n"),
            format!("{other} *a.qcow2\r\n{EMPTY_SHA256} *b.qcow2\r\n"),
            format!("# made by hand\n{EMPTY_SHA256}  ./images/b.qcow2\n"),
            format!("SHA256 (b.qcow2) = {EMPTY_SHA256}\nSHA256 (a.qcow2) = {other}\n"),
            format!("{EMPTY_SHA256}\n"),
        ];
        for list in forms {
            let found = Checksum::find_in_list(&list, "b.qcow2", Policy::default()).unwrap();
            assert_eq!(found.to_string(), EMPTY_SHA256, "{list}");
        }
    }

    #[test]
    fn lists_that_do_not_help() {
        let other = "0".repeat(64);
        let cases = [
            (format!("{EMPTY_SHA256}  a\n"), "no line for"),
            (format!("{EMPTY_SHA256}  b\n{other}  b\n"), "two different digests"),
            ("<html>".to_owned(), "no line for"),
            ("x".repeat(MAX_LIST_LENGTH + 1), "at most"),
        ];
        for (list, reason) in cases {
            let error = Checksum::find_in_list(&list, "b", Policy::default()).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}

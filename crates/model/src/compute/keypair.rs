//! A keypair: the public key that a user's servers let in. The private one is never stored.

use jiff::Timestamp;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData};
use ssh_key::public::Ed25519PublicKey;
use ssh_key::{LineEnding, PrivateKey, PublicKey};
use uuid::Uuid;

/// A keypair as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Keypair {
    /// The row's identity, which no client sees.
    pub uuid: Uuid,
    /// The user's name for it, unique among that user's.
    pub name: String,
    /// Whose it is.
    pub user_id: String,
    /// The public key as OpenSSH writes it, in one line.
    pub public_key: String,
    /// MD5 of the key, in pairs of hex digits with colons.
    pub fingerprint: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A public key longer than this is none (an RSA key of 16384 bits has 2800 characters).
pub const PUBLIC_KEY_LENGTH: usize = 16_384;
/// Characters of a keypair's name.
pub const NAME_LENGTH: usize = 255;

/// Why a public key is refused.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Longer than [`PUBLIC_KEY_LENGTH`].
    #[error("the public key has more than {PUBLIC_KEY_LENGTH} characters")]
    TooLong,
    /// More than one key, or a key in another format.
    #[error(
        "a public key is one line as OpenSSH writes it (ssh-ed25519, ssh-rsa, ecdsa-sha2-…), and this has several"
    )]
    SeveralLines,
    /// Somebody's secret, which must not be stored and is compromised now.
    #[error(
        "this is a private key, and whoever has read this request has it now: import the public one (the file that ends in .pub)"
    )]
    Private,
    /// It does not read.
    #[error("the public key does not read as OpenSSH's: {0}")]
    Unreadable(#[from] ssh_key::Error),
}

/// Reads a public key of OpenSSH's: out come the line as it is stored, and its MD5 fingerprint as Nova shows it.
pub fn import(text: &str) -> Result<(String, String), KeyError> {
    if text.len() > PUBLIC_KEY_LENGTH {
        return Err(KeyError::TooLong);
    }
    let line = text.trim();
    if line.contains("PRIVATE KEY") {
        return Err(KeyError::Private);
    }
    if line.contains(['\n', '\r']) {
        return Err(KeyError::SeveralLines);
    }
    let key = PublicKey::from_openssh(line)?;
    Ok((line.to_owned(), fingerprint(&key)?))
}

/// MD5 over the key's binary form. It names a key to people and protects nothing.
fn fingerprint(key: &PublicKey) -> Result<String, KeyError> {
    let digest = Md5::digest(key.to_bytes()?);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"))
}

/// A pair made out of an Ed25519 seed and the public key that belongs to it: out come OpenSSH's private file and public line.
pub fn generated(
    seed: [u8; 32],
    public: [u8; 32],
    comment: &str,
) -> Result<(crate::Secret, String), KeyError> {
    let pair =
        Ed25519Keypair { public: Ed25519PublicKey(public), private: Ed25519PrivateKey::from_bytes(&seed) };
    let private = PrivateKey::new(KeypairData::Ed25519(pair), comment)?;
    let file = private.to_openssh(LineEnding::LF)?;
    Ok((crate::Secret::new(file.as_str()), private.public_key().to_openssh()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `ssh-keygen`, with the fingerprints of `ssh-keygen -l -E md5`.
    const KEYS: &str = include_str!("keypairs.txt");

    #[test]
    fn keys_of_all_usual_types_have_the_fingerprints_of_ssh_keygen() {
        let mut kinds = Vec::new();
        for line in KEYS.lines() {
            let (fingerprint, key) = line.split_once(' ').unwrap();
            let (stored, own) = import(&format!("{key}\n")).unwrap();
            assert_eq!((stored.as_str(), own.as_str()), (key, fingerprint));
            kinds.push(key.split(' ').next().unwrap());
        }
        assert_eq!(kinds.len(), 6, "{kinds:?}");
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        let key = KEYS.lines().next().unwrap().split_once(' ').unwrap().1;
        let other_type = key.replacen("ssh-ed25519", "ssh-rsa", 1);
        let cut = &key[..40];
        for text in ["", "x", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-unknown AAAA", &other_type, cut] {
            assert!(matches!(import(text), Err(KeyError::Unreadable(_))), "{text}");
        }
        assert!(matches!(import(&format!("{key}\n{key}")), Err(KeyError::SeveralLines)));
        assert!(matches!(import(&"x".repeat(PUBLIC_KEY_LENGTH + 1)), Err(KeyError::TooLong)));
        let (private, _) = generated([1; 32], [2; 32], "").unwrap();
        assert!(matches!(import(private.expose()), Err(KeyError::Private)));
    }

    #[test]
    fn a_generated_pair_reads_back() {
        // RFC 8032, section 7.1, test 1.
        let seed = *b"\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60";
        let public = *b"\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a\x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a";
        let (private, line) = generated(seed, public, "Generated-by-Billet").unwrap();
        assert!(line.starts_with("ssh-ed25519 ") && line.ends_with(" Generated-by-Billet"), "{line}");
        assert!(import(&line).is_ok());
        let read = PrivateKey::from_openssh(private.expose()).unwrap();
        assert_eq!(read.public_key().to_openssh().unwrap(), line);
        assert_eq!(read.key_data().ed25519().unwrap().private.as_ref(), &seed);
    }
}

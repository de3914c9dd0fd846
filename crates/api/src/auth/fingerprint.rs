//! Salted digests: how passwords and tokens are remembered without being kept.

use ring::rand::SecureRandom;

/// A salted digest of a secret.
pub type Fingerprint = [u8; 32];

/// The system gives no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes, so that nothing could be remembered safely")]
pub struct NoRandomness;

/// Makes fingerprints with a salt of its own, so that they mean nothing outside of this process.
pub struct Fingerprints {
    salt: [u8; 32],
}

impl Fingerprints {
    /// Draws a salt.
    pub fn new() -> Result<Self, NoRandomness> {
        let mut salt = [0; 32];
        ring::rand::SystemRandom::new().fill(&mut salt).map_err(|_| NoRandomness)?;
        Ok(Self { salt })
    }

    /// The fingerprint of several parts; where one ends and the next begins counts.
    pub fn of(&self, parts: &[&[u8]]) -> Fingerprint {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        context.update(&self.salt);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_salts_count() {
        let one = Fingerprints::new().unwrap();
        assert_eq!(one.of(&[b"ab", b"c"]), one.of(&[b"ab", b"c"]));
        assert_ne!(one.of(&[b"ab", b"c"]), one.of(&[b"a", b"bc"]));
        assert_ne!(one.of(&[b"ab"]), Fingerprints::new().unwrap().of(&[b"ab"]));
    }
}

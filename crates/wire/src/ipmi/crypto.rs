//! Cipher suites and what they compute: HMACs of the RAKP exchange, session keys, packet integrity and encryption.
//!
//! Specification 13.28 (algorithms), 13.31 (SIK), 13.32 (K1, K2), 13.29 (AES-CBC-128), table 22-20 (suites).

use super::DecodeError;
use cbc::cipher::array::Array;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac as _};
use sha1::Sha1;
use sha2::Sha256;
use std::fmt;
use subtle::ConstantTimeEq;

/// Longest user name (22.28).
pub const MAX_USERNAME: usize = 16;
/// Longest password of IPMI 2.0 (22.30), and longest K_g.
pub const MAX_PASSWORD: usize = 20;
/// AES block and initialisation vector.
pub const BLOCK: usize = 16;

/// The cipher suites spoken here (table 22-20). Suites with MD5, without confidentiality or with RC4 are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CipherSuite {
    /// 0: no authentication at all. Anybody may do anything; only used when asked for by number.
    Zero,
    /// 3: RAKP-HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128.
    Three,
    /// 17: RAKP-HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128.
    Seventeen,
}

impl CipherSuite {
    /// The suite's number.
    pub fn id(self) -> u8 {
        match self {
            Self::Zero => 0,
            Self::Three => 3,
            Self::Seventeen => 17,
        }
    }

    /// The suite of a number, if it is spoken here.
    pub fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::Zero),
            3 => Some(Self::Three),
            17 => Some(Self::Seventeen),
            _ => None,
        }
    }

    /// Numbers of the authentication, integrity and confidentiality algorithms (tables 13-17 to 13-19).
    pub fn algorithms(self) -> [u8; 3] {
        match self {
            Self::Zero => [0, 0, 0],
            Self::Three => [1, 1, 1],
            Self::Seventeen => [3, 4, 1],
        }
    }

    /// The suite that uses exactly these algorithms.
    pub fn from_algorithms(algorithms: [u8; 3]) -> Option<Self> {
        [Self::Zero, Self::Three, Self::Seventeen].into_iter().find(|s| s.algorithms() == algorithms)
    }

    /// Bytes of the key exchange authentication code in RAKP messages 2 and 3.
    pub fn key_exchange_bytes(self) -> usize {
        match self {
            Self::Zero => 0,
            Self::Three => 20,
            Self::Seventeen => 32,
        }
    }

    /// Bytes of the integrity check value in RAKP message 4 and of the code behind each packet.
    pub fn integrity_bytes(self) -> usize {
        match self {
            Self::Zero => 0,
            Self::Three => 12,
            Self::Seventeen => 16,
        }
    }

    /// Are packets of this suite's sessions signed and encrypted?
    pub fn is_protected(self) -> bool {
        self != Self::Zero
    }
}

/// What proves who we are: user name, password, and the BMC's own key where it has one. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// At most [`MAX_USERNAME`] bytes; empty is the null user.
    pub username: Vec<u8>,
    /// At most [`MAX_PASSWORD`] bytes.
    pub password: Vec<u8>,
    /// K_g, where two-key logins are configured; the password takes its place otherwise (13.31).
    pub kg: Option<Vec<u8>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &String::from_utf8_lossy(&self.username))
            .field("password", &"***")
            .field("kg", &self.kg.as_ref().map(|_| "***"))
            .finish()
    }
}

/// A message authentication code of a suite, at most 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code {
    bytes: [u8; 32],
    len: usize,
}

impl Code {
    pub(crate) fn truncated(&self, len: usize) -> &[u8] {
        &self.bytes[..len.min(self.len)]
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// HMAC of the suite's hash over the parts; empty for suite 0.
pub(crate) fn code(suite: CipherSuite, key: &[u8], parts: &[&[u8]]) -> Code {
    let mut out = Code { bytes: [0; 32], len: suite.key_exchange_bytes() };
    // HMAC takes keys of any length, so that `new_from_slice` has no error to give; an all-zero code never verifies anyway.
    match suite {
        CipherSuite::Zero => {}
        CipherSuite::Three => {
            if let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) {
                parts.iter().for_each(|p| mac.update(p));
                out.bytes[..20].copy_from_slice(&mac.finalize().into_bytes());
            }
        }
        CipherSuite::Seventeen => {
            if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) {
                parts.iter().for_each(|p| mac.update(p));
                out.bytes.copy_from_slice(&mac.finalize().into_bytes());
            }
        }
    }
    out
}

/// Compares in constant time; lengths are no secret.
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && bool::from(a.ct_eq(b))
}

/// Keys of one session.
#[derive(Clone)]
pub(crate) struct Keys {
    sik: Code,
    k1: Code,
    aes: [u8; BLOCK],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(***)")
    }
}

/// What both sides know of each other once RAKP messages 1 and 2 are through; the HMACs of 13.31 are taken over its parts.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub suite: CipherSuite,
    pub console_id: u32,
    pub managed_id: u32,
    pub console_random: [u8; 16],
    pub managed_random: [u8; 16],
    pub managed_guid: [u8; 16],
    /// Role byte exactly as in RAKP message 1.
    pub role: u8,
    pub username: Vec<u8>,
}

impl Exchange {
    fn name(&self) -> Vec<u8> {
        let mut out = vec![self.role, self.username.len() as u8];
        out.extend(&self.username);
        out
    }

    /// Key exchange authentication code of RAKP message 2.
    pub(crate) fn rakp2_code(&self, password: &[u8]) -> Code {
        code(
            self.suite,
            password,
            &[
                &self.console_id.to_le_bytes(),
                &self.managed_id.to_le_bytes(),
                &self.console_random,
                &self.managed_random,
                &self.managed_guid,
                &self.name(),
            ],
        )
    }

    /// Key exchange authentication code of RAKP message 3.
    pub(crate) fn rakp3_code(&self, password: &[u8]) -> Code {
        code(self.suite, password, &[&self.managed_random, &self.console_id.to_le_bytes(), &self.name()])
    }

    /// Session integrity key and what is derived from it.
    pub(crate) fn keys(&self, password: &[u8], kg: Option<&[u8]>) -> Keys {
        let sik = code(
            self.suite,
            kg.unwrap_or(password),
            &[&self.console_random, &self.managed_random, &self.name()],
        );
        // 13.32: the constants are 20 bytes long whatever the hash.
        let k1 = code(self.suite, sik.as_slice(), &[&[0x01; 20]]);
        let k2 = code(self.suite, sik.as_slice(), &[&[0x02; 20]]);
        let mut aes = [0; BLOCK];
        aes.copy_from_slice(&k2.bytes[..BLOCK]);
        Keys { sik, k1, aes }
    }

    /// Integrity check value of RAKP message 4, not truncated.
    pub(crate) fn rakp4_code(&self, keys: &Keys) -> Code {
        code(
            self.suite,
            keys.sik.as_slice(),
            &[&self.console_random, &self.managed_id.to_le_bytes(), &self.managed_guid],
        )
    }
}

impl Keys {
    /// Code behind a packet, over everything from the authentication type to the next-header byte.
    pub(crate) fn packet_code(&self, suite: CipherSuite, covered: &[u8]) -> Code {
        code(suite, self.k1.as_slice(), &[covered])
    }

    /// Encrypts a payload: vector, then payload with its confidentiality trailer (table 13-20).
    pub(crate) fn encrypt(&self, payload: &[u8], vector: &[u8; BLOCK]) -> Vec<u8> {
        let pad = (BLOCK - (payload.len() + 1) % BLOCK) % BLOCK;
        let mut out = Vec::with_capacity(BLOCK + payload.len() + pad + 1);
        out.extend(vector);
        out.extend(payload);
        out.extend((1..=pad).map(|n| n as u8));
        out.push(pad as u8);
        let (blocks, _) = Array::slice_as_chunks_mut(&mut out[BLOCK..]);
        cbc::Encryptor::<aes::Aes128>::new(&self.aes.into(), &(*vector).into()).encrypt_blocks(blocks);
        out
    }

    /// Decrypts a payload. Call it only on bytes whose integrity is verified: what it says about padding is no secret then.
    pub(crate) fn decrypt(&self, wire: &[u8]) -> Result<Vec<u8>, DecodeError> {
        const WHAT: &str = "encrypted payload";
        let vector: [u8; BLOCK] = super::array(WHAT, wire, 0)?;
        let mut plain = wire[BLOCK..].to_vec();
        if plain.is_empty() || !plain.len().is_multiple_of(BLOCK) {
            return Err(DecodeError::Malformed { what: WHAT, problem: "not a whole number of blocks" });
        }
        let (blocks, _) = Array::slice_as_chunks_mut(&mut plain);
        cbc::Decryptor::<aes::Aes128>::new(&self.aes.into(), &vector.into()).decrypt_blocks(blocks);
        let pad = usize::from(plain[plain.len() - 1]);
        if pad >= BLOCK {
            return Err(DecodeError::Malformed { what: WHAT, problem: "padding longer than a block" });
        }
        let end = plain.len() - 1 - pad;
        if plain[end..end + pad].iter().zip(1u8..).any(|(&got, want)| got != want) {
            return Err(DecodeError::Malformed { what: WHAT, problem: "padding is not 1, 2, 3…" });
        }
        plain.truncate(end);
        Ok(plain)
    }
}

//! Passwords and other secrets that are checked, not used: what is kept of them, and how they are guessed at.
//!
//! What people choose is kept as Argon2id; what this program draws (256 bits) as a salted SHA-256, since no amount of work makes
//! guessing that harder. Every check that fails has cost one Argon2id, whoever was asked about and why it failed, so that time tells
//! nobody who exists; and checks are counted for names that nobody has as for those that somebody has.

use crate::auth::fingerprint::{Fingerprint, Fingerprints, NoRandomness};
use crate::cloud::CloudError;
use crate::limits::{
    LOCKOUT_FAILURES, LOCKOUT_NAMES, LOCKOUT_TIME, PASSWORD_BYTES, PASSWORD_CHECKS, PASSWORD_WAIT,
    PASSWORD_WAITERS,
};
use argon2::{Algorithm, Argon2, Params, Version};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD as BASE64, URL_SAFE_NO_PAD};
use model::Secret;
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::Semaphore;

/// Of the choices that OWASP's cheat sheet gives as equally strong, the one with most memory and one round: so much is mapped by itself
/// and given back to the system when it is free, where the allocator would keep a few megabytes for each thread that has ever hashed.
const MEMORY_KIB: u32 = 47_104;
const ROUNDS: u32 = 1;
const DIGEST: usize = 32;
const SALT: usize = 16;
/// How digests of drawn secrets begin.
const DRAWN: &str = "$sha256$";

/// Draws a secret: 256 bits as 43 letters, digits, `-` and `_`.
pub fn draw() -> Result<Secret, NoRandomness> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

fn salt() -> Result<[u8; SALT], NoRandomness> {
    let mut salt = [0; SALT];
    SystemRandom::new().fill(&mut salt).map_err(|_| NoRandomness)?;
    Ok(salt)
}

/// What is kept of a secret that [`draw`] made.
pub fn digest_of_drawn(secret: &Secret) -> Result<Secret, NoRandomness> {
    let salt = salt()?;
    let digest = sha256(&salt, secret);
    Ok(Secret::new(format!("{DRAWN}{}${}", BASE64.encode(salt), BASE64.encode(digest))))
}

fn sha256(salt: &[u8], secret: &Secret) -> [u8; DIGEST] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(salt);
    context.update(secret.expose().as_bytes());
    let mut out = [0; DIGEST];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// Argon2id with the parameters of a digest. `None`: they are none.
fn argon2id(memory: u32, rounds: u32, lanes: u32, salt: &[u8], secret: &Secret) -> Option<[u8; DIGEST]> {
    let params = Params::new(memory, rounds, lanes, Some(DIGEST)).ok()?;
    let mut out = [0; DIGEST];
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    hasher.hash_password_into(secret.expose().as_bytes(), salt, &mut out).ok()?;
    Some(out)
}

/// What is kept of a secret that somebody chose, in the form that other programs use too. Blocks for tens of milliseconds.
pub fn digest_of_chosen(secret: &Secret) -> Result<Secret, NoRandomness> {
    let salt = salt()?;
    let digest = argon2id(MEMORY_KIB, ROUNDS, 1, &salt, secret).ok_or(NoRandomness)?;
    Ok(Secret::new(format!(
        "$argon2id$v=19$m={MEMORY_KIB},t={ROUNDS},p=1${}${}",
        BASE64.encode(salt),
        BASE64.encode(digest)
    )))
}

/// Does the secret fit the digest? Takes the time of one Argon2id where it doesn't.
fn check(digest: Option<&Secret>, secret: &Secret) -> bool {
    let Some(digest) = digest else {
        spend(secret);
        return false;
    };
    let text = digest.expose();
    if text.starts_with(DRAWN) {
        let fits = check_drawn(text, secret).unwrap_or(false);
        if !fits {
            spend(secret);
        }
        return fits;
    }
    check_chosen(text, secret).unwrap_or(false)
}

fn check_drawn(text: &str, secret: &Secret) -> Option<bool> {
    let (salt, digest) = text.strip_prefix(DRAWN)?.split_once('$')?;
    let (salt, digest) = (BASE64.decode(salt).ok()?, BASE64.decode(digest).ok()?);
    Some(is_equal(&sha256(&salt, secret), &digest))
}

fn check_chosen(text: &str, secret: &Secret) -> Option<bool> {
    let parts: Vec<_> = text.split('$').collect();
    let &["", "argon2id", "v=19", params, salt, digest] = parts.as_slice() else { return None };
    let mut numbers = params.split(',').zip(["m=", "t=", "p="]).map(|(part, name)| part.strip_prefix(name));
    let mut next = || numbers.next()??.parse::<u32>().ok();
    let (memory, rounds, lanes) = (next()?, next()?, next()?);
    let (salt, digest) = (BASE64.decode(salt).ok()?, BASE64.decode(digest).ok()?);
    Some(is_equal(&argon2id(memory, rounds, lanes, &salt, secret)?, &digest))
}

/// Costs what a check costs.
fn spend(secret: &Secret) {
    let _ = std::hint::black_box(argon2id(MEMORY_KIB, ROUNDS, 1, &[0; SALT], secret));
}

/// Compares without telling by time where they differ.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// Wrong guesses at one name.
#[derive(Clone, Copy)]
struct Guesses {
    failures: u32,
    last: Instant,
}

/// Checks and makes digests, a few at once, and counts wrong guesses.
pub struct Passwords {
    permits: Arc<Semaphore>,
    waiters: Semaphore,
    fingerprints: Fingerprints,
    guesses: Mutex<HashMap<Fingerprint, Guesses>>,
}

impl Passwords {
    /// With nothing counted yet.
    pub fn new() -> Result<Self, NoRandomness> {
        Ok(Self {
            permits: Arc::new(Semaphore::new(PASSWORD_CHECKS)),
            waiters: Semaphore::new(PASSWORD_WAITERS),
            fingerprints: Fingerprints::new()?,
            guesses: Mutex::default(),
        })
    }

    /// The digest of a secret that somebody chose.
    pub async fn digest(&self, secret: &Secret) -> Result<Secret, CloudError> {
        let secret = secret.clone();
        self.work(move || digest_of_chosen(&secret))
            .await?
            .map_err(|error| CloudError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
    }

    /// Does the secret fit the digest? `name` is what is guessed at, whether there is such a thing (`digest`) or not; after too many wrong
    /// guesses it is locked for a while, and nothing fits.
    pub async fn fits(
        &self,
        name: &[&str],
        digest: Option<Secret>,
        secret: &Secret,
    ) -> Result<bool, CloudError> {
        let parts: Vec<_> = name.iter().map(|part| part.as_bytes()).collect();
        let key = self.fingerprints.of(&parts);
        let is_locked = self.is_locked(&key);
        // A locked name costs the same as any other.
        let digest = digest.filter(|_| !is_locked && secret.expose().len() <= PASSWORD_BYTES);
        let secret = secret.clone();
        let fits = self.work(move || check(digest.as_ref(), &secret)).await?;
        if fits {
            self.guesses().remove(&key);
        } else if !is_locked && self.count(key) {
            tracing::warn!(
                name = name.join(" "),
                seconds = LOCKOUT_TIME.as_secs(),
                "locked out after {LOCKOUT_FAILURES} wrong passwords in a row"
            );
        }
        Ok(fits)
    }

    /// Forgets wrong guesses: an operator has set another secret.
    pub fn unlock(&self, name: &[&str]) {
        let parts: Vec<_> = name.iter().map(|part| part.as_bytes()).collect();
        self.guesses().remove(&self.fingerprints.of(&parts));
    }

    fn guesses(&self) -> std::sync::MutexGuard<'_, HashMap<Fingerprint, Guesses>> {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_locked(&self, key: &Fingerprint) -> bool {
        let guesses = self.guesses();
        guesses
            .get(key)
            .is_some_and(|known| known.failures >= LOCKOUT_FAILURES && known.last.elapsed() < LOCKOUT_TIME)
    }

    /// Counts a wrong guess; is it the one that locks the name?
    fn count(&self, key: Fingerprint) -> bool {
        let now = Instant::now();
        let mut guesses = self.guesses();
        if guesses.len() >= LOCKOUT_NAMES {
            guesses.retain(|_, known| known.last.elapsed() < LOCKOUT_TIME);
        }
        if guesses.len() >= LOCKOUT_NAMES {
            // Each guess costs its maker a wait for Argon2id, so that this many names at once is somebody at work.
            tracing::warn!("wrong passwords for {LOCKOUT_NAMES} names at once; the oldest are forgotten");
            if let Some(oldest) = guesses.iter().min_by_key(|(_, known)| known.last).map(|(key, _)| *key) {
                guesses.remove(&oldest);
            }
        }
        let known = guesses.entry(key).or_insert(Guesses { failures: 0, last: now });
        if known.last.elapsed() >= LOCKOUT_TIME {
            known.failures = 0;
        }
        known.failures += 1;
        known.last = now;
        known.failures == LOCKOUT_FAILURES
    }

    /// Runs work that takes a core, a few at once; 503 where too many wait.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CloudError> {
        let busy = || {
            CloudError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many passwords are being checked at once. Try again later.",
            )
        };
        let _place = self.waiters.try_acquire().map_err(|_| busy())?;
        let permit = tokio::time::timeout(PASSWORD_WAIT, Arc::clone(&self.permits).acquire_owned());
        let permit = permit.await.map_err(|_| busy())?.map_err(|_| busy())?;
        // The permit goes along: a client that hangs up does not make room while its work goes on.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        done.await.map_err(|error| {
            tracing::error!(%error, "a password check ended without an answer");
            CloudError::new(StatusCode::INTERNAL_SERVER_ERROR, "The password could not be checked.")
        })
    }
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_fit_their_own_secret_only() {
        let (right, wrong) = (Secret::new("correct horse"), Secret::new("battery staple"));
        for digest in [digest_of_chosen(&right).unwrap(), digest_of_drawn(&right).unwrap()] {
            assert!(check(Some(&digest), &right));
            assert!(!check(Some(&digest), &wrong));
            assert!(!digest.expose().contains("horse"));
            assert_ne!(digest, digest_of_chosen(&right).unwrap(), "each has a salt of its own");
        }
        assert!(!check(None, &right));
        for broken in
            ["", "$sha256$", "$argon2id$v=19$m=1,t=0,p=0$AA$AA", "$argon2id$v=19$m=9216$a$b", "plain"]
        {
            assert!(!check(Some(&Secret::new(broken)), &right), "{broken}");
        }
        assert_ne!(draw().unwrap(), draw().unwrap());
    }

    /// From the reference implementation: `echo -n password | argon2 somesalt -id -m 8 -t 2 -p 1 -l 32`.
    #[test]
    fn argon2id_is_the_one_that_others_mean() {
        let out = argon2id(256, 2, 1, b"somesalt", &Secret::new("password")).unwrap();
        let hex: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe");
    }

    #[tokio::test]
    async fn a_name_is_locked_after_wrong_guesses_whether_there_is_one_or_not() {
        let passwords = Passwords::new().unwrap();
        let secret = Secret::new("right");
        let digest = passwords.digest(&secret).await.unwrap();
        for (name, digest) in [("known", Some(digest.clone())), ("unknown", None)] {
            for _ in 0..LOCKOUT_FAILURES {
                assert!(!passwords.fits(&[name], digest.clone(), &Secret::new("wrong")).await.unwrap());
            }
            assert!(passwords.is_locked(&passwords.fingerprints.of(&[name.as_bytes()])));
        }
        assert!(!passwords.fits(&["known"], Some(digest.clone()), &secret).await.unwrap());
        assert!(passwords.fits(&["other"], Some(digest.clone()), &secret).await.unwrap());
        passwords.unlock(&["known"]);
        assert!(passwords.fits(&["known"], Some(digest), &secret).await.unwrap());
    }
}

//! Users of an htpasswd file, by HTTP basic authentication.
//!
//! bcrypt is slow on purpose. So a password is verified on a thread of its own, a few at a time, and a right one is remembered
//! as a salted digest; wrong ones are not, since remembering them would only help whoever guesses.

use super::fingerprint::{Fingerprint, Fingerprints, NoRandomness};
use super::refuse;
use crate::error::ApiError;
use crate::limits::{PASSWORD_CACHE, PASSWORD_CHECKS, PASSWORD_FILE_AGE};
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};
use tokio::sync::Semaphore;

fn wrong() -> ApiError {
    refuse(StatusCode::UNAUTHORIZED, "Incorrect username or password")
}

fn parse(headers: &HeaderMap) -> Result<(String, Vec<u8>), ApiError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(refuse(StatusCode::UNAUTHORIZED, "Authorization required"));
    };
    let unreadable = |text: &str| refuse(StatusCode::BAD_REQUEST, text);
    let value = value.to_str().map_err(|_| unreadable("Could not parse Authorization header"))?;
    let (kind, token) = value
        .trim()
        .split_once(char::is_whitespace)
        .ok_or_else(|| unreadable("Could not parse Authorization header"))?;
    if !kind.eq_ignore_ascii_case("basic") {
        return Err(unreadable("Unsupported authorization type: only Basic is served"));
    }
    let undecodable = || unreadable("Could not decode authorization token");
    let pair = STANDARD.decode(token.trim()).map_err(|_| undecodable())?;
    let colon = pair.iter().position(|byte| *byte == b':').ok_or_else(undecodable)?;
    let user = String::from_utf8(pair[..colon].to_vec()).map_err(|_| undecodable())?;
    Ok((user, pair[colon + 1..].to_vec()))
}

/// Why a password file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PasswordFileError {
    /// It can't be read.
    #[error("password file {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An entry is not bcrypt.
    #[error(
        "password file {}: only bcrypt digests are supported, and line {line} has another kind (make it with `htpasswd -B`)",
        path.display()
    )]
    Kind {
        /// Which.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// Nothing can be remembered.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// An Apache htpasswd file with bcrypt digests (`htpasswd -B`). It is read again when it changes.
pub struct PasswordFile {
    path: PathBuf,
    fingerprints: Fingerprints,
    checks: Arc<Semaphore>,
    known: Mutex<Known>,
}

struct Known {
    digests: Arc<HashMap<String, String>>,
    modified: Option<SystemTime>,
    looked_at: Instant,
    right: HashSet<Fingerprint>,
}

impl std::fmt::Debug for PasswordFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl PasswordFile {
    /// Reads and checks the file.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, PasswordFileError> {
        let path = path.into();
        let (digests, modified) = read(&path)?;
        let fingerprints = Fingerprints::new()?;
        Ok(Self {
            path,
            fingerprints,
            checks: Arc::new(Semaphore::new(PASSWORD_CHECKS)),
            known: Mutex::new(Known {
                digests: Arc::new(digests),
                modified,
                looked_at: Instant::now(),
                right: HashSet::new(),
            }),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entries, read anew if the file changed. A file that turned bad leaves the last good one in force.
    fn digests(&self) -> Arc<HashMap<String, String>> {
        let mut known = self.known();
        if known.looked_at.elapsed() >= PASSWORD_FILE_AGE {
            known.looked_at = Instant::now();
            let modified = std::fs::metadata(&self.path).and_then(|meta| meta.modified()).ok();
            if modified != known.modified {
                match read(&self.path) {
                    Ok((digests, modified)) => {
                        known.digests = Arc::new(digests);
                        known.modified = modified;
                        known.right.clear();
                    }
                    Err(error) => tracing::error!(%error, "keeping the passwords read before"),
                }
            }
        }
        Arc::clone(&known.digests)
    }

    /// The user whose name and password the headers carry: 401 without, 400 for a header that can't be read, as Ironic does.
    pub(super) async fn identify(&self, headers: &HeaderMap) -> Result<String, ApiError> {
        let (user, password) = parse(headers)?;
        if self.verify(&user, password).await { Ok(user) } else { Err(wrong()) }
    }

    async fn verify(&self, user: &str, password: Vec<u8>) -> bool {
        let digests = self.digests();
        let known_user = digests.get(user).is_some();
        // An unknown user costs as much as a wrong password, so that names can't be told by time.
        let Some(digest) = digests.get(user).or_else(|| digests.values().next()).cloned() else {
            return false;
        };
        let fingerprint = self.fingerprints.of(&[user.as_bytes(), digest.as_bytes(), &password]);
        if known_user && self.known().right.contains(&fingerprint) {
            return true;
        }
        let Ok(_permit) = Arc::clone(&self.checks).acquire_owned().await else { return false };
        let checked =
            tokio::task::spawn_blocking(move || bcrypt::verify(&password, &digest).unwrap_or(false)).await;
        let right = known_user && checked.unwrap_or(false);
        if right {
            let mut known = self.known();
            if known.right.len() >= PASSWORD_CACHE {
                known.right.clear();
            }
            known.right.insert(fingerprint);
        }
        right
    }
}

fn read(path: &Path) -> Result<(HashMap<String, String>, Option<SystemTime>), PasswordFileError> {
    let failed = |source| PasswordFileError::Read { path: path.to_owned(), source };
    let modified = std::fs::metadata(path).map_err(failed)?.modified().ok();
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let mut digests = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let Some((user, digest)) = line.trim().split_once(':') else { continue };
        if !["$2y$", "$2a$", "$2b$"].iter().any(|prefix| digest.starts_with(prefix)) {
            return Err(PasswordFileError::Kind { path: path.to_owned(), line: index + 1 });
        }
        digests.entry(user.to_owned()).or_insert_with(|| digest.to_owned());
    }
    Ok((digests, modified))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Auth;
    use axum::http::HeaderValue;

    fn header(user: &str, password: &str) -> HeaderMap {
        let mut map = HeaderMap::new();
        let token = STANDARD.encode(format!("{user}:{password}"));
        map.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Basic {token}")).unwrap());
        map
    }

    fn file(lines: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("htpasswd");
        std::fs::write(&path, lines).unwrap();
        (dir, path)
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_gets_in() {
        let digest = bcrypt::hash("pass:word", 4).unwrap();
        let (_dir, path) = file(&format!("# comment\nadmin:{digest}\n"));
        let auth = Auth::Basic(PasswordFile::open(&path).unwrap());
        for _ in 0..2 {
            let caller = auth.identify(&header("admin", "pass:word")).await.unwrap();
            assert_eq!(caller.user.as_deref(), Some("admin"));
        }
        for bad in [header("admin", "pass"), header("root", "pass:word"), header("", ""), HeaderMap::new()] {
            assert_eq!(auth.identify(&bad).await.unwrap_err().status, StatusCode::UNAUTHORIZED);
        }
        for bad in ["Basic", "Basic !!", "Bearer abc", "Basic YQ=="] {
            let mut map = HeaderMap::new();
            map.insert(header::AUTHORIZATION, HeaderValue::from_static(bad));
            assert_eq!(auth.identify(&map).await.unwrap_err().status, StatusCode::BAD_REQUEST, "{bad}");
        }
    }

    #[test]
    fn other_digests_are_refused_when_the_file_is_opened() {
        let (_dir, path) = file("admin:$apr1$abc$def\n");
        assert!(matches!(PasswordFile::open(&path), Err(PasswordFileError::Kind { line: 1, .. })));
        assert!(matches!(PasswordFile::open("/nonexistent"), Err(PasswordFileError::Read { .. })));
    }

    #[test]
    fn secrets_are_not_in_debug() {
        let digest = bcrypt::hash("x", 4).unwrap();
        let (_dir, path) = file(&format!("admin:{digest}\n"));
        assert!(!format!("{:?}", PasswordFile::open(path).unwrap()).contains(&digest));
    }
}

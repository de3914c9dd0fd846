//! A rack's directory on disk: disks, sockets, console logs, `rack.json`.
//!
//! Temporary ones are removed when their rack ends. Each holds a lock file that its rack keeps locked (`flock`), so that a later start can
//! tell a dead run's directory from a living one's, without trusting process ids.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use nix::fcntl::{Flock, FlockArg};

use crate::error::{Error, Result};

const PREFIX: &str = "billet-lab-";
const LOCK: &str = "lock";

/// Temporary directories of this process, for the moment when it has to go without unwinding.
static OWN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A rack's directory, locked while this value lives.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    is_temporary: bool,
    _lock: Flock<File>,
}

impl StateDir {
    /// Makes and locks a directory: `path` if given (kept at the end), else a temporary one (removed on drop). Removes dead runs' first.
    ///
    /// # Errors
    /// [`Error::Invalid`] when another rack uses `path`, [`Error::Io`] when it can't be made.
    pub fn create(path: Option<&Path>) -> Result<Self> {
        sweep();
        if let Some(path) = path {
            std::fs::create_dir_all(path).map_err(Error::io("creating", path))?;
            let path = path.canonicalize().map_err(Error::io("resolving", path))?;
            let lock = lock(&path)?.ok_or_else(|| {
                Error::Invalid(format!(
                    "{} is in use by a running rack; stop it or name another",
                    path.display()
                ))
            })?;
            return Ok(Self { path, is_temporary: false, _lock: lock });
        }
        loop {
            let name = format!("{PREFIX}{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).map_err(Error::io("creating", &path))?;
            // A sweep by another start may come between making and locking; then the lock is on a removed file and we try again.
            if let Ok(Some(held)) = lock(&path)
                && is_same_file(&held, &path.join(LOCK))
            {
                OWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(path.clone());
                return Ok(Self { path, is_temporary: true, _lock: held });
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        if self.is_temporary {
            remove(&self.path);
            OWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner).retain(|path| path != &self.path);
        }
    }
}

/// Removes the temporary directories of runs that are dead. Best effort: a directory that can't be removed is left for the next time.
pub fn sweep() {
    for path in temporary_dirs() {
        if let Ok(Some(_held)) = lock(&path) {
            remove(&path);
        }
    }
}

/// Removes this process's own temporary directories at once; for a process that is about to exit without unwinding.
pub fn remove_own() {
    for path in OWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner).drain(..) {
        remove(&path);
    }
}

/// Temporary directories of racks that are running now.
#[must_use]
pub fn running() -> Vec<PathBuf> {
    temporary_dirs().into_iter().filter(|path| is_locked(path)).collect()
}

/// Does a running rack hold this directory?
#[must_use]
pub fn is_locked(path: &Path) -> bool {
    path.join(LOCK).exists() && matches!(lock(path), Ok(None))
}

fn temporary_dirs() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return Vec::new() };
    let ours = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.starts_with(PREFIX));
    let own_user = nix::unistd::geteuid().as_raw();
    entries
        .flatten()
        // /tmp is everybody's: touch only real directories that belong to us.
        .filter(|entry| ours(&entry.file_name()))
        .filter(|entry| entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == own_user))
        .map(|entry| entry.path())
        .collect()
}

/// Locks a directory; `None` when somebody else holds it.
fn lock(dir: &Path) -> Result<Option<Flock<File>>> {
    let path = dir.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::io("opening", &path))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(Some(held)),
        Err((_, nix::Error::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(Error::Io { what: "locking", path, source: error.into() }),
    }
}

fn is_same_file(held: &File, path: &Path) -> bool {
    match (held.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn remove(path: &Path) {
    // Twice: a process that is just being killed may have added a file between listing and removing.
    if std::fs::remove_dir_all(path).is_err() && path.exists() {
        let _ = std::fs::remove_dir_all(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_directory_lives_as_long_as_its_owner() {
        let dir = StateDir::create(None).unwrap();
        let path = dir.path().to_path_buf();
        std::fs::write(path.join("disk.raw"), b"x").unwrap();
        assert!(is_locked(&path));
        sweep();
        assert!(path.exists(), "a sweep must leave a living rack alone");
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_run_is_swept() {
        let path = std::env::temp_dir().join(format!("{PREFIX}{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join(LOCK), b"").unwrap();
        sweep();
        assert!(!path.exists());
    }

    #[test]
    fn a_named_directory_is_refused_to_a_second_rack_and_kept() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("rack");
        let first = StateDir::create(Some(&path)).unwrap();
        let error = StateDir::create(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("in use"), "{error}");
        drop(first);
        assert!(path.exists());
        StateDir::create(Some(&path)).unwrap();
    }
}

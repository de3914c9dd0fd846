//! The file that stands for a name of a process on this host.
//!
//! Where several processes share a database, each locks a file that is named after it in its state directory. Whoever gets the lock
//! knows that the one that had it before is dead, whatever the database says, and takes over what it held without waiting. The file
//! tells by which sessions that one was known. A lock alone would not do: it can't be asked about from another host.

use super::JoinError;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Sessions that a file remembers: those of the last starts, of which some may not have come to anything.
const REMEMBERED: usize = 16;
/// A file that is larger is not ours.
const LONGEST: u64 = 4096;

/// The lock; it lasts as long as this.
#[derive(Debug)]
pub(super) struct NameLock {
    path: PathBuf,
    file: File,
    buried: Vec<Uuid>,
}

impl NameLock {
    /// Takes the lock of a name in a state directory.
    pub fn take(state_dir: &Path, hostname: &str) -> Result<Self, JoinError> {
        let directory = state_dir.join("conductors");
        let path = directory.join(file_name(hostname));
        let failed = |source| JoinError::File { path: path.clone(), source };
        fs::create_dir_all(&directory).map_err(failed)?;
        let mut file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JoinError::NameTaken {
                    hostname: hostname.to_owned(),
                    how: format!("it holds {}", path.display()),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut text = String::new();
        // A file that can't be read proves nothing, and costs no more than a wait.
        if (&mut file).take(LONGEST).read_to_string(&mut text).is_err() {
            text.clear();
        }
        let buried = text.lines().filter_map(|line| line.parse().ok()).collect();
        Ok(Self { path, file, buried })
    }

    /// Sessions of processes that had the lock before.
    pub fn buried(&self) -> &[Uuid] {
        &self.buried
    }

    /// Notes a session before it begins, so that whoever has the lock next knows of it.
    pub fn note(&mut self, session: Uuid) -> Result<(), JoinError> {
        self.buried.push(session);
        let surplus = self.buried.len().saturating_sub(REMEMBERED);
        self.buried.drain(..surplus);
        let text: String = self.buried.iter().map(|session| format!("{session}\n")).collect();
        let written = self
            .file
            .rewind()
            .and_then(|()| self.file.set_len(0))
            .and_then(|()| self.file.write_all(text.as_bytes()));
        written.map_err(|source| JoinError::File { path: self.path.clone(), source })
    }
}

/// A name as a file's: what is unusual in it is written as its number.
fn file_name(hostname: &str) -> String {
    let mut name = String::from("_");
    for c in hostname.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => name.push(c),
            other => name.push_str(&format!("_{:x}_", u32::from(other))),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_one_knows_who_died_and_nobody_is_buried_alive() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
        let mut first = NameLock::take(dir.path(), "seed/1").unwrap();
        assert!(first.buried().is_empty());
        first.note(a).unwrap();
        first.note(b).unwrap();
        let error = NameLock::take(dir.path(), "seed/1").unwrap_err();
        assert!(error.to_string().contains("seed/1"), "{error}");
        NameLock::take(dir.path(), "seed_1").unwrap();
        drop(first);
        let mut next = NameLock::take(dir.path(), "seed/1").unwrap();
        assert_eq!(next.buried(), [a, b]);
        for _ in 0..40 {
            next.note(Uuid::new_v4()).unwrap();
        }
        drop(next);
        assert_eq!(NameLock::take(dir.path(), "seed/1").unwrap().buried().len(), REMEMBERED);
    }
}

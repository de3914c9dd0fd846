//! The directory in which a process keeps what is its own: keys, and with SQLite the database.

use crate::database::{DATABASE, OpenError};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Makes the directory if need be, and refuses a foreign one. One with nothing but the site's key was made ready for a move.
pub(crate) fn prepare(state_dir: &Path) -> Result<(), OpenError> {
    let failed = failed(state_dir);
    fs::create_dir_all(state_dir).map_err(failed)?;
    let known = [DATABASE, "lock", "seal.key"].iter().any(|name| state_dir.join(name).exists());
    let mut entries = fs::read_dir(state_dir).map_err(failed)?;
    // `ramdisk` may be put there before the first start.
    let foreign = entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "ramdisk"));
    if !known && foreign {
        return Err(OpenError::Foreign { path: state_dir.to_owned() });
    }
    fs::set_permissions(state_dir, fs::Permissions::from_mode(0o700)).map_err(failed)
}

/// Takes the directory for this process alone.
pub(crate) fn lock(state_dir: &Path) -> Result<fs::File, OpenError> {
    let path = state_dir.join("lock");
    let failed = failed(&path);
    let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse { path: state_dir.to_owned() }),
        Err(fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> OpenError + Copy + '_ {
    move |source| OpenError::File { path: path.to_owned(), source }
}

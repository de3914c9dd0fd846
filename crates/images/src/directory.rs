//! Bytes in a directory of this host: a file each, readable by the owner alone.

use crate::batch::{Batch, Pool};
use crate::error::{Result, StorageError};
use crate::line::{Line, Work};
use crate::name::Name;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::spawn_blocking;
use uuid::Uuid;

/// Where uploads are until they have a name; emptied at each start.
pub(crate) const UNFINISHED: &str = "unfinished";

/// The directory.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
}

impl Directory {
    /// Makes the directory if need be, and removes what uploads of a dead process left in it.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        make(root)?;
        let unfinished = root.join(UNFINISHED);
        make(&unfinished)?;
        for entry in fs::read_dir(&unfinished).map_err(reading(&unfinished))? {
            let path = entry.map_err(reading(&unfinished))?.path();
            fs::remove_file(&path).map_err(StorageError::io(format!("removing {}", path.display())))?;
        }
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn path(&self, name: &Name) -> PathBuf {
        self.root.join(name.as_str())
    }

    /// Bytes that may still be written here.
    fn room(&self) -> io::Result<u64> {
        let about = rustix::fs::statvfs(&self.root)?;
        Ok(about.f_bavail.saturating_mul(about.f_frsize))
    }

    /// Begins a file. `announced` is what is known of its size: what can't fit is refused before it is sent.
    pub(crate) fn create(&self, name: &Name, announced: Option<u64>, pool: Arc<Pool>) -> Result<NewFile> {
        let room =
            self.room().map_err(StorageError::io(format!("looking for room in {}", self.root.display())))?;
        if announced.is_some_and(|size| size > room) {
            return Err(self.full(name));
        }
        let directory = self.root.join(name.namespace());
        make(&directory)?;
        let temporary = self.root.join(UNFINISHED).join(Uuid::new_v4().to_string());
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(|error| self.failed("making", &temporary, name, error))?;
        Ok(NewFile {
            place: self.root.clone(),
            name: name.clone(),
            directory,
            temporary: Some(temporary),
            line: Line::new(Writing { file, written: 0, started: 0, outcome: Ok(()) }, pool),
        })
    }

    /// Opens a file for reading. Also: its size.
    pub(crate) fn read(&self, name: &Name) -> Result<(File, u64)> {
        let path = self.path(name);
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => StorageError::NotFound { name: name.to_string() },
            _ => StorageError::Io { attempt: format!("reading {}", path.display()), source: error },
        };
        let file = File::open(&path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        Ok((file, size))
    }

    /// Removes a file; it is no error if there is none.
    pub(crate) fn delete(&self, name: &Name) -> Result<()> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StorageError::Io { attempt: format!("removing {}", path.display()), source: error })
            }
            _ => Ok(()),
        }
    }

    /// Every name of a namespace.
    pub(crate) fn list(&self, namespace: &str) -> Result<Vec<Name>> {
        let directory = self.root.join(namespace);
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(reading(&directory))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(reading(&directory))?;
            // What has no name of ours was put there by somebody else.
            if let Some(name) = entry.file_name().to_str().and_then(|key| Name::new(namespace, key).ok()) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn full(&self, name: &Name) -> StorageError {
        StorageError::Full { place: self.root.display().to_string(), name: name.to_string() }
    }

    fn failed(&self, verb: &str, path: &Path, name: &Name, error: io::Error) -> StorageError {
        if StorageError::is_full(&error) {
            return self.full(name);
        }
        StorageError::Io { attempt: format!("{verb} {}", path.display()), source: error }
    }
}

fn make(directory: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(StorageError::io(format!("making {}", directory.display())))
}

fn reading(directory: &Path) -> impl Fn(io::Error) -> StorageError {
    move |source| StorageError::Io { attempt: format!("reading {}", directory.display()), source }
}

/// Bytes after which the disk is told to begin with them, so that little is left to do at the end.
const WRITE_BACK: u64 = 4 << 20;

/// Bytes written by one call. The page cache takes pages as large as a call is, and large ones are seldom at hand: in a virtual machine they
/// are what the kernel has given back to the host. Measured there for 4 GiB: 1.6 s of the kernel's time with calls of 64 KiB, 2.9 s with
/// 128 KiB, 5.8 s with 1 MiB (`cargo bench -p images`).
const WRITE: usize = 64 << 10;

/// A file that is being written.
struct Writing {
    file: File,
    written: u64,
    /// Bytes that the disk has begun with.
    started: u64,
    outcome: io::Result<()>,
}

impl Work for Writing {
    fn take(&mut self, bytes: &[u8]) -> bool {
        self.outcome = bytes.chunks(WRITE).try_for_each(|part| self.file.write_all(part));
        self.written += bytes.len() as u64;
        if self.written - self.started >= WRITE_BACK {
            disk::start_writing_back(&self.file, self.started, self.written - self.started);
            self.started = self.written;
        }
        self.outcome.is_ok()
    }
}

/// A file that has no name yet. Dropped, it is removed.
pub(crate) struct NewFile {
    place: PathBuf,
    name: Name,
    directory: PathBuf,
    temporary: Option<PathBuf>,
    line: Line<Writing>,
}

impl NewFile {
    /// Writes a batch, behind those before.
    pub(crate) fn write(&mut self, batch: Arc<Batch>) {
        self.line.push(batch);
    }

    /// Brings all to the disk. Nothing can be written after that.
    pub(crate) async fn sync(&mut self) -> Result<()> {
        let writing = self.line.finish("writing").await?;
        let done = spawn_blocking(move || {
            writing.outcome?;
            writing.file.sync_all()
        });
        let done = done.await.map_err(|_| StorageError::lost("writing"))?;
        done.map_err(|error| self.failed(error))
    }

    /// Gives what was brought to the disk its name.
    pub(crate) async fn finish(mut self) -> Result<()> {
        let temporary = self.temporary.clone().unwrap_or_default();
        let (directory, to) = (self.directory.clone(), self.directory.join(self.name.key()));
        let done = spawn_blocking(move || {
            fs::rename(temporary, to)?;
            File::open(directory)?.sync_all()
        });
        let done = done.await.map_err(|_| StorageError::lost("writing"))?;
        done.map_err(|error| self.failed(error))?;
        self.temporary = None;
        Ok(())
    }

    fn failed(&self, error: io::Error) -> StorageError {
        let (place, name) = (self.place.display().to_string(), self.name.to_string());
        if StorageError::is_full(&error) {
            return StorageError::Full { place, name };
        }
        StorageError::Io { attempt: format!("writing {name} in {place}"), source: error }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        let Some(temporary) = self.temporary.take() else { return };
        // Freeing a large file takes its time; a runtime that ends does it here and now.
        let remove = move || {
            if let Err(error) = fs::remove_file(&temporary) {
                tracing::warn!(path = %temporary.display(), %error, "an unfinished upload could not be removed");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

//! One error type, grouped by what the caller can do about it.

use std::io;

/// Result of everything in this crate.
pub type Result<T> = std::result::Result<T, StorageError>;

/// What went wrong with stored bytes.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Nothing has this name.
    #[error("{name} is not in the storage")]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// The disk is full: free some space, then upload again.
    #[error(
        "{place} has no room left for {name}: free some space there, or keep images elsewhere, and upload again"
    )]
    Full {
        /// Directory or bucket.
        place: String,
        /// What was to be stored.
        name: String,
    },
    /// More bytes came than may.
    #[error("more than {limit} bytes were sent, which is the limit")]
    TooLarge {
        /// Bytes that are allowed.
        limit: u64,
    },
    /// Fewer or more bytes came than were announced.
    #[error("{announced} bytes were announced but {came} came")]
    WrongLength {
        /// What was said before.
        announced: u64,
        /// What came.
        came: u64,
    },
    /// A name that no bytes may have.
    #[error("{name:?} can't be a name in the storage")]
    BadName {
        /// As given.
        name: String,
    },
    /// The file system failed.
    #[error("{attempt} failed: {source}")]
    Io {
        /// What was tried, with its path.
        attempt: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The storage service refused, or can't be reached.
    #[error("{attempt} failed: {reason}")]
    Remote {
        /// What was tried.
        attempt: String,
        /// What the service said.
        reason: String,
    },
}

impl StorageError {
    /// An error of the file system while something was tried.
    pub(crate) fn io(attempt: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let attempt = attempt.into();
        move |source| Self::Io { attempt, source }
    }

    /// No room, whichever way the kernel says it.
    pub(crate) fn is_full(error: &io::Error) -> bool {
        matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }

    /// A thread that was to do the work ended without a result: a defect, or the end of the process.
    pub(crate) fn lost(attempt: impl Into<String>) -> Self {
        Self::Io { attempt: attempt.into(), source: io::Error::other("the thread that did it ended early") }
    }
}

//! One error type, grouped by what the caller can do about it.

use std::io;

use crate::checksum::{Algorithm, Checksum};

/// Result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, by what the caller can do. Every text names the thing, what was found and what to do next, so that
/// it can go into a node's `last_error` as it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The image can't be written as it is or as it was declared. Another image, or another declaration, is needed.
    #[error("image refused: {problem}; {remedy}")]
    Image {
        /// What was found in the image.
        problem: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The image ended before its declared or announced size. Worth a retry, then the image must be replaced.
    #[error(
        "image is truncated: it ended at byte {ended_at} but {expected} bytes were announced; \
         upload the image again or check the server that serves it"
    )]
    Truncated {
        /// Bytes that arrived.
        ended_at: u64,
        /// Bytes that the source announced.
        expected: u64,
    },
    /// The image's bytes were different when they were read a second time. Worth a retry.
    #[error(
        "image changed while it was read: the bytes at offset {offset} are not the ones its map was built from; \
         deploy again, and don't replace an image that is in use"
    )]
    Changed {
        /// Offset in the image file.
        offset: u64,
    },
    /// The image's bytes don't have the checksum that was asked for. The disk holds nothing that boots.
    #[error(
        "image checksum mismatch: expected {expected}, got {actual} ({algorithm}, {bytes} bytes); the disk was left \
         unbootable; fix the image's checksum or upload the image again"
    )]
    Checksum {
        /// Algorithm of both.
        algorithm: Algorithm,
        /// What was asked for.
        expected: Checksum,
        /// What the bytes have.
        actual: Checksum,
        /// How many bytes were hashed.
        bytes: u64,
    },
    /// A checksum that was asked for can't be used.
    #[error("checksum refused: {problem}; {remedy}")]
    ChecksumText {
        /// What was found.
        problem: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The image's virtual size is larger than the disk.
    #[error(
        "image needs {image_bytes} bytes but the disk has {disk_bytes}; choose a larger disk by root device hints or \
         a smaller image"
    )]
    TooLarge {
        /// The image's virtual size, in bytes.
        image_bytes: u64,
        /// The disk's size, in bytes.
        disk_bytes: u64,
    },
    /// The image could not be read. Worth a retry.
    #[error("reading the image at offset {offset} failed: {source}; check the image server and its address")]
    Source {
        /// Offset in the image file.
        offset: u64,
        /// What the source said.
        source: io::Error,
    },
    /// The disk could not be read or written. The disk is to be looked at.
    #[error("{attempt} failed: {source}; check the disk (cable, SMART, kernel log) or choose another one")]
    Disk {
        /// What was tried, with its offset.
        attempt: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The disk doesn't give back what was written to it. The disk is to be replaced.
    #[error(
        "disk does not hold what was written: read-back differs between bytes {from} and {to}; the disk was left \
         unbootable and should be replaced"
    )]
    ReadBack {
        /// First byte of the stretch that differs.
        from: u64,
        /// One past the last byte of the stretch that differs.
        to: u64,
    },
    /// The partition table on the disk can't be used for what was asked.
    #[error("partition table: {problem}; {remedy}")]
    PartitionTable {
        /// What was found.
        problem: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The config drive can't be built or decoded.
    #[error("config drive: {problem}; {remedy}")]
    ConfigDrive {
        /// What was found.
        problem: String,
        /// What to do about it.
        remedy: &'static str,
    },
}

impl Error {
    pub(crate) fn image(problem: impl Into<String>, remedy: &'static str) -> Self {
        Self::Image { problem: problem.into(), remedy }
    }

    pub(crate) fn disk(attempt: impl Into<String>, source: io::Error) -> Self {
        Self::Disk { attempt: attempt.into(), source }
    }

    /// Whether the same call may succeed when it is made again with nothing changed: the server or the network was at
    /// fault, not the image and not the disk.
    pub fn is_worth_a_retry(&self) -> bool {
        matches!(self, Self::Truncated { .. } | Self::Changed { .. } | Self::Source { .. })
    }
}

//! Where the bytes of images and objects are kept.
//!
//! A [`Backend`] is a directory, or a bucket of S3-compatible storage. Bytes come in by an [`Upload`] and go out by a [`Reading`], both
//! of any size in a few megabytes: an upload's digests and its writing go on beside each other and beside the network, over the same few
//! batches of memory; a reading reads one piece ahead. Neither holds a thread while it waits for the other side, so that slow clients cost memory only.
//!
//! What was not finished is not there: bytes get their name when all of them are on the disk, and what a dead process left is
//! removed when the backend is opened. Nothing in here knows what the bytes are, but for [`Backend::inspect`], which lets `disk` look.

#![forbid(unsafe_code)]

mod backend;
mod batch;
mod directory;
mod error;
mod inspect;
mod line;
mod name;
mod reading;
#[cfg(feature = "s3")]
mod s3;
mod upload;

pub use backend::Backend;
pub use disk::Algorithm;
pub use error::{Result, StorageError};
pub use name::Name;
pub use reading::Reading;
#[cfg(feature = "s3")]
pub use s3::S3Settings;
pub use upload::{Stored, Upload};
